"""The settings in an Airflow connection of type ``make``, checked and with defaults filled in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_make import __version__
from airflow_provider_make.arguments import parse_number, parse_positive_integer
from airflow_provider_make.connection.address import build_base_url, is_schema, parse_proxies
from airflow_provider_make.connection.form import AUTH_SCHEMES, CONNECTION_FIELDS, MAX_TIMEOUT
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.masking import HIDDEN, contains_token, mask_secrets

USER_AGENT = f"airflow-provider-make/{__version__}"
# One request in a hundred minutes: a client that waits longer seems to hang.
MIN_REQUESTS_PER_MINUTE = 0.01
_NOT_JSON = object()
# What Airflow accepts in the JSON of a connection.
_FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")
_URI = "make://:YOUR_API_TOKEN@eu1.make.com/?organization_id=42"
_JSON = '{"conn_type": "make", "password": "YOUR_API_TOKEN", "extra": {"zone": "eu1.make.com", "organization_id": 42}}'
_NO_URI_PROBLEM = (
    f"Airflow read its value as a URI, which it is not: expected a URI such as {_URI}, without quotation marks. In a "
    ".env file for the secrets backend, Airflow takes no JSON; in a .json or .yaml file, it does"
)
_URI_PROBLEM = (
    f"expected a URI such as {_URI}, with the reserved characters of the token percent-encoded "
    f"(/ as %2F, @ as %40, : as %3A, % as %25); or JSON such as {_JSON}, which needs no percent-encoding"
)


class AirflowConnection(Protocol):
    """The fields of an Airflow connection that are used here, the same on Airflow 2 and 3."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None
    extra: str | None


@dataclass(frozen=True)
class ConnectionSettings:
    """The settings of a connection of type ``make``. The token and the proxies' credentials are not in the repr."""

    # Ends in /api/v2.
    base_url: str
    token: str = field(repr=False)
    auth_scheme: str = "Token"
    # For tasks that name no other.
    organization_id: int | None = None
    requests_per_minute: float | None = None
    # True, False, or the path of a CA bundle.
    verify: bool | str = True
    # URLs by scheme.
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    # A path, or the paths of certificate and key.
    cert: str | tuple[str, str] | None = None
    # Seconds to wait for a connection, and for each piece of a response.
    timeout: float = 60.0
    # Whether proxies and CA bundles of the environment are used.
    trust_env: bool = True
    # Keys of the extra that this provider ignores.
    unknown_extras: tuple[str, ...] = ()
    conn_id: str = field(default="make_default", compare=False)

    @property
    def zone(self) -> str:
        """The host of the API, with its port if that is not the default: ``eu1.make.com``."""
        return urlsplit(self.base_url).netloc

    @property
    def authorization(self) -> str:
        """The value of the Authorization header. Secret."""
        return f"{self.auth_scheme} {self.token}"

    def resolve_organization_id(self, organization_id: Any) -> Any:
        """Return the organization of a task, not yet validated, or the connection's where the task names none."""
        if organization_id is None and self.organization_id is None:
            raise MakeInputError(
                f"No organization: expected organization_id as an argument or in connection {self.conn_id!r}."
            )
        return self.organization_id if organization_id is None else organization_id

    @classmethod
    def from_airflow(cls, connection: AirflowConnection) -> ConnectionSettings:
        """
        Check the fields of a connection from any secrets backend, of which empty ones and null extras are not set.

        :raises MakeInputError: A field is not valid, or the zone or the token is missing.
        """
        # All that Airflow does not recognize in a URI is the path of one, and it has the path as the schema.
        if not connection.host and not connection.password and not is_schema(connection.schema):
            raise MakeInputError(f"{_NO_URI_PROBLEM}.")
        extra = _parse_extra(connection.extra)
        token = _parse_token(connection.password) if connection.password else ""
        _refuse_token_elsewhere({"host": connection.host, "schema": connection.schema, **extra}, token)
        return cls(
            base_url=build_base_url(connection.host, connection.schema, connection.port, extra.get("zone")),
            token=token or _parse_token(connection.password),
            **{name: parse(extra[name]) for name, parse in _PARSERS.items() if name in extra},
            unknown_extras=tuple(_name(key, token) for key in extra if key not in CONNECTION_FIELDS),
            conn_id=connection.conn_id,
        )


def _parse_extra(extra: str | None) -> dict[str, Any]:
    # Not connection.extra_dejson: on an event loop it may call Airflow's supervisor and deadlock.
    values = _parse_json(extra) if extra else {}
    if not isinstance(values, dict):
        raise MakeInputError("The connection's extra is not valid: expected a JSON object.")
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse_token_elsewhere(fields: Mapping[str, Any], token: str) -> None:
    # As a host, it would be sent to a name server; as an extra, it would be shown in errors.
    for name in ("host", "schema", *CONNECTION_FIELDS):
        if contains_token(json.dumps(fields.get(name)), token):
            raise MakeInputError(f"{name} contains the API token: expected it in the connection's password only.")


def _name(extra: str, token: str) -> str:
    return HIDDEN if contains_token(extra, token) else mask_secrets(extra)


def _parse_token(password: str | None) -> str:
    if not password:
        raise MakeInputError("The connection has no token: expected Make's API token in its password.")
    # HTTP libraries put the value of a malformed header into their errors.
    if not password.isascii() or not password.isprintable() or " " in password:
        raise MakeInputError(
            "The connection's password is not valid: expected an API token of printable ASCII characters "
            "without spaces or line breaks around or inside it."
        )
    return password


def _parse_auth_scheme(value: Any) -> str:
    if value not in AUTH_SCHEMES:
        raise MakeInputError.expected("auth_scheme", value, " or ".join(AUTH_SCHEMES))
    return str(value)


def _parse_requests_per_minute(value: Any) -> float:
    expectation = f"a number from {MIN_REQUESTS_PER_MINUTE:g} on, or nothing"
    return parse_number("requests_per_minute", value, expectation, lambda number: number >= MIN_REQUESTS_PER_MINUTE)


def _parse_timeout(value: Any) -> float:
    expectation = f"seconds, above zero and up to {MAX_TIMEOUT}, or nothing"
    return parse_number("timeout", value, expectation, lambda seconds: 0 < seconds <= MAX_TIMEOUT)


def _parse_boolean(name: str, value: Any, expectation: str = "true or false") -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise MakeInputError.expected(name, value, expectation)
    return value


def _parse_verify(value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() not in ("true", "false"):
        return value
    return _parse_boolean("verify", value, "true, false, or the path of a CA bundle")


def _parse_proxies(value: Any) -> Mapping[str, str]:
    return parse_proxies(_parse_json(value) if isinstance(value, str) and value.lstrip().startswith("{") else value)


def _parse_cert(value: Any) -> str | tuple[str, str]:
    paths = _parse_json(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if isinstance(paths, str):
        return paths
    if isinstance(paths, list) and len(paths) == 2 and all(isinstance(path, str) for path in paths):
        return paths[0], paths[1]
    raise MakeInputError.expected("cert", value, "a path, or a list of two: certificate and key")


# Of the extras that have a field of the same name above.
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "auth_scheme": _parse_auth_scheme,
    "organization_id": partial(parse_positive_integer, "organization_id"),
    "requests_per_minute": _parse_requests_per_minute,
    "verify": _parse_verify,
    "proxies": _parse_proxies,
    "cert": _parse_cert,
    "timeout": _parse_timeout,
    "trust_env": partial(_parse_boolean, "trust_env"),
}


@contextmanager
def explain_unreadable_variable(conn_id: str) -> Iterator[None]:
    """
    Explain why Airflow does not find a connection in the ``with`` block, if its environment variable is set.

    Airflow ignores a variable that it can't parse, and reports that the connection is not defined.

    :raises MakeInputError: The block raised AirflowNotFoundException, and the variable is set, so it is not valid.
    """
    try:
        yield
    except AirflowNotFoundException:
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        value = os.environ.get(name)
        if not value:
            raise
        problem = _problem_of_json(value) if value.lstrip().startswith("{") else _URI_PROBLEM
        message = f"Connection {conn_id!r}: Airflow can't parse the environment variable {name}: {problem}."
        raise MakeInputError(message) from None


def _problem_of_json(value: str) -> str:
    try:
        json.loads(value.strip())
    except json.JSONDecodeError as error:
        # Not the error itself: it contains the value.
        return f"its JSON has an error at line {error.lineno}, column {error.colno}: expected an object such as {_JSON}"
    except RecursionError:
        return f"its JSON is too deep: expected an object such as {_JSON}"
    return f"expected JSON with only the fields {', '.join(_FIELDS)}, and a number as port"


def check_connection(connection: AirflowConnection, conn_id: str, log: Any) -> ConnectionSettings:
    """Check a connection; errors name it, and a warning names the extra keys that this provider does not know."""
    try:
        settings = ConnectionSettings.from_airflow(connection)
    except MakeInputError as error:
        raise MakeInputError(f"Connection {conn_id!r}: {error}") from None
    if settings.unknown_extras:
        log.warning(
            "Connection %r: ignoring the extra keys %s, which this provider does not know.",
            conn_id,
            ", ".join(settings.unknown_extras),
        )
    return settings

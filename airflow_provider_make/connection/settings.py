"""The settings in an Airflow connection of type ``make``, checked and with defaults filled in."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_provider_make.arguments import parse_number, parse_positive_integer
from airflow_provider_make.connection.fields import AUTH_SCHEMES, CONNECTION_FIELDS, ZONES
from airflow_provider_make.exceptions import MakeInputError

API_PATH = "/api/v2"
DEFAULT_TIMEOUT = 60.0
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NOT_JSON = object()


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
    """
    The settings of a connection of type ``make``.

    :param base_url: Base URL of the API; ends in ``/api/v2``.
    :param token: The API token; never part of the repr.
    :param auth_scheme: The scheme in the Authorization header: ``Token`` or ``Bearer``.
    :param organization_id: The organization used unless a task names another; None for no default.
    :param requests_per_minute: The most requests a client sends in a minute; None for no limit.
    :param verify: True, False, or the path of a CA bundle.
    :param proxies: Proxy URL by scheme; may contain credentials, so it is not part of the repr.
    :param cert: Client certificate: a path, or the paths of certificate and key.
    :param timeout: Seconds to wait for a connection, and for each piece of a response.
    :param trust_env: Whether proxies and CA bundles from environment variables are used.
    :param unknown_extras: Extra keys that this provider does not know; they are ignored and never sent.
    :param conn_id: The connection id, for errors.
    """

    base_url: str
    token: str = field(repr=False)
    auth_scheme: str = "Token"
    organization_id: int | None = None
    requests_per_minute: float | None = None
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    cert: str | tuple[str, str] | None = None
    timeout: float = DEFAULT_TIMEOUT
    trust_env: bool = True
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
        """
        Use the connection's organization where a task names none.

        :param organization_id: The task's argument; None for the connection's.
        :return: The organization id, not yet validated if it is the task's.
        :raises MakeInputError: Neither the task nor the connection names an organization.
        """
        if organization_id is None and self.organization_id is None:
            raise MakeInputError(
                f"No organization: expected organization_id as an argument or in connection {self.conn_id!r}."
            )
        return self.organization_id if organization_id is None else organization_id

    @classmethod
    def from_airflow(cls, connection: AirflowConnection) -> ConnectionSettings:
        """
        Check the fields of an Airflow connection. Empty fields and null extras are treated as not set.

        :param connection: The connection, from any secrets backend.
        :return: The checked settings.
        :raises MakeInputError: A field is not valid, or the zone or the token is missing.
        """
        extra = _parse_extra(connection.extra)
        return cls(
            base_url=_base_url(connection, extra.get("zone")),
            token=_token(connection.password),
            auth_scheme=_auth_scheme(extra.get("auth_scheme", "Token")),
            organization_id=_organization_id(extra.get("organization_id")),
            requests_per_minute=_positive(extra, "requests_per_minute", None),
            verify=_verify(extra.get("verify", True)),
            proxies=_proxies(extra.get("proxies", {})),
            cert=_cert(extra.get("cert")),
            timeout=_positive(extra, "timeout", DEFAULT_TIMEOUT) or DEFAULT_TIMEOUT,
            trust_env=_boolean("trust_env", extra.get("trust_env", True)),
            unknown_extras=tuple(key for key in extra if key not in CONNECTION_FIELDS),
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


def _base_url(connection: AirflowConnection, zone: Any) -> str:
    host = (connection.host or "").strip()
    if not host:
        if zone not in ZONES:
            problem = f"zone={zone!r} is not valid" if zone else "The connection has neither a zone nor a host"
            raise MakeInputError(f"{problem}: expected one of the zones {', '.join(ZONES)}, or a host.")
        if connection.port and connection.port != _DEFAULT_PORTS["https"]:
            raise MakeInputError.expected("port", connection.port, "443, or nothing, where the host is empty")
        return f"https://{zone}{API_PATH}"
    # Airflow puts the path of a connection URI into the schema: make://:TOKEN@eu1.make.com/api/v2
    schema = (connection.schema or "").strip("/")
    if schema not in ("", "http", "https", API_PATH.strip("/")):
        raise MakeInputError.expected("schema", connection.schema, "https, or nothing")
    scheme = schema if schema in ("http", "https") else "https"
    expectation = f"a host or base URL such as {ZONES[0]} or https://{ZONES[0]}{API_PATH}"
    if "@" in host or "?" in host or "#" in host:
        # The value is not shown: it may contain a secret.
        raise MakeInputError(
            f"The connection's host contains more than a host, such as credentials: expected {expectation}."
        )
    try:
        url = urlsplit(host if "://" in host else f"{scheme}://{host}")
        hostname, port = url.hostname, url.port
    except ValueError:
        raise MakeInputError.expected("host", host, expectation) from None
    if url.scheme not in ("http", "https") or not hostname or " " in host or url.netloc.endswith(":"):
        raise MakeInputError.expected("host", host, expectation)
    if connection.port and port and connection.port != port:
        raise MakeInputError.expected("port", connection.port, f"the host's own port {port}, or nothing")
    if url.scheme == "http" and not _is_loopback(hostname):
        raise MakeInputError.expected("host", host, "https: plain http would expose the token to the network")
    port = port or connection.port
    netloc = f"[{hostname}]" if ":" in hostname else hostname
    if port and port != _DEFAULT_PORTS[url.scheme]:
        netloc += f":{port}"
    path = url.path.rstrip("/").removesuffix(API_PATH)
    return f"{url.scheme}://{netloc}{path}{API_PATH}"


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _token(password: str | None) -> str:
    if not password:
        raise MakeInputError("The connection has no token: expected Make's API token in its password.")
    # HTTP libraries put the value of a malformed header into their errors.
    if not password.isascii() or not password.isprintable() or " " in password:
        raise MakeInputError(
            "The connection's password is not valid: expected an API token of printable ASCII characters "
            "without spaces or line breaks around or inside it."
        )
    return password


def _auth_scheme(value: Any) -> str:
    if value not in AUTH_SCHEMES:
        raise MakeInputError.expected("auth_scheme", value, " or ".join(AUTH_SCHEMES))
    return str(value)


def _organization_id(value: Any) -> int | None:
    return None if value is None else parse_positive_integer("organization_id", value)


def _positive(extra: Mapping[str, Any], key: str, default: float | None) -> float | None:
    value = extra.get(key, default)
    if value is None:
        return None
    return parse_number(key, value, "a number above zero, or nothing", lambda number: number > 0)


def _boolean(key: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise MakeInputError.expected(key, value, "true or false")
    return value


def _verify(value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() not in ("true", "false"):
        return value
    try:
        return _boolean("verify", value)
    except MakeInputError:
        raise MakeInputError.expected("verify", value, "true, false, or the path of a CA bundle") from None


def _proxies(value: Any) -> Mapping[str, str]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _parse_json(value)
    if isinstance(value, str):
        return {"http": value, "https": value}
    if not isinstance(value, dict) or not all(isinstance(url, str) for url in value.values()):
        raise MakeInputError('proxies is not valid: expected a JSON object such as {"https": "http://proxy:3128"}.')
    return value


def _cert(value: Any) -> str | tuple[str, str] | None:
    if value is None:
        return None
    paths = _parse_json(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if isinstance(paths, str):
        return paths
    if isinstance(paths, list) and len(paths) == 2 and all(isinstance(path, str) for path in paths):
        return paths[0], paths[1]
    raise MakeInputError.expected("cert", value, "a path, or a list of two: certificate and key")

"""Why Airflow can't read a connection from its environment variable; the value is never shown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_make.exceptions import MakeInputError

# What Airflow accepts in the JSON of a connection.
_FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")
_URI = "make://:YOUR_API_TOKEN@eu1.make.com/?organization_id=42"
_JSON = '{"conn_type": "make", "password": "YOUR_API_TOKEN", "extra": {"zone": "eu1.make.com", "organization_id": 42}}'


@contextmanager
def explain_unreadable_variable(conn_id: str) -> Iterator[None]:
    """
    Look up a connection in the ``with`` block, and explain why Airflow does not find one whose variable is set.

    Airflow ignores an environment variable that it can't parse, and reports that the connection is not defined.

    :param conn_id: The connection id.
    :raises AirflowNotFoundException: The block raised it, and the environment variable is not set.
    :raises MakeInputError: The block raised it, and the environment variable is set, so it is not valid.
    """
    try:
        yield
    except AirflowNotFoundException:
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        value = os.environ.get(name)
        if not value:
            raise
        problem = _problem_of_json(value) if value.lstrip().startswith("{") else _problem_of_uri()
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


def _problem_of_uri() -> str:
    return (
        f"expected a URI such as {_URI}, with the reserved characters of the token percent-encoded "
        f"(/ as %2F, @ as %40, : as %3A, % as %25); or JSON such as {_JSON}, which needs no percent-encoding"
    )

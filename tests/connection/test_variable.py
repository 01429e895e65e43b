"""The error for an environment variable that Airflow can't parse, raised by the hook's lookup of the connection."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.hooks.make import MakeHook

TOKEN = "s3cr3t-t0ken"
VARIABLE = "AIRFLOW_CONN_MAKE_DEFAULT"
VALID = json.dumps({"conn_type": "make", "password": TOKEN, "extra": {"zone": "eu1.make.com"}})
NO_URI = "expected a URI such as make://:YOUR_API_TOKEN@eu1.make.com/?organization_id=42"
NO_FIELDS = "expected JSON with only the fields conn_type, "
pytestmark = pytest.mark.usefixtures("airflow_database")


def look_up() -> ConnectionSettings:
    return MakeHook().settings


def look_up_on_an_event_loop() -> ConnectionSettings:
    hook = MakeHook()
    asyncio.run(hook.load_settings())
    return hook.settings


@pytest.mark.parametrize("look_up", [look_up, look_up_on_an_event_loop])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (VALID[:-1], f"its JSON has an error at line 1, column {len(VALID)}: expected"),
        (f"\n{VALID[:-1]},\n", f"its JSON has an error at line 1, column {len(VALID) + 1}: expected"),
        (VALID.replace('"', "'"), "its JSON has an error at line 1, column 2: expected"),
        (VALID.replace("password", "token"), NO_FIELDS),
        (VALID.replace('"conn_type"', '"port": "https", "conn_type"'), NO_FIELDS),
        (f"make://:{TOKEN}@eu1.make.com:port/", NO_URI),
        (f"make://:a/{TOKEN}@eu1.make.com/", NO_URI),
        (f"make://:[{TOKEN}@eu1.make.com/", NO_URI),
    ],
)
def test_error_names_the_connection_and_what_is_expected_but_not_the_value(
    value: str, problem: str, look_up: Callable[[], ConnectionSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(MakeInputError) as caught:
        look_up()
    begin = f"Connection 'make_default': Airflow can't parse the environment variable {VARIABLE}: "
    assert str(caught.value).startswith(begin + problem)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("look_up", [look_up, look_up_on_an_event_loop])
@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_leaves_airflows_error(
    value: str | None, look_up: Callable[[], ConnectionSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(AirflowNotFoundException, match="make_default"):
        look_up()


@pytest.mark.parametrize("value", [VALID, f" {VALID}", f"make://:{TOKEN}@/?zone=eu1.make.com"])
def test_a_valid_variable_is_read(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert look_up().token == TOKEN


def test_each_connection_id_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_US", "{" * 100_000)
    with pytest.raises(MakeInputError, match="'make_us'.*AIRFLOW_CONN_MAKE_US: its JSON"):
        MakeHook("make_us").settings  # noqa: B018
    with pytest.raises(AirflowNotFoundException):
        look_up()

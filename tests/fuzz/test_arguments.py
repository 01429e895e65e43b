"""Odd arguments, connections and command lines: they work, or the error names the argument, before any request."""

from __future__ import annotations

import io
import json
import math
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yarl
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowSensorTimeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.connection.form import CONNECTION_FIELDS
from airflow_provider_make.examples.__main__ import main as examples
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import NOT_TEMPLATED, TEMPLATED, MakeAnalyticsOperator
from airflow_provider_make.operators.report import MakeReportOperator
from airflow_provider_make.sandbox import Fault, Sandbox
from airflow_provider_make.sandbox.__main__ import main as sandbox_command
from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger, MakeAnalyticsTrigger
from airflow_provider_make.triggers.event_payload import parse_event
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.documents import first_payload
from tests.support.entries import entry
from tests.support.pulled_files import write_pull

pytestmark = pytest.mark.slow
watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
TOKEN = "c0ffee00-5ec2-4e7a-9d3b-0123456789ab"


class Index:
    """A whole number of some library, such as numpy."""

    def __index__(self) -> int:
        return 7


NUMBERS = [0, 1, -1, 7, 2**63 - 1, 2**63, 10**400, -0.0, 1e-320, 1.5, 1e308, math.nan, math.inf, -math.inf]
TEXTS = [
    "",
    " ",
    "x",
    "7",
    "-1",
    "1e999",
    "nan",
    "\0",
    "\ud800",
    "ü",
    "{{ x }}",
    "{% if %}",
    "{",
    "P1D",
    "P-1D",
    "x" * 5000,
]
TIMES = [
    *(datetime.min, datetime.max, datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=23, minutes=59)))),
    *(datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), date.min, date.max),
    *(timedelta(0), timedelta(days=1), timedelta(microseconds=-1), timedelta.max, timedelta.min),
]
OTHERS = [None, True, False, b"x", 1j, Decimal("sNaN"), Decimal(7), Fraction(1, 3), Index(), object, len]
PLAIN = st.sampled_from([*NUMBERS, *TEXTS, *TIMES, *OTHERS]) | st.integers() | st.floats() | st.text(max_size=9)
ODD: st.SearchStrategy[Any] = (
    PLAIN
    | st.lists(PLAIN, max_size=3)
    | st.lists(st.lists(PLAIN, max_size=2), max_size=2)
    | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
    | st.sampled_from([(), frozenset({1}), {"active"}, range(3), ["active", None], ("active", "active"), [1, "1", 1.0]])
)
JSON = st.recursive(
    st.sampled_from([None, True, False, *NUMBERS, *TEXTS]),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=4), values, max_size=2),
    max_leaves=3,
)
ODD_VALUES = settings(max_examples=250, suppress_health_check=list(HealthCheck))
FRAME = {"lookback": timedelta(days=1)}
RULE: dict[str, Any] = {"threshold": 5, "metric": "errors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Create a folder for what is written to odd relative paths."""
    folder = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    with Sandbox(scenarios=3) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
        yield sandbox


def check(name: str, sandbox: Sandbox, run: Callable[[], Any]) -> None:
    """Run; an error names the argument, and came before any request, unless Make refused what was asked."""
    before = len(sandbox.requests)
    try:
        run()
    except MakeApiError:
        # Another organization, for example.
        assert len(sandbox.requests) > before
    except AirflowNotFoundException:
        assert name == "make_conn_id"
    except RuntimeError as error:
        # A sensor's end names what its trigger did not expect.
        assert name == "make_conn_id" and "AirflowNotFoundException" in str(error), str(error)
    except MakeInputError as error:
        assert name in str(error), str(error)
        assert len(str(error)) < 2000
        # How large a result is for XCom shows at its end.
        assert len(sandbox.requests) == before or name == "max_xcom_bytes"


@ODD_VALUES
@given(name=st.sampled_from([*TEMPLATED, *NOT_TEMPLATED]), value=ODD)
def test_operator(name: str, value: Any, sandbox: Sandbox) -> None:
    arguments = {"task_id": "pull", "api_retry_delay": 0.0, **FRAME, name: value}
    check(name, sandbox, lambda: MakeAnalyticsOperator(**arguments).execute({}))


@ODD_VALUES
@given(name=st.sampled_from(ThresholdArguments.names()), value=ODD)
def test_sensor(name: str, value: Any, sandbox: Sandbox) -> None:
    arguments = {"task_id": "wait", "api_retry_delay": 0.0, **RULE, name: value}
    check(name, sandbox, lambda: MakeAnalyticsSensor(**arguments).poke({}))


@ODD_VALUES
@given(name=st.sampled_from([*ThresholdArguments.names(), "poke_interval", "first_poke", "deadline"]), value=JSON)
def test_trigger(name: str, value: Any, sandbox: Sandbox) -> None:
    # The deadline has passed: one poll.
    now = datetime.now(UTC)
    times = {"poke_interval": 0.0, "first_poke": now, "deadline": now}
    arguments = {"api_retry_delay": 0.0, **RULE, **times, name: value}
    if name == "deadline":
        # The first figures cross.
        arguments["threshold"] = 0

    def run() -> None:
        trigger = MakeAnalyticsTrigger(**arguments)
        json.dumps(trigger.serialize()[1])
        with suppress(AirflowSensorTimeout):
            parse_event(first_payload(trigger))

    check(name, sandbox, run)


@watchers_only
@ODD_VALUES
@given(name=st.sampled_from([*ThresholdArguments.names(), "poke_interval", "hysteresis"]), value=ODD)
def test_watcher(name: str, value: Any, sandbox: Sandbox) -> None:
    # Not run: how long it waits depends on its arguments.
    check(name, sandbox, lambda: json.dumps(MakeAnalyticsEventTrigger(**{**RULE, name: value}).serialize()[1]))


@ODD_VALUES
@given(name=st.sampled_from(MakeReportOperator.template_fields), value=ODD)
def test_report(name: str, value: Any, sandbox: Sandbox, folder: Path, pull: str) -> None:
    arguments = {"task_id": "report", "source": pull, "target": str(folder / "report.html"), name: value}

    def run() -> None:
        try:
            MakeReportOperator(**arguments).execute({})
        except OSError:
            assert name in ("source", "target")

    check(name, sandbox, run)


@pytest.fixture(scope="module")
def pull(folder: Path) -> str:
    return str(write_pull(folder / "pull.parquet", [[entry(1)]]))


# Others would create as many scenarios.
SIZES: st.SearchStrategy[Any] = st.sampled_from([-1, None, "x", math.nan, 2.5, [], True, Decimal(2)])


@ODD_VALUES
@given(name=st.sampled_from([field.name for field in fields(Options)]), data=st.data())
def test_sandbox(name: str, data: st.DataObject) -> None:
    value = data.draw(SIZES if name in ("scenarios", "organizations") else ODD)
    try:
        Sandbox(**{"scenarios": 1, name: value})
    except (TypeError, ValueError) as error:
        assert "organization" in str(error) or name in str(error), (type(error), str(error))


@ODD_VALUES
@given(kind=ODD | st.sampled_from(["429", "stall", "429-reset", "503", "html"]), seconds=ODD)
def test_fault(kind: Any, seconds: Any) -> None:
    creations: list[Callable[[], Fault]] = [
        lambda: Fault(kind, seconds),
        lambda: Fault.parse(kind),
        lambda: Fault.parse(f"stall:{kind!r}"),
    ]
    for create in creations:
        try:
            fault = create()
        except (TypeError, ValueError) as error:
            assert "fault" in str(error) or "seconds" in str(error), (type(error), str(error))
        else:
            assert Fault.parse(str(fault)) == fault


PARTS = st.sampled_from(
    [
        "[::1]",
        "::1",
        "[::1",
        "::1]",
        "[fe80::1%25eth0]",
        "fe80::1%eth0",
        "[v1.x]",
        "127.0.0.1",
        "999.1.1.1",
        "localhost",
    ]
    + ["eu1.make.com", "eu1.make.com.", "EU1.make.com", "ü.example", "a..b", "x" * 300, "http://", "https://"]
    + ["ftp://", "//", ":", ":0", ":443", ":99999", ":x", "/", "/api/v2", "?", "#", "@", "user:pw@", "%", "%00", "\0"]
    + [" ", "\n", "\ud800", TOKEN, "make://", "organization_id=42", "&zone=eu2.make.com", "timeout=0", "__extra__={"]
)
ADDRESSES = st.lists(PARTS, max_size=4).map("".join)


def check_connection(variable: str, *names: str) -> None:
    """Read a connection from the environment; it has a URL that can be reached, or the error names a field."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ODD", variable)
        try:
            read = MakeHook("odd").settings
        except MakeInputError as error:
            text = "".join(traceback.format_exception(error))
            assert "Connection 'odd'" in str(error)
            assert not names or any(name in str(error) for name in names), str(error)
        else:
            text = repr(read)
            assert yarl.URL(read.base_url).host
            assert read.zone == urlsplit(read.base_url).netloc
            assert requests.Request("GET", read.base_url).prepare().url
        assert TOKEN not in text


VALID = {"conn_type": "make", "password": TOKEN, "host": "eu1.make.com"}


@ODD_VALUES
@given(name=st.sampled_from(["host", "schema", "port", "password", "extra", *CONNECTION_FIELDS]), data=st.data())
def test_connection_fields(name: str, data: st.DataObject) -> None:
    value = data.draw((ADDRESSES if name in ("host", "zone", "proxies") else st.nothing()) | JSON)
    connection: dict[str, Any] = dict(VALID)
    if name == "zone":
        del connection["host"]
    if name in CONNECTION_FIELDS:
        connection["extra"] = {name: value}
    else:
        connection[name] = value
    check_connection(json.dumps(connection), name, "JSON", {"password": "token", "proxies": "proxy"}.get(name, name))


@settings(ODD_VALUES, max_examples=400)
@given(uri=ADDRESSES | ADDRESSES.map(lambda rest: f"make://:{TOKEN}@{rest}"))
def test_connection_uris(uri: str) -> None:
    if uri and "\0" not in uri and "\ud800" not in uri:
        check_connection(uri)


@pytest.fixture(scope="module")
def used_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def run_command(main: Callable[[list[str]], int], *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code, and the last line of its errors."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        try:
            code = main([*arguments])
        except SystemExit as end:
            # argparse prints its usage first.
            assert isinstance(end.code, int)
            return end.code, errors.getvalue().splitlines()[-1] if end.code else ""
    lines = errors.getvalue().splitlines()
    assert len(lines) == bool(code)
    return code, "".join(lines)


WORDS = st.sampled_from(
    [*TEXTS, "stall:nan", "429:x", "503:-1", "9" * 30, "--", "-x", "eu1", "::1", "[::1]", "256.1.1.1"]
)
OPTIONS = ["organization", "fault", "port", *(option.name for option in fields(Options) if option.metadata)]


@settings(ODD_VALUES, max_examples=60)
@given(name=st.sampled_from(OPTIONS), word=WORDS)
def test_sandbox_command(name: str, word: str, used_port: str) -> None:
    # The port is in use, so that no sandbox starts.
    option = f"--{name.replace('_', '-')}"
    code, error = run_command(sandbox_command, "--scenarios", "1", option, word, "--port", used_port)
    assert code in (1, 2) and error


@settings(ODD_VALUES, max_examples=30)
@given(words=st.lists(WORDS, min_size=1, max_size=2))
def test_examples_command(words: list[str], folder: Path) -> None:
    code, error = run_command(examples, *words)
    assert code in (0, 1, 2)
    assert bool(error) == bool(code)

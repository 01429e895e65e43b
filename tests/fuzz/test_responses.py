"""Odd answers to the hook, the operator, the sensor and the triggers: a result, or an error of this provider."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.thresholds import polling
from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger, MakeAnalyticsTrigger
from airflow_provider_make.triggers.event_payload import parse_event
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.documents import first_payload
from tests.support.loopback import Script, http_response

pytestmark = pytest.mark.slow
watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
TOKEN = "c0ffee00-5ec2-4e7a-9d3b-0123456789ab"
FRAME: dict[str, Any] = {"date_from": datetime.now(UTC) - timedelta(days=1), "date_to": datetime.now(UTC)}
ONCE: dict[str, Any] = {"api_retry_limit": 1, "api_retry_delay": 0.0}
RULE: dict[str, Any] = {"threshold": 1, "metric": "errors", "scope": "scenario", "explain": True, **ONCE}


def hook() -> MakeHook:
    return MakeHook(**ONCE)


def _xcom_value(outcome: Any) -> Any:
    return getattr(outcome, "xcom_value", outcome)


def poll_once() -> Any:
    """Run the trigger of a sensor whose time is over, which polls once, and resume the sensor."""
    now = datetime.now(UTC)
    return parse_event(first_payload(MakeAnalyticsTrigger(**RULE, poke_interval=0.0, first_poke=now, deadline=now)))


# What each returns is JSON, as XCom and events need it.
ENTRY_POINTS: dict[str, Callable[[], Any]] = {
    "page": lambda: str(hook().get_analytics_page()),
    "pages": lambda: str(list(hook().iter_analytics_pages())),
    "organizations": lambda: hook().get_organizations(),
    "teams": lambda: hook().get_teams(),
    "failures": lambda: hook().get_failures(1),
    "test_connection": lambda: hook().test_connection(),
    "operator": lambda: MakeAnalyticsOperator(task_id="pull", **FRAME, **ONCE).execute({}),
    "sensor": lambda: _xcom_value(MakeAnalyticsSensor(task_id="wait", **RULE).poke({})),
    "trigger": poll_once,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(TOKEN),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=4), values, max_size=3),
    max_leaves=6,
)
SCENARIO = {"id": 1, "name": "a", "status": "active", "executions": 5, "errors": 3, "centicredits": "7"}
LOG = {
    "id": "1",
    "imtId": "1",
    "status": 3,
    "timestamp": FRAME["date_from"].isoformat(),
    "error": {"name": "E", "message": "m"},
}
# Answers of the right shape, but for some values.
SHAPES: list[dict[str, Any]] = [
    {"total": {"errors": 3}, "analytics": [SCENARIO], "pg": {"totalCount": 1, "limit": 10, "offset": 0}},
    {"organizations": [{"id": 1, "name": "a", "zone": "eu1.make.com"}], "pg": {}},
    {"teams": [{"id": 1, "name": "a"}], "pg": {}},
    {"scenarioLogs": [LOG], "pg": {}},
    {"message": "no", "code": "SC403", "detail": "d", "suberrors": [{"message": "s"}]},
]


def answer_of(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return http_response("Connection: close", *headers, body=body, status=status)


@st.composite
def with_odd_values(draw: st.DrawFn) -> Any:
    answer = json.loads(json.dumps(draw(st.sampled_from(SHAPES))))
    for _ in range(draw(st.integers(0, 2))):
        place: Any = answer
        while isinstance(place, (dict, list)) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if draw(st.booleans()):
                place[key] = draw(JSON)
                break
            place = place[key]
    return answer


BODIES = (
    with_odd_values().map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            b"",
            b"<html>",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"\xff\xfe{}",
            b'{"total":' + b"9" * 5000 + b"}",
            json.dumps({"message": "no", "suberrors": [{"message": TOKEN}] * 20_000}).encode(),
        ]
    )
)
STATUSES = st.sampled_from(
    [
        "200 OK",
        "200 OK",
        "200 OK",
        "204 N",
        "302 F",
        "400 B",
        "401 U",
        "403 F",
        "404 N",
        "418 T",
        "429 R",
        "500 I",
        "999 ?",
    ]
)
HEADERS = st.sampled_from(
    [
        (),
        ("Content-Type: application/json; charset=no-such",),
        ("Content-Encoding: gzip",),
        ("Location: http://[::1",),
        ("Retry-After: 1e999", "X-RateLimit-Reset: -9"),
        ("Transfer-Encoding: chunked",),
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    whole = answer_of(draw(BODIES), *draw(HEADERS), status=draw(STATUSES))
    cut = draw(st.just(len(whole)) | st.just(len(whole)) | st.integers(0, len(whole)))
    return draw(st.just(whole[:cut]) | st.just(whole[:cut]) | st.binary(max_size=60))


CROSSING = answer_of(json.dumps(SHAPES[0]).encode())


class Answers:
    """What the server sends: to requests for analytics, each of a list and then the last again, and to the others."""

    def __init__(self) -> None:
        self.analytics: list[bytes] = []
        self.others = b""

    def respond(self, script: Script, client: socket.socket) -> None:
        is_analytics = "/analytics/" in script.heads[-1]
        last = len(self.analytics) == 1
        client.sendall((self.analytics[0] if last else self.analytics.pop(0)) if is_analytics else self.others)
        client.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def sent() -> Iterator[Answers]:
    """Start a server that sends these answers, each on a connection of its own."""
    answers = Answers()
    with Script(answers.respond) as server, pytest.MonkeyPatch.context() as patch:
        extra = {"organization_id": 1, "timeout": 10}
        connection = {"conn_type": "make", "host": server.url, "password": TOKEN, "extra": extra}
        patch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        # A watcher waits for a minute or more after a rate limit.
        patch.setattr(polling, "minimum_delay", lambda error: 0.0)
        yield answers


@pytest.fixture
def emitted(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Return a function that returns what was logged or printed, and fail for a token in it."""
    caplog.set_level("DEBUG")

    def read() -> str:
        text = caplog.text + "".join(capfd.readouterr())
        caplog.clear()
        assert TOKEN not in text
        return text

    yield read
    read()


ODD_ANSWERS = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_valid_answers_have_a_result(name: str, sent: Answers) -> None:
    lists = {key: value for shape in SHAPES[1:4] for key, value in shape.items()}
    sent.analytics, sent.others = [CROSSING], answer_of(json.dumps(lists).encode())
    assert ENTRY_POINTS[name]()


@pytest.mark.parametrize("name", ENTRY_POINTS)
@ODD_ANSWERS
@given(analytics=st.just(CROSSING) | answers(), others=answers())
def test_odd_answers(name: str, analytics: bytes, others: bytes, sent: Answers, emitted: Callable[[], str]) -> None:
    sent.analytics, sent.others = [analytics], others
    try:
        result = ENTRY_POINTS[name]()
    except AirflowException as error:
        assert len(f"{error} {error!r}") < 20_000
        # As Airflow logs it, with the errors behind it.
        text = "".join(traceback.format_exception(error))
    else:
        text = json.dumps(result)
    assert TOKEN not in text
    assert "Traceback" not in emitted()


@watchers_only
@pytest.mark.parametrize("scope", ["organization", "scenario"])
@ODD_ANSWERS
@given(odd=st.lists(answers(), min_size=1, max_size=3), others=answers())
def test_a_watcher_goes_on_after_odd_answers(
    scope: str, odd: list[bytes], others: bytes, sent: Answers, emitted: Callable[[], str]
) -> None:
    sent.analytics, sent.others = [*odd, CROSSING], others
    payload = first_payload(MakeAnalyticsEventTrigger(**{**RULE, "scope": scope}, poke_interval=0.001))
    assert payload["status"] == "success"
    assert TOKEN not in json.dumps(payload)
    log = emitted()
    assert "Traceback" not in log
    assert "next poll in" in log

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.client import Exchange, Steps, drive, drive_async
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.transport import Answer, Request
from airflow_provider_make.connection.settings import MakeConnection
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeRateLimitError

TOKEN = "c0ffee00-token"
QUERY = AnalyticsQuery.read(organization_id=42, sort_by="name", sort_dir="asc")
PAGE = PageRequest(offset=0, limit=2, return_total_count=True)
GOOD = Answer(
    200, {}, json.dumps({"total": {}, "analytics": [{"id": 1}], "pg": {"totalCount": 1, "offset": 0}}).encode()
)
RATE_LIMITED = Answer(429, {"retry-after": "7"}, b'{"message": "Requests limit"}')
DOWN = Answer(503, {}, b"<html>down</html>")
DROPPED = MakeConnectionError("dropped")


def exchange(requests_per_minute: float | None = None, limit: int = 5, delay: float = 1.0) -> Exchange:
    connection = MakeConnection("https://eu1.make.com/api/v2", TOKEN, requests_per_minute=requests_per_minute)
    rules = RetryRules(limit, delay, jitter=lambda low, high: high)
    return Exchange(connection, rules, logging.getLogger(__name__))


class Clock:
    """A present that passes only when somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("airflow_provider_make.api.client.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def take(steps: Steps[Any], clock: Clock, *answers: Answer | MakeApiError) -> tuple[Any, list[float]]:
    """Take the steps, with these answers; give the result, and when each request went out."""
    script = list(answers)
    sent: list[float] = []
    reply: Answer | MakeApiError | None = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            return end.value, sent
        reply = None
        if isinstance(step, Request):
            sent.append(clock.now - 1000)
            reply = script.pop(0)
        else:
            clock.now += step


def test_asks_for_the_page_of_the_organization(clock: Clock) -> None:
    steps = exchange().ask(QUERY, PAGE)
    step = next(steps)
    assert step == Request("analytics/42", QUERY.parameters(PAGE))


def test_pauses_grow_between_tries(clock: Clock) -> None:
    page, sent = take(exchange().ask(QUERY, PAGE), clock, DOWN, DROPPED, DOWN, GOOD)
    assert [entry.scenario_id for entry in page.analytics] == [1]
    assert sent == [0, 1, 3, 7]


def test_retry_after_replaces_the_pause(clock: Clock) -> None:
    _, sent = take(exchange().ask(QUERY, PAGE), clock, RATE_LIMITED, DOWN, GOOD)
    assert sent == [0, 7, 9]


def test_a_rate_limit_holds_up_all_requests_and_a_drop_only_its_own(clock: Clock) -> None:
    talk = exchange()
    limited, other = talk.ask(QUERY, PAGE), talk.ask(QUERY, PAGE)
    assert isinstance(next(limited), Request)
    assert limited.send(RATE_LIMITED) == 7
    assert next(other) == 7
    clock.now += 7
    assert isinstance(next(other), Request)
    assert isinstance(next(limited), Request)
    assert limited.send(DROPPED) == 2
    assert isinstance(next(talk.ask(QUERY, PAGE)), Request)


def test_a_limit_of_the_connection_spaces_all_requests(clock: Clock) -> None:
    talk = exchange(requests_per_minute=30)
    sent = [take(talk.ask(QUERY, PAGE), clock, GOOD)[1] for _ in range(3)]
    assert sent == [[0], [2], [4]]


def test_the_last_error_tells_what_happened_at_each_try(clock: Clock) -> None:
    with pytest.raises(MakeRateLimitError, match=r"3 tries: 1\. dropped; 2\. HTTP 503.*; 3\. HTTP 429: Requests"):
        take(exchange(limit=3).ask(QUERY, PAGE), clock, DROPPED, DOWN, RATE_LIMITED)


def test_a_token_that_the_server_echoes_is_blotted_out(clock: Clock) -> None:
    echo = Answer(401, {}, json.dumps({"message": f"Unknown token {TOKEN}"}).encode())
    with pytest.raises(MakeApiError, match=r"Unknown token \*\*\*"):
        take(exchange().ask(QUERY, PAGE), clock, echo)


class Script:
    """A transport, both ways, that gives the answers of a script."""

    def __init__(self, *answers: Answer | MakeApiError) -> None:
        self.answers = list(answers)

    def send(self, request: Request) -> Answer | MakeApiError:
        return self.answers.pop(0)


class AsyncScript(Script):
    async def send(self, request: Request) -> Answer | MakeApiError:  # type: ignore[override]
        return super().send(request)


def in_thread(steps: Steps[Any], *answers: Answer | MakeApiError) -> Any:
    return drive(steps, Script(*answers))  # type: ignore[arg-type]


def on_loop(steps: Steps[Any], *answers: Answer | MakeApiError) -> Any:
    return asyncio.run(drive_async(steps, AsyncScript(*answers)))  # type: ignore[arg-type]


ANSWERS = st.sampled_from(
    [
        DOWN,
        DROPPED,
        Answer(429, {"retry-after": "0"}, b""),
        Answer(200, {}, b""),
        Answer(200, {}, b"<html>"),
        Answer(200, {}, GOOD.body[:-9]),
        Answer(401, {}, b""),
        GOOD,
    ]
)


@pytest.mark.parametrize("driver", [in_thread, on_loop])
@settings(max_examples=300)
@given(answers=st.lists(ANSWERS, max_size=6), limit=st.integers(1, 5))
def test_any_answers_end_in_a_page_or_an_error_of_ours(
    driver: Callable[..., Any], answers: list[Answer | MakeApiError], limit: int
) -> None:
    decisive = [
        number
        for number, answer in enumerate([*answers, GOOD], start=1)
        if answer == GOOD or number == limit or (isinstance(answer, Answer) and answer.status == 401)
    ][0]
    good = [*answers, GOOD][decisive - 1] == GOOD
    try:
        page = driver(exchange(limit=limit, delay=0.0).ask(QUERY, PAGE), *answers, GOOD)
    except MakeApiError as error:
        assert not good
        assert len(error.tries) == decisive
    else:
        assert good
        assert page.pg.total_count == 1

"""The client's retries and rate limit, in virtual time, with responses from a script."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Self

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.client import LARGE_BODY_BYTES, MakeClient
from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.api.page import AnalyticsPage
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.transport import HttpResponse
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakePageLimitError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)
from tests.support.virtual_time import run_in_virtual_time

TOKEN = "c0ffee00-token"
QUERY = AnalyticsQuery.from_arguments(organization_id=42, sort_by="name", sort_dir="asc")
PAGE = PageRequest(offset=0, limit=2, return_total_count=True)
GOOD = HttpResponse(
    200, {}, json.dumps({"total": {}, "analytics": [{"id": 1}], "pg": {"totalCount": 1, "offset": 0}}).encode()
)
RATE_LIMITED = HttpResponse(429, {"retry-after": "7"}, b'{"message": "Requests limit"}')
DOWN = HttpResponse(503, {}, b"<html>down</html>")
DROPPED = MakeConnectionError("dropped")
Outcome = HttpResponse | MakeApiError


@pytest.fixture(autouse=True, scope="module")
def no_jitter() -> Iterator[None]:
    """Delays at their upper bound."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_make.api.retry.random.uniform", lambda low, high: high)
        yield


class ScriptedTransport:
    """Returns the outcomes of a script, and records when each request was sent."""

    def __init__(self, *script: Outcome) -> None:
        self.script = list(script)
        self.sent: list[tuple[float, str, Sequence[tuple[str, str]]]] = []

    @property
    def times(self) -> list[float]:
        return [time for time, _, _ in self.sent]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        self.sent.append((asyncio.get_running_loop().time(), path, parameters))
        outcome = self.script.pop(0)
        if isinstance(outcome, MakeApiError):
            raise outcome
        return outcome


def client(
    transport: ScriptedTransport, requests_per_minute: float | None = None, limit: int = 5, delay: float = 1.0
) -> MakeClient:
    connection = ConnectionSettings("https://eu1.make.com/api/v2", TOKEN, requests_per_minute=requests_per_minute)
    client = MakeClient(connection, RetryRules(limit, delay), logging.getLogger(__name__))
    client._transport = transport  # type: ignore[assignment]
    return client


def fetch(*script: Outcome, **options: Any) -> tuple[AnalyticsPage, list[float]]:
    """Return the page, and the time of each request."""
    transport = ScriptedTransport(*script)
    page = run_in_virtual_time(client(transport, **options).fetch_page(QUERY, PAGE))
    return page, transport.times


def test_request_has_the_path_and_parameters_of_the_page() -> None:
    transport = ScriptedTransport(GOOD)
    page = run_in_virtual_time(client(transport).fetch_page(QUERY, PAGE))
    assert transport.sent == [(0.0, "analytics/42", QUERY.parameters(PAGE))]
    assert [entry.scenario_id for entry in page.analytics] == [1]


def test_delay_doubles_between_tries() -> None:
    assert fetch(DOWN, DROPPED, DOWN, GOOD)[1] == [0, 1, 3, 7]


def test_retry_after_replaces_the_delay() -> None:
    assert fetch(RATE_LIMITED, DOWN, GOOD)[1] == [0, 7, 8]


def test_a_429_delays_all_requests_and_a_dropped_connection_only_its_own_retry() -> None:
    transport = ScriptedTransport(RATE_LIMITED, DROPPED, GOOD, GOOD, GOOD)
    shared = client(transport)

    async def run() -> None:
        limited = asyncio.create_task(shared.fetch_page(QUERY, PAGE))
        await asyncio.sleep(3)
        # At 3 s: delayed until 7 s, like the first one. One of them is dropped then, and retries at 8 or 9 s.
        other = asyncio.create_task(shared.fetch_page(QUERY, PAGE))
        await asyncio.sleep(4.5)
        third = asyncio.create_task(shared.fetch_page(QUERY, PAGE))
        await asyncio.gather(limited, other, third)

    run_in_virtual_time(run())
    assert transport.times[:4] == [0, 7, 7, 7.5]
    assert transport.times[4] in (8, 9)


def test_requests_per_minute_spaces_all_requests() -> None:
    transport = ScriptedTransport(GOOD, GOOD, GOOD)
    shared = client(transport, requests_per_minute=30)

    async def run() -> None:
        await asyncio.gather(*(shared.fetch_page(QUERY, PAGE) for _ in range(3)))

    run_in_virtual_time(run())
    assert transport.times == [0, 2, 4]


def test_the_last_error_lists_the_errors_of_all_tries() -> None:
    with pytest.raises(MakeConnectionError, match=r"3 tries: 1\. HTTP 429: Requests.*; 2\. HTTP 503.*; 3\. dropped"):
        fetch(RATE_LIMITED, DOWN, DROPPED, limit=2)


@pytest.mark.parametrize("body", [b"Too many requests.", b'{"message": "Requests limit"}', b""])
def test_a_429_without_a_hint_is_waited_out_for_a_minute(body: bytes) -> None:
    bare = HttpResponse(429, {}, body)
    assert fetch(bare, bare, bare, GOOD, limit=2)[1] == [0, 66, 132, 198]


def test_a_rate_limit_that_does_not_end_is_an_error_after_ten_minutes() -> None:
    transport = ScriptedTransport(*[HttpResponse(429, {}, b"")] * 20)
    with pytest.raises(MakeRateLimitError):
        run_in_virtual_time(client(transport).fetch_page(QUERY, PAGE))
    assert transport.times == [66 * number for number in range(10)]


def test_retry_rules_can_be_set_for_one_page() -> None:
    transport = ScriptedTransport(DOWN, GOOD)
    with pytest.raises(MakeApiError, match="HTTP 503"):
        run_in_virtual_time(client(transport).fetch_page(QUERY, PAGE, RetryRules(1, 0.0)))
    assert len(transport.sent) == 1


OUTCOMES = st.sampled_from(
    [
        DOWN,
        DROPPED,
        HttpResponse(429, {"retry-after": "0"}, b""),
        HttpResponse(200, {}, b""),
        HttpResponse(200, {}, b"<html>"),
        HttpResponse(200, {}, GOOD.body[:-9]),
        HttpResponse(401, {}, b""),
        GOOD,
    ]
)


@settings(max_examples=300)
@given(script=st.lists(OUTCOMES, max_size=6), limit=st.integers(1, 5))
def test_any_outcomes_lead_to_a_page_or_a_make_api_error(script: list[Outcome], limit: int) -> None:
    decisive, tries = 0, 0
    for outcome in [*script, GOOD]:
        decisive += 1
        # A rate limit uses up no try, unless there is only one.
        tries += limit == 1 or not (isinstance(outcome, HttpResponse) and outcome.status == 429)
        if outcome == GOOD or tries == limit or (isinstance(outcome, HttpResponse) and outcome.status == 401):
            break
    good = [*script, GOOD][decisive - 1] == GOOD
    try:
        page, times = fetch(*script, GOOD, limit=limit, delay=0.0)
    except MakeApiError as error:
        assert not good
        assert len(error.tries) == decisive
    else:
        assert good
        assert page.pg.total_count == 1
        assert len(times) == decisive


def test_a_large_response_is_parsed_without_stopping_the_event_loop() -> None:
    entry = b'{"id": 1, "name": "\\ud83d", "executions": "5"},' * 200_000
    body = b'{"total": {}, "analytics": [%s {"id": 2}], "pg": {"totalCount": 1}}' % entry
    assert len(body) > LARGE_BODY_BYTES
    large = client(ScriptedTransport(HttpResponse(200, {}, body)))

    async def run() -> int:
        fetching, turns = asyncio.create_task(large.fetch_page(QUERY, PageRequest())), 0
        while not fetching.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert len((await fetching).analytics) == 200_001
        return turns

    # In the loop's own thread, it would have one or two.
    assert asyncio.run(run()) > 5


@pytest.mark.parametrize(
    ("body", "error_class", "headline"),
    [
        ({"message": "Permission denied", "code": "SC403", "detail": "Access denied."}, MakeAccessDeniedError,
         "Permission denied (SC403): Access denied."),
        ({"message": "Not authorized.", "code": "SC401"}, MakeAuthenticationError, "Not authorized. (SC401)"),
        ({"message": "Bad Request", "code": "SC400", "suberrors": [{"message": "pg[limit] is too large"}]},
         MakePageLimitError, "Bad Request (SC400): pg[limit] is too large"),
        ({"message": "Requests limit", "code": "SC429"}, MakeRateLimitError, "Requests limit (SC429)"),
        ({"message": "Down", "code": "SC503", "metadata": {}}, MakeServerError, "Down (SC503)"),
        ({"statusCode": 404, "error": "Not Found", "message": "Not Found"}, MakeRequestError, "Not Found"),
        ({"message": "Oops", "code": "IM002", "suberrors": []}, MakeResponseError, "Oops (IM002)"),
        ({"message": "Oops", "status": "error"}, MakeResponseError, "Oops"),
        # A page with a field that is not known, and a mistake.
        ({"message": "deprecated", "analytics": [], "pg": {"totalCount": 0}}, MakeResponseError,
         "the response of 67 bytes does not have the documented shape: Object missing required field `total`"),
    ],
)  # fmt: skip
def test_an_error_of_make_may_come_with_200(
    body: dict[str, Any], error_class: type[MakeApiError], headline: str
) -> None:
    response = HttpResponse(200, {}, json.dumps(body).encode())
    # Those after the first answer the questions about the token.
    transport = ScriptedTransport(response, *[HttpResponse(404, {}, b"")] * 3)
    with pytest.raises(error_class) as raised:
        run_in_virtual_time(client(transport, limit=1).fetch_page(QUERY, PAGE))
    assert (type(raised.value), raised.value.headline()) == (error_class, f"HTTP 200: {headline}")
    assert is_retryable(raised.value) == (not isinstance(raised.value, AirflowFailException))


class SlowTransport(ScriptedTransport):
    """Needs a tenth of a second for a response, so that concurrent requests are sent before the first one's arrives."""

    async def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        await asyncio.sleep(0.1)
        return await super().get(path, parameters)


def test_a_rate_limit_of_concurrent_requests_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    shared = client(SlowTransport(*[RATE_LIMITED] * 8, *[GOOD] * 8))

    async def run() -> None:
        await asyncio.gather(*(shared.fetch_page(QUERY, PAGE) for _ in range(8)))

    run_in_virtual_time(run())
    assert caplog.text.count("Rate limit reached: all requests wait 7.0 s.") == 1


def test_every_failure_of_the_server_is_logged_also_during_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    down = HttpResponse(503, {"retry-after": "7"}, b"")
    shared = client(SlowTransport(down, down, GOOD, GOOD))

    async def run() -> None:
        await asyncio.gather(*(shared.fetch_page(QUERY, PAGE) for _ in range(2)))

    run_in_virtual_time(run())
    assert caplog.text.count("Try 1 of 5 failed, retrying in 7.0 s: HTTP 503") == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_errors_of_access_name_connection_zone_and_organization(status: int) -> None:
    with pytest.raises(MakeApiError, match=r"This was connection 'make_default' at eu1\.make\.com, organization 42\."):
        fetch(HttpResponse(status, {}, b'{"message": "No"}'))

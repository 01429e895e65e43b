"""Read exactly from a model server whose data drift, whose ties have no order, and whose pages are capped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.page import AnalyticsPage, Metrics, Pagination
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeServerError
from airflow_provider_make.paging.exact_reader import (
    MAX_PASSES,
    in_order,
    page_size_for_pass,
    query_for_pass,
    read_exactly,
)
from tests.support.model_server import CollectingSink, Server, servers


def read(
    server: Server,
    page_size: int = 10,
    max_concurrency: int = 8,
    sort_by: str = "name",
    sort_dir: str = "asc",
    first_page_size: int | None = None,
) -> CollectingSink:
    sink = CollectingSink()
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by=sort_by, sort_dir=sort_dir)
    coroutine = read_exactly(
        server.fetch,
        query,
        sink,
        page_size=page_size,
        max_concurrency=max_concurrency,
        delay=0.0,
        first_page_size=first_page_size,
    )
    assert asyncio.run(coroutine) == Metrics(errors=1)
    return sink


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_constant_data_are_read_exactly_in_as_few_requests_as_the_overlap_allows(
    drawn: tuple[Server, int], max_concurrency: int, sort_dir: str
) -> None:
    server, page_size = drawn
    sink = read(server, page_size, max_concurrency, sort_dir=sort_dir)
    assert sink.entries == server.truth(sort_dir=sort_dir)
    assert sink.restarts == 0
    page = min(page_size, server.cap or page_size)
    assert len(server.requests) == 1 + max(0, -(-(server.count - page) // (page - 1)))
    assert all((request.limit or 0) <= page_size for request in server.requests)
    assert server.max_in_flight <= max_concurrency


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.integers(1, 12), st.integers(2, 50))
def test_a_smaller_first_page_costs_one_request_at_most(
    drawn: tuple[Server, int], max_concurrency: int, first_page_size: int
) -> None:
    server, page_size = drawn
    sink = read(server, page_size, max_concurrency, first_page_size=first_page_size)
    assert (sink.entries, sink.restarts) == (server.truth(), 0)
    first, page = (min(size, server.cap or size) for size in (min(first_page_size, page_size), page_size))
    assert server.requests[0].limit == min(first_page_size, page_size)
    assert len(server.requests) == 1 + max(0, -(-(server.count - first) // (page - 1)))
    assert all((request.limit or 0) <= page_size for request in server.requests)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=True), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_drifting_data_are_read_exactly_or_raise(
    drawn: tuple[Server, int], max_concurrency: int, sort_dir: str
) -> None:
    server, page_size = drawn
    try:
        entries = read(server, page_size, max_concurrency, sort_dir=sort_dir).entries
    except MakeIncompleteResultError as error:
        assert len(error.tries) == MAX_PASSES
        return
    ids = [entry.scenario_id for entry in entries]
    assert len(ids) == len(set(ids))
    assert set(ids) <= server.ever_present
    assert ids == sorted(ids, reverse=sort_dir == "desc")
    assert server.always_present <= set(ids)
    if max(server.drift, default=0) < server.requests.index(_first_request_of_the_last_pass(server)) + 1:
        assert entries == server.truth(sort_dir=sort_dir)


def _first_request_of_the_last_pass(server: Server) -> PageRequest:
    return [page for page in server.requests if page.offset == 0][-1]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.sampled_from(["errors", "error_rate"]), st.sampled_from(["asc", "desc"]))
def test_every_sort_key_keeps_its_order_despite_shuffled_ties(
    drawn: tuple[Server, int], sort_by: str, sort_dir: str
) -> None:
    server, page_size = drawn
    entries = read(server, page_size, sort_by=sort_by, sort_dir=sort_dir).entries
    keys = [getattr(entry, sort_by) for entry in entries]
    assert keys == [getattr(entry, sort_by) for entry in server.truth(sort_by, sort_dir)]
    assert sorted(entry.scenario_id for entry in entries) == server.ids


@pytest.mark.parametrize("count", [399, 400, 401])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_deletion_before_and_addition_after_the_reader_start_another_pass(count: int, number: int) -> None:
    server = Server(count, drift={number: (1, 0, 0, 1)})
    sink = read(server, 100, max_concurrency=1)
    assert sink.restarts == 1
    assert sink.entries == server.truth()


def test_a_shift_is_noticed_however_short_the_pages_of_the_server_are() -> None:
    server = Server(12_345, cap=100, drift={60: (1, 0, 0, 1)})
    sink = read(server, 1000, max_concurrency=8)
    assert sink.restarts == 1
    assert sink.entries == server.truth()


def test_a_server_with_short_pages_gets_other_boundaries_in_later_passes() -> None:
    server = Server(500, cap=50, drift={number: (1, 0, 0, 0) for number in (3, 8, 13)})
    assert read(server, 1000, max_concurrency=1).entries == server.truth()
    assert [page.limit for page in server.requests if not page.offset] == [1000, 50, 44, 38]


@pytest.mark.parametrize("total", [10**9, 10**12, 10**23])
def test_a_total_that_is_not_true_is_an_error_after_a_few_requests(total: int) -> None:
    server = Server(2000)

    async def fetch(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        response = await server.fetch(query, page)
        return msgspec.structs.replace(response, pg=Pagination(total_count=total))

    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
    with pytest.raises(MakeIncompleteResultError, match=f"of {total} scenarios"):
        asyncio.run(read_exactly(fetch, query, CollectingSink(), page_size=1000, max_concurrency=8, delay=0.0))
    assert len(server.requests) < MAX_PASSES * 20


def test_pages_that_become_shorter_start_another_pass() -> None:
    server = Server(95)

    async def fetch(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        server.cap = 7 if len(server.requests) > 3 else None
        return await server.fetch(query, page)

    sink = CollectingSink()
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
    asyncio.run(read_exactly(fetch, query, sink, page_size=10, max_concurrency=3, delay=0.0))
    assert sink.restarts == 1
    assert sink.entries == server.truth()


def test_error_for_data_that_never_settle_lists_every_pass() -> None:
    server = Server(50, drift={number: (1, 0, 0, 0) for number in range(2, 100)})
    with pytest.raises(
        MakeIncompleteResultError, match=r"\[5 tries: 1\. the total changed from 50 to 4. .* 5\. "
    ) as raised:
        read(server)
    assert len(raised.value.tries) == MAX_PASSES


def test_other_errors_end_the_reading_at_once_and_cancel_running_requests() -> None:
    server = Server(1000)

    async def fetch(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        if page.offset:
            raise MakeServerError("down")
        return await server.fetch(query, page)

    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
    with pytest.raises(MakeServerError):
        asyncio.run(read_exactly(fetch, query, CollectingSink(), page_size=10, max_concurrency=8, delay=0.0))
    assert len(server.requests) == 1


def test_later_passes_sort_by_name_and_have_other_page_boundaries() -> None:
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="errors", sort_dir="desc")
    queries = [query_for_pass(query, number) for number in range(1, MAX_PASSES + 1)]
    assert queries[0] == query
    assert {(each.sort_by, each.sort_dir) for each in queries[1:]} == {("name", "asc")}
    by_name = query.model_copy(update={"sort_by": "name"})
    assert query_for_pass(by_name, 5) == by_name
    sizes = [page_size_for_pass(1000, number) for number in range(1, MAX_PASSES + 1)]
    assert (sizes[0], len(set(sizes[1:])), max(sizes)) == (1000, MAX_PASSES - 1, 1000)
    assert page_size_for_pass(2, MAX_PASSES) == 2


Call = Callable[[], Coroutine[None, None, int]]


@pytest.mark.parametrize(("max_concurrency", "ahead"), [(1, 1), (2, 3), (3, 4)])
def test_calls_start_only_when_there_is_room_for_their_results(max_concurrency: int, ahead: int) -> None:
    started: list[int] = []

    async def call(number: int) -> int:
        started.append(number)
        await asyncio.sleep(0)
        return number

    async def run() -> list[tuple[int, int]]:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        return [(number, len(started)) async for number in in_order(calls, max_concurrency)]

    results = asyncio.run(run())
    assert [number for number, _ in results] == list(range(10))
    assert all(started_by_then <= number + ahead for number, started_by_then in results)


def test_results_are_in_order_of_the_calls() -> None:
    async def call(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    async def run() -> list[int]:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        return [number async for number in in_order(calls, 4)]

    assert asyncio.run(run()) == list(range(10))


@pytest.mark.parametrize("failing", [0, 2, 3])
def test_the_first_failure_is_raised_at_once_and_cancels_the_others(failing: int) -> None:
    cancelled: list[int] = []

    async def call(number: int) -> int:
        if number == failing:
            await asyncio.sleep(0)
            raise ValueError(number)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    async def run() -> None:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        with pytest.raises(ValueError, match=str(failing)):
            async for _ in in_order(calls, 4):
                raise AssertionError("no call succeeds")
        # Already, not at some later time.
        assert sorted(cancelled) == [number for number in range(4) if number != failing]

    asyncio.run(asyncio.wait_for(run(), 10))


def test_calls_are_cancelled_when_the_caller_stops_iterating() -> None:
    running: set[int] = set()

    async def call(number: int) -> int:
        running.add(number)
        try:
            await asyncio.sleep(3600 if number else 0)
        finally:
            running.discard(number)
        return number

    async def run() -> None:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        async with aclosing(in_order(calls, 4)) as results:
            assert await anext(results) == 0
            assert len(running) == 4
        assert running == set()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_two_failures_leave_no_unretrieved_exception() -> None:
    problems: list[object] = []

    async def call(number: int) -> int:
        raise ValueError(number)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        with pytest.raises(ValueError, match="0"):
            async for _ in in_order([partial(call, number) for number in range(4)], 4):
                pass

    asyncio.run(run())
    assert problems == []

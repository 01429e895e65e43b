"""Read exactly from a model server whose data drift, whose ties have no order, and whose pages are capped."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.page import AnalyticsPage, Metrics, Pagination
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeServerError
from airflow_provider_make.paging.exact_reader import MAX_PASSES, page_size_for_pass, query_for_pass, read_exactly
from tests.support.model_server import CollectingSink, Server, servers


def read(
    server: Server, page_size: int = 10, max_concurrency: int = 8, sort_by: str = "name", sort_dir: str = "asc"
) -> CollectingSink:
    sink = CollectingSink()
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by=sort_by, sort_dir=sort_dir)
    coroutine = read_exactly(server.fetch, query, sink, page_size=page_size, max_concurrency=max_concurrency, delay=0.0)
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

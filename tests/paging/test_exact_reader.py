"""Exact reading, against a model server whose data drift, whose ties have no order, and whose pages are capped."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Metrics
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeServerError
from airflow_provider_make.paging.exact_reader import MAX_PASSES, page_size_for_pass, query_for_pass, read_exactly
from tests.support.model_server import Rows, Server, servers


def read(
    server: Server, page_size: int = 10, max_concurrency: int = 8, sort_by: str = "name", sort_dir: str = "asc"
) -> Rows:
    rows = Rows()
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by=sort_by, sort_dir=sort_dir)
    reading = read_exactly(server.ask, query, rows, page_size=page_size, max_concurrency=max_concurrency, delay=0.0)
    assert asyncio.run(reading) == Metrics(errors=1)
    return rows


def least_requests(count: int, page: int) -> int:
    return max(1, -(-count // page))


@pytest.mark.timeout(600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_resting_data_are_read_exactly_in_the_fewest_requests(
    drawn: tuple[Server, int], max_concurrency: int, sort_dir: str
) -> None:
    server, page_size = drawn
    rows = read(server, page_size, max_concurrency, sort_dir=sort_dir)
    assert rows.entries == server.truth(sort_dir=sort_dir)
    assert rows.restarts == 0
    page = min(page_size, server.cap or page_size)
    # A server whose cap is the very page size can't be told from one without a cap before it is asked for more.
    unknown = server.cap == page_size and server.count % page == 0 and server.count > page > 1
    assert len(server.requests) == least_requests(server.count, page) + unknown
    assert server.most_under_way <= max_concurrency


@pytest.mark.timeout(600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=True), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_drifting_data_are_exact_or_an_error(drawn: tuple[Server, int], max_concurrency: int, sort_dir: str) -> None:
    server, page_size = drawn
    try:
        entries = read(server, page_size, max_concurrency, sort_dir=sort_dir).entries
    except MakeIncompleteResultError as error:
        assert len(error.tries) == MAX_PASSES
        return
    ids = [entry.scenario_id for entry in entries]
    assert len(ids) == len(set(ids))
    assert set(ids) <= server.ever
    # A cap that leaves no room, or a page of one, has no overlap that would show a shift.
    if server.cap is None and page_size > 1:
        assert ids == sorted(ids, reverse=sort_dir == "desc")
        assert server.always <= set(ids)
    if max(server.drift, default=0) < server.requests.index(_last_first_page(server)) + 1:
        assert entries == server.truth(sort_dir=sort_dir)


def _last_first_page(server: Server) -> PageRequest:
    return [page for page in server.requests if page.offset == 0][-1]


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.sampled_from(["errors", "error_rate"]), st.sampled_from(["asc", "desc"]))
def test_any_sort_key_yields_its_order_though_ties_are_shuffled(
    drawn: tuple[Server, int], sort_by: str, sort_dir: str
) -> None:
    server, page_size = drawn
    entries = read(server, page_size, sort_by=sort_by, sort_dir=sort_dir).entries
    keys = [getattr(entry, sort_by) for entry in entries]
    assert keys == [getattr(entry, sort_by) for entry in server.truth(sort_by, sort_dir)]
    assert sorted(entry.scenario_id for entry in entries) == server.ids


@pytest.mark.parametrize("count", [399, 400, 401])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_one_deleted_behind_the_reader_and_one_added_ahead_are_seen(count: int, number: int) -> None:
    server = Server(count, drift={number: (1, 0, 0, 1)})
    rows = read(server, 100, max_concurrency=1)
    assert rows.restarts == 1
    assert rows.entries == server.truth()


def test_a_server_whose_pages_become_shorter_midway_is_read_again() -> None:
    server = Server(95)

    async def ask(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        server.cap = 7 if len(server.requests) > 3 else None
        return await server.ask(query, page)

    rows = Rows()
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
    asyncio.run(read_exactly(ask, query, rows, page_size=10, max_concurrency=3, delay=0.0))
    assert rows.restarts == 1
    assert rows.entries == server.truth()


def test_what_never_rests_is_an_error_that_tells_every_round() -> None:
    server = Server(50, drift={number: (1, 0, 0, 0) for number in range(2, 100)})
    with pytest.raises(
        MakeIncompleteResultError, match=r"\[5 tries: 1\. the total changed from 50 to 4. .* 5\. "
    ) as raised:
        read(server)
    assert len(raised.value.tries) == MAX_PASSES


def test_another_error_ends_the_reading_at_once_and_cancels_what_is_under_way() -> None:
    server = Server(1000)

    async def ask(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        if page.offset:
            raise MakeServerError("down")
        return await server.ask(query, page)

    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
    with pytest.raises(MakeServerError):
        asyncio.run(read_exactly(ask, query, Rows(), page_size=10, max_concurrency=8, delay=0.0))
    assert len(server.requests) == 1


def test_passes_after_the_first_read_by_name_with_other_page_boundaries() -> None:
    query = AnalyticsQuery.from_arguments(organization_id=1, sort_by="errors", sort_dir="desc")
    queries = [query_for_pass(query, number) for number in range(1, MAX_PASSES + 1)]
    assert queries[0] == query
    assert {(each.sort_by, each.sort_dir) for each in queries[1:]} == {("name", "asc")}
    by_name = query.model_copy(update={"sort_by": "name"})
    assert query_for_pass(by_name, 5) == by_name
    sizes = [page_size_for_pass(1000, number) for number in range(1, MAX_PASSES + 1)]
    assert (sizes[0], len(set(sizes[1:])), max(sizes)) == (1000, MAX_PASSES - 1, 1000)
    assert page_size_for_pass(1, MAX_PASSES) == 1

"""The requests of a check, and how many pages it reads."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from airflow_provider_make.api.client import MakeClient
from airflow_provider_make.api.page import AnalyticsPage, Metrics, Pagination
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.check import FIRST_PAGE_SIZE, PAGE_SIZE, ThresholdCheck
from airflow_provider_make.thresholds.evaluation import Snapshot
from tests.support.model_server import Server

SETTINGS = ConnectionSettings("https://eu1.make.com/api/v2", "token", organization_id=42)
NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


def check(**arguments: Any) -> ThresholdCheck:
    return ThresholdCheck.from_arguments(ThresholdArguments(**{"threshold": 2, "metric": "error_rate", **arguments}))


Requests = list[tuple[AnalyticsQuery, PageRequest]]


def fetch(
    server: Server, firing: frozenset[int] = frozenset(), warnings: list[str] | None = None, **arguments: Any
) -> tuple[Snapshot, Requests]:
    """Return the snapshot, and the queries and pages that were requested for it."""
    requests: Requests = []

    async def fetch_page(query: AnalyticsQuery, request: PageRequest) -> AnalyticsPage:
        requests.append((query, request))
        return await server.fetch(query, request)

    client: Any = SimpleNamespace(
        fetch_page=fetch_page,
        settings=SETTINGS,
        retry_rules=SimpleNamespace(delay=0.0),
        warn_once=lambda subject, text: [] if warnings is None else warnings.append(text),
    )
    return asyncio.run(check(**arguments).fetch(client, firing)), requests


def test_organization_scope_needs_one_request_of_one_entry() -> None:
    snapshot, requests = fetch(Server(5000))
    assert [request for _, request in requests] == [PageRequest(limit=1)]
    assert (snapshot.organization_id, snapshot.zone, snapshot.total.errors) == (42, "eu1.make.com", 1)
    assert list(snapshot.entries) == []


def test_scenarios_are_read_by_metric_until_no_further_one_can_cross() -> None:
    server = Server(5000)
    snapshot, requests = fetch(server, scope="scenario", metric="errors", threshold=2)
    # A third of the scenarios have 2 errors; after the first page, which is small, they are on two others.
    assert [(request.offset, request.limit) for _, request in requests] == [(0, 100), (99, 1000), (1098, 1000)]
    assert {(query.sort_by, query.sort_dir) for query, _ in requests} == {("errors", "desc")}
    assert [entry.errors for entry in snapshot.entries] == [2] * sum(id_ % 3 == 2 for id_ in server.ids)
    assert snapshot.total.errors == 1


def test_all_scenarios_are_read_if_all_may_cross() -> None:
    snapshot, requests = fetch(Server(2500), scope="scenario", metric="errors", comparison=">=", threshold=0)
    assert len(snapshot.entries) == 2500
    assert [request.limit for _, request in requests] == [FIRST_PAGE_SIZE, *[PAGE_SIZE] * 3]


@pytest.mark.parametrize("cap", [30, 100, 101, 500, 1000])
def test_all_scenarios_are_read_from_a_server_with_shorter_pages(cap: int) -> None:
    server = Server(2500, cap=cap)
    snapshot, requests = fetch(server, scope="scenario", metric="errors", comparison=">=", threshold=0)
    assert sorted(entry.scenario_id for entry in snapshot.entries) == server.ids
    assert {(query.sort_by, request.offset == 0) for query, request in requests[1:]} == {("errors", False)}


class DisorderedServer(Server):
    """A server that sorts as it likes, and of which some report it."""

    order = ("name", "asc")
    reports: tuple[str | None, str | None] = (None, None)

    def entry(self, id_: int) -> Any:
        # The second scenario alone is bad, and the worst is far behind.
        rate = {1001: 80.0, 1400: 90.0}.get(id_, 0.0)
        return msgspec.structs.replace(super().entry(id_), error_rate=rate, errors=int(rate), executions=100)

    async def fetch(self, query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        disordered = query.model_copy(update=dict(zip(("sort_by", "sort_dir"), self.order, strict=True)))
        response = await super().fetch(disordered, page)
        pagination = msgspec.structs.replace(response.pg, sort_by=self.reports[0], sort_dir=self.reports[1])
        return msgspec.structs.replace(response, pg=pagination)


@pytest.mark.parametrize(
    ("order", "reports", "reason"),
    [
        # The values of the first page are not in order.
        (("name", "asc"), (None, None), "a scenario with 80 follows one with 0"),
        (("name", "asc"), ("errorRate", "desc"), "a scenario with 80 follows one with 0"),
        (("name", "asc"), ("name", "asc"), "the response is sorted by name asc"),
        # They are, and only the server reveals that the rest is not.
        (("errorRate", "asc"), ("errorRate", "asc"), "the response is sorted by errorRate asc"),
        (("errorRate", "asc"), (None, "asc"), "the response is sorted by errorRate asc"),
        (("errorRate", "asc"), ("name\x1b[31m", None), "the response is sorted by name�[31m desc"),
    ],
)
def test_an_order_other_than_requested_is_read_to_the_end_with_a_warning(
    order: tuple[str, str], reports: tuple[str | None, str | None], reason: str
) -> None:
    server = DisorderedServer(1500)
    server.order, server.reports = order, reports
    warnings: list[str] = []
    snapshot, _ = fetch(server, warnings=warnings, scope="scenario", threshold=20)
    assert [entry.error_rate for entry in snapshot.entries] in ([80, 90], [90, 80])
    assert warnings == [f"Scenarios were requested by errorRate desc, but {reason}: all are read."]


def test_polls_of_one_client_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    total = Metrics(executions=200, errors=10, error_rate=0.05)

    async def poll_twice() -> None:
        client = MakeClient(SETTINGS, RetryRules(1, 0.0), logging.getLogger(__name__))
        for executions in (200, 201):
            page = AnalyticsPage(msgspec.structs.replace(total, executions=executions), [], Pagination())
            client.fetch_page = AsyncMock(return_value=page)  # type: ignore[method-assign]
            await check().fetch(client)

    asyncio.run(poll_twice())
    assert caplog.text.count("looks like a fraction") == 1


def test_a_server_may_spell_the_requested_order_otherwise() -> None:
    server = DisorderedServer(1500)
    server.order, server.reports = ("errorRate", "desc"), ("errorrate", "DESCENDING")
    warnings: list[str] = []
    snapshot, requests = fetch(server, warnings=warnings, scope="scenario", threshold=20)
    assert ([entry.error_rate for entry in snapshot.entries], warnings, len(requests)) == ([90, 80], [], 1)


def test_what_a_page_has_beyond_the_first_calm_scenario_is_judged() -> None:
    server = DisorderedServer(3)
    snapshot, requests = fetch(server, scope="scenario", threshold=20)
    assert ([entry.error_rate for entry in snapshot.entries], len(requests)) == ([80], 1)


def test_entries_without_a_value_do_not_end_the_reading() -> None:
    server = Server(3000, absent_first=True)
    snapshot, _ = fetch(server, scope="scenario", threshold=3)
    assert sum(entry.error_rate == 3 for entry in snapshot.entries) == 600
    assert all(entry.error_rate is not None and entry.error_rate >= 3 for entry in snapshot.entries)


def test_the_most_severe_scenario_is_kept_where_none_breaches_the_threshold() -> None:
    snapshot, requests = fetch(Server(2500), scope="scenario", metric="errors", threshold=9)
    assert ([entry.errors for entry in snapshot.entries], len(requests)) == ([2], 1)


def test_all_pages_are_read_where_make_cannot_sort_by_the_metric() -> None:
    snapshot, requests = fetch(Server(2500), scope="scenario", metric="credits", threshold=10**9)
    assert len(requests) == 3
    assert {(query.sort_by, query.sort_dir) for query, _ in requests} == {("name", "asc")}
    assert len(snapshot.entries) <= 1


def test_scenarios_that_were_firing_are_read_until_all_are_seen() -> None:
    server = Server(2500)
    low = {id_ for id_ in server.ids if id_ % 3 == 0}
    wanted = frozenset({min(low), max(low)})
    snapshot, requests = fetch(server, wanted, scope="scenario", metric="errors", threshold=9, min_executions=1)
    assert wanted <= {entry.scenario_id for entry in snapshot.entries}
    assert len(snapshot.entries) <= 3
    # Where executions can't be too few, what is not seen has recovered.
    _, requests = fetch(server, wanted, scope="scenario", metric="errors", threshold=9)
    assert len(requests) == 1


@pytest.mark.parametrize(("since", "begin"), [("day", "2026-01-31"), ("week", "2026-01-26"), ("month", "2026-01-01")])
@pytest.mark.parametrize("now", [datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC), NOW])
def test_since_begins_with_the_current_period_in_utc(since: str, begin: str, now: datetime) -> None:
    frame = check(since=since).query(SETTINGS, now).time_frame
    assert frame.date_from == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert frame.date_to == now.replace(microsecond=0)


@pytest.mark.parametrize(
    ("since", "begin"), [("day", NOW.replace(hour=0)), ("month", datetime(2026, 3, 1, tzinfo=UTC))]
)
def test_a_period_that_has_just_begun_is_not_empty(since: str, begin: datetime) -> None:
    frame = check(since=since).query(SETTINGS, begin).time_frame
    assert (frame.date_from, frame.date_to) == (begin, begin + timedelta(seconds=1))


@pytest.mark.parametrize(("comparison", "sort_dir"), [(">", "desc"), (">=", "desc"), ("<", "asc"), ("<=", "asc")])
def test_scenarios_are_sorted_with_the_most_severe_first(comparison: str, sort_dir: str) -> None:
    query = check(scope="scenario", comparison=comparison).query(SETTINGS, NOW)
    assert (query.sort_by, query.sort_dir) == ("errorRate", sort_dir)


def test_query_has_the_filters_and_a_time_frame_that_ends_now() -> None:
    query = check(team_id="7", status=["active"], lookback=timedelta(hours=2)).query(SETTINGS, NOW)
    assert (query.organization_id, query.team_id, query.status) == (42, (7,), ("active",))
    assert (query.time_frame.date_from, query.time_frame.date_to) == (NOW - timedelta(hours=2), NOW)
    assert check(organization_id="9").query(SETTINGS, NOW).organization_id == 9

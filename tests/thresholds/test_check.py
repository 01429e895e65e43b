"""The requests of a check, and how many pages it reads."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_make.api.page import AnalyticsPage
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.check import PAGE_SIZE, ThresholdCheck
from airflow_provider_make.thresholds.evaluation import Snapshot
from tests.support.model_server import Server

SETTINGS = ConnectionSettings("https://eu1.make.com/api/v2", "token", organization_id=42)
NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


def check(**arguments: Any) -> ThresholdCheck:
    return ThresholdCheck.from_arguments(ThresholdArguments(**{"threshold": 2, "metric": "error_rate", **arguments}))


def fetch(
    server: Server, firing: frozenset[int] = frozenset(), **arguments: Any
) -> tuple[Snapshot, list[tuple[AnalyticsQuery, PageRequest]]]:
    """Return the snapshot, and the queries and pages that were requested for it."""
    requests: list[tuple[AnalyticsQuery, PageRequest]] = []

    async def fetch_page(query: AnalyticsQuery, request: PageRequest) -> AnalyticsPage:
        requests.append((query, request))
        return await server.fetch(query, request)

    client: Any = SimpleNamespace(fetch_page=fetch_page, settings=SETTINGS, retry_rules=SimpleNamespace(delay=0.0))
    return asyncio.run(check(**arguments).fetch(client, firing)), requests


def test_organization_scope_needs_one_request_of_one_entry() -> None:
    snapshot, requests = fetch(Server(5000))
    assert [request for _, request in requests] == [PageRequest(limit=1)]
    assert (snapshot.organization_id, snapshot.zone, snapshot.total.errors) == (42, "eu1.make.com", 1)
    assert list(snapshot.entries) == []


def test_scenarios_are_read_by_metric_until_no_further_one_can_cross() -> None:
    server = Server(5000)
    snapshot, requests = fetch(server, scope="scenario", metric="errors", threshold=2)
    # A third of the scenarios have 2 errors; they are on two pages.
    assert len(requests) == 2
    assert {(query.sort_by, query.sort_dir) for query, _ in requests} == {("errors", "desc")}
    assert [entry.errors for entry in snapshot.entries] == [2] * sum(id_ % 3 == 2 for id_ in server.ids)
    assert snapshot.total.errors == 1


def test_all_scenarios_are_read_if_all_may_cross() -> None:
    snapshot, requests = fetch(Server(2500), scope="scenario", metric="errors", comparison=">=", threshold=0)
    assert len(snapshot.entries) == 2500
    assert requests[0][1].limit == PAGE_SIZE


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

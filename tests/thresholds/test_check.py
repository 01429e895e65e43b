"""The requests of a check, and how many pages it reads."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.check import PAGE_SIZE, ThresholdCheck
from airflow_provider_make.thresholds.rule import Snapshot
from tests.support.model_server import Server

SETTINGS = ConnectionSettings("https://eu1.make.com/api/v2", "token", organization_id=42)
NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


def check(**arguments: Any) -> ThresholdCheck:
    return ThresholdCheck.from_arguments(ThresholdArguments(**{"threshold": 2, **arguments}))


def fetch(server: Server, **arguments: Any) -> tuple[Snapshot, list[tuple[AnalyticsQuery, PageRequest]]]:
    """Return the snapshot, and the queries and pages that were requested for it."""
    requests: list[tuple[AnalyticsQuery, PageRequest]] = []

    async def fetch_page(query: AnalyticsQuery, request: PageRequest) -> AnalyticsPage:
        requests.append((query, request))
        return await server.fetch(query, request)

    client: Any = SimpleNamespace(ask=fetch_page, settings=SETTINGS, retry_rules=SimpleNamespace(delay=0.0))
    return asyncio.run(check(**arguments).fetch(client)), requests


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
    assert [entry.errors for entry in snapshot.entries] == [2] * sum(id_ % 3 == 2 for id_ in server.ids) + [1]
    assert snapshot.total.errors == 1


def test_all_scenarios_are_read_if_all_may_cross() -> None:
    snapshot, requests = fetch(Server(2500), scope="scenario", metric="errors", comparison=">=", threshold=0)
    assert len(snapshot.entries) == 2500
    assert requests[0][1].limit == PAGE_SIZE


def test_entries_without_a_value_do_not_end_the_reading() -> None:
    server = Server(3000, absent_first=True)
    snapshot, _ = fetch(server, scope="scenario", threshold=3)
    assert sum(entry.error_rate == 3 for entry in snapshot.entries) == 600
    assert snapshot.entries[0].error_rate is None
    assert snapshot.entries[-1].error_rate == 2


@pytest.mark.parametrize(("comparison", "sort_dir"), [(">", "desc"), (">=", "desc"), ("<", "asc"), ("<=", "asc")])
def test_scenarios_are_sorted_with_the_most_extreme_first(comparison: str, sort_dir: str) -> None:
    query = check(scope="scenario", comparison=comparison).query(SETTINGS, NOW)
    assert (query.sort_by, query.sort_dir) == ("errorRate", sort_dir)


def test_query_has_the_filters_and_a_time_frame_that_ends_now() -> None:
    query = check(team_id="7", status=["active"], lookback=timedelta(hours=2)).query(SETTINGS, NOW)
    assert (query.organization_id, query.team_id, query.status) == (42, (7,), ("active",))
    assert (query.time_frame.date_from, query.time_frame.date_to) == (NOW - timedelta(hours=2), NOW)
    assert check(organization_id="9").query(SETTINGS, NOW).organization_id == 9


@pytest.mark.parametrize(
    ("name", "value"), [("lookback", None), ("lookback", "x"), ("threshold", "x"), ("metric", "x"), ("scope", "x")]
)
def test_arguments_are_validated_before_any_request(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=name):
        check(**{name: value})

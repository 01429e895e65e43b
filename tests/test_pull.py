"""Whole pulls over real sockets: exact or an error, whatever the server does."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from airflow_provider_make.exceptions import MakeApiError, MakeIncompleteResultError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.pull import describe_figures, describe_progress
from airflow_provider_make.sandbox import Organization, Sandbox
from tests.support.time_frames import LAST_WEEK

Start = Callable[..., Sandbox]


@pytest.fixture
def start(make_sandbox_factory: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that starts a sandbox, and sets the connection to it."""

    def started(extra: dict[str, Any] | None = None, **options: Any) -> Sandbox:
        sandbox = make_sandbox_factory(**options)
        connection = json.loads(sandbox.connection_json)
        connection["extra"] |= extra or {}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        return sandbox

    return started


def pull(**arguments: Any) -> dict[str, Any]:
    operator = MakeAnalyticsOperator(
        task_id="pull", **{"max_xcom_bytes": 50_000_000, "api_retry_delay": 0.01, **LAST_WEEK, **arguments}
    )
    summary: dict[str, Any] = operator.execute({})
    return summary


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["scenario_id"] for row in rows]


def truth(sandbox: Sandbox, sort_by: str = "name", sort_dir: str = "asc") -> list[int]:
    return [entry["id"] for entry in sandbox.truth(sort_by=sort_by, sort_dir=sort_dir, **LAST_WEEK)]


@pytest.mark.parametrize("max_concurrency", [1, 3, 8])
def test_pages_are_fetched_concurrently_over_few_connections(max_concurrency: int, start: Start) -> None:
    latency = 0.1
    sandbox = start(scenarios=500, latency=latency)
    summary = pull(page_size=50, max_concurrency=max_concurrency)
    assert ids(summary["rows"]) == truth(sandbox)
    # Nine pages have 491 entries with the overlap, and 50 more need two.
    assert summary["requests"] == len(sandbox.requests) == 11
    assert sandbox.connections <= max_concurrency
    arrived = [request.arrived_at for request in sandbox.requests]
    # Responses are sent after the latency: requests that arrive within it overlap.
    overlaps = [later - earlier < latency for earlier, later in itertools.pairwise(arrived)]
    assert any(overlaps) == (max_concurrency > 1)


@pytest.mark.slow
def test_200_pulls_with_a_fifth_of_responses_faulty_are_exact_or_raise(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_make.api.retry.SHORTEST_RATE_LIMIT_WAIT", 0.0)
    sandbox = start(scenarios=400)
    faults = ["429:0", "500", "503:0", "reset", "truncate", "html", "empty", "shape"]
    random_numbers = random.Random(0)
    sandbox.fail(*[random_numbers.choice(faults) if random_numbers.random() < 0.2 else None for _ in range(3000)])
    expected = truth(sandbox)
    exact, errors = 0, 0
    for _ in range(200):
        try:
            assert ids(pull(page_size=100)["rows"]) == expected
            exact += 1
        except MakeApiError as error:
            assert len([text for text in error.tries if "HTTP 429" not in text]) == 5
            errors += 1
    assert exact >= 197
    assert exact + errors == 200


@pytest.mark.parametrize("fault", ["429:0", "503", "reset", "truncate", "html", "empty", "shape"])
def test_pull_continues_after_transient_errors(fault: str, start: Start) -> None:
    sandbox = start(scenarios=1000)
    sandbox.fail(fault, None, None, fault, None, fault)
    summary = pull(page_size=100)
    assert ids(summary["rows"]) == truth(sandbox)
    assert summary["requests"] == len(sandbox.requests) == 11 + 3


def test_rate_limit_pauses_the_whole_pull_for_retry_after(start: Start) -> None:
    sandbox = start(scenarios=2000, latency=0.01)
    sandbox.fail(*[None] * 10, "429:1")
    assert ids(pull(page_size=50, max_concurrency=4)["rows"]) == truth(sandbox)
    arrived = [request.arrived_at for request in sandbox.requests]
    gaps = [later - earlier for earlier, later in zip(arrived, arrived[1:], strict=False)]
    # Running requests still arrived; no new ones were sent.
    assert max(gaps[10:15]) >= 0.9


def test_a_pull_is_a_span_with_its_pages_rows_retries_and_waits(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    sandbox = start(scenarios=250)
    sandbox.fail("429:1", None, "503")
    pull(page_size=100)
    sandbox.fail("400")
    with pytest.raises(MakeApiError):
        pull()
    path = tmp_path / "a.jsonl"
    path.touch()
    with pytest.raises(AirflowSkipException):
        pull(output_path=str(path), if_exists="skip")
    done, failed = exporter.get_finished_spans()
    attributes = dict(done.attributes or {})
    assert done.name == "make.pull" == failed.name
    assert 1.0 <= attributes.pop("make.seconds_waited") < 10.0  # type: ignore[operator]
    assert str(attributes.pop("make.zone")).startswith("127.0.0.1")
    assert attributes == {"make.organization_id": 1, "make.pages": 3, "make.rows": 250, "make.retries": 2}
    assert (done.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


def test_a_pull_does_not_load_opentelemetry(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start(scenarios=3)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert pull()["row_count"] == 3
    assert "opentelemetry.trace" not in sys.modules


def test_requests_per_minute_applies_to_concurrent_requests(start: Start) -> None:
    sandbox = start({"requests_per_minute": 1200}, scenarios=500)
    assert ids(pull(page_size=25)["rows"]) == truth(sandbox)
    arrived = [request.arrived_at for request in sandbox.requests]
    assert arrived[-1] - arrived[0] >= 19 * 0.05 - 0.05


@pytest.mark.parametrize("sort_by", ["name", "errors", "error_rate", "team_name", "operations", "executions_change"])
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("absent_first", [False, True])
def test_rows_are_exact_and_in_the_requested_order_despite_shuffled_ties(
    sort_by: str, sort_dir: str, absent_first: bool, start: Start
) -> None:
    sandbox = start(scenarios=1000, shuffle_ties=True, absent_first=absent_first)
    rows = pull(page_size=90, sort_by=sort_by, sort_dir=sort_dir)["rows"]
    assert sorted(ids(rows)) == sorted(truth(sandbox))
    make_names = {"error_rate": "errorRate", "team_name": "teamName", "executions_change": "executionsChange"}
    key = make_names.get(sort_by, sort_by)
    in_order = [entry.get(key) for entry in sandbox.truth(sort_by=key, sort_dir=sort_dir, **LAST_WEEK)]
    assert [row[sort_by] for row in rows] == in_order


def delete_first(organization: Organization) -> None:
    by_name = sorted(organization.scenarios, key=lambda scenario: scenario.name)
    organization.delete_scenarios([by_name[0].id])


def add_some(organization: Organization) -> None:
    organization.add_scenarios(5)


@pytest.mark.parametrize("change", [delete_first, add_some])
@pytest.mark.parametrize("number", [2, 5, 9])
def test_pull_recovers_from_changes_between_pages(
    change: Callable[[Organization], None], number: int, start: Start
) -> None:
    sandbox = start(scenarios=900)
    sandbox.at_request(number, change)
    summary = pull(page_size=100)
    assert ids(summary["rows"]) == truth(sandbox)
    # Requests that were cancelled with the pass may not have arrived.
    assert len(sandbox.requests) <= summary["requests"] <= len(sandbox.requests) + 8


def test_deletion_before_and_addition_after_the_reader_are_detected(start: Start) -> None:
    sandbox = start(scenarios=900)

    def swap(organization: Organization) -> None:
        delete_first(organization)
        organization.add_scenarios(1)

    sandbox.at_request(4, swap)
    assert ids(pull(page_size=100, max_concurrency=1)["rows"]) == truth(sandbox)


def test_data_that_never_settle_raise_and_leave_the_existing_file_unchanged(start: Start, tmp_path: Path) -> None:
    sandbox = start(scenarios=300)
    path = tmp_path / "analytics.jsonl"
    pull(output_path=str(path))
    old = path.read_bytes()
    for number in range(3, 60):
        sandbox.at_request(number, delete_first)
    with pytest.raises(MakeIncompleteResultError, match="5 tries"):
        pull(page_size=100, output_path=str(path))
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_rows_of_a_failed_pass_are_not_written(start: Start, tmp_path: Path) -> None:
    sandbox = start(scenarios=900)
    sandbox.at_request(9, delete_first)
    path = tmp_path / "analytics.jsonl"
    summary = pull(page_size=100, output_path=str(path), max_concurrency=1)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert ids(rows) == truth(sandbox)
    assert summary["bytes"] == path.stat().st_size


def test_permanent_error_ends_the_pull_without_waiting_for_other_requests(start: Start) -> None:
    sandbox = start({"timeout": 600}, scenarios=1000)
    sandbox.fail(None, "stall:600", "stall:600", "403")
    began = time.monotonic()
    with pytest.raises(MakeApiError, match="403"):
        pull(page_size=100, max_concurrency=3)
    assert time.monotonic() - began < 100


def test_pull_works_inside_a_running_event_loop(start: Start) -> None:
    sandbox = start(scenarios=100)

    async def in_a_notebook() -> dict[str, Any]:
        return pull(page_size=30)

    assert ids(asyncio.run(in_a_notebook())["rows"]) == truth(sandbox)


@pytest.mark.parametrize(
    ("pages", "rows", "total", "seconds", "text"),
    [
        (57, 56_944, 250_000, 5.0, "57 pages, 56,944 of 250,000 scenarios (22 %), 11,389 a second, 0:00:17 left."),
        (1, 1, 1, 2.0, "1 page, 1 of 1 scenario (100 %), 0 a second, 0:00:00 left."),
        (2, 199, 200, 1.0, "2 pages, 199 of 200 scenarios (99 %), 199 a second, 0:00:01 left."),
        (1, 100, 1_000_000, 1.0, "1 page, 100 of 1,000,000 scenarios (0 %), 100 a second, 2:46:39 left."),
        (1, 100, None, 1.0, "1 page, 100 scenarios, 100 a second."),
        # Servers may report any total.
        (1, 1, 10**16, 1.0, f"1 page, 1 of {10**16:,} scenarios (0 %), 1 a second, 999 days, 0:00:00 left."),
        # More than there should be, and before the clock moves.
        (1, 3, 2, 0.0, "1 page, 3 of 2 scenarios (100 %), 3,000,000 a second, 0:00:00 left."),
    ],
)
def test_progress_has_a_percentage_and_the_time_left(
    pages: int, rows: int, total: int | None, seconds: float, text: str
) -> None:
    assert describe_progress(pages, rows, total, seconds) == text


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((1893, 61, 3.2224, "953776"), "1,893 executions, 61 errors, error rate 3.22 %, 9,537.76 credits"),
        ((1, 1, 100.0, "5"), "1 execution, 1 error, error rate 100.00 %, 0.05 credits"),
        # Exact beyond what a float has.
        ((0, 0, None, "1" * 30), f"0 executions, 0 errors, {int('1' * 28):,}.11 credits"),
        ((None, None, None, None), "no figures"),
    ],
)
def test_last_line_of_the_log_has_the_figures_that_make_sent(figures: tuple[Any, ...], text: str) -> None:
    total = dict(zip(("executions", "errors", "error_rate", "centicredits"), figures, strict=True))
    assert describe_figures(total) == text

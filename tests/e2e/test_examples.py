"""The examples and recipes on a real Airflow: organizations, consumers, a year of history, a week, a deadline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Json, Rest
from tests.e2e.stack import TOKEN, wait_for
from tests.support.inboxes import Webhook

DAILY, ORGANIZATIONS, TO_XCOM = "make_analytics_daily", "make_analytics_organizations", "make_analytics_to_xcom"
CONSUMER = "make_analytics_consumer"
# The scenarios of each.
SIZES = {1: 300, 2: 40, 7: 5}
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = MIDNIGHT - timedelta(days=1)
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    others = {id_: size for id_, size in SIZES.items() if id_ != 1}
    with Sandbox(scenarios=SIZES[1], organizations=others, elsewhere=[9], token=TOKEN) as running:
        rest.add_connection("make_default", running)
        yield running


@pytest.fixture(scope="module")
def runs(rest: Rest, sandbox: Sandbox) -> dict[str, str]:
    """Run the examples, all at once, and return the ids of their runs."""
    # The scheduler creates the run of yesterday of a Dag that is unpaused.
    for dag_id in (CONSUMER, DAILY, ORGANIZATIONS, TO_XCOM):
        rest.pause(dag_id, False)
    rest.trigger(TO_XCOM)
    runs = {dag_id: rest.wait_for_only_run(dag_id) for dag_id in (DAILY, ORGANIZATIONS, TO_XCOM, CONSUMER)}
    # It would run for each day of a backfill.
    rest.pause(CONSUMER, True)
    return runs


def rows(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path, partitioning=None)
    return [(row["scenario_id"], row["executions"], row["errors"], row["error_rate"]) for row in table.to_pylist()]


def truth(sandbox: Sandbox, begin: datetime, end: datetime, organization_id: int = 1) -> list[tuple[Any, ...]]:
    entries = sandbox.truth(organization_id, date_from=begin, date_to=end, sort_by="name", sort_dir="asc")
    return [(entry["id"], entry["executions"], entry["errors"], entry.get("errorRate")) for entry in entries]


def test_to_xcom_returns_all_rows(rest: Rest, sandbox: Sandbox, runs: dict[str, str]) -> None:
    summary = rest.xcom(TO_XCOM, runs[TO_XCOM], "pull")
    begin, end = (datetime.fromisoformat(summary[name]) for name in ("date_from", "date_to"))
    assert end - begin == timedelta(days=7)
    assert (summary["row_count"], len(summary["rows"]), summary["path"]) == (300, 300, None)
    assert summary["total"]["errors"] == sandbox.truth_total(date_from=begin, date_to=end)["errors"]


def test_each_organization_of_the_zone_has_a_file_and_a_named_task(
    rest: Rest, sandbox: Sandbox, runs: dict[str, str], root: Path
) -> None:
    folder = root / "organizations"
    for id_, size in SIZES.items():
        found = rows(folder / f"organization_id={id_}" / f"date={YESTERDAY:%Y-%m-%d}" / "analytics.parquet")
        assert found == truth(sandbox, YESTERDAY, MIDNIGHT, id_)
        assert len(found) == size
    assert {path.name for path in folder.iterdir()} == {f"organization_id={id_}" for id_ in SIZES}
    run = runs[ORGANIZATIONS]
    tasks = {task["rendered_map_index"]: task for task in rest.tasks(ORGANIZATIONS, run) if task["task_id"] == "pull"}
    assert {name: task["state"] for name, task in tasks.items()} == {str(id_): "success" for id_ in SIZES}
    print("\nMapped tasks:", {name: task["map_index"] for name, task in tasks.items()})
    total = rest.xcom(ORGANIZATIONS, run, "add_up")
    assert total["scenarios"] == sum(SIZES.values())
    for name in ("executions", "errors"):
        assert total[name] == sum(
            sandbox.truth_total(id_, date_from=YESTERDAY, date_to=MIDNIGHT)[name] for id_ in SIZES
        )


def test_consumer_receives_the_summary(rest: Rest, runs: dict[str, str]) -> None:
    summary = rest.xcom(DAILY, runs[DAILY], "pull")
    (event,) = [event for event in rest.asset_events("make_daily_figures") if event["source_run_id"] == runs[DAILY]]
    assert event["extra"] == {**summary, "error_rate": summary["total"]["error_rate"]}
    (line,) = rest.xcom(CONSUMER, runs[CONSUMER], "load")
    assert line == f"{summary['path']}: 300 scenarios, {summary['total']['error_rate']} % of executions failed"


def test_the_log_of_a_refused_task_names_what_is_at_fault(rest: Rest, sandbox: Sandbox, runs: dict[str, str]) -> None:
    sandbox.fail("401")
    run = rest.trigger(ORGANIZATIONS, logical_date=MIDNIGHT.isoformat())
    rest.wait_for_run(ORGANIZATIONS, run, "failed")
    assert rest.states(ORGANIZATIONS, run)["find_organizations"] == "failed"
    log = rest.log(ORGANIZATIONS, run, "find_organizations")
    assert "HTTP 401: Unauthorized (SC401)" in log
    assert "has the scope organizations:read" in log


def backfill(rest: Rest, dag_id: str, begin: datetime, end: datetime) -> list[Json]:
    runs = rest.backfill(dag_id, begin, end)
    assert {run["state"] for run in runs} == {"success"}
    return runs


def test_backfill_of_days_is_exact(rest: Rest, sandbox: Sandbox, runs: dict[str, str], root: Path) -> None:
    folder = root / "organization_id=1"
    shutil.rmtree(folder)
    days = [MIDNIGHT - timedelta(days=number) for number in range(6, 0, -1)]
    backfill(rest, DAILY, days[0], days[-1])
    assert sorted(folder.iterdir()) == [folder / f"date={day:%Y-%m-%d}" for day in days]
    for day in days:
        path = folder / f"date={day:%Y-%m-%d}" / "analytics.parquet"
        assert rows(path) == truth(sandbox, day, day + timedelta(days=1))


def test_backfill_of_a_year_is_exact_and_repeatable(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    rest.pause("weekly", False)
    monday = MIDNIGHT - timedelta(days=MIDNIGHT.weekday())
    begin, end = monday - timedelta(weeks=51), monday
    began = time.monotonic()
    backfill(rest, "weekly", begin, end)
    runs, seconds = len(rest.runs("weekly")), time.monotonic() - began
    print(f"\nA year in {runs} runs: {seconds:.0f} s, {seconds / runs:.1f} s a run")
    files = sorted((root / "weekly").rglob("*.*"))
    weeks = [path.parent.name.removeprefix("week=") for path in files]
    assert {f"{begin + timedelta(weeks=number):%Y-%m-%d}" for number in range(50)} <= set(weeks)
    assert len(weeks) == len(set(weeks)) == runs
    before = {}
    for path, week in zip(files, weeks, strict=True):
        monday = datetime.fromisoformat(week).replace(tzinfo=UTC)
        before[path] = rows(path)
        assert before[path] == truth(sandbox, monday, monday + timedelta(weeks=1))
    start_of_rerun = begin + timedelta(weeks=40)
    backfill(rest, "weekly", start_of_rerun, end)
    assert sorted((root / "weekly").rglob("*.*")) == files
    assert {path: rows(path) for path in files} == before


def test_a_report_is_written_when_all_days_of_a_week_are_there(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    for dag_id in ("make_days_of_weeks", "make_report_of_a_week"):
        rest.pause(dag_id, False)
    monday = MIDNIGHT - timedelta(days=MIDNIGHT.weekday() + 14)
    backfill(rest, "make_days_of_weeks", monday + timedelta(days=1), monday + timedelta(days=6))
    assert rest.runs("make_report_of_a_week") == []
    backfill(rest, "make_days_of_weeks", monday, monday)
    run = rest.wait_for_only_run("make_report_of_a_week")
    path = root / "make_weekly_reports" / f"{monday:%Y-%m-%d}.html"
    assert rest.xcom("make_report_of_a_week", run, "report") == str(path)
    assert "7\N{NO-BREAK SPACE}days" in path.read_text()


def test_figures_that_miss_their_deadline_are_a_post_to_slack(rest: Rest, sandbox: Sandbox) -> None:
    with Webhook() as webhook:
        rest.add_connection("slack_recipe", webhook)
        # A run of a paused Dag never ends.
        rest.trigger("make_by_seven", logical_date=(MIDNIGHT - timedelta(days=2)).isoformat())
        wait_for("The post arrives", lambda: webhook.posts, 180)
    ((_, post),) = webhook.posts
    assert post["text"] == "No figures of Make by 07:00 UTC: see make_by_seven."

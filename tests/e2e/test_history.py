"""The examples, triggered and backfilled on a real Airflow: a year of history, each part exact, and no part twice."""

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
from tests.e2e.rest import Rest
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import AirflowStack, wait_for

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "example_dags"
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scenarios=300, organizations={2: 40}) as running:
        yield running


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    # Airflow creates no backfill on SQLite while its scheduler runs.
    with PostgreSQL() as running:
        yield running


@pytest.fixture(scope="module")
def rest(
    sandbox: Sandbox, root: Path, database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rest]:
    dags = tmp_path_factory.mktemp("dags")
    for path in [*EXAMPLES.glob("make_*.py"), HERE / "dags" / "weekly.py"]:
        shutil.copy(path, dags)
    environment = {
        **database.environment,
        **{f"AIRFLOW_CONN_{name}": sandbox.connection_json for name in ("MAKE_DEFAULT", "MAKE_EU", "MAKE_US")},
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
    }
    with AirflowStack(dags, environment) as stack:
        client = Rest(stack.url)
        for path in dags.glob("*.py"):
            client.wait_for_dag(path.stem)
        yield client


def rows(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path, partitioning=None)
    return [(row["scenario_id"], row["executions"], row["errors"], row["error_rate"]) for row in table.to_pylist()]


def truth(sandbox: Sandbox, begin: datetime, end: datetime, organization_id: int = 1) -> list[tuple[Any, ...]]:
    entries = sandbox.truth(organization_id, date_from=begin, date_to=end, sort_by="name", sort_dir="asc")
    return [(entry["id"], entry["executions"], entry["errors"], entry.get("errorRate")) for entry in entries]


def test_all_examples_are_parsed(rest: Rest) -> None:
    assert rest.call("GET", "importErrors")["import_errors"] == []


def test_to_xcom_returns_all_rows(rest: Rest, sandbox: Sandbox) -> None:
    rest.pause("make_analytics_to_xcom", False)
    run = rest.trigger("make_analytics_to_xcom")
    rest.wait_for_run("make_analytics_to_xcom", run)
    summary = rest.xcom("make_analytics_to_xcom", run, "pull")
    begin, end = (datetime.fromisoformat(summary[name]) for name in ("date_from", "date_to"))
    assert end - begin == timedelta(days=7)
    assert (summary["row_count"], len(summary["rows"]), summary["path"]) == (300, 300, None)
    assert summary["total"]["errors"] == sandbox.truth_total(date_from=begin, date_to=end)["errors"]


def test_several_organizations_are_pulled(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    rest.pause("make_analytics_organizations", False)
    run = rest.trigger("make_analytics_organizations", logical_date=MIDNIGHT.isoformat())
    rest.wait_for_run("make_analytics_organizations", run)
    yesterday = MIDNIGHT - timedelta(days=1)
    for organization_id in (1, 2):
        path = root / f"organization_id={organization_id}" / f"date={yesterday:%Y-%m-%d}" / "analytics.parquet"
        assert rows(path) == truth(sandbox, yesterday, MIDNIGHT, organization_id)


def backfill(rest: Rest, dag_id: str, begin: datetime, end: datetime) -> float:
    """Backfill a Dag, wait until it is complete, and return the seconds that it took."""
    began = time.monotonic()
    body = {
        "dag_id": dag_id,
        "from_date": begin.isoformat(),
        "to_date": end.isoformat(),
        "reprocess_behavior": "completed",
        "max_active_runs": 4,
    }
    number = rest.call("POST", "backfills", json=body)["id"]
    wait_for(
        f"The backfill of {dag_id}", lambda: rest.call("GET", f"backfills/{number}")["completed_at"], 1200, every=2
    )
    assert {run["state"] for run in rest.runs(dag_id)} == {"success"}
    return time.monotonic() - began


def test_backfill_of_days_is_exact(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    folder = root / "organization_id=1"
    shutil.rmtree(folder, ignore_errors=True)
    # The scheduler adds the latest run of an unpaused Dag.
    rest.pause("make_analytics_daily", False)
    begin = MIDNIGHT - timedelta(days=6)
    backfill(rest, "make_analytics_daily", begin, MIDNIGHT - timedelta(days=1))
    days = [begin + timedelta(days=number) for number in range(-1, 6)]
    found = sorted(folder.iterdir())
    assert set(found) <= {folder / f"date={day:%Y-%m-%d}" for day in days}
    assert len(found) >= 6
    for path in found:
        day = datetime.fromisoformat(path.name.removeprefix("date=")).replace(tzinfo=UTC)
        assert rows(path / "analytics.parquet") == truth(sandbox, day, day + timedelta(days=1))


def test_backfill_of_a_year_is_exact_and_repeatable(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    rest.pause("weekly", False)
    monday = MIDNIGHT - timedelta(days=MIDNIGHT.weekday())
    begin, end = monday - timedelta(weeks=51), monday
    seconds = backfill(rest, "weekly", begin, end)
    runs = len(rest.runs("weekly"))
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

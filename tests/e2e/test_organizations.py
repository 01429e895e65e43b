"""A pull of all organizations that the token sees, as mapped tasks on a real Airflow; and one that Make refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.stack import AirflowStack, wait_for

EXAMPLES = Path(__file__).parents[2] / "example_dags"
NAME = "make_analytics_organizations"
ORGANIZATIONS = {1: 300, 2: 40, 7: 5}
TOKEN = "e2e-organizations-token"
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    first, *others = ORGANIZATIONS
    sizes = {id_: ORGANIZATIONS[id_] for id_ in others}
    with Sandbox(
        organization_id=first, scenarios=ORGANIZATIONS[first], organizations=sizes, elsewhere=[9], token=TOKEN
    ) as running:
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(EXAMPLES / f"{NAME}.py", dags)
    environment = {
        "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
    }
    with AirflowStack(dags, environment, without=["triggerer"]) as running:
        yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    client.wait_for_dag(NAME)
    client.pause(NAME, False)
    return client


def rows(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path, partitioning=None)
    names = ("organization_id", "scenario_id", "executions", "errors")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def test_each_organization_of_the_zone_has_a_file_and_a_named_task(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    # The scheduler created the run of yesterday when the Dag was unpaused.
    wait_for("The run is created", lambda: rest.runs(NAME), 120)
    (run,) = [each["dag_run_id"] for each in rest.runs(NAME)]
    rest.wait_for_run(NAME, run)
    begin, end = MIDNIGHT - timedelta(days=1), MIDNIGHT
    expected = {
        root / f"organization_id={id_}" / f"date={begin:%Y-%m-%d}" / "analytics.parquet": [
            (id_, entry["id"], entry["executions"], entry["errors"])
            for entry in sandbox.truth(id_, date_from=begin, date_to=end, sort_by="name", sort_dir="asc")
        ]
        for id_ in ORGANIZATIONS
    }
    assert {path: rows(path) for path in root.rglob("*.*")} == expected
    assert [len(found) for found in expected.values()] == list(ORGANIZATIONS.values())
    tasks = {task["rendered_map_index"]: task for task in rest.tasks(NAME, run) if task["task_id"] == "pull"}
    assert {name: task["state"] for name, task in tasks.items()} == {str(id_): "success" for id_ in ORGANIZATIONS}
    print("\nMapped tasks:", {name: task["map_index"] for name, task in tasks.items()})
    total = rest.xcom(NAME, run, "add_up")
    assert total["scenarios"] == sum(ORGANIZATIONS.values())
    for name in ("executions", "errors"):
        assert total[name] == sum(sandbox.truth_total(id_, date_from=begin, date_to=end)[name] for id_ in ORGANIZATIONS)


def test_the_log_of_a_refused_task_names_what_is_at_fault(rest: Rest, stack: AirflowStack, sandbox: Sandbox) -> None:
    sandbox.fail("401")
    run = rest.trigger(NAME, logical_date=MIDNIGHT.isoformat())
    rest.wait_for_run(NAME, run, "failed")
    assert rest.states(NAME, run)["find_organizations"] == "failed"
    log = rest.log(NAME, run, "find_organizations")
    assert "HTTP 401: Unauthorized (SC401)" in log
    assert "has the scope organizations:read" in log
    logs = "".join(stack.log(name) for name in stack.commands) + stack.task_logs()
    assert TOKEN not in logs

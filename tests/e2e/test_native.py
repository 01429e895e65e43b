"""Links, lineage, outlet events, partitions and a retry policy on a real Airflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.stack import AirflowStack, wait_for

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "example_dags"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scenarios=50) as running:
        running.organization().set_counts(100, 1)
        running.organization().set_counts(100, 50, [running.organization().scenarios[5].id])
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    for path in (HERE / "dags" / "native.py", *EXAMPLES.glob("make_analytics_[cd]*.py")):
        shutil.copy(path, dags)
    transport = {"type": "file", "log_file_path": str(root / "lineage.jsonl"), "append": True}
    environment = {
        "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "e2e",
    }
    with AirflowStack(dags, environment) as running:
        yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    for name in ("native", "partition", "make_analytics_daily", "make_analytics_consumer"):
        client.wait_for_dag(name)
        client.pause(name, False)
    return client


@pytest.fixture(scope="module")
def run(rest: Rest, sandbox: Sandbox) -> str:
    """Run the Dag ``native``, with 429 as the first response."""
    daily = "make_analytics_daily"
    wait_for("The daily Dag has run", lambda: "success" in [each["state"] for each in rest.runs(daily)], 120)
    sandbox.fail("429:3")
    run = rest.trigger("native")
    rest.wait_for_run("native", run)
    return run


def events(root: Path, task: str) -> list[dict[str, Any]]:
    """Return the lineage events for the completion of a task."""
    emitted = [json.loads(line) for line in (root / "lineage.jsonl").read_text().splitlines()]
    return [event for event in emitted if event["job"]["name"] == task and event["eventType"] == "COMPLETE"]


def test_links_are_shown_for_the_tasks(rest: Rest, run: str, sandbox: Sandbox) -> None:
    worst = sandbox.organization().scenarios[5]
    host = sandbox.host.removeprefix("http://")
    organization = {"Organization at Make": f"https://{host}/organization/1/dashboard"}
    scenario = {"Failing scenario at Make": f"https://{host}/{worst.team_id}/scenarios/{worst.id}/edit"}
    for task, links in (("pulled", organization), ("waited", organization | scenario)):
        path = f"dags/native/dagRuns/{run}/taskInstances/{task}/links"
        assert {name: url for name, url in rest.call("GET", path)["extra_links"].items() if url} == links
        assert "XCom not found" not in rest.log("native", run, task)


def test_lineage_is_emitted_for_the_tasks(rest: Rest, run: str, sandbox: Sandbox, root: Path) -> None:
    wait_for("Lineage is emitted", lambda: all(events(root, f"native.{t}") for t in ("hooked", "waited", "pulled")), 60)
    organization = (f"make://{sandbox.host.removeprefix('http://')}", "organizations/1")
    for task in ("hooked", "waited", "pulled"):
        (event,) = events(root, f"native.{task}")
        assert [(dataset["namespace"], dataset["name"]) for dataset in event["inputs"]] == [organization], task
        outputs = [(dataset["namespace"], dataset["name"]) for dataset in event["outputs"]]
        assert outputs == ([("file", str(root / "native.parquet"))] if task == "pulled" else []), task
    (event,) = events(root, "native.pulled")
    (output,) = event["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 50
    names = [field["name"] for field in output["facets"]["schema"]["fields"]]
    assert names == pq.read_schema(root / "native.parquet").names
    event["run"]["facets"] = sorted(event["run"]["facets"])
    event["job"]["facets"] = sorted(event["job"]["facets"])
    print(f"\nThe lineage event, facets of run and job by name only:\n{json.dumps(event, indent=1)}")
    assert sandbox.token not in (root / "lineage.jsonl").read_text()


def test_retry_policy_waits_for_makes_retry_after(rest: Rest, run: str) -> None:
    (task,) = [task for task in rest.tasks("native", run) if task["task_id"] == "pulled"]
    # It was retried before the hour of its retry_delay was over.
    assert task["try_number"] == 2
    path = f"dags/native/dagRuns/{run}/taskInstances/pulled/tries"
    first, second = rest.call("GET", path)["task_instances"]
    pause = datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])
    print(f"\nMake's Retry-After was 3 s; Airflow's next try started after {pause.total_seconds():.1f} s")
    assert timedelta(seconds=3) <= pause < timedelta(minutes=2)


def test_consumer_receives_the_partition_key_of_the_outlet(rest: Rest, run: str) -> None:
    summary = rest.xcom("native", run, "pulled")
    wait_for("The consumer runs", lambda: [r["state"] for r in rest.runs("partition")] == ["success"], 120)
    (consumer,) = rest.runs("partition")
    assert rest.xcom("partition", consumer["dag_run_id"], "key") == summary["date_from"][:10]


def test_consumer_receives_the_summary(rest: Rest, root: Path) -> None:
    # The scheduler created the run of yesterday when the Dag was unpaused.
    wait_for(
        "The consumer runs", lambda: [r["state"] for r in rest.runs("make_analytics_consumer")] == ["success"], 180
    )
    (daily,) = rest.runs("make_analytics_daily")
    summary = rest.xcom("make_analytics_daily", daily["dag_run_id"], "pull")
    (event,) = [event for event in rest.asset_events() if event["uri"].startswith("file:///tmp/make_analytics")]
    assert event["extra"] == {**summary, "error_rate": summary["total"]["error_rate"]}
    (consumer,) = rest.runs("make_analytics_consumer")
    (line,) = rest.xcom("make_analytics_consumer", consumer["dag_run_id"], "load")
    assert line == f"{summary['path']}: 50 scenarios, {summary['total']['error_rate']} % of executions failed"

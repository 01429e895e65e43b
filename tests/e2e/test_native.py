"""Links, lineage, outlet events, partitions, a retry policy and cleared mapped tasks on a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, wait_for

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(scenarios=50, organizations={2: 3}, token=TOKEN) as running:
        running.organization().set_counts(100, 1)
        running.organization().set_counts(100, 50, [running.organization().scenarios[5].id])
        rest.add_connection("make_native", running)
        yield running


@pytest.fixture(scope="module")
def run(rest: Rest, sandbox: Sandbox) -> str:
    """Run the Dag ``native``, with 429 as the first response."""
    for name in ("native", "partition"):
        rest.pause(name, False)
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


def test_a_path_belongs_to_no_mapped_task_that_was_removed(rest: Rest, sandbox: Sandbox, root: Path) -> None:
    rest.pause("remapped", False)
    run = rest.trigger("remapped")
    rest.wait_for_run("remapped", run, "failed")
    # Of two that start one after the other, the first one writes.
    (root / "remapped.csv").unlink(missing_ok=True)
    body = {"dag_run_id": run, "dry_run": False, "only_failed": False}
    rest.call("POST", "dags/remapped/clearTaskInstances", json=body)
    rest.wait_for_run("remapped", run)
    assert rest.states("remapped", run) == {"organizations": "success", "pull[0]": "success", "pull[1]": "removed"}
    assert rest.xcom("remapped", run, "pull", 0)["row_count"] == 50

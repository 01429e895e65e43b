"""The example Dags, run by a real Airflow, also with failures."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from airflow_provider_make.api.page import Metrics
from airflow_provider_make.output.rows import to_total
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import HAS_WATCHERS, dag_bag, load_dag, run_dag
from tests.support.documents import PAGES, README, blocks, places
from tests.support.entries import BUILDER, entry
from tests.support.parsed_report import Page
from tests.support.pulled_files import write_pull
from tests.support.sandbox_requests import analytics_requests

EXAMPLES = Path(__file__).parents[1] / "example_dags"
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(autouse=True)
def environment(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    for name in ("MAKE_ANALYTICS_ROOT", "MAKE_FAILURES_ROOT", "MAKE_ORGANIZATIONS_ROOT", "MAKE_REPORTS_ROOT"):
        monkeypatch.setenv(f"AIRFLOW_VAR_{name}", str(tmp_path))


def load(name: str) -> Any:
    return load_dag(EXAMPLES / f"{name}.py", "example")


def run(name: str) -> tuple[str, dict[str, Any]]:
    """Run an example with last midnight as logical date; return its state and what its tasks returned."""
    run = run_dag(load(name), MIDNIGHT)
    tasks = run.get_task_instances()
    return str(run.state), {
        task.task_id: task.xcom_pull(task_ids=task.task_id, map_indexes=task.map_index) for task in tasks
    }


def test_airflow_parses_all_example_dags() -> None:
    bag = dag_bag(EXAMPLES)
    names = [
        "make_analytics_consumer",
        "make_analytics_daily",
        "make_analytics_organizations",
        "make_analytics_report",
        "make_analytics_to_postgres",
        "make_analytics_to_xcom",
        "make_error_rate_guard",
        "make_error_rate_incidents",
        "make_failures_daily",
        "make_stopped_scenarios",
    ]
    with_watchers = ["make_alert_mail", "make_alert_recovered", "make_alert_slack", "make_credit_budget"]
    with_watchers += ["make_disabled_scenarios", "make_error_rate_watcher"]
    assert sorted(Path(path).stem for path in bag.import_errors) == ([] if HAS_WATCHERS else with_watchers)
    assert sorted(bag.dags) == sorted(names + with_watchers * HAS_WATCHERS)


def test_the_readme_shows_what_the_demo_prints(
    make_sandbox_factory: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown,) = [block.text for block in blocks(README) if block.language == "text"]
    begin, end = map(datetime.fromisoformat, re.findall(r"[\dT:-]+Z", shown))
    demo = runpy.run_path(str(EXAMPLES / "demo.py"))
    sandbox = make_sandbox_factory(scenarios=demo["SCENARIOS"], story=True)
    frame: dict[str, Any] = {"date_from": begin, "date_to": end}
    total, entries = sandbox.truth_total(**frame), sandbox.truth(**frame, sort_by="errorRate", sort_dir="desc")
    total["error_rate"] = total["errorRate"]
    worst = [entry | {"error_rate": entry["errorRate"]} for entry in entries if entry["executions"] >= 20][:5]
    # Of the demo itself: a pull has three requests, and its times end in Z.
    times = {name: f"{value:%Y-%m-%dT%H:%M:%SZ}" for name, value in frame.items()}
    pull = {**times, "total": total, "organization_id": 1, "row_count": len(entries), "requests": 3}
    main = demo["main"]
    monkeypatch.setitem(main.__globals__, "run_daily_dag", lambda _: (pull | {"bytes": 1, "path": "/"}, worst))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    main()
    assert shown in capsys.readouterr().out


def test_no_example_or_guide_writes_into_the_folder_of_another() -> None:
    found = {path.name: places("python", path.read_text()) for path in EXAMPLES.glob("*.py")}
    # The first Dag is in several documents.
    pieces = {block.text: (f"{page.name}:{block.line}", block.language) for page in PAGES for block in blocks(page)}
    found |= {name: places(language, text) for text, (name, language) in pieces.items()}
    writers = [(folder, name) for name, place in found.items() for folder in place.written]
    readers = [(folder, name) for name, place in found.items() for folder in place.read]
    assert {"/tmp/make_analytics", "/tmp/make_organizations", "/tmp/make_csv", "/tmp/make"} < {*dict(writers)}
    assert {"/tmp/make_analytics", "/tmp/make_active", "/tmp/make_daily", "/tmp/make_warehouse"} <= {*dict(readers)}
    # Where a reader may write, and what the tutorial says to remove.
    assert [one for one, _ in writers if not one.startswith(("/tmp/make", "gs://", "s3://"))] == []
    # A folder below another one's would be read with it.
    shared = [(one, other) for one, other in permutations(writers, 2) if f"{one[0]}/".startswith(f"{other[0]}/")]
    assert [pair for pair in shared if pair[0][1] != pair[1][1]] == []
    for folder, name in readers:
        within = [writer for writer in writers if f"{writer[0]}/".startswith(f"{folder}/")]
        assert len(within) == 1, (folder, name, within)


def functions(example: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of an example's tasks, of mapped ones too."""
    found = {}
    for task in example.tasks:
        function = getattr(task, "python_callable", None) or getattr(task, "partial_kwargs", {}).get("python_callable")
        if function is not None:
            found[task.task_id] = function
    return found


def test_figures_that_make_does_not_send_fail_no_function_of_an_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "day").mkdir()
    path = write_pull(tmp_path / "day" / "analytics.parquet", [[entry(1), entry(2)]])
    rows = list(BUILDER.rows([entry(1), entry(2)]))
    frame = {"date_from": "2026-01-31T00:00:00Z", "date_to": "2026-02-01T00:00:00Z"}
    summary = {"path": str(path), "row_count": 2, "total": to_total(Metrics()), "rows": rows, **frame}
    # A figure that crosses a threshold is known.
    payload = {"value": 12.5, "threshold": 75_000, "comparison": "<", "message": "Make", "scenarios": rows, **frame}
    event = SimpleNamespace(extra={**summary, "error_rate": None, "payload": payload}, timestamp=MIDNIGHT)
    values: dict[str, Any] = {
        "texts": ["Make"],
        "ti": SimpleNamespace(dag_id="make"),
        "summary": summary,
        "summaries": [summary],
        "result": {"scenarios": [row | {"error_rate": 25.0} for row in rows]},
        "row": rows[0],
        "failing": [],
        "triggering_asset_events": {"asset": [event]},
        "triggering_dataset_events": {"asset": [event]},
        # Airflow 3.0 can't hash assets.
        "inlet_events": type("Accessors", (), {"__getitem__": lambda self, asset: []})(),
    }
    monkeypatch.setattr("airflow.providers.common.compat.sdk.get_current_context", dict)
    ran = set()
    for file in sorted(EXAMPLES.glob("make_*.py")):
        if "from airflow.sdk" in file.read_text() and not HAS_WATCHERS:
            continue
        for name, function in functions(load(file.stem)).items():
            # They send what others have composed, and load a file.
            if name == "mail" or (file.stem, name) == ("make_analytics_to_postgres", "load"):
                continue
            function(**{argument: values[argument] for argument in signature(function).parameters})
            ran.add(file.stem)
    # All but the report's, which is an operator, and the load.
    assert len(ran) >= (14 if HAS_WATCHERS else 8)
    assert pq.read_table(tmp_path / "day" / "failures.parquet").num_rows == 0


def test_to_xcom_returns_the_rows_sorted_by_errors(make_sandbox: Sandbox) -> None:
    state, results = run("make_analytics_to_xcom")
    assert state == "success"
    frame: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=7), "date_to": MIDNIGHT}
    assert results["pull"]["date_to"] == MIDNIGHT.strftime("%Y-%m-%dT00:00:00Z")
    truth = make_sandbox.truth(sort_by="errors", sort_dir="desc", **frame)
    assert results["failing"] == [f"{entry['name']}: {entry['errors']} errors" for entry in truth[:10]]


def test_daily_writes_one_file_per_day(make_sandbox: Sandbox, tmp_path: Path) -> None:
    for _ in range(2):
        state, results = run("make_analytics_daily")
    assert state == "success"
    yesterday = MIDNIGHT - timedelta(days=1)
    (path,) = tmp_path.rglob("*.*")
    assert path == tmp_path / "organization_id=1" / f"date={yesterday:%Y-%m-%d}" / "analytics.parquet"
    assert results["pull"]["path"] == str(path)
    rows = pq.read_table(path).to_pylist()
    truth = make_sandbox.truth(sort_by="name", sort_dir="asc", date_from=yesterday, date_to=MIDNIGHT)
    assert [(row["scenario_id"], row["errors"]) for row in rows] == [(entry["id"], entry["errors"]) for entry in truth]
    rates = [row["error_rate"] for row in results["worst"]]
    assert len(rates) == 5
    assert rates == sorted(rates, reverse=True)


def test_failed_executions_of_each_day_are_written_to_a_file(make_sandbox: Sandbox, tmp_path: Path) -> None:
    organization = make_sandbox.organization()
    ids = [scenario.id for scenario in organization.scenarios]
    organization.set_counts(100, 0)
    organization.set_counts(100, 60, ids[3:5])
    organization.set_errors({"name": "DataError", "message": "Missing"}, ids=ids[3:4])
    folder = tmp_path / "organization_id=1" / f"date={MIDNIGHT - timedelta(days=1):%Y-%m-%d}"
    for errors in (60, 2):
        organization.set_counts(100, errors, ids[4:5])
        requests_before = len(make_sandbox.requests)
        state, results = run("make_failures_daily")
        assert state == "success"
        # Two pages of a log with 60 errors, and events; of the others, none.
        paths = [request.path for request in make_sandbox.requests[requests_before:] if "/logs" in request.path]
        assert set(paths) == {f"/api/v2/scenarios/{id_}/logs" for id_ in ids[3:5]}
        assert len(paths) == (4 if errors == 60 else 3)
        assert results["failures"] == {"path": str(folder / "failures.parquet"), "row_count": 60 + errors}
        assert sorted(path.name for path in folder.iterdir()) == ["analytics.parquet", "failures.parquet"]
        rows = pq.read_table(folder / "failures.parquet").to_pylist()
        assert [row["scenario_id"] for row in rows].count(ids[4]) == errors
    for row in rows:
        assert MIDNIGHT - timedelta(days=1) <= row["failed_at"] < MIDNIGHT
        scenario = next(each for each in organization.scenarios if each.id == row["scenario_id"])
        assert (row["name"], row["team_name"], row["organization_id"]) == (scenario.name, scenario.team_name, 1)
        assert row["url"].endswith(f"/{scenario.team_id}/scenarios/{scenario.id}/logs/{row['execution_id']}")
    named = {(row["error_name"], row["error_message"]) for row in rows if row["scenario_id"] == ids[3]}
    assert named == {("DataError", "Missing")}


def test_a_day_without_failed_executions_has_a_file_with_the_same_columns(
    make_sandbox: Sandbox, tmp_path: Path
) -> None:
    organization = make_sandbox.organization()
    organization.set_counts(100, 0)
    assert run("make_failures_daily")[1]["failures"]["row_count"] == 0
    (path,) = tmp_path.rglob("failures.parquet")
    empty = pq.read_table(path).schema
    organization.set_counts(100, 1, [organization.scenarios[0].id])
    assert run("make_failures_daily")[1]["failures"]["row_count"] == 1
    assert pq.read_table(path).schema == empty
    # Deleted since the pull, which is the first request.
    make_sandbox.at_request(len(make_sandbox.requests) + 2, lambda each: each.delete_scenarios([each.scenarios[0].id]))
    state, results = run("make_failures_daily")
    assert (state, results["failures"]["row_count"]) == ("success", 0)


def test_consumer_uses_the_extra_of_asset_events() -> None:
    extra = {"path": "/data/a.parquet", "row_count": 250, "error_rate": 6.5}
    load = load_dag(EXAMPLES / "make_analytics_consumer.py", "example").get_task("load").python_callable
    expected = ["/data/a.parquet: 250 scenarios, 6.5 % of executions failed"]
    assert load({"asset": [SimpleNamespace(extra=extra)]}) == expected
    assert load(triggering_dataset_events={"dataset": [SimpleNamespace(extra=extra)]}) == expected
    nothing_ran = SimpleNamespace(extra={**extra, "error_rate": None})
    assert load({"asset": [nothing_ran]}) == ["/data/a.parquet: 250 scenarios, 0 % of executions failed"]


def test_all_organizations_that_the_token_sees_are_pulled(
    make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make_sandbox_factory(scenarios=30, organizations={2: 40, 7: 1}, elsewhere=[9])
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    example = load("make_analytics_organizations")
    dag_run = run_dag(example, MIDNIGHT)
    assert str(dag_run.state) == "success"
    tasks = dag_run.get_task_instances()
    assert [task.rendered_map_index for task in tasks if task.task_id == "pull"] == ["1", "2", "7"]
    (add_up,) = [task for task in tasks if task.task_id == "add_up"]
    day: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=1), "date_to": MIDNIGHT}
    assert add_up.xcom_pull(task_ids="add_up") == {
        "scenarios": 71,
        "executions": sum(sandbox.truth_total(id_, **day)["executions"] for id_ in (1, 2, 7)),
        "errors": sum(sandbox.truth_total(id_, **day)["errors"] for id_ in (1, 2, 7)),
    }
    # As a user reads the folder: Arrow needs the types of the keys in the paths.
    in_path = ds.partitioning(pa.schema([("organization_id", pa.int64()), ("date", pa.date32())]), flavor="hive")
    table = ds.dataset(tmp_path, partitioning=in_path).to_table()
    rows = {(row["organization_id"], row["scenario_id"]) for row in table.to_pylist()}
    assert rows == {(id_, entry["id"]) for id_ in (1, 2, 7) for entry in sandbox.truth(id_, **day)}


def test_weekly_report_is_about_the_days_that_were_pulled(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_REPORTS_ROOT", str(tmp_path / "reports"))
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path / "days"))
    daily = load("make_analytics_daily")
    for days in (0, 1, 3):
        assert str(run_dag(daily, MIDNIGHT - timedelta(days=days)).state) == "success"
    for _ in range(2):
        state, results = run("make_analytics_report")
    assert state == "success"
    assert results["report"] == str(tmp_path / "reports" / "analytics.html")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["analytics.html"]
    page = Page((tmp_path / "reports" / "analytics.html").read_text())
    pulled = [MIDNIGHT - timedelta(days=days + 1) for days in (0, 1, 3)]
    assert f"1 day has no file (grey): {MIDNIGHT - timedelta(days=3):%Y-%m-%d}." in page.all("header")[0].words
    truth = [make_sandbox.truth_total(date_from=day, date_to=day + timedelta(days=1)) for day in pulled]
    assert page.totals(exact=True)["Executions"][0] == f"{sum(one['executions'] for one in truth):,}"


@pytest.mark.parametrize(("fault", "tries"), [("403", 1), ("401", 1), ("503", 3)])
def test_airflow_retries_only_transient_errors(fault: str, tries: int, make_sandbox: Sandbox) -> None:
    example = load("make_analytics_daily")
    pull = example.get_task("pull")
    assert pull.retries == 2
    pull.retry_delay, pull.api_retry_limit = timedelta(0), 1
    make_sandbox.fail(*[fault] * 9)
    assert str(run_dag(example, MIDNIGHT).state) == "failed"
    assert len(analytics_requests(make_sandbox)) == tries


@pytest.mark.parametrize("errors", [1, 10])
def test_guard_loads_only_if_healthy_and_reports_failing_scenarios(errors: int, make_sandbox: Sandbox) -> None:
    scenarios = make_sandbox.organization().scenarios
    make_sandbox.organization().set_counts(100, errors)
    make_sandbox.organization().set_counts(100, 30, [scenarios[7].id])
    example = load("make_error_rate_guard")
    example.get_task("healthy").timeout = 0
    run = run_dag(example, MIDNIGHT)
    states = {task.task_id: str(task.state) for task in run.get_task_instances()}
    healthy = "success" if errors == 1 else "skipped"
    assert states == {"healthy": healthy, "load": healthy, "failing": "success", "report": "success"}
    (report,) = [task for task in run.get_task_instances() if task.task_id == "report"]
    assert report.xcom_pull(task_ids="report") == [f"{scenarios[7].name}: 30.0 % of 100"]


@pytest.mark.parametrize("failing", [0, 3])
def test_one_incident_is_opened_for_each_failing_scenario(failing: int, make_sandbox: Sandbox) -> None:
    scenarios = make_sandbox.organization().scenarios
    make_sandbox.organization().set_counts(100, 1)
    make_sandbox.organization().set_counts(100, 50, [scenario.id for scenario in scenarios[:failing]])
    run = run_dag(load("make_error_rate_incidents"), MIDNIGHT)
    assert str(run.state) == "success"
    states = [(task.task_id, str(task.state)) for task in run.get_task_instances()]
    opened = [state for name, state in states if name == "open_incident"]
    assert opened == (["success"] * failing or ["skipped"])
    assert dict(states)["all_is_well"] == ("skipped" if failing else "success")


@pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
def test_watcher_dag_uses_the_payload_of_its_event(make_sandbox: Sandbox) -> None:
    example = load("make_error_rate_watcher")
    (watcher,) = example.timetable.asset_condition.objects[0].watchers
    assert watcher.trigger.serialize()[1]["hysteresis"] == 2.0
    event = SimpleNamespace(extra={"payload": {"value": 12.34, "date_from": "2026-01-31T06:00:00Z"}})
    (report,) = example.tasks
    assert report.python_callable({"asset": [event]}) == ["12.3 % of executions failed since 2026-01-31T06:00:00Z"]

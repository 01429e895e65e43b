from __future__ import annotations

import copy
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_make.exceptions import MakeAuthenticationError, MakeInputError, MakeServerError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import NATIVE, VERSION, find, load_dag, run_dag
from tests.support.sandbox_requests import analytics_requests
from tests.support.time_frames import CLOCKS_FORWARD, LAST_WEEK, MIDNIGHT


@pytest.fixture(autouse=True)
def connection(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def empty_interval(moment: datetime) -> dict[str, Any]:
    return {"data_interval_start": moment, "data_interval_end": moment}


def execute(context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    frame = {} if context or not {"date_from", "date_to", "lookback"}.isdisjoint(arguments) else LAST_WEEK
    operator = MakeAnalyticsOperator(task_id="pull", api_retry_delay=0.0, **frame, **arguments)
    summary: dict[str, Any] = operator.execute(context or {})  # type: ignore[arg-type]
    return summary


def test_rows_are_returned_to_xcom(make_sandbox: Sandbox) -> None:
    frame: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=1), "date_to": MIDNIGHT}
    summary = execute(page_size=100, **frame)
    truth = make_sandbox.truth(sort_by="name", sort_dir="asc", **frame)
    assert list(summary) == [
        "organization_id", "zone", "filters", "date_from", "date_to", "total", "row_count", "requests",
        "path", "format", "bytes", "rows",
    ]  # fmt: skip
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["organization_id"], summary["row_count"], summary["requests"]) == (1, 250, 3)
    assert summary["filters"] == {}
    assert summary["path"] is summary["format"] is summary["bytes"] is None
    assert summary["date_to"] == MIDNIGHT.strftime("%Y-%m-%dT00:00:00Z")
    assert summary["total"]["executions"] == sum(entry["executions"] for entry in truth)
    assert int(summary["total"]["centicredits"]) == sum(int(entry["centicredits"]) for entry in truth)
    assert all(tuple(row) == COLUMNS for row in summary["rows"])
    for row, entry in zip(summary["rows"], truth, strict=True):
        assert (row["scenario_id"], row["name"], row["centicredits"]) == (
            entry["id"],
            entry["name"],
            entry["centicredits"],
        )
        assert row["error_rate"] == entry.get("errorRate")
        assert (row["date_from"], row["extra"]) == (summary["date_from"], None)


def test_rows_are_written_to_json_lines(make_sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "analytics.jsonl"
    for _ in range(2):
        summary = execute(output_path=str(path), date_to=MIDNIGHT, lookback=timedelta(days=1))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    xcom = execute(date_to=MIDNIGHT, lookback=timedelta(days=1))
    for row in rows + xcom["rows"]:
        row.pop("extracted_at")
    assert rows == xcom["rows"]
    assert "rows" not in summary
    assert (summary["path"], summary["format"], summary["bytes"]) == (str(path), "jsonl", path.stat().st_size)
    assert list(path.parent.iterdir()) == [path]


def test_failed_pull_leaves_the_existing_object_unchanged_and_no_other_file(
    make_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "analytics.jsonl"
    path.write_text("old")
    make_sandbox.fail(None, None, "503", "503")
    with pytest.raises(MakeServerError):
        execute(output_path=str(path), page_size=100, api_retry_limit=2)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_requests_in_the_summary_include_retries(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("503", None, "reset")
    assert execute(page_size=100)["requests"] == 5


def test_all_filters_are_sent(make_sandbox: Sandbox) -> None:
    teams = sorted({entry["teamId"] for entry in make_sandbox.truth()})[:2]
    summary = execute(team_id=teams, status=["active", "invalid"], sort_by="error_rate", sort_dir="desc")
    assert {row["team_id"] for row in summary["rows"]} == set(teams)
    assert {row["status"] for row in summary["rows"]} == {"active", "invalid"}
    filters: dict[str, Any] = {"team_id": teams, "status": ["active", "invalid"]}
    assert summary["filters"] == filters
    truth = make_sandbox.truth(**filters, sort_by="errorRate", sort_dir="desc", **LAST_WEEK)
    assert [row["scenario_id"] for row in summary["rows"]] == [entry["id"] for entry in truth]


def test_data_interval_is_the_time_frame_unless_it_is_empty(make_sandbox: Sandbox) -> None:
    interval = {"data_interval_start": MIDNIGHT - timedelta(days=1), "data_interval_end": MIDNIGHT}
    summary = execute(interval)
    assert summary["date_from"] == (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
    empty = {"data_interval_start": MIDNIGHT, "data_interval_end": MIDNIGHT}
    summary = execute(empty, lookback=timedelta(hours=1))
    assert summary["date_to"] == MIDNIGHT.strftime("%Y-%m-%dT00:00:00Z")
    requests = len(make_sandbox.requests)
    with pytest.raises(MakeInputError, match="has no time frame.*CronDataIntervalTimetable"):
        execute(empty)
    assert len(make_sandbox.requests) == requests


def test_time_frames_of_consecutive_runs_join_when_the_clocks_have_changed(
    logged: pytest.LogCaptureFixture,
) -> None:
    change = CLOCKS_FORWARD
    dag = DAG("a", schedule=CronTriggerTimetable("0 2 * * *", timezone="Europe/Prague"), start_date=change)
    runs = (change, change + timedelta(hours=23), change + timedelta(hours=47))
    arguments: dict[str, Any] = {"lookback": timedelta(days=1), "timezone": "Europe/Prague", "max_xcom_bytes": 10**7}
    summaries = [execute({"dag": dag, **empty_interval(run)}, **arguments) for run in runs]
    assert [summary["date_from"] for summary in summaries] == [iso(change - timedelta(days=1)), *map(iso, runs[:2])]
    assert [summary["date_to"] for summary in summaries] == [iso(run) for run in runs]
    assert "clocks" not in logged.text
    # Without the Dag, it can't be known whether the run before was at 02:00 or at 03:00.
    execute(empty_interval(change), **arguments)
    assert "The clocks in Europe/Prague changed" in logged.text


def test_manual_run_with_an_empty_interval_is_not_advised_the_timetable_in_use(make_sandbox: Sandbox) -> None:
    timetable = CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Prague")
    interval = timetable.infer_manual_data_interval(run_after=pendulum.datetime(2026, 3, 29, 1, 20))
    dag = DAG("a", schedule=timetable, start_date=datetime(2026, 1, 1, tzinfo=UTC))
    context = {"dag": dag, "data_interval_start": interval.start, "data_interval_end": interval.end}
    with pytest.raises(MakeInputError, match="begins and ends at 2026-03-29T01:00:00Z") as caught:
        execute(context)
    assert "lookback" in str(caught.value)
    assert "--logical-date" in str(caught.value)
    assert "Timetable" not in str(caught.value)
    assert make_sandbox.requests == []


def test_time_frame_that_is_not_over_is_a_warning_and_with_skip_an_error(
    make_sandbox: Sandbox, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    # Also if midnight is near.
    later = MIDNIGHT + timedelta(days=2)
    not_over: dict[str, Any] = {"data_interval_start": MIDNIGHT, "data_interval_end": later}
    path = str(tmp_path / "analytics.jsonl")
    for if_exists in ("skip", " skip\n"):
        with pytest.raises(MakeInputError, match=f"date_to={iso(later)}, and it is .* now: expected one that is over"):
            execute(not_over, output_path=path, if_exists=if_exists)
    assert make_sandbox.requests == []
    execute(not_over, output_path=path)
    (warning,) = [record for record in logged.records if "ends at" in record.getMessage()]
    assert warning.levelname == "WARNING"
    assert f"date_to={iso(later)}, and it is 2" in warning.getMessage()
    execute(date_to=MIDNIGHT, lookback="P1D", output_path=path)
    execute(lookback="PT1H", output_path=path)
    assert len([record for record in logged.records if "ends at" in record.getMessage()]) == 1


def test_a_year_is_pulled_from_a_server_that_keeps_it_to_the_second(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_make.sandbox.query._LEEWAY", timedelta(0))
    make_sandbox.fail("stall:1.2")
    assert execute(lookback=timedelta(days=365), page_size=100)["row_count"] == 250


def test_pull_from_a_start_ends_now_on_every_page(make_sandbox: Sandbox) -> None:
    summary = execute(date_from=MIDNIGHT - timedelta(days=1), page_size=100)
    assert abs(datetime.fromisoformat(summary["date_to"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert {row["date_to"] for row in summary["rows"]} == {summary["date_to"]}
    ends = {dict(request.query)["timeframe[dateTo]"] for request in make_sandbox.requests}
    assert ends == {summary["date_to"]}


def test_year_on_purpose_is_pulled_also_by_a_late_run() -> None:
    summary = execute({"data_interval_end": datetime.now(UTC) - timedelta(hours=6)}, lookback=timedelta(days=365))
    begin, end = (datetime.fromisoformat(summary[name]) for name in ("date_from", "date_to"))
    assert timedelta(days=364) < end - begin < timedelta(days=366)


def test_path_and_naive_times_are_in_the_time_zone(make_sandbox: Sandbox, tmp_path: Path) -> None:
    prague = ZoneInfo("Europe/Prague")
    day = (datetime.now(prague) - timedelta(days=2)).date()
    summary = execute(
        output_path=f"{tmp_path}/{{zone}}/{{organization_id}}/{{date_from:%Y/%m}}/{{date_from:%d}}-{{date_to:%d}}.jsonl",
        timezone="Europe/Prague",
        date_from=day,
        date_to=str(day + timedelta(days=1)),
    )
    zone = make_sandbox.host.removeprefix("http://")
    assert summary["path"] == f"{tmp_path}/{zone}/1/{day:%Y/%m}/{day:%d}-{day + timedelta(days=1):%d}.jsonl"
    assert datetime.fromisoformat(summary["date_from"]) == datetime.combine(day, time.min, prague)


def test_existing_object_is_kept_without_a_request(
    make_sandbox: Sandbox, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "analytics.jsonl"
    first = execute(output_path=str(path), if_exists="skip")
    requests, content = len(make_sandbox.requests), path.read_bytes()
    with pytest.raises(AirflowSkipException, match="exists"):
        execute(output_path=str(path), if_exists="skip")
    assert f"Skipped: {path} exists, and if_exists is 'skip'." in logged.messages
    with pytest.raises(MakeInputError, match="exists"):
        execute(output_path=str(path), if_exists="fail")
    assert (len(make_sandbox.requests), path.read_bytes()) == (requests, content)
    assert first["path"] == str(path)


def test_retry_of_a_pull_until_now_keeps_what_the_first_try_wrote(make_sandbox: Sandbox, tmp_path: Path) -> None:
    began = datetime.now(UTC) - timedelta(minutes=2)
    arguments: dict[str, Any] = {"lookback": "PT24H", "output_path": f"{tmp_path}/a.csv", "if_exists": "skip"}
    execute(date_to=began + timedelta(minutes=1), **arguments)
    requests = len(make_sandbox.requests)
    with pytest.raises(AirflowSkipException, match="exists"):
        execute({"dag_run": SimpleNamespace(start_date=began)}, **arguments)
    # What the run before wrote has other figures.
    with pytest.raises(MakeInputError, match="has another pull"):
        execute({"dag_run": SimpleNamespace(start_date=datetime.now(UTC))}, **arguments)
    assert len(make_sandbox.requests) == requests


def test_replacing_a_file_that_had_more_rows_is_a_warning(
    make_sandbox: Sandbox, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    day = tmp_path / "analytics.parquet"
    execute(output_path=str(day))
    make_sandbox.organization().delete_scenarios([make_sandbox.organization().scenarios[0].id])
    assert execute(output_path=str(day))["row_count"] == 249
    (message,) = [record.getMessage() for record in logged.records if "had 250 rows" in record.getMessage()]
    assert "replaced by 249" in message


def test_paths_that_the_next_time_frame_repeats_are_a_warning(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    for name, hours in (("{date_from:%Y-%m-%d}", 1), ("{date_from:%Y-%m-%dT%H}", 1), ("{date_to:%Y-%m-%d}", 24)):
        begin = MIDNIGHT - timedelta(days=2)
        execute(output_path=f"{tmp_path}/{name}.jsonl", date_from=begin, date_to=begin + timedelta(hours=hours))
    messages = [record.getMessage() for record in logged.records if "next time frame" in record.getMessage()]
    assert len(messages) == 1
    assert "has the same path" in messages[0]


def test_log_begins_with_the_organization_and_ends_with_its_figures(
    make_sandbox: Sandbox, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    summary = execute(output_path=str(tmp_path / "a.jsonl"))
    # Airflow 3.0 logs the lookup of the connection, too.
    first, pulled, wrote, last = (record.getMessage() for record in logged.records if record.module == "pull")
    frame, total = f"{summary['date_from']} to {summary['date_to']}", summary["total"]
    assert first == f"Pulling organization 1 ({summary['zone']}), {frame}."
    assert pulled.startswith("Pulled 250 scenarios in 1 request, ")
    assert wrote == f"Wrote {summary['bytes']:,} bytes to {summary['path']}."
    credits = f"{int(summary['total']['centicredits']) / 100:,.2f} credits"
    assert last.startswith(f"{total['executions']:,} executions, {total['errors']:,} errors, error rate ")
    assert last.endswith(f" %, {credits} ({frame}).")
    # What the log view of Airflow shows on a laptop, beside the Dag's grid.
    assert max(map(len, (first, pulled, last.removesuffix(f" ({frame}).")))) <= 88
    logged.clear()
    execute(max_xcom_bytes=5_000_000)
    assert not any("Wrote" in record.getMessage() for record in logged.records)


@pytest.mark.skipif(VERSION < (3, 0), reason="Airflow 2 stores them before the task begins only")
@pytest.mark.usefixtures("airflow_database")
def test_rendered_templates_show_the_path_the_time_frame_and_the_organization(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    fields = find("RenderedTaskInstanceFields", "airflow.models.renderedtifields")
    run = run_dag(load_dag(NATIVE, "report"), MIDNIGHT)
    (task,) = [task for task in run.get_task_instances() if task.task_id == "pull"]
    shown = fields.get_templated_fields(task)
    yesterday = MIDNIGHT - timedelta(days=1)
    resolved = {
        "organization_id": 1,
        "date_from": iso(yesterday),
        "date_to": iso(MIDNIGHT),
        "output_path": f"{tmp_path}/days/{yesterday:%Y-%m-%d}.parquet",
    }
    assert {**shown, **resolved} == shown


def test_an_operator_can_be_executed_again_for_another_time_frame(make_sandbox: Sandbox, tmp_path: Path) -> None:
    operator = MakeAnalyticsOperator(task_id="pull", output_path=f"{tmp_path}/{{date_from:%Y-%m-%d}}.jsonl")
    for days in (1, 2):
        begin = MIDNIGHT - timedelta(days=days)
        context: Any = {"data_interval_start": begin, "data_interval_end": begin + timedelta(days=1)}
        assert operator.execute(context)["path"] == f"{tmp_path}/{begin:%Y-%m-%d}.jsonl"


def test_result_too_large_for_xcom_raises_early_and_suggests_output_path(make_sandbox: Sandbox) -> None:
    with pytest.raises(MakeInputError, match="output_path"):
        execute(max_xcom_bytes=10_000, page_size=100)
    assert len(make_sandbox.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"organization_id": 0}, "organization_id=0"),
        ({"organization_id": "{{ none }}"}, "organization_id"),
        ({"team_id": []}, r"team_id=\[\]"),
        ({"folder_id": "x"}, "folder_id='x'"),
        ({"status": ["active", "paused"]}, "status="),
        ({"sort_by": "credits"}, "sort_by='credits'"),
        ({"sort_dir": "down"}, "sort_dir='down'"),
        ({"page_size": 0}, "page_size=0"),
        ({"max_concurrency": 0}, "max_concurrency=0"),
        ({"max_xcom_bytes": -1}, "max_xcom_bytes=-1"),
        ({"lookback": timedelta(0)}, "lookback="),
        ({"date_from": ""}, "date_from=''"),
        ({"date_from": "2026-02-02", "date_to": "2026-02-02"}, "date_from=2026-02-02"),
        ({"date_from": MIDNIGHT - timedelta(days=367)}, "date_from="),
        ({"output_path": "/tmp/x.xls"}, "output_path='/tmp/x.xls'"),
        ({"output_path": "/tmp/x.jsonl", "output_format": "xls"}, "output_format='xls'"),
        ({"output_format": "jsonl"}, "output_format='jsonl'"),
        ({"if_exists": "skip"}, "if_exists='skip'"),
        ({"if_exists": "keep"}, "if_exists='keep'"),
        ({"timezone": "Mars"}, "timezone='Mars'"),
        ({"timezone": None}, "timezone=None"),
        ({"output_path": "/tmp/{team_id}.csv"}, r"\{organization_id\}, \{zone\}"),
        ({"api_retry_limit": 0}, "api_retry_limit=0"),
    ],
)
def test_invalid_arguments_raise_before_any_request(
    arguments: dict[str, Any], named: str, make_sandbox: Sandbox
) -> None:
    with pytest.raises(MakeInputError, match=named):
        execute(**arguments)
    assert make_sandbox.requests == []


def test_constructor_keeps_arguments_unchanged() -> None:
    arguments = {"organization_id": "{{ x }}", "page_size": "none", "sort_by": "?", "output_path": object()}
    operator = MakeAnalyticsOperator(task_id="pull", make_conn_id="missing", **arguments)  # type: ignore[arg-type]
    assert all(getattr(operator, name) is value for name, value in arguments.items())


def test_all_arguments_are_templated_except_retries_csv_safe_and_emit_metrics() -> None:
    parameters = inspect.signature(MakeAnalyticsOperator.__init__).parameters.values()
    keyword_only = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    assert keyword_only - set(MakeAnalyticsOperator.template_fields) == {
        "api_retry_limit",
        "api_retry_delay",
        "csv_safe",
        "emit_metrics",
    }


def test_every_templated_argument_may_be_rendered_on_a_line_of_its_own(make_sandbox: Sandbox, tmp_path: Path) -> None:
    scenario = next(
        each for each in make_sandbox.organization().scenarios if each.folder_id and each.status == "active"
    )
    arguments: dict[str, Any] = {
        "organization_id": 1,
        "team_id": scenario.team_id,
        "folder_id": scenario.folder_id,
        "status": "active",
        "date_from": MIDNIGHT - timedelta(days=1),
        "date_to": MIDNIGHT,
        "lookback": "P1D",
        "sort_by": "errors",
        "sort_dir": "desc",
        "page_size": 100,
        "max_concurrency": 2,
        "output_path": str(tmp_path / "rows.csv"),
        "output_format": "jsonl",
        "if_exists": "fail",
        "timezone": "Europe/Prague",
        "storage_conn_id": None,
        "max_xcom_bytes": 10**6,
        "make_conn_id": "make_default",
    }
    assert set(arguments) == set(MakeAnalyticsOperator.template_fields)
    given = {name: value for name, value in arguments.items() if value is not None}
    expected = execute(**given)
    Path(expected["path"]).unlink()
    on_lines: dict[str, Any] = {
        name: [f"\n  {value}\n"] if name == "status" else f"\n  {value}\n" for name, value in given.items()
    }
    assert execute(**on_lines) == expected


def test_operator_can_be_copied_after_it_ran(make_sandbox: Sandbox) -> None:
    operator = MakeAnalyticsOperator(task_id="pull", **LAST_WEEK)
    operator.execute({})
    assert len(operator.hook.get_analytics_page(limit=5).analytics) == 5
    copied = copy.deepcopy(operator)
    assert copied.hook is not operator.hook
    assert len(copied.hook.get_analytics_page(limit=5).analytics) == 5
    for each in (operator, copied):
        each.hook.close()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("airflow_database")
def test_teams_may_be_the_outputs_of_mapped_tasks(
    make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make_sandbox_factory(scenarios=2)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    assert str(run_dag(load_dag(NATIVE, "team_ids")).state) == "success"
    teams = {str(entry["teamId"]) for entry in sandbox.truth()}
    assert len(teams) > 1
    assert {path.stem for path in tmp_path.iterdir()} == {"all", *teams}


def test_errors_of_make_are_raised_unchanged(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("401")
    with pytest.raises(MakeAuthenticationError):
        execute()
    assert len(analytics_requests(make_sandbox)) == 1


def test_importing_the_operator_imports_no_heavy_library() -> None:
    program = """
import sys
from airflow.providers.common.compat.sdk import BaseOperator
before = set(sys.modules)
import airflow_provider_make.operators.analytics
heavy = ("aiohttp", "requests", "pyarrow", "airflow.providers.http")
print([name for name in heavy if name in set(sys.modules) - before])
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"


def test_a_pull_to_a_local_path_imports_neither_requests_nor_the_clients_of_storages(
    make_sandbox: Sandbox, tmp_path: Path
) -> None:
    program = """
import sys
from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath
# On Airflow 2, this imports requests.
BaseHook.get_connection("make_default")
before = set(sys.modules)
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
# At the first of these, Airflow imports the file systems of all providers.
ObjectStoragePath.fs = property(lambda path: sys.exit("the file systems of all providers are imported"))
paths = [f"{sys.argv[1]}/a.jsonl", f"file://{sys.argv[1]}/b.jsonl"]
for path in paths:
    MakeAnalyticsOperator(task_id="pull", date_to=sys.argv[2], lookback="P1D", output_path=path).execute({})
print([name for name in ("requests", "pyarrow", "airflow.providers.http.hooks") if name in set(sys.modules) - before])
"""
    environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    environment |= {"AIRFLOW_CONN_MAKE_DEFAULT": make_sandbox.connection_json, "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", program, str(tmp_path), MIDNIGHT.isoformat()]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert printed.splitlines()[-1] == "[]"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_make_conn_id_selects_the_zone_and_organization(
    make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_sandbox_factory(organization_id=7, scenarios=3)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_US", other.connection_json)
    summary = execute(make_conn_id="make_us")
    assert (summary["organization_id"], summary["row_count"]) == (7, 3)
    assert summary["zone"] == other.host.removeprefix("http://")
    for wrong in (0, "", None, ["make_us"]):
        with pytest.raises(MakeInputError, match="make_conn_id=.* is not valid: expected the id of a connection"):
            execute(make_conn_id=wrong)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dag_id", ["mapped_once", pytest.param("mapped", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("airflow_database")
def test_mapped_tasks_with_one_path_lose_no_rows(
    dag_id: str, make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make_sandbox_factory(scenarios=3, organizations={2: 3, 7: 3})
    # The same organization id at another host.
    other = make_sandbox_factory(scenarios=3)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_OTHER", other.connection_json)
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    dag = load_dag(NATIVE, dag_id)
    tasks = run_dag(dag, MIDNIGHT).get_task_instances()
    # Airflow may start the tasks of a mapping in any order.
    pulled = {task.task_id: task for task in tasks if str(task.state) == "success"}
    assert {*pulled} == {task.task_id for task in dag.tasks}
    assert {str(task.state) for task in tasks if task is not pulled[task.task_id]} == {"failed"}
    assert len(pulled) == len([*analytics_requests(sandbox), *analytics_requests(other)])
    assert len(pulled) == len([*tmp_path.iterdir()])
    for task_id, task in pulled.items():
        summary = task.xcom_pull(task_ids=task_id, map_indexes=task.map_index)
        assert summary["bytes"] == Path(summary["path"]).stat().st_size


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dag_id", ["mapped_apart_once", pytest.param("mapped_apart", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("airflow_database")
def test_mapped_tasks_with_paths_of_their_own_are_pulled(
    dag_id: str, make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make_sandbox_factory(scenarios=3, organizations={2: 3, 7: 3})
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    # The second run finds the files of the first.
    for _ in range(2):
        assert str(run_dag(load_dag(NATIVE, dag_id), MIDNIGHT).state) == "success"
    expected = {f"field-{id_}.csv" for id_ in (1, 2, 7)}
    if dag_id == "mapped_apart":
        expected |= {"same.csv", *(f"task-{id_}.csv" for id_ in (1, 2, 7)), *(f"index-{n}.csv" for n in range(3))}
    assert {path.name for path in tmp_path.iterdir()} == expected


@pytest.mark.usefixtures("airflow_database")
def test_cron_string_has_a_day_on_airflow_2_and_fails_on_airflow_3(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    run = run_dag(load_dag(NATIVE, "daily"), MIDNIGHT)
    has_intervals = VERSION < (3, 0)
    assert str(run.state) == ("success" if has_intervals else "failed")
    yesterday = f"{MIDNIGHT - timedelta(days=1):%Y-%m-%d}.jsonl"
    assert [path.name for path in tmp_path.iterdir()] == ([yesterday] if has_intervals else [])
    assert bool(make_sandbox.requests) is has_intervals

"""Reports as tasks of a Dag: their templated arguments, links and asset events."""

from __future__ import annotations

from datetime import UTC, date, datetime
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AssetAlias

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.operators.report import MakeReportOperator
from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import NATIVE, load_dag, run_dag
from tests.support.entries import entry
from tests.support.parsed_report import Page
from tests.support.pulled_files import write_day, write_pull

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_pull(tmp_path / "analytics.parquet", [[entry(1, errors=3)]])


def test_the_arguments_are_those_of_write_report_with_the_same_defaults() -> None:
    arguments = signature(write_report).parameters
    assert tuple(MakeReportOperator.template_fields) == tuple(arguments)
    own = signature(MakeReportOperator.__init__).parameters
    assert {name: own[name].default for name in arguments} == {name: each.default for name, each in arguments.items()}


@pytest.mark.usefixtures("airflow_database")
def test_a_task_writes_the_report_of_a_pull(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    run = run_dag(load_dag(NATIVE, "report"), MIDNIGHT)
    assert str(run.state) == "success"
    (task,) = [task for task in run.get_task_instances() if task.task_id == "report"]
    path = f"{tmp_path}/report.html"
    assert task.xcom_pull(task_ids="report") == path
    assert task.xcom_pull(task_ids="report", key="event") == {"path": path}
    page = Page(Path(path).read_text())
    assert page.all("h1")[0].words == "Days of report"
    assert "Of those with at least 5 executions." in [note.words for note in page.all("p")]


def test_numbers_and_paths_may_be_rendered_on_lines_of_their_own(source: Path, tmp_path: Path) -> None:
    operator = MakeReportOperator(
        task_id="report",
        source=[f"\n{source}\n"],
        target=f"{tmp_path}/a.html\n",
        min_executions=" 5 ",
        monthly_credits=" 1e3\n",
    )
    assert operator.execute({}) == f"{tmp_path}/a.html"


def test_the_source_may_be_the_results_of_pulls(tmp_path: Path) -> None:
    days = [date(2026, 11, 1), date(2026, 11, 2)]
    summaries = [{"path": str(write_day(tmp_path, day, [entry(1)]))} for day in days]
    MakeReportOperator(task_id="report", source=summaries, target=f"{tmp_path}/a.html").execute({})
    assert "2026-11-01 to 2026-11-02: 2 days" in Page((tmp_path / "a.html").read_text()).all("header")[0].words
    for sources in (tuple(summaries), [summaries[:1], summaries[1]], [[summaries[0]["path"]], tuple(summaries[1:])]):
        # Of a mapped task, and of another one.
        MakeReportOperator(task_id="report", source=sources, target=f"{tmp_path}/b.html").execute({})
        assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()
    with pytest.raises(MakeInputError, match="source=None is not valid: expected the path or URL of a Parquet file"):
        MakeReportOperator(task_id="report", source={"path": None}).execute({})


def context_of(event: Any) -> Any:
    """Return the context of a task with one outlet; Airflow 3.0 can't hash assets."""
    return {"outlet_events": type("Accessors", (), {"__getitem__": lambda self, outlet: event})()}


def test_the_event_of_an_alias_is_that_of_the_report(source: Path) -> None:
    alias, events = AssetAlias("report"), []
    event = SimpleNamespace(add=lambda asset, extra: events.append((asset.uri, extra)))
    operator = MakeReportOperator(task_id="report", source=source, outlets=[alias])
    path = operator.execute(context_of(event))
    assert path == str(source.with_suffix(".html"))
    assert events == [(f"file://{path}", {"path": path})]


def test_a_wrong_outlet_or_argument_is_an_error_and_nothing_is_written(source: Path, tmp_path: Path) -> None:
    outlet = SimpleNamespace(extra={"partition_key": "%Y-%m-%d"})
    event = SimpleNamespace(extra={}, add_partitions=lambda key: None)
    context = context_of(event)
    operator = MakeReportOperator(task_id="report", source=source)
    operator.outlets = [outlet]
    with pytest.raises(MakeInputError, match="a report has no time frame"):
        operator.execute(context)
    with pytest.raises(MakeInputError, match="min_executions='none'"):
        MakeReportOperator(task_id="report", source=source, min_executions="none").execute({})
    assert [path.name for path in tmp_path.iterdir()] == ["analytics.parquet"]

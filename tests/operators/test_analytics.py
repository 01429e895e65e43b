from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeAuthenticationError, MakeInputError, MakeServerError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.support.sandbox_requests import analytics_requests

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def connection(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)


def execute(context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    operator = MakeAnalyticsOperator(task_id="pull", api_retry_delay=0.0, **arguments)
    summary: dict[str, Any] = operator.execute(context or {})  # type: ignore[arg-type]
    return summary


def test_rows_are_returned_to_xcom(make_sandbox: Sandbox) -> None:
    frame: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=1), "date_to": MIDNIGHT}
    summary = execute(page_size=100, **frame)
    truth = make_sandbox.truth(sort_by="name", sort_dir="asc", **frame)
    assert list(summary) == [
        "organization_id", "zone", "date_from", "date_to", "total", "row_count", "requests",
        "path", "format", "bytes", "rows",
    ]  # fmt: skip
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["organization_id"], summary["row_count"], summary["requests"]) == (1, 250, 3)
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
    truth = make_sandbox.truth(team_id=teams, status=["active", "invalid"], sort_by="errorRate", sort_dir="desc")
    assert [row["scenario_id"] for row in summary["rows"]] == [entry["id"] for entry in truth]


def test_data_interval_is_the_time_frame_unless_it_is_empty() -> None:
    interval = {"data_interval_start": MIDNIGHT - timedelta(days=1), "data_interval_end": MIDNIGHT}
    summary = execute(interval)
    assert summary["date_from"] == (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
    summary = execute({"data_interval_start": MIDNIGHT, "data_interval_end": MIDNIGHT})
    assert (summary["date_from"], summary["date_to"]) == (None, None)
    summary = execute({"data_interval_start": MIDNIGHT, "data_interval_end": MIDNIGHT}, lookback=timedelta(hours=1))
    assert summary["date_to"] == MIDNIGHT.strftime("%Y-%m-%dT00:00:00Z")


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


def test_all_arguments_are_templated_except_retries_and_csv_safe() -> None:
    parameters = inspect.signature(MakeAnalyticsOperator.__init__).parameters.values()
    keyword_only = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    assert keyword_only - set(MakeAnalyticsOperator.template_fields) == {
        "api_retry_limit",
        "api_retry_delay",
        "csv_safe",
    }


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


def test_make_conn_id_selects_the_zone_and_organization(
    make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_sandbox_factory(organization_id=7, scenarios=3)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_US", other.connection_json)
    summary = execute(make_conn_id="make_us")
    assert (summary["organization_id"], summary["row_count"]) == (7, 3)
    assert summary["zone"] == other.host.removeprefix("http://")

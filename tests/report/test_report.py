"""Test reports of files that the operator pulled from the sandbox, their targets, and the command."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_make import report as report_package
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.report import __main__ as report_command
from airflow_provider_make.report import write_report
from airflow_provider_make.report.__main__ import main
from airflow_provider_make.sandbox import Organization, Sandbox
from tests.support.daily_files import write_days
from tests.support.entries import entry
from tests.support.file_systems import as_nobody, as_root, folder_for_all
from tests.support.parsed_report import Page
from tests.support.pulled_files import write_day, write_pull

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FRAME: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=7), "date_to": MIDNIGHT}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_pull(tmp_path / "analytics.parquet", [[entry(1, name="Žluťoučký kůň 🐎", errors=3)]])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def pull(output_path: str | None, **arguments: Any) -> dict[str, Any]:
    operator = MakeAnalyticsOperator(task_id="pull", output_path=output_path, **FRAME, **arguments)
    summary: dict[str, Any] = operator.execute({})
    return summary


def digits(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


@pytest.mark.parametrize("scenarios", [20, 250, 2500])
def test_figures_match_the_sandbox(
    scenarios: int, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox: Sandbox = make_sandbox_factory(scenarios=scenarios)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    page = Page(Path(write_report(pull(f"{tmp_path}/a.parquet", page_size=700)["path"])).read_text())
    truth, total = sandbox.truth(**FRAME), sandbox.truth_total(**FRAME)

    totals = page.totals(exact=True)
    for name, key in (("Executions", "executions"), ("Operations", "operations"), ("Errors", "errors")):
        # Make has no change from zero.
        rate = total.get(f"{key}Change")
        changed = "no earlier figures" if rate is None else f"{rate:+.2f} %".replace("-", "−")
        changed = "unchanged" if changed == "+0.00 %" else changed
        assert totals[name] == (f"{total[key]:,}", changed)
    assert totals["Error rate"][0] == f"{total['errorRate']:.2f} %"
    assert digits(totals["Credits"][0]) == int(total["centicredits"])

    rates, errors, teams = page.bars().values()
    rated = [one for one in truth if one["executions"] >= 20 and one["errors"]]
    rated.sort(key=lambda one: (-one["errorRate"], -one["errors"], one["id"]))
    assert [bar[:2] for bar in rates] == [(one["name"], f"{one['errorRate']:.2f} %") for one in rated[:10]]
    failed = sorted((one for one in truth if one["errors"]), key=lambda one: (-one["errors"], -one["errorRate"]))
    assert [bar[:2] for bar in errors] == [(one["name"], f"{one['errors']:,}") for one in failed[:10]]
    for bars in (rates, errors):
        assert [bar[2] for bar in bars] == sorted((bar[2] for bar in bars), reverse=True)
    credits: dict[str, int] = {}
    for one in truth:
        credits[one["teamName"]] = credits.get(one["teamName"], 0) + int(one["centicredits"])
    assert [bar[0] for bar in teams] == sorted(filter(credits.get, credits), key=lambda name: -credits[name])

    expected = {one["id"]: one for one in (*rated[:10], *failed[:10])}
    rows = page.rows(exact=True)
    assert len(rows) == len(expected)
    for row in rows:
        one = expected[int(row["Scenario"].rpartition(" ")[2])]
        assert row["Scenario"] == f"{one['name']} {one['id']}"
        assert (row["Team"], row["Status"]) == (one["teamName"], one["status"])
        for column in ("Executions", "Errors", "Operations"):
            assert digits(row[column]) == one[column.lower()]
        assert digits(row["Credits"]) == int(one["centicredits"])
        assert row["Error rate"] == f"{one['errorRate']:.2f} %"
    for status in ("active", "inactive", "invalid"):
        count = sum(one["status"] == status for one in truth)
        assert (f"{count:,} {status}" in totals["Scenarios"][1]) == bool(count)
    assert totals["Scenarios"][0] == f"{scenarios:,}"


def test_organization_without_scenarios(
    make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox_factory(scenarios=0).connection_json)
    page = Page(Path(write_report(pull(f"{tmp_path}/a.parquet")["path"])).read_text())
    assert page.totals()["Executions"] == ("0", "no earlier figures")
    assert page.totals()["Error rate"][0] == "–"


def test_default_target_is_the_source_s_name_with_html(source: Path, tmp_path: Path) -> None:
    assert write_report(source) == str(tmp_path / "analytics.html")
    assert write_report(f"file://{source}") == f"file://{tmp_path}/analytics.html"
    source.rename(tmp_path / "rows")
    assert write_report(str(tmp_path / "rows")) == str(tmp_path / "rows.html")
    assert files(tmp_path) == ["analytics.html", "rows", "rows.html"]


def test_explicit_target(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_report("analytics.parquet", "new/folder/week.html") == str(tmp_path / "new" / "folder" / "week.html")
    assert files(tmp_path) == ["analytics.parquet", "new/folder/week.html"]


@pytest.mark.slow
def test_same_file_results_in_the_same_bytes(source: Path, tmp_path: Path) -> None:
    once = Path(write_report(source)).read_bytes()
    again = subprocess.run(
        [sys.executable, "-m", "airflow_provider_make.report", source, "-o", tmp_path / "again.html"],
        env=os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.splitlines()[-1] == str(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == once
    assert "Žluťoučký kůň 🐎" in once.decode()


def test_rerun_replaces_the_report(source: Path) -> None:
    target = source.with_suffix(".html")
    target.write_text("x" * 1_000_000)
    write_report(source)
    assert target.read_text().endswith("</html>\n")


def test_a_pull_beyond_python_s_years_is_named(source: Path) -> None:
    def change(table: pyarrow.Table) -> pyarrow.Table:
        times = pyarrow.array([2**62] * len(table), pyarrow.int64()).cast(table.schema.field("extracted_at").type)
        return table.set_column(table.column_names.index("extracted_at"), "extracted_at", times)

    rewrite(source, change)
    with pytest.raises(MakeInputError, match="analytics.parquet' is not valid: .*its rows can't be read"):
        write_report(source)


@pytest.mark.parametrize("rows", [b"", b'{"organization_id": 42}\n'])
def test_other_files_leave_the_old_report(rows: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(rows)
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(MakeInputError, match="rows.jsonl' is not valid: expected a Parquet file"):
        write_report(tmp_path / "rows.jsonl", tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == "old"
    assert files(tmp_path) == ["report.html", "rows.jsonl"]


def without_rights(path: Path) -> None:
    path.chmod(0)


def damaged_footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # Before its length, and the mark at the end.
    data[-300:-8] = b"\xff" * 292
    path.write_bytes(data)


def another_schema(path: Path) -> None:
    pq.write_table(pyarrow.table({"a": [1]}), path)


def rewrite(path: Path, change: Callable[[pyarrow.Table], pyarrow.Table]) -> None:
    with pq.ParquetFile(path) as file:
        summary = {"make_analytics": file.metadata.metadata[b"make_analytics"]}
        table = file.read().replace_schema_metadata(summary)
    pq.write_table(change(table), path)


def text_that_is_not_utf_8(path: Path) -> None:
    def change(table: pyarrow.Table) -> pyarrow.Table:
        binary = pyarrow.array([b"\xc1"] * len(table), pyarrow.binary())
        text = pyarrow.Array.from_buffers(pyarrow.string(), len(table), binary.buffers())
        return table.set_column(table.column_names.index("team_name"), "team_name", text)

    rewrite(path, change)


def time_frame_beyond_years(path: Path) -> None:
    def change(table: pyarrow.Table) -> pyarrow.Table:
        summary = json.loads(table.schema.metadata[b"make_analytics"])
        summary["date_from"] = "0001-01-01T00:00:00+14:00"
        return table.replace_schema_metadata({"make_analytics": json.dumps(summary)})

    rewrite(path, change)


def credits_of_too_many_digits(path: Path) -> None:
    summary = json.dumps(
        {"organization_id": 42, "zone": "a", "provider_version": "1", "total": {"centicredits": "9" * 5000}}
    )
    rewrite(path, lambda table: table.replace_schema_metadata({"make_analytics": summary}))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(without_rights, marks=as_root),
        damaged_footer,
        another_schema,
        text_that_is_not_utf_8,
        time_frame_beyond_years,
        credits_of_too_many_digits,
        pipe,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1"),
        lambda path: path.write_text("organization_id,name\n"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-2000]),
    ],
)
def test_a_file_of_a_folder_that_can_not_be_read_is_named(damage: Callable[[Path], object]) -> None:
    with folder_for_all() as folder:
        paths = write_days(folder, Organization(42, 20), date(2026, 3, 1), 3)
        # Imports what another user may not be able to read.
        write_report(folder, folder / "report.html")
        damage(paths[1])
        user = as_nobody() if damage is without_rights else nullcontext()
        with user, pytest.raises((MakeInputError, OSError)) as caught:
            write_report(folder, folder / "report.html")
    assert str(paths[1]) in str(caught.value)


def test_full_disk_leaves_the_old_report(source: Path, tmp_path: Path) -> None:
    source.with_suffix(".html").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_report(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert source.with_suffix(".html").read_text() == "old"
    assert files(tmp_path) == ["analytics.html", "analytics.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": None}, "source=None .*the path or URL of a Parquet file that MakeAnalyticsOperator wrote"),
        ({"source": ""}, "source=''"),
        ({"source": "~/a.parquet"}, "source='~/a.parquet'"),
        ({"source": "nowhere://bucket/a.parquet"}, "(source|target)='nowhere://bucket/a.(parquet|html)'"),
        ({"target": ""}, "target='' .*ends in .html"),
        ({"target": "report.pdf"}, "target='report.pdf' .*ends in .html"),
        ({"target": "nowhere://bucket/a.html"}, "target='nowhere://bucket/a.html'"),
        ({"title": ""}, "title=''"),
        ({"title": 7}, "title=7"),
        ({"monthly_credits": 0}, "monthly_credits=0 .*a number of 0.01 or more"),
        ({"monthly_credits": "much"}, "monthly_credits='much'"),
        ({"monthly_credits": float("inf")}, "monthly_credits=inf"),
        ({"monthly_credits": 1e308}, "monthly_credits=1e.308"),
        ({"min_executions": 0}, "min_executions=0"),
        ({"min_executions": "few"}, "min_executions='few'"),
        ({"min_executions": 1.5}, "min_executions=1.5"),
    ],
)
def test_errors_name_the_invalid_argument(
    arguments: dict[str, Any], message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(MakeInputError, match=message):
        write_report(**{"source": source, **arguments})
    assert files(tmp_path) == ["analytics.parquet"]


def test_the_source_is_never_overwritten(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(MakeInputError, match="target="):
        write_report(source, source)
    assert source.read_bytes() == before


def test_pull_into_xcom_has_no_report(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    with pytest.raises(MakeInputError, match="source=None"):
        write_report(pull(None)["path"])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.parquet"):
        write_report(tmp_path / "nothing.parquet")


def test_without_pyarrow_the_error_says_what_to_install(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_package, "find_spec", lambda name: None if name == "pyarrow" else object())
    with pytest.raises(MakeInputError, match=r"A report needs pyarrow\. Install it: pip install pyarrow\."):
        write_report(source)


def test_report_over_the_days_that_were_pulled(
    make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox: Sandbox = make_sandbox_factory(scenarios=300)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    path = "organization_id={organization_id}/date={date_from:%Y-%m-%d}/analytics.parquet"
    prague = ZoneInfo("Europe/Prague")
    today = datetime.now(prague).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=number) for number in (5, 4, 2, 1)]
    paths = [
        MakeAnalyticsOperator(
            task_id="pull",
            output_path=f"{tmp_path}/days/{path}",
            date_from=day,
            date_to=day + timedelta(days=1),
            timezone="Europe/Prague",
        ).execute({})["path"]
        for day in days
    ]
    target = write_report(f"{tmp_path}/days", f"{tmp_path}/report.html", title="Our Make", monthly_credits=1e9)
    page = Page(Path(target).read_text())
    assert page.all("h1")[0].words == "Our Make"
    header = page.all("header")[0].words
    assert f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}: 4 days (Europe/Prague)" in header
    assert f"1 day has no file (grey): {today - timedelta(days=3):%Y-%m-%d}." in header
    truth = [sandbox.truth_total(date_from=day, date_to=day + timedelta(days=1)) for day in days]
    totals = page.totals(exact=True)
    for name in ("Executions", "Operations", "Errors"):
        assert digits(totals[name][0]) == sum(one[name.lower()] for one in truth)
    assert digits(totals["Credits"][0]) == sum(int(one["centicredits"]) for one in truth)
    for source in (paths[::-1], iter(paths), f"{tmp_path}/days/*/*/*.parquet", [f"{tmp_path}/days/", *paths]):
        again = write_report(source, f"{tmp_path}/again.html", title="Our Make", monthly_credits="1000000000")
        assert Path(again).read_bytes() == Path(target).read_bytes()


def test_a_glob_and_a_list_need_a_target(source: Path, tmp_path: Path) -> None:
    for several in (f"{tmp_path}/*.parquet", [source]):
        with pytest.raises(
            MakeInputError, match=r"expected a target \(-o in the command\), a path or URL that ends in"
        ):
            write_report(several)
    assert files(tmp_path) == ["analytics.parquet"]


def test_command_writes_a_report_over_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [write_day(tmp_path, date(2026, 3, day), [entry(1, executions=5, centicredits=7)]) for day in (1, 2, 3)]
    options = ["--title", "Our Make", "--monthly-credits", "100.5", "-o", f"{tmp_path}/report.html"]
    assert main([*map(str, paths), *options]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/report.html\n"
    page = Page((tmp_path / "report.html").read_text())
    assert "0.21 credits, 0.2 % of 101 (red line)" in page.all("main")[0].words


def test_command_writes_to_the_output(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "b.html")
    assert main([str(source), "-o", target, "--min-executions", "1"]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert "at least 1 execution." in Page(Path(target).read_text()).all("main")[0].words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.parquet"], "nothing.parquet"),
        (["analytics.parquet", "--min-executions", "x"], "min_executions='x'"),
        (["analytics.parquet", "-o", "x.txt"], "target='x.txt'"),
        (["analytics.parquet", "analytics.parquet"], "expected a target (-o in the command)"),
        (["analytics.parquet", "-o", "folder.html"], "Is a directory: '{}/folder.html'"),
        (["analytics.parquet", "-o", "analytics.parquet/a.html"], "Not a directory: '{}/analytics.parquet'"),
        (["pipe.parquet"], "'{}/pipe.parquet' is not valid: expected a Parquet file"),
        (["analytics.parquet", "-o", "taken.html"], "Not a regular file: '{}/taken.html'"),
        (["s3://bucket/analytics.parquet"], "needs a package: pip install"),
    ],
)
def test_command_prints_errors_without_a_traceback(
    arguments: list[str],
    message: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    for name in ("pipe.parquet", "taken.html"):
        os.mkfifo(tmp_path / name)
    assert main(arguments) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert message.format(tmp_path) in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        AirflowNotFoundException("The conn_id `lake` isn't defined"),
        OSError("'s3://lake/a.parquet' can't be read from its storage:\nEndpointConnectionError:\n  no route"),
    ],
)
def test_command_prints_an_error_of_the_storage_or_its_connection_in_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> str:
        raise error

    monkeypatch.setattr(report_command, "write_report", fail)
    assert main(["s3://lake/a.parquet"]) == 1
    assert capsys.readouterr() == ("", f"{' '.join(str(error).split())}\n")


def test_what_can_not_be_written_is_an_error_before_the_source_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.html").mkdir()
    with pytest.raises(MakeInputError, match=r"target='.*a.html' can't be written: Is a directory"):
        write_report(tmp_path / "a.parquet")


def test_import_loads_no_heavy_libraries() -> None:
    program = """
import sys
from airflow.providers.common.compat.sdk import BaseOperator
before = set(sys.modules)
import airflow_provider_make.report, airflow_provider_make.operators.analytics
import airflow_provider_make.sensors.error_rate, airflow_provider_make.triggers.error_rate
heavy = ("aiohttp", "fsspec", "jinja2", "numpy", "pyarrow", "requests")
print([name for name in heavy if name in set(sys.modules) - before])
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


# Print how much the peak memory rises from a report of 20,000 rows to one of 500,000.
PEAK = """
import re, sys
from pathlib import Path
from airflow_provider_make.report import write_report

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

write_report(sys.argv[1])
before = peak()
write_report(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("teams", "limit"), [(12, 48), (500_000, 200)])
def test_memory_of_many_rows_and_teams(teams: int, limit: int, tmp_path: Path) -> None:
    page = [entry(n, name=f"Scenario {n} " * 5, executions=n, errors=n // 2, errorRate=50.0) for n in range(20_000)]
    small = write_pull(tmp_path / "small.parquet", [page])
    table = pq.read_table(small)
    metadata = pq.ParquetFile(small).metadata.metadata
    columns = [table.column_names.index(name) for name in ("team_id", "team_name", "centicredits")]
    with pq.ParquetWriter(tmp_path / "large.parquet", table.schema, compression="zstd") as writer:
        for start in range(0, 500_000, len(table)):
            ids = [number % teams for number in range(start, start + len(table))]
            for column, values in zip(columns, (ids, [f"Team {number}" for number in ids], ids), strict=True):
                field = table.schema.field(column)
                table = table.set_column(column, field, pyarrow.array(values).cast(field.type))
            writer.write_table(table, row_group_size=65_536)
        writer.add_key_value_metadata({"make_analytics": metadata[b"make_analytics"].decode()})
    command = [sys.executable, "-c", PEAK, str(small), str(tmp_path / "large.parquet")]
    # Arrow's own allocator keeps a varying amount of freed memory.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < limit * 1024
    page_text = (tmp_path / "large.html").read_text()
    assert "500,000" in page_text
    # Ten are shown, and the one with id 0 used nothing.
    assert f"{teams - 11:,}\N{NO-BREAK SPACE}other team" in page_text

"""The recipe for DuckDB: the view over the files, and the Dag that loads a table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import load_dag
from tests.support.entries import entries, entry
from tests.warehouse.recipes import (
    DAY,
    MIDNIGHT,
    Days,
    Rows,
    add_column,
    arrow_types,
    block,
    dag_source,
    expected_of_pull,
    normalized,
    types,
    write_pull,
)

DAG_ID = "make_analytics_to_duckdb"
TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "decimal128(38, 0)": "DECIMAL(38,0)",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}
pytestmark = [pytest.mark.usefixtures("airflow_database"), pytest.mark.timeout(300)]
_numbers = count()


@pytest.fixture
def dag(dags: Path, tmp_path: Path) -> Any:
    """Return the page's Dag, with its paths in the folder of the test."""
    path = dags / f"{DAG_ID}.py"
    source = dag_source(DAG_ID).replace("/tmp", str(tmp_path))
    path.write_text(source.replace(f"\n{DAG_ID}()\n", f"\nexample = {DAG_ID}()\n"))
    return load_dag(path, "example")


def read(database: Path) -> Rows:
    with duckdb.connect(database) as connection:
        # Arrow converts times without pytz.
        return normalized(connection.sql("SELECT * FROM make_analytics").to_arrow_table().to_pylist())


def test_rerun_and_backfill_leave_the_rows_of_each_days_last_pull(dag: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    days = Days(sandbox)
    days.rerun_and_backfill(dag)
    days.assert_loaded(read(tmp_path / "make_warehouse.duckdb"))
    view = block("sql", "CREATE OR REPLACE VIEW").text.replace("/tmp", str(tmp_path))
    with duckdb.connect() as connection:
        connection.execute(view)
        rows = connection.sql("SELECT * FROM make_analytics_files").to_arrow_table().to_pylist()
    days.assert_loaded(rows)
    assert {row["date"] for row in rows} == {(MIDNIGHT - number * DAY).date() for number in (1, 2)}


def test_the_query_lists_errors_by_app_with_their_first_and_last_time(sandbox: Sandbox, tmp_path: Path) -> None:
    def failure(scenario_id: int, day: int, minute: int, name: str, module: str | None) -> dict[str, Any]:
        at = MIDNIGHT - day * DAY + timedelta(minutes=minute)
        error = {"error_name": name, "module": module, "error_message": f"{name} {minute}", "url": f"https://{minute}"}
        return {"scenario_id": scenario_id, "failed_at": at, **error}

    days = {
        40: [failure(1, 40, 1, "RateLimitError", "google-sheets addRow")],
        3: [failure(1, 3, 2, "RateLimitError", "google-sheets addRow"), failure(1, 3, 3, "DataError", None)],
        1: [
            failure(2, 1, 4, "RateLimitError", "google-sheets addRow"),
            failure(1, 1, 5, "RateLimitError", "google-sheets addRow"),
            failure(2, 1, 6, "RateLimitError", "google-sheets getRow"),
        ],
    }
    for day, failures in days.items():
        path = tmp_path / "organization_id=1" / f"date={(MIDNIGHT - day * DAY):%Y-%m-%d}" / "failures.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(failures), path)
    with duckdb.connect() as connection:
        query = block("sql", "-- failures").text.replace("/tmp/make_failures", str(tmp_path))
        rows = connection.sql(query).to_arrow_table().to_pylist()
    assert [(row["app"], row["module"], row["error_name"], row["failures"], row["scenarios"]) for row in rows] == [
        ("google-sheets", "google-sheets addRow", "RateLimitError", 3, 2),
        ("google-sheets", "google-sheets getRow", "RateLimitError", 1, 1),
        (None, None, "DataError", 1, 1),
    ]
    times = [MIDNIGHT - day * DAY + timedelta(minutes=minute) for day, minute in ((3, 2), (1, 5))]
    assert [rows[0]["first_at"], rows[0]["last_at"]] == times
    assert (rows[0]["newest_message"], rows[0]["newest_url"]) == ("RateLimitError 5", "https://5")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.scenario_id))
def test_every_value_is_read_back_exactly(dag: Any, tmp_path: Path, pulled: list[Any]) -> None:
    load: Callable[[dict[str, Any]], None] = dag.get_task("load").python_callable
    # Each example replaces the rows of the one before.
    summary = write_pull(tmp_path / f"{next(_numbers)}.parquet", pulled)
    load(summary)
    expected = expected_of_pull(summary, pulled)
    loaded = read(tmp_path / "make_warehouse.duckdb")
    assert loaded == expected
    assert types(loaded) == types(expected)


def test_pull_without_rows_replaces_its_day_and_nothing_else(dag: Any, tmp_path: Path) -> None:
    load = dag.get_task("load").python_callable
    others: list[dict[str, Any]] = [
        {"date_from": MIDNIGHT - 2 * DAY},
        {"organization_id": 43},
        # The same organization id, in another zone.
        {"zone": "us1.make.com"},
    ]
    expected = []
    for number, key in enumerate([{}, *others]):
        summary = write_pull(tmp_path / f"{number}.parquet", [entry(7), entry(8)], **key)
        load(summary)
        expected += expected_of_pull(summary, [entry(7), entry(8)]) if key else []
    assert len(read(tmp_path / "make_warehouse.duckdb")) == 8
    load(write_pull(tmp_path / "empty.parquet", []))
    assert read(tmp_path / "make_warehouse.duckdb") == normalized(expected)


def test_columns_are_loaded_by_name(dag: Any, tmp_path: Path) -> None:
    load = dag.get_task("load").python_callable
    folder = tmp_path / "make_warehouse" / "zone=eu1.make.com" / "organization_id=42"
    pulls = []
    for number in (1, 2):
        path = folder / f"date={MIDNIGHT - number * DAY:%Y-%m-%d}" / "analytics.parquet"
        pulls.append(write_pull(path, [entry(7), entry(8)], date_from=MIDNIGHT - number * DAY))
    load(pulls[0])
    with duckdb.connect(tmp_path / "make_warehouse.duckdb") as connection:
        connection.execute("ALTER TABLE make_analytics ADD COLUMN loaded_at TIMESTAMPTZ")
    add_column(Path(pulls[1]["path"]))
    for summary in pulls:
        load(summary)
    expected = normalized(row for summary in pulls for row in expected_of_pull(summary, [entry(7), entry(8)]))
    assert read(tmp_path / "make_warehouse.duckdb") == expected
    with duckdb.connect() as connection:
        connection.execute(block("sql", "CREATE OR REPLACE VIEW").text.replace("/tmp", str(tmp_path)))
        rows = connection.sql("SELECT * FROM make_analytics_files").to_arrow_table().to_pylist()
    assert normalized(rows) == expected
    assert {row["since"] for row in rows} == {None, "1"}


def test_table_has_the_types_of_the_files(dag: Any, tmp_path: Path) -> None:
    dag.get_task("load").python_callable(write_pull(tmp_path / "rows.parquet", []))
    with duckdb.connect(tmp_path / "make_warehouse.duckdb") as connection:
        described = connection.execute("DESCRIBE make_analytics").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [
        (name, TYPES[kind]) for name, kind in arrow_types().items()
    ]

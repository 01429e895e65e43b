"""The example Dag that loads into PostgreSQL, with a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.postgres.hooks.postgres import PostgresHook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import load_dag
from tests.support.documents import ROOT
from tests.support.entries import entries, entry
from tests.warehouse.recipes import (
    DAY,
    MIDNIGHT,
    NAMES,
    Days,
    Rows,
    arrow_types,
    block,
    expected_of_pull,
    normalized,
    types,
    write_pull,
)

EXAMPLE = ROOT / "example_dags" / "make_analytics_to_postgres.py"
TYPES = {
    "string": "text",
    "int64": "bigint",
    "double": "double precision",
    "decimal128(38, 0)": "numeric",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
}
pytestmark = [pytest.mark.usefixtures("airflow_database", "postgres"), pytest.mark.timeout(300)]
_numbers = count()


@pytest.fixture
def load() -> Callable[[dict[str, Any]], None]:
    """Return the function of the Dag's second task."""
    function: Callable[[dict[str, Any]], None] = load_dag(EXAMPLE, "example").get_task("load").python_callable
    return function


def table() -> Rows:
    with closing(PostgresHook("make_warehouse").get_conn()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM make_analytics")
        names = [column[0] for column in cursor.description]
        return normalized(dict(zip(names, row, strict=True)) for row in cursor.fetchall())


def test_rerun_and_backfill_leave_the_rows_of_each_days_last_pull(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_CSV_ROOT", str(tmp_path))
    days = Days(sandbox)
    days.rerun_and_backfill(load_dag(EXAMPLE, "example"))
    days.assert_loaded(table())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.scenario_id))
def test_every_value_is_read_back_exactly(
    load: Callable[[dict[str, Any]], None], tmp_path: Path, pulled: list[Any]
) -> None:
    # Each example replaces the rows of the one before.
    summary = write_pull(tmp_path / f"{next(_numbers)}.csv", pulled)
    load(summary)
    expected = expected_of_pull(summary, pulled)
    assert table() == expected
    assert types(table()) == types(expected)


def test_names_that_look_like_something_else_are_read_back_exactly(
    load: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    pulled = [entry(number, name=name, imtId=None, teamName="") for number, name in enumerate(NAMES)]
    load(write_pull(tmp_path / "names.csv", pulled))
    assert [(row["name"], row["imt_id"], row["team_name"]) for row in table()] == [(name, None, "") for name in NAMES]


def test_pull_without_rows_replaces_its_day_and_nothing_else(
    load: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    others: list[dict[str, Any]] = [
        {"date_from": MIDNIGHT - 2 * DAY},
        {"organization_id": 43},
        # The same organization id, in another zone.
        {"zone": "us1.make.com"},
    ]
    expected = []
    for number, key in enumerate([{}, *others]):
        summary = write_pull(tmp_path / f"{number}.csv", [entry(7), entry(8)], **key)
        load(summary)
        expected += expected_of_pull(summary, [entry(7), entry(8)]) if key else []
    assert len(table()) == 8
    load(write_pull(tmp_path / "empty.csv", []))
    assert table() == normalized(expected)


def test_loads_at_the_same_time_create_one_table_and_replace_each_day_once(
    load: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    days = [MIDNIGHT - day * DAY for day in (1, 2, 1, 2)]
    rows = [entry(7), entry(8)]
    pulls = [write_pull(tmp_path / f"{number}.csv", rows, date_from=day) for number, day in enumerate(days)]
    with ThreadPoolExecutor(len(pulls)) as executor:
        assert [*executor.map(load, pulls)] == [None] * len(pulls)
    assert table() == normalized(row for pull in pulls[:2] for row in expected_of_pull(pull, rows))


def test_columns_are_loaded_by_name(load: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    rows = [entry(7), entry(8)]
    load(write_pull(tmp_path / "first.csv", rows))
    hook = PostgresHook("make_warehouse")
    hook.run("ALTER TABLE make_analytics ADD COLUMN loaded_at timestamptz NOT NULL DEFAULT now()")
    # A table whose columns are in another order.
    hook.run("ALTER TABLE make_analytics DROP COLUMN name; ALTER TABLE make_analytics ADD COLUMN name text")
    summary = write_pull(tmp_path / "second.csv", rows)
    load(summary)
    assert table() == expected_of_pull(summary, rows)


@pytest.mark.parametrize("damage", ["cut", "other column", "new column", "same id"])
def test_failed_load_leaves_the_rows_of_the_one_before(
    damage: str, load: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    load(write_pull(tmp_path / "first.csv", [entry(1, name="first")]))
    before = table()
    summary = write_pull(tmp_path / "second.csv", [entry(2), entry(2 if damage == "same id" else 3)])
    path = Path(summary["path"])
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "other column":
        path.write_bytes(path.read_bytes().replace(b"errors,error_rate", b"error_rate,errors"))
    elif damage == "new column":
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{line},{'since' if number == 0 else 1}\n" for number, line in enumerate(lines)))
    with pytest.raises(Exception, match="invalid input|mismatch|duplicate key|wrong number of fields"):
        load(summary)
    assert table() == before


def test_table_has_the_documented_definition(load: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    documented = block("sql", "CREATE TABLE IF NOT EXISTS make_analytics (\n    zone text").text
    assert documented.strip() == load.__globals__["CREATE"].strip() + ";"
    load(write_pull(tmp_path / "rows.csv", []))
    columns = PostgresHook("make_warehouse").get_records(
        "SELECT column_name, data_type, numeric_precision FROM information_schema.columns "
        "WHERE table_name = 'make_analytics' ORDER BY ordinal_position"
    )
    assert [(name, kind) for name, kind, _ in columns] == [(name, TYPES[kind]) for name, kind in arrow_types().items()]
    assert {precision for _, kind, precision in columns if kind == "numeric"} == {38}

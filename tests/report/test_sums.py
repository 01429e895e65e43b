"""Test sums over days that are larger than the types of the columns."""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest

from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.report import sums
from airflow_provider_make.report.sums import SUM_COLUMNS, Sums

SCHEMA = pyarrow.schema([parquet_schema().field(name) for name in SUM_COLUMNS])


def rows(*values: dict[str, Any]) -> pyarrow.Table:
    return pyarrow.Table.from_pylist([{"scenario_id": 7, **one} for one in values], schema=SCHEMA)


@pytest.mark.parametrize("waiting", [0, 200_000])
def test_sums_of_the_largest_values_are_exact(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_MAX_WAITING", waiting)
    largest = {"executions": 2**63 - 1, "operations": 2**63 - 1, "errors": 2**63 - 1, "centicredits": 10**38 - 1}
    added = Sums()
    for number in range(30):
        added.add(
            rows({**largest, "team_id": 1}), number, "recent" if number >= 20 else "before" if number >= 15 else None
        )
    (row,) = added.scenarios().to_pylist()
    expected = {name: 30 * value for name, value in largest.items()}
    parts = {
        f"{part}_{name}": count * (2**63 - 1)
        for part, count in (("recent", 10), ("before", 5))
        for name in ("executions", "errors")
    }
    assert row == {"scenario_id": 7, "first": 0, "last": 29, **expected, **parts}
    assert sum(one[1] for one in added.teams.values()) == 30 * (10**38 - 1)


def test_values_that_no_file_has_are_null() -> None:
    added = Sums()
    added.add(rows({"errors": 3}), 0, None)
    added.add(rows({}, {"scenario_id": 6, "executions": 0}), 1, "recent")
    six, seven = added.scenarios().to_pylist()
    assert (six["scenario_id"], six["first"], six["executions"], six["errors"]) == (6, 1, 0, None)
    assert (seven["first"], seven["last"], seven["errors"], seven["recent_errors"]) == (0, 1, 3, None)


def test_files_without_rows() -> None:
    added = Sums()
    added.add(rows(), 0, None)
    assert (len(added.scenarios()), dict(added.teams), added.team_names) == (0, {0: {}}, {})


def test_the_latest_name_of_a_team_is_kept_and_moved_scenarios_count_for_their_team_of_the_day() -> None:
    added = Sums()
    added.add(
        rows({"team_id": 1, "team_name": "Old", "centicredits": 5}, {"scenario_id": 8, "centicredits": 1}), 0, None
    )
    added.add(rows({"team_id": 2, "team_name": "Other", "centicredits": 7}), 1, None)
    added.add(rows({"team_id": 1, "team_name": "New", "centicredits": 2}), 2, "recent")
    assert added.team_names == {1: "New", 2: "Other", None: None}
    assert dict(added.teams) == {0: {1: 5, None: 1}, 1: {2: 7}, 2: {1: 2}}

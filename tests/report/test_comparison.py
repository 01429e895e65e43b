"""Test sums of scenarios and teams, which may exceed the types of the columns, and which scenarios are selected."""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest

from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.report import comparison
from airflow_provider_make.report.comparison import (
    MAX_SCENARIOS,
    SUM_COLUMNS,
    Part,
    ScenarioSums,
    Team,
    TeamCredits,
    compare,
    count_compared,
)

ROWS = pyarrow.schema([parquet_schema().field(name) for name in SUM_COLUMNS])
COUNTS = ("executions", "operations", "errors")
PARTS = ("recent_executions", "recent_errors", "before_executions", "before_errors")


def rows(*values: dict[str, Any]) -> pyarrow.Table:
    return pyarrow.Table.from_pylist([{"scenario_id": 7, **row} for row in values], schema=ROWS)


@pytest.mark.parametrize("waiting", [0, 200_000])
def test_sums_of_the_largest_values_are_exact(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MAX_WAITING", waiting)
    largest = {"executions": 2**63 - 1, "operations": 2**63 - 1, "errors": 2**63 - 1, "centicredits": 10**38 - 1}
    sums, teams = ScenarioSums(), TeamCredits()
    parts: list[Part | None] = [*[None] * 15, *["before"] * 5, *["recent"] * 10]  # type: ignore[list-item]
    for number, part in enumerate(parts):
        sums.add(rows({**largest, "team_id": 1}), number, part)
        teams.add(rows({**largest, "team_id": 1}), number)
    (row,) = sums.table().to_pylist()
    expected = {name: 30 * value for name, value in largest.items()}
    compared = {name: (10 if name.startswith("recent") else 5) * (2**63 - 1) for name in PARTS}
    assert row == {"scenario_id": 7, "first": 0, "last": 29, **expected, **compared}
    assert teams.largest(1, 30)[0].total == 30 * (10**38 - 1)


def test_values_that_no_file_has_add_nothing() -> None:
    sums = ScenarioSums()
    sums.add(rows({"errors": 3}), 0, None)
    sums.add(rows({}, {"scenario_id": 6, "executions": 0}), 1, "recent")
    seven, six = sums.table().to_pylist()
    assert (six["scenario_id"], six["first"], six["executions"], six["errors"]) == (6, 1, 0, 0)
    assert (seven["first"], seven["last"], seven["errors"], seven["recent_errors"]) == (0, 1, 3, 0)


def test_files_without_rows() -> None:
    sums, teams = ScenarioSums(), TeamCredits()
    sums.add(rows(), 0, None)
    teams.add(rows(), 0)
    assert (len(sums.table()), teams.largest(6, 1)) == (0, [])
    assert {number for _, number in compare(sums.table(), 20).values()} == {0}


def test_the_latest_name_of_a_team_is_kept_and_moved_scenarios_count_for_their_team_of_the_day() -> None:
    teams = TeamCredits()
    teams.add(rows({"team_id": 1, "team_name": "Old", "centicredits": 5}, {"scenario_id": 8, "centicredits": 1}), 0)
    teams.add(rows({"team_id": 2, "team_name": "Other", "centicredits": 7}), 1)
    teams.add(rows({"team_id": 1, "team_name": "New", "centicredits": 2}, {"team_id": 3, "centicredits": 0}), 2)
    names = {team.name: team.centicredits for team in teams.largest(6, 3)}
    assert names == {"New": (5, 0, 2), "Other": (0, 7, 0), "no team": (1, 0, 0)}


def test_other_teams_are_added_up() -> None:
    teams = TeamCredits()
    for file in (0, 1):
        teams.add(rows(*({"team_id": number, "centicredits": number} for number in range(1, 6))), file)
    assert teams.largest(3, 2) == [
        Team("Team 5", (5, 5)),
        Team("Team 4", (4, 4)),
        Team("Team 3", (3, 3)),
        Team("2\N{NO-BREAK SPACE}other teams", (3, 3), are_others=True),
    ]


SUMS = pyarrow.schema(
    {
        "scenario_id": pyarrow.int64(),
        "first": pyarrow.int32(),
        "last": pyarrow.int32(),
        **dict.fromkeys((*COUNTS, *PARTS), pyarrow.decimal128(38, 0)),
        "centicredits": pyarrow.decimal256(76, 0),
    }
)


def select(*rows: dict[str, Any]) -> dict[str, tuple[list[int], int]]:
    """Return the numbers of the rows that each list has, and how many there are."""
    figures = dict.fromkeys(SUMS.names, 0) | {"last": 2}
    table = pyarrow.Table.from_pylist([{**figures, "scenario_id": n, **row} for n, row in enumerate(rows)], schema=SUMS)
    lists = compare(table, min_executions=20)
    return {name: ([row["scenario_id"] for row in rows], number) for name, (rows, number) in lists.items()}


@pytest.mark.parametrize(
    ("before", "recent", "change"),
    [
        ((100, 0), (100, 5), "began"),
        ((100, 0), (100, 4), None),
        ((100, 2), (100, 5), "began"),
        ((100, 5), (100, 10), None),
        ((100, 5), (100, 11), "began"),
        ((100, 5), (100, 0), "recovered"),
        ((100, 5), (100, 2), "recovered"),
        ((100, 10), (100, 5), None),
        ((100, 11), (100, 5), "recovered"),
        ((100, 4), (100, 0), None),
        ((100, 50), (100, 50), None),
        # Too few executions to know.
        ((19, 0), (100, 50), None),
        ((100, 0), (19, 19), None),
        ((100, 50), (19, 0), None),
        # Too few errors: chance.
        ((20, 0), (20, 4), None),
        ((20, 4), (20, 0), None),
        ((20, 0), (20, 5), "began"),
        ((20, 5), (20, 0), "recovered"),
        ((0, 0), (100, 50), None),
        ((100, 50), (0, 0), None),
        ((0, 0), (0, 0), None),
    ],
)
def test_scenarios_that_began_to_fail_or_recovered(
    before: tuple[int, int], recent: tuple[int, int], change: str
) -> None:
    changes = select(dict(zip(PARTS, (*recent, *before), strict=True)))
    found = [name for name in ("began", "recovered") if changes[name][1]]
    assert found == ([change] if change else [])


def test_new_and_gone_scenarios() -> None:
    changes = select({}, {"first": 1}, {"last": 1}, {"first": 1, "last": 1}, {"first": 2}, {"last": 0})
    assert changes["new"] == ([4, 1, 3], 3)
    assert changes["gone"] == ([2, 3, 5], 3)
    # The last file had no rows: those are compared that have some.
    changes = select({"last": 1}, {"first": 1, "last": 1})
    assert (changes["new"], changes["gone"]) == (([1], 1), ([], 0))


def test_consumers_are_compared_exactly() -> None:
    amounts = [10**40, 10**40 + 1, 0, 0, 10**40, 5]
    assert select(*({"centicredits": amount} for amount in amounts))["consumers"] == ([1, 0, 4, 5], 4)


def test_the_worst_are_of_the_recent_days() -> None:
    rows = [
        {"executions": 1000, "errors": 900, "recent_executions": 100, "recent_errors": 1},
        {"executions": 1000, "errors": 2, "recent_executions": 100, "recent_errors": 2},
        {"executions": 1000, "errors": 2, "recent_executions": 100, "recent_errors": 0},
        {"executions": 1000, "errors": 2, "recent_executions": 1, "recent_errors": 1},
        {"executions": 1000, "errors": 4, "recent_executions": 200, "recent_errors": 4},
    ]
    assert select(*rows)["worst"] == ([4, 1, 0], 3)


def test_long_lists_are_cut_and_counted() -> None:
    new = select({}, *({"first": 1, "executions": number} for number in range(25)))["new"]
    assert new == (list(range(25, 25 - MAX_SCENARIOS, -1)), 25)


@pytest.mark.parametrize(
    ("frames", "length", "recent", "before"),
    [
        (2, 1, 1, 1),
        (7, 1, 3, 4),
        (13, 1, 6, 7),
        (14, 1, 7, 7),
        (35, 1, 7, 28),
        (365, 1, 7, 28),
        (2, 7, 1, 1),
        (52, 7, 1, 4),
        (9, 3, 2, 7),
        (5, 30, 1, 1),
    ],
)
def test_the_last_week_is_compared_with_the_four_weeks_before(
    frames: int, length: int, recent: int, before: int
) -> None:
    assert count_compared(frames, length) == (recent, before)

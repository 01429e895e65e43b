"""Test which scenarios of several days are selected."""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest

from airflow_provider_make.report.changes import MAX_SCENARIOS, Changes, Selection, count_compared, select_scenarios

COUNT = pyarrow.decimal128(38, 0)
SCHEMA = pyarrow.schema(
    {
        "scenario_id": pyarrow.int64(),
        "first": pyarrow.int32(),
        "last": pyarrow.int32(),
        **dict.fromkeys(
            (
                "executions",
                "operations",
                "errors",
                "recent_executions",
                "recent_errors",
                "before_executions",
                "before_errors",
            ),
            COUNT,
        ),
        "centicredits": pyarrow.decimal256(76, 0),
    }
)


def select(*rows: dict[str, Any], min_executions: int = 20, frames: tuple[int, ...] = (0, 1, 2)) -> Changes:
    table = pyarrow.Table.from_pylist(
        [{"scenario_id": number, "first": 0, "last": 2, **row} for number, row in enumerate(rows)], schema=SCHEMA
    )
    return select_scenarios(table, min_executions, frames)


@pytest.mark.parametrize(
    ("before", "recent", "change"),
    [
        ((100, 0), (100, 5), "began"),
        ((100, 0), (100, 4), None),
        ((100, 2), (100, 5), "began"),
        ((100, 5), (100, 10), None),
        ((100, 5), (100, 11), "began"),
        ((100, 5), (100, 0), "ceased"),
        ((100, 5), (100, 2), "ceased"),
        ((100, 10), (100, 5), None),
        ((100, 11), (100, 5), "ceased"),
        ((100, 4), (100, 0), None),
        ((100, 50), (100, 50), None),
        # Too few executions to know.
        ((19, 0), (100, 50), None),
        ((100, 0), (19, 19), None),
        ((100, 50), (19, 0), None),
        ((20, 0), (20, 1), "began"),
        ((20, 1), (20, 0), "ceased"),
        ((0, 0), (100, 50), None),
        ((100, 50), (0, 0), None),
        ((None, None), (None, None), None),
    ],
)
def test_scenarios_that_began_or_ceased_to_fail(before: tuple[int, int], recent: tuple[int, int], change: str) -> None:
    row = {
        "before_executions": before[0],
        "before_errors": before[1],
        "recent_executions": recent[0],
        "recent_errors": recent[1],
    }
    changes = select(row)
    found = [name for name in ("began", "ceased") if getattr(changes, name).count]
    assert found == ([change] if change else [])


def test_new_and_gone_scenarios() -> None:
    changes = select({}, {"first": 1}, {"last": 1}, {"first": 1, "last": 1}, {"first": 2}, {"last": 0})
    assert changes.new == Selection((4, 1, 3), 3)
    assert changes.gone == Selection((2, 3, 5), 3)
    # The last file had no rows: those are compared that have some.
    assert select({"last": 1}, {"first": 1, "last": 1}, frames=(0, 1)).gone == Selection()
    assert select({"last": 1}, {"first": 1, "last": 1}, frames=(0, 1)).new == Selection((1,), 1)


def test_no_scenarios() -> None:
    assert select(frames=()) == Changes(*[Selection()] * 6)


def test_consumers_are_compared_exactly() -> None:
    amounts = [10**40, 10**40 + 1, 0, None, 10**40, 5]
    assert select(*({"centicredits": amount} for amount in amounts)).consumers == Selection((1, 0, 4, 5), 4)


def test_the_worst_are_of_the_recent_days() -> None:
    rows = [
        {"executions": 1000, "errors": 900, "recent_executions": 100, "recent_errors": 1},
        {"executions": 1000, "errors": 2, "recent_executions": 100, "recent_errors": 2},
        {"executions": 1000, "errors": 2, "recent_executions": 100, "recent_errors": 0},
        {"executions": 1000, "errors": 2, "recent_executions": 1, "recent_errors": 1},
        {"executions": 1000, "errors": 4, "recent_executions": 200, "recent_errors": 4},
    ]
    assert select(*rows).worst == Selection((4, 1, 0), 3)


def test_long_lists_are_cut_and_counted() -> None:
    new = select(*({"first": 1, "executions": number} for number in range(25))).new
    assert new == Selection(tuple(range(24, 24 - MAX_SCENARIOS, -1)), 25)


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

"""When polls are due, and what they tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeInputError, MakeRateLimitError, MakeServerError
from airflow_provider_make.thresholds.poll_loop import MAX_FAILURES, MAX_PAUSE, PollSchedule

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def pauses(schedule: PollSchedule, *failures: bool) -> list[float]:
    found = []
    for fails in failures:
        schedule.record(MakeServerError("down") if fails else None)
        found.append(schedule.pause)
    return found


def test_pauses_grow_with_failures_in_a_row_and_shrink_at_once() -> None:
    assert pauses(PollSchedule(60.0), False, True, True, True, False, True) == [60, 60, 120, 240, 60, 60]


def test_pauses_do_not_grow_for_ever() -> None:
    assert pauses(PollSchedule(60.0), *[True] * 5000)[-1] == MAX_PAUSE
    assert pauses(PollSchedule(2 * MAX_PAUSE), *[True] * 3) == [2 * MAX_PAUSE] * 3


def test_a_watcher_keeps_its_interval() -> None:
    assert pauses(PollSchedule(60.0, growing=False), *[True] * 20) == [60.0] * 20


@pytest.mark.parametrize("growing", [False, True])
def test_what_the_server_asks_to_wait_is_waited(growing: bool) -> None:
    schedule = PollSchedule(60.0, growing=growing)
    schedule.record(MakeRateLimitError("slower", retry_after=250.0))
    assert schedule.pause == 250.0
    schedule.record(MakeRateLimitError("slower", retry_after=1.0))
    assert schedule.pause == (120.0 if growing else 60.0)


@pytest.mark.parametrize(
    ("failures", "hopeless"),
    [
        ([True] * (MAX_FAILURES - 1), False),
        ([True] * MAX_FAILURES, True),
        ([True] * MAX_FAILURES + [False], False),
    ],
)
def test_hope_ends_after_very_many_failures_in_a_row(failures: list[bool], hopeless: bool) -> None:
    schedule = PollSchedule(1.0)
    pauses(schedule, *failures)
    assert schedule.is_hopeless == hopeless


def test_time_left() -> None:
    assert PollSchedule(1.0).seconds_left(NOW) is None
    assert PollSchedule(1.0, NOW + timedelta(seconds=90)).seconds_left(NOW) == 90.0


@pytest.mark.parametrize("interval", [0, -1, "x", None, float("nan"), float("inf"), True])
def test_an_interval_is_above_zero(interval: Any) -> None:
    with pytest.raises(MakeInputError, match="^poke_interval="):
        PollSchedule(interval)

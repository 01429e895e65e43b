"""When polls are due, and when to give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeInputError, MakeRateLimitError, MakeServerError
from airflow_provider_make.thresholds.poll_loop import MAX_FAILURES, MAX_PAUSE, PollSchedule

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def pauses(schedule: PollSchedule, *failures: bool) -> list[float]:
    result = []
    for fails in failures:
        schedule.record(MakeServerError("down") if fails else None)
        result.append(schedule.pause)
    return result


def test_pause_doubles_with_each_failure_in_a_row_and_resets_on_success() -> None:
    assert pauses(PollSchedule(60.0), False, True, True, True, False, True) == [60, 60, 120, 240, 60, 60]


def test_pause_has_a_maximum() -> None:
    assert pauses(PollSchedule(60.0), *[True] * 5000)[-1] == MAX_PAUSE
    assert pauses(PollSchedule(2 * MAX_PAUSE), *[True] * 3) == [2 * MAX_PAUSE] * 3


def test_pause_is_constant_unless_growing() -> None:
    assert pauses(PollSchedule(60.0, growing=False), *[True] * 20) == [60.0] * 20


@pytest.mark.parametrize("growing", [False, True])
def test_pause_is_at_least_retry_after(growing: bool) -> None:
    schedule = PollSchedule(60.0, growing=growing)
    schedule.record(MakeRateLimitError("slower", retry_after=250.0))
    assert schedule.pause == 250.0
    schedule.record(MakeRateLimitError("slower", retry_after=1.0))
    assert schedule.pause == (120.0 if growing else 60.0)


@pytest.mark.parametrize(
    ("failures", "too_often"),
    [
        ([True] * (MAX_FAILURES - 1), False),
        ([True] * MAX_FAILURES, True),
        ([True] * MAX_FAILURES + [False], False),
    ],
)
def test_schedule_has_failed_too_often_after_very_many_failures_in_a_row(failures: list[bool], too_often: bool) -> None:
    schedule = PollSchedule(1.0)
    pauses(schedule, *failures)
    assert schedule.has_failed_too_often == too_often


def test_seconds_left_until_the_deadline() -> None:
    assert PollSchedule(1.0).seconds_left(NOW) is None
    assert PollSchedule(1.0, NOW + timedelta(seconds=90)).seconds_left(NOW) == 90.0


@pytest.mark.parametrize("interval", [0, -1, "x", None, float("nan"), float("inf"), True])
def test_interval_must_be_above_zero(interval: Any) -> None:
    with pytest.raises(MakeInputError, match="^poke_interval="):
        PollSchedule(interval)

"""When polls are due, and when to give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeInputError, MakeRateLimitError, MakeServerError
from airflow_provider_make.thresholds.polling import MAX_PAUSE, PollSchedule

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


def test_seconds_left_until_the_deadline() -> None:
    assert PollSchedule(1.0).seconds_left(NOW) is None
    assert PollSchedule(1.0, deadline=NOW + timedelta(seconds=90)).seconds_left(NOW) == 90.0


def test_interval_of_zero_pauses_after_failures_only() -> None:
    assert pauses(PollSchedule(0), False, True, True, False) == [0.0, 1.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("first", "deadline", "seconds"), [(None, None, 0), (60, None, 60), (60, 30, 30), (-60, None, 0), (None, -5, 0)]
)
def test_first_poll_is_when_it_is_due_but_not_after_the_deadline(
    first: float | None, deadline: float | None, seconds: float
) -> None:
    first_poll, end = (None if value is None else NOW + timedelta(seconds=value) for value in (first, deadline))
    assert PollSchedule(1.0, first_poll=first_poll, deadline=end).seconds_to_first_poll(NOW) == seconds


def test_next_poll_is_not_after_the_deadline() -> None:
    schedule = PollSchedule(60.0, deadline=NOW)
    assert schedule.seconds_to_next_poll(NOW) is None
    assert schedule.seconds_to_next_poll(NOW - timedelta(seconds=5)) == 5.0
    assert schedule.seconds_to_next_poll(NOW - timedelta(seconds=500)) == 60.0


@pytest.mark.parametrize("interval", [-1, "x", None, float("nan"), float("inf"), True])
def test_interval_must_be_zero_or_more(interval: Any) -> None:
    with pytest.raises(MakeInputError, match="^poke_interval="):
        PollSchedule(interval)

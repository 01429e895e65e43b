"""Test the hours in which scenarios run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox.rhythm import busy_hours

CYCLE = 143 * 168
# The third week of 2020 began with Monday, 13 January.
MONDAY = 12 * 24


def share(busiest_hour: int, start: float, length: float) -> float:
    return busy_hours(busiest_hour, start + length) - busy_hours(busiest_hour, start)


@given(
    st.integers(0, 23),
    st.integers(0, 10 * CYCLE) | st.floats(0, 10 * CYCLE),
    st.sampled_from([1e-9, 1e-6, 1 / 60]) | st.floats(0, 10),
)
def test_hours_never_fall(busiest_hour: int, hours: float, step: float) -> None:
    assert busy_hours(busiest_hour, hours) <= busy_hours(busiest_hour, hours + step)


@pytest.mark.parametrize("busiest_hour", range(24))
def test_each_rhythm_has_its_busiest_hour_and_a_mean_of_one(busiest_hour: int) -> None:
    by_hour = [share(busiest_hour, MONDAY + hour, 1) for hour in range(24)]
    assert by_hour.index(max(by_hour)) == busiest_hour
    assert min(by_hour) < 0.2 * max(by_hour)
    assert busy_hours(busiest_hour, 2 * CYCLE) == pytest.approx(2 * CYCLE)


@pytest.mark.parametrize(("busiest_hour", "rests"), [(9, True), (17, True), (20, False), (2, False)])
def test_what_runs_in_office_hours_rests_at_weekends(busiest_hour: int, rests: bool) -> None:
    days = [share(busiest_hour, MONDAY + 24 * day, 24) for day in range(7)]
    assert (max(days[5:]) < 0.5 * min(days[:5])) == rests
    assert (min(days[5:]) > 0.7 * max(days[:5])) == (not rests)


def test_no_day_is_like_another_within_a_cycle() -> None:
    days = [round(share(10, 24.0 * day, 24), 9) for day in range(143 * 7)]
    assert len(set(days)) == len(days)

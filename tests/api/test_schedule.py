"""When the run before was due, and whether the time frames of consecutive runs join, whatever the clocks do."""

from __future__ import annotations

import itertools
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.schedule import Schedule
from airflow_provider_make.api.time_frame import TimeFrame, describe_mismatch, parse_timezone, resolve_time_frame
from tests.support.airflow_versions import VERSION, find

MINUTE, HOUR, DAY, WEEK = (timedelta(minutes=minutes) for minutes in (1, 60, 1440, 10_080))


class Change(NamedTuple):
    """A change of the clocks in a time zone."""

    zone: str
    moment: datetime
    old_offset: timedelta
    new_offset: timedelta

    @property
    def shape(self) -> tuple[time, timedelta]:
        """The time on the clock, and by how much it is turned: nothing else matters to the runs."""
        return (self.moment + self.old_offset).time(), self.new_offset - self.old_offset

    @property
    def clock(self) -> datetime:
        """What the clock shows before the change."""
        return (self.moment + self.old_offset).replace(tzinfo=None)


@cache
def all_changes() -> list[Change]:
    """All changes of the clocks since 2020, in all time zones of the database."""
    return [change for name in sorted(zoneinfo.available_timezones()) for change in changes_in(name)]


def changes_in(name: str) -> Iterator[Change]:
    zone = ZoneInfo(name)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta(0)

    end_of_2027 = datetime(2028, 1, 1, tzinfo=UTC)
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    while begin < end_of_2027:
        before, after = begin, begin + WEEK
        if offset(before) != offset(after):
            while after - before > MINUTE:
                middle = before + (after - before) // (2 * MINUTE) * MINUTE
                before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
            yield Change(name, after, offset(before), offset(after))
        begin += WEEK


@cache
def one_of_each_shape() -> list[Change]:
    return list({change.shape: change for change in reversed(all_changes())}.values())


def runs_around(timetable: Any, change: Change, distance: timedelta) -> list[Any]:
    """The data intervals of the runs around a change, as Airflow schedules them."""
    earliest = pendulum.instance(change.moment - 2 * distance)
    restriction = TimeRestriction(earliest, None, catchup=True)
    intervals: list[Any] = []
    while not intervals or intervals[-1].end < change.moment + distance + 3 * HOUR:
        previous = intervals[-1] if intervals else None
        info = timetable.next_dagrun_info(last_automated_data_interval=previous, restriction=restriction)
        intervals.append(info.data_interval)
    return intervals


def pull(interval: Any, **values: Any) -> tuple[TimeFrame, str | None]:
    """The time frame of a run, and the warning about it."""
    run = {"timezone": UTC, "lookback": None, "schedule": None, **values}
    run |= {"data_interval_start": interval.start, "data_interval_end": interval.end}
    frame = resolve_time_frame(now=interval.end + MINUTE, **run)
    return frame, describe_mismatch(frame, **run)


def schedule_of(timetable: Any) -> Schedule:
    schedule = Schedule.of(SimpleNamespace(timetable=timetable))
    assert schedule
    return schedule


def pulls_around(timetable: Any, change: Change, distance: timedelta, **values: Any) -> list[tuple[bool, bool]]:
    """Of each run around a change: whether its time frame joins the one before, and whether there is a warning."""
    pulls = [pull(interval, **values) for interval in runs_around(timetable, change, distance)]
    return [
        (before.date_to == frame.date_from, warning is not None)
        for (before, _), (frame, warning) in itertools.pairwise(pulls)
    ]


def check(change: Change, cron: str, lookback: timedelta) -> None:
    timetable = CronTriggerTimetable(cron, timezone=change.zone)
    # In another time zone than that of the schedule, too.
    known = pulls_around(timetable, change, lookback, lookback=lookback, schedule=schedule_of(timetable))
    assert set(known) == {(True, False)}
    unknown = pulls_around(timetable, change, lookback, lookback=lookback, timezone=parse_timezone(change.zone))
    assert (False, False) not in unknown


@pytest.mark.parametrize("change", one_of_each_shape(), ids=lambda change: f"{change.zone} {change.moment:%Y-%m-%d}")
def test_time_frames_of_consecutive_runs_join_when_clocks_change(change: Change) -> None:
    turned = abs(change.new_offset - change.old_offset)
    for clock in (change.clock - turned / 2, change.clock, change.clock + turned / 2):
        check(change, f"{clock:%M %H} * * *", DAY)
    check(change, f"{change.clock:%M %H * * %w}", WEEK)
    check(change, "0 */2 * * *", 2 * HOUR)
    check(change, "15 */6 * * *", 6 * HOUR)
    check(change, "30 * * * *", HOUR)


@given(st.data())
def test_time_frames_join_in_every_zone_whose_clocks_changed(data: st.DataObject) -> None:
    change = data.draw(st.sampled_from(all_changes()))
    minute, hour = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 23))
    hours = data.draw(st.sampled_from([1, 2, 3, 4, 6, 8, 12]))
    weekday = data.draw(st.sampled_from(["*", f"{change.clock:%w}"]))
    daily = (f"{minute} {hour} * * {weekday}", DAY if weekday == "*" else WEEK)
    check(change, *data.draw(st.sampled_from([daily, (f"{minute} */{hours} * * *", hours * HOUR)])))


PRAGUE = ZoneInfo("Europe/Prague")
SPRING = Change("Europe/Prague", datetime(2026, 3, 29, 1, tzinfo=UTC), HOUR, 2 * HOUR)
AUTUMN = Change("Europe/Prague", datetime(2026, 10, 25, 1, tzinfo=UTC), 2 * HOUR, HOUR)


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("cron", ["0 0 * * *", "0 2 * * *", "30 2 * * *", "0 3 * * *"])
def test_data_intervals_join_unless_they_have_a_fixed_length(change: Change, cron: str) -> None:
    lookback = DAY
    joining = CronDataIntervalTimetable(cron, timezone=change.zone)
    for values in ({}, {"lookback": lookback}):
        assert set(pulls_around(joining, change, DAY, schedule=schedule_of(joining), **values)) == {(True, False)}
    fixed = CronTriggerTimetable(cron, timezone=change.zone, interval=DAY)
    told = pulls_around(fixed, change, DAY, schedule=schedule_of(fixed))
    assert set(told) == {(True, False), (False, True)}
    assert set(pulls_around(fixed, change, DAY, schedule=schedule_of(fixed), lookback=lookback)) == {(True, False)}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (SPRING, "begins at 2026-03-29T00:00:00Z, and the run before was due at 2026-03-29T01:00:00Z. Both runs pull"),
        (
            AUTUMN,
            "begins at 2026-10-24T05:00:00Z, and the run before was due at 2026-10-24T04:00:00Z. Neither run pulls",
        ),
    ],
)
def test_warning_names_the_time_that_both_or_neither_of_two_runs_pull(change: Change, text: str) -> None:
    hour = 2 if change is SPRING else 6
    timetable = CronTriggerTimetable(f"0 {hour} * * *", timezone="Europe/Prague", interval=DAY)
    intervals = runs_around(timetable, change, DAY)
    (warning,) = filter(None, (pull(each, schedule=schedule_of(timetable))[1] for each in intervals))
    for words in (text, "CronDataIntervalTimetable", "lookback=datetime.timedelta(days=1)"):
        assert words in warning


def test_warning_about_an_unknown_timetable_names_the_zone_and_a_timetable() -> None:
    interval = SimpleNamespace(start=SPRING.moment, end=SPRING.moment)
    frame, warning = pull(interval, lookback=DAY, timezone=PRAGUE)
    assert frame.date_from == datetime(2026, 3, 28, 2, tzinfo=UTC)
    assert warning
    for words in ("clocks in Europe/Prague changed", "2026-03-28T02:00:00Z", "CronDataIntervalTimetable"):
        assert words in warning


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("delta", [DAY, 6 * HOUR, WEEK, relativedelta(days=1)])
@pytest.mark.parametrize("timetable", [DeltaTriggerTimetable, DeltaDataIntervalTimetable])
def test_intervals_are_of_hours_also_if_lookback_is_of_days(change: Change, delta: Any, timetable: Any) -> None:
    schedule, lookback = schedule_of(timetable(delta)), DAY if isinstance(delta, relativedelta) else delta
    pulls = pulls_around(timetable(delta), change, lookback, lookback=lookback, schedule=schedule, timezone=PRAGUE)
    assert set(pulls) == {(True, False)}


@pytest.mark.parametrize("lookback", [2 * HOUR, 2 * DAY, WEEK])
def test_other_lookbacks_than_the_distance_of_runs_have_their_length(lookback: timedelta) -> None:
    timetable = CronTriggerTimetable("0 6 * * *", timezone="Europe/Prague")
    for interval in runs_around(timetable, SPRING, DAY):
        frame, warning = pull(interval, lookback=lookback, schedule=schedule_of(timetable))
        assert frame.date_from == interval.end - lookback
        assert warning is None


def test_manual_runs_begin_at_the_same_time_of_day() -> None:
    noon = datetime(2026, 3, 29, 10, tzinfo=UTC)
    schedule = schedule_of(CronTriggerTimetable("0 2 * * *", timezone="Europe/Prague"))
    frame, warning = pull(SimpleNamespace(start=noon, end=noon), lookback=DAY, schedule=schedule, timezone=PRAGUE)
    assert (frame.date_from, warning) == (datetime(2026, 3, 28, 11, tzinfo=UTC), None)


def test_schedule_of_several_expressions() -> None:
    if VERSION < (3, 0):
        pytest.skip("Airflow 2 has no such timetable.")
    several = find("MultipleCronTriggerTimetable", "airflow.timetables.trigger")
    timetable = several("0 2 * * *", "0 14 * * *", timezone="Europe/Prague")
    for change in (SPRING, AUTUMN):
        pulls = pulls_around(timetable, change, DAY, lookback=DAY / 2, schedule=schedule_of(timetable))
        assert set(pulls) == {(True, False)}


@pytest.mark.parametrize(
    ("schedule", "run", "before"),
    [
        ("0 2 * * *", "2026-03-29T01:00:00Z", "2026-03-28T01:00:00Z"),
        ("@daily", "2026-03-29T22:00:00Z", "2026-03-28T23:00:00Z"),
        (DAY, "2026-03-29T22:00:00Z", "2026-03-28T22:00:00Z"),
        ("timetable", "2026-03-29T01:00:00Z", "2026-03-28T01:00:00Z"),
    ],
)
def test_schedule_of_a_dag(schedule: Any, run: str, before: str) -> None:
    if schedule == "timetable":
        trigger = find("CronTriggerTimetable", "airflow.sdk", "airflow.timetables.trigger")
        schedule = trigger("0 2 * * *", timezone="Europe/Prague")
    read = Schedule.of(DAG("a", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=PRAGUE)))
    assert read
    assert read.has_intervals == (VERSION < (3, 0) and not isinstance(schedule, CronTriggerTimetable))
    assert read.run_before(datetime.fromisoformat(run)) == (datetime.fromisoformat(before), DAY)


class OddTimetable(SimpleNamespace):
    """A timetable of a plugin, whose attributes mean something else."""


@pytest.mark.parametrize(
    "timetable",
    [
        None,
        OddTimetable(),
        OddTimetable(expression="0 2 * * *"),
        OddTimetable(expression=7, timezone=UTC),
        OddTimetable(expression="0 2 * * *", timezone="Mars"),
        OddTimetable(expression="0 2 * * *", timezone=None),
        OddTimetable(timetables=7),
    ],
)
def test_other_timetables_are_unknown(timetable: Any) -> None:
    assert Schedule.of(SimpleNamespace(timetable=timetable)) is None


@pytest.mark.parametrize(
    "timetable",
    [
        OddTimetable(expression="every morning", timezone=UTC),
        OddTimetable(expression="0 0 30 2 *", timezone=UTC),
        OddTimetable(delta="a day"),
        OddTimetable(delta=timedelta.max),
    ],
)
def test_run_before_is_unknown_if_the_timetable_means_something_else(timetable: Any) -> None:
    assert schedule_of(timetable).run_before(SPRING.moment) is None


def test_dag_of_assets_or_time_has_the_schedule_of_its_timetable() -> None:
    inner = CronTriggerTimetable("0 2 * * *", timezone="Europe/Prague")
    assert schedule_of(OddTimetable(timetable=inner)) == schedule_of(inner)


def test_no_dag_has_no_schedule() -> None:
    assert Schedule.of(None) is None

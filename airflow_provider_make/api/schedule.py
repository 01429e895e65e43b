"""The schedule of a Dag: when the run before was due."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

# More than clocks are ever turned: by three hours, in Antarctica.
CLOCK_CHANGE = timedelta(hours=4)


def last_reading(clock: datetime, zone: tzinfo) -> datetime:
    """
    Return when a clock in the zone shows a time, as Airflow's cron schedules read it.

    Of a time that is repeated, it is the second. A time that is skipped moves on by as much as the clock does.
    """
    return max(clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def clock_time(moment: datetime, zone: tzinfo) -> datetime:
    """Return what a clock in the zone shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


class RunBefore(NamedTuple):
    """When the run before was due, and how far apart these two are while the clocks don't change."""

    due: datetime
    distance: timedelta


@dataclass(frozen=True)
class Schedule:
    """A schedule of cron expressions in a time zone, or of one interval."""

    crons: tuple[str, ...] = ()
    zone: tzinfo = UTC
    # A timedelta or relativedelta.
    delta: Any = None
    # Whether each run has the data interval since the run before.
    has_intervals: bool = False

    @classmethod
    def of(cls, dag: Any) -> Self | None:
        """Read the schedule of a Dag; None for one without a schedule, or of another kind."""
        timetable = getattr(dag, "timetable", None)
        # Of a schedule of assets or time.
        timetable = getattr(timetable, "timetable", timetable)
        has_intervals = type(timetable).__name__.endswith("DataIntervalTimetable")
        if (delta := _attribute(timetable, "delta")) is not None:
            return cls(delta=delta, has_intervals=has_intervals)
        several = _attribute(timetable, "timetables")
        parts = several if isinstance(several, list) and several else [timetable]
        crons = tuple(_attribute(part, "expression") for part in parts)
        zone = _attribute(parts[0], "timezone")
        with suppress(ValueError, OSError, KeyError):
            zone = ZoneInfo(zone) if isinstance(zone, str) else zone
        if not all(isinstance(cron, str) for cron in crons) or not isinstance(zone, tzinfo):
            return None
        return cls(crons, zone, has_intervals=has_intervals)

    def run_before(self, run: datetime) -> RunBefore | None:
        """Find the run before; None if the schedule has no run at that time."""
        try:
            if self.delta is not None:
                return RunBefore(run - self.delta, run - (run - self.delta))
            return self._cron_before(run)
        # Airflow's own Dags have valid expressions; those of other timetables may mean something else.
        except (ImportError, TypeError, ValueError, OverflowError):
            return None

    def _cron_before(self, run: datetime) -> RunBefore | None:
        from croniter import croniter

        def previous(clock: datetime) -> datetime:
            times: list[datetime] = [croniter(cron, clock).get_prev(datetime) for cron in self.crons]
            return max(times)

        latest = previous(clock_time(run, self.zone) + timedelta(seconds=1))
        distance = latest - previous(latest)
        # Forward, because Airflow schedules each run after the one before.
        before, following = run, self._next(run - distance - CLOCK_CHANGE)
        while following < run:
            before, following = following, self._next(following)
        return RunBefore(before, distance) if before < run == following else None

    def _next(self, run: datetime) -> datetime:
        from croniter import croniter

        clock, candidates = clock_time(run, self.zone), []
        for cron in self.crons:
            times = croniter(cron, clock)
            due = times.get_next(datetime)
            # Airflow's own distinction: schedules of every hour also run in an hour that is repeated.
            is_hourly = times.expanded[1] == ["*"]
            candidates.append(run + (due - clock) if is_hourly else last_reading(due, self.zone))
        return min(candidates)


def _attribute(timetable: Any, name: str) -> Any:
    # Airflow's timetables of before 3.2, and of Dag files since then.
    return getattr(timetable, f"_{name}", None) or getattr(timetable, name, None)

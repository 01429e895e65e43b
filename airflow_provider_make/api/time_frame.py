"""The time frame of a query: from explicit times, a lookback, or the run's data interval; and what is odd about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from airflow_provider_make.api.schedule import CLOCK_CHANGE, Schedule, clock_time, last_reading
from airflow_provider_make.exceptions import MakeInputError

_TIME_EXPECTATION = "a datetime, a date, or an ISO 8601 text such as 2026-01-31 or 2026-01-31T06:00:00Z"
_LOOKBACK_EXPECTATION = "a timedelta above zero and within a year, or an ISO 8601 duration such as P1D"
_DURATION = TypeAdapter(timedelta)
# The date part of an ISO 8601 duration with years or months: P1Y, P1M, P1Y2M3DT4H.
_CALENDAR_DURATION = re.compile("[+-]?P[^T]*[YM]", re.IGNORECASE)
_ZERO, _DAY, _LEAP_YEAR = timedelta(0), timedelta(days=1), timedelta(days=366)
_FIRST = datetime.min.replace(tzinfo=UTC)
# Seconds since 1970, with any flags and width: strftime writes them in the machine's time zone.
_EPOCH_DIRECTIVE = re.compile(r"%[^a-zA-Z%]*[EO]?s")
# A lookback of a year begins too early by the delay of the run. Up to this delay, it is cut.
_LATEST_RUN = timedelta(days=1)
# It is cut to less than a year, because requests arrive later than the pull begins, those of the last page at its end.
_LONGEST_PULL = timedelta(hours=1)
# The clock of a worker may be slower than that of the scheduler.
_CLOCK_DIFFERENCE = timedelta(minutes=1)


@dataclass(frozen=True)
class TimeFrame:
    """A time frame in UTC; without a start or end, it has Make's: a year ago, and now."""

    date_from: datetime | None = None
    date_to: datetime | None = None


def resolve_time_frame(
    *,
    now: datetime,
    timezone: tzinfo = UTC,
    date_from: Any = None,
    date_to: Any = None,
    lookback: Any = None,
    data_interval_start: datetime | None = None,
    data_interval_end: datetime | None = None,
    schedule: Schedule | None = None,
) -> TimeFrame:
    """
    Choose the time frame: explicit times first, then the lookback, then the run's data interval.

    A date means midnight, and a time without a time zone is in ``timezone``. A lookback ends at ``date_to``, else at
    the end of the data interval, else now. If it is as long as the time between two runs of the schedule, it begins at
    the run before: at whatever time that was, if the clocks have changed. The frame has neither begin nor end where
    nothing is set.

    :raises MakeInputError: A time can't be parsed, the frame does not begin before it ends, or it begins more
        than a year ago, and Make keeps analytics for one year (OpenAPI description).
    """
    # Whether Make accepts six digits of a second is unknown.
    now = now.replace(microsecond=0)
    oldest = one_year_before(now)
    begin, end = parse_time("date_from", date_from, timezone), parse_time("date_to", date_to, timezone)
    interval_begin, interval_end = _in_utc(data_interval_start), _in_utc(data_interval_end)
    source = ""
    if begin is None and lookback is not None:
        end, length = end or interval_end or now, parse_lookback(lookback)
        before = schedule.run_before(end) if schedule and end == interval_end else None
        try:
            begin = (
                before.due
                if before and before.distance == length
                else _before(end, length, timezone, _is_local("date_to", date_to))
            )
        except OverflowError:
            if length > _LEAP_YEAR:
                raise MakeInputError.expected("lookback", lookback, _LOOKBACK_EXPECTATION) from None
            # The end is in the first year that Python knows.
            begin = _FIRST
        source = f", which is lookback={lookback!r} before date_to={iso(end)}"
        # A run begins later than its data interval ends, so a lookback of a year would always begin too early.
        is_recent = abs(now - end) <= _LATEST_RUN
        if is_recent and one_year_before(end.astimezone(timezone)) <= begin < oldest + _LONGEST_PULL:
            begin = oldest + _LONGEST_PULL
    # Cron schedules have intervals of zero length on Airflow 3.
    elif begin is end is None and interval_begin and interval_end and interval_begin < interval_end:
        begin, end = interval_begin, interval_end
    if begin and begin < oldest:
        raise MakeInputError(
            f"The time frame begins at date_from={iso(begin)}{source}, more than a year ago: "
            f"Make keeps analytics for one year, expected {iso(oldest)} or later."
        )
    if (begin or oldest) >= (end or now):
        raise MakeInputError(
            f"The time frame is empty: expected date_from={iso(begin) or 'a year ago'} "
            f"to be before date_to={iso(end) or 'now'}."
        )
    return TimeFrame(begin, end)


def complete_time_frame(
    time_frame: TimeFrame,
    *,
    now: datetime,
    data_interval_start: datetime | None,
    data_interval_end: datetime | None,
    schedule: Schedule | None = None,
) -> TimeFrame:
    """
    Reject a time frame without start and end, for which Make's default is a year, and complete one without an end.

    Without an end, Make would use its own "now", which differs from page to page.

    :raises MakeInputError: The time frame has neither a start nor an end. The error explains what the run lacks.
    """
    if time_frame != TimeFrame():
        return replace(time_frame, date_to=time_frame.date_to or now.astimezone(UTC).replace(microsecond=0))
    has_interval = data_interval_start is not None and data_interval_end is not None
    if has_interval:
        reason = f"the data interval of this run begins and ends at {iso(_in_utc(data_interval_end))}"
    else:
        reason = "this run has no data interval, like every run that an asset or `airflow dags trigger` starts"
    if schedule and schedule.has_intervals:
        # Where the clocks change, Airflow may give an empty data interval to a manual run.
        expected = f"{'another' if has_interval else 'a'} logical date (airflow dags trigger --logical-date)"
    else:
        reason += ", like those of all cron strings on Airflow 3" if has_interval else ""
        run = "" if has_interval else ", and runs with a logical date (airflow dags trigger --logical-date)"
        expected = (
            f"a schedule with data intervals{run}: CronDataIntervalTimetable('0 0 * * *', timezone='UTC'), or any cron "
            "string where [scheduler] create_cron_data_intervals is True"
        )
    raise MakeInputError(
        f"The pull has no time frame: {reason}. Expected lookback, such as timedelta(days=1), or date_from; or "
        f"{expected}. A whole year is lookback=timedelta(days=365)."
    )


def describe_unfinished(time_frame: TimeFrame, now: datetime) -> str | None:
    """Describe a time frame that ends in the future; None if it is over."""
    if time_frame.date_to is None or time_frame.date_to <= now + _CLOCK_DIFFERENCE:
        return None
    return f"The time frame ends at date_to={iso(time_frame.date_to)}, and it is {iso(_in_utc(now))} now"


def describe_mismatch(
    time_frame: TimeFrame,
    *,
    timezone: tzinfo,
    lookback: Any,
    data_interval_start: datetime | None,
    data_interval_end: datetime | None,
    schedule: Schedule | None,
) -> str | None:
    """Describe why the time frame of a run does not join that of the run before, or may not; None if it does."""
    begin, end, start = time_frame.date_from, time_frame.date_to, _in_utc(data_interval_start)
    if begin is None or end is None or end != _in_utc(data_interval_end):
        return None
    length = None if lookback is None else parse_lookback(lookback)
    if schedule is None:
        if length is None or not _depends_on_schedule(end, length, timezone):
            return None
        return (
            f"The clocks in {timezone} changed shortly before {iso(end)}, and this Dag's timetable does not say when "
            f"the run before was due: this time frame begins at {iso(begin)}, and may not join that of the run before. "
            "Those of CronDataIntervalTimetable without lookback join."
        )
    before = schedule.run_before(end)
    if before is None or start is None or start in (end, before.due):
        return None
    if schedule.has_intervals:
        # Those of Airflow 3.3 don't join where clocks are turned by half an hour, or by three.
        is_meant_to_join, advice = length in (None, before.distance), "Pull it with date_from and date_to."
    else:
        is_meant_to_join = length is None and end - begin == before.distance
        advice = f"With CronDataIntervalTimetable, or with lookback={before.distance!r}, time frames join."
    if not is_meant_to_join:
        return None
    return (
        f"The clocks have changed: the data interval begins at {iso(start)}, and the run before was due at "
        f"{iso(before.due)}. {'Both runs pull' if start < before.due else 'Neither run pulls'} the time in between. "
        f"{advice}"
    )


def _depends_on_schedule(end: datetime, lookback: timedelta, timezone: tzinfo) -> bool:
    """Decide whether the run before may have been at another time than the lookback begins."""

    def change_since(begin: datetime) -> timedelta:
        return (clock_time(end, timezone) - clock_time(begin, timezone)) - (end - begin)

    if lookback % _DAY:
        # A change also delays runs after it, by as much as the clocks are turned.
        change = change_since(end - lookback - CLOCK_CHANGE)
        return change_since(end - lookback - abs(change)) != _ZERO
    # A run that was due at a time that is skipped is as late as the clocks are turned.
    change = change_since(end - _DAY)
    return change > _ZERO and last_reading(clock_time(end, timezone) - change, timezone) == end


def parse_timezone(value: Any) -> tzinfo:
    """Parse the name of a time zone, such as ``Europe/Prague``, or a time zone that has such a name."""
    # Of zoneinfo's and pendulum's time zones.
    name = getattr(value, "key", value)
    try:
        if isinstance(name, str) and name.strip():
            return ZoneInfo(name.strip())
    except (ValueError, OSError, KeyError):
        pass
    raise MakeInputError.expected("timezone", value, "the name of a time zone, such as UTC or Europe/Prague")


def parse_lookback(value: Any) -> timedelta:
    """Parse the length of a time frame: a timedelta, or ISO 8601 text without months and years."""
    # Pendulum's interval between two times has a length, however many months it has.
    if isinstance(value, timedelta) and hasattr(value, "start"):
        value = timedelta(seconds=value.total_seconds())
    # Pydantic and timedelta would count a month as 30 days, and a year as 365.
    is_pendulums = any(getattr(value, part, 0) for part in ("years", "months"))
    if is_pendulums or (isinstance(value, str) and _CALENDAR_DURATION.match(value.strip())):
        expectation = "days or weeks, such as P30D or P4W: months and years have no fixed length"
        raise MakeInputError.expected("lookback", value, expectation)
    try:
        if isinstance(value, (str, timedelta)) and (length := _DURATION.validate_python(value)) > _ZERO:
            # Pendulum's durations can't be divided by others.
            return timedelta(seconds=length.total_seconds())
    except (ValidationError, OverflowError):
        pass
    raise MakeInputError.expected("lookback", value, _LOOKBACK_EXPECTATION)


def parse_time(name: str, value: Any, timezone: tzinfo = UTC) -> datetime | None:
    """Parse a datetime, a date, or ISO 8601 text to a time in UTC; what has no time zone is in the given one."""
    if value is None:
        return None
    try:
        return _in_utc(_to_datetime(name, value), timezone)
    except OverflowError:
        raise MakeInputError.expected(name, value, _TIME_EXPECTATION) from None


def one_year_before(moment: datetime) -> datetime:
    """Subtract one calendar year, as long as Make keeps analytics; from 29 February, to the 28th."""
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        return moment.replace(year=moment.year - 1, day=28)


def iso(moment: datetime | None) -> str | None:
    """Format a time in UTC as requests and results contain it: ``2026-01-31T06:00:00Z``; None for None."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def format_time(moment: datetime, template: str, timezone: tzinfo) -> str | None:
    """Format a time by strftime; None if no directive of the format distinguishes times, or one is not portable."""
    directives = template.replace("%%", "")
    # strftime fails at lone surrogates, and drops what follows a NUL, or the whole of a result that is too long.
    if not template.isprintable() or "%" not in directives or _EPOCH_DIRECTIVE.search(directives):
        return None
    text = moment.strftime(directives)
    # An unknown directive is copied.
    return moment.astimezone(timezone).strftime(template) if text and "%" not in text else None


def _to_datetime(name: str, value: Any) -> datetime:
    # A Dag with render_template_as_native_obj turns {{ ds_nodash }} into an integer.
    if isinstance(value, str) or (type(value) is int and 10_000_000 <= value <= 99_999_999):
        try:
            value = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise MakeInputError.expected(name, value, _TIME_EXPECTATION) from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        raise MakeInputError.expected(name, value, _TIME_EXPECTATION)
    return value


def _is_local(name: str, value: Any) -> bool:
    """Decide whether a time is a date, or has no time zone."""
    return value is not None and _to_datetime(name, value).tzinfo is None


def _in_utc(moment: datetime | None, timezone: tzinfo = UTC) -> datetime | None:
    if moment is None:
        return None
    aware = (moment.replace(tzinfo=timezone) if moment.tzinfo is None else moment).astimezone(UTC)
    # Airflow passes subclasses of datetime.
    return datetime.combine(aware.date(), aware.time().replace(microsecond=0), UTC)


def _before(end: datetime, length: timedelta, timezone: tzinfo, is_local: bool) -> datetime:
    if length % _DAY:
        return (end - length).replace(microsecond=0)
    # Whole days begin at the same time of day in the time zone: 24 hours before the end of a day of 23 is the day
    # before, and two runs would have frames that begin on one day.
    clock = clock_time(end, timezone)
    midnight = datetime.combine(clock, time.min)
    # Where midnight is skipped, the day begins later.
    begin = (midnight if last_reading(midnight, timezone) == end else clock) - length
    # It is read as date_to if that is local, else as Airflow reads the times of its runs.
    return begin.replace(tzinfo=timezone).astimezone(UTC) if is_local else last_reading(begin, timezone)

"""Arrange the time frames of several pulls: each is a day, or each is the same number of days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.content import Summary
from airflow_provider_make.report.formatting import count_of, enumerate_words, moment

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
# A day has an hour more or less when daylight saving time changes.
_TOLERANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Frame:
    """
    The time frame of a pull.

    :param location: The pull's file.
    :param summary: The pull's summary.
    :param day: The day, or the first of the days.
    :param length: The number of days.
    """

    location: str
    summary: Summary
    day: date
    length: int

    @property
    def last_day(self) -> date:
        """The last of the days."""
        return self.day + (self.length - 1) * _DAY


def arrange_frames(pulls: Iterable[tuple[str, Summary]]) -> tuple[Frame, ...]:
    """
    Arrange pulls by day.

    A frame belongs to the day on which its first twelve hours end, in the file's time zone, else in UTC: that is
    the local day even if the time zone is unknown, in the zones from UTC-12 to UTC+12.

    :param pulls: The location and the summary of each pull, at least one.
    :return: The frames, the earliest first.
    :raises MakeInputError: The pulls are of several organizations, a frame is not a number of whole days, frames differ
        in length, or two frames have a day, or more than an hour, in common.
    """
    pulls = list(pulls)
    _check_organization(pulls)
    frames = sorted((_frame(location, summary) for location, summary in pulls), key=lambda one: (one.day, one.location))
    by_length = {frame.length: frame for frame in reversed(frames)}
    if len(by_length) > 1:
        texts = [f"{count_of(length, 'day')} in {by_length[length].location!r}" for length in sorted(by_length)]
        raise _invalid(
            f"its files have time frames of different length: {enumerate_words(texts)}. "
            "Expected files of the same length: select them with a folder, a glob or a list"
        )
    for before, after in pairwise(frames):
        overlap = (before.summary.date_to or _EPOCH) - (after.summary.date_from or _EPOCH)
        if (after.day - before.day).days < before.length or overlap > _TOLERANCE:
            raise _invalid(
                f"the time frames of {before.location!r} ({_interval(before.summary)}) and "
                f"{after.location!r} ({_interval(after.summary)}) overlap, and executions would count twice. "
                "Remove one of them, or select the files with a glob or a list"
            )
    return tuple(frames)


def describe_time_zones(frames: Iterable[Frame]) -> str:
    """Describe whose days the frames are, such as "Europe/Prague" or "beginning at 06:00 UTC"."""
    zones, starts = set(), set()
    for frame in frames:
        begin = frame.summary.date_from or _EPOCH
        zone = time_zone(frame.summary)
        # Not midnight: in some zones, summer time begins then, and the day at one o'clock.
        is_midnight = begin.astimezone(zone).date() > (begin - _SECOND).astimezone(zone).date()
        if frame.summary.timezone and is_midnight:
            zones.add(str(zone))
        else:
            starts.add(f"{begin.astimezone(UTC):%H:%M}")
    if starts == {"00:00"}:
        zones, starts = {*zones, "UTC"}, set()
    texts = sorted(zones)
    texts += [f"beginning at {enumerate_words(sorted(starts))} UTC"] if starts else []
    return enumerate_words(texts)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _check_organization(pulls: Iterable[tuple[str, Summary]]) -> None:
    files = {(summary.organization_id, summary.zone): location for location, summary in reversed(list(pulls))}
    if len(files) > 1:
        texts = [f"{number} of {zone} in {files[number, zone]!r}" for number, zone in sorted(files)]
        shown = texts[:5] + [f"{len(texts) - 5} more"] * (len(texts) > 5)
        raise _invalid(
            f"its files are of several organizations: {enumerate_words(shown)}. Select one, for example with "
            f"the folder organization_id={min(files)[0]}"
        )


def _frame(location: str, summary: Summary) -> Frame:
    if summary.date_from is None or summary.date_to is None:
        raise _invalid(f"{location!r} has a time frame without a begin or an end, and several files need both")
    length = summary.date_to - summary.date_from
    days = round(length / _DAY)
    if days < 1 or abs(length - days * _DAY) > _TOLERANCE:
        raise _invalid(f"the time frame of {location!r} ({_interval(summary)}) is not a number of whole days")
    day = (summary.date_from.astimezone(UTC) + _DAY / 2).astimezone(time_zone(summary)).date()
    return Frame(location, summary, day, days)


def time_zone(summary: Summary) -> ZoneInfo:
    """Return the time zone whose days a pull covers; UTC if the file does not name one that this machine knows."""
    try:
        return ZoneInfo(summary.timezone or "UTC")
    except (ValueError, OSError, KeyError):
        # A zone that this machine does not know.
        return ZoneInfo("UTC")


def _interval(summary: Summary) -> str:
    begin, end = summary.date_from, summary.date_to
    return f"{begin and moment(begin)} to {end and moment(end)} UTC"


def _invalid(problem: str) -> MakeInputError:
    return MakeInputError(f"source is not valid: {problem}.")

"""Test how the time frames of several pulls are arranged by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.content import Summary, Totals
from airflow_provider_make.report.frames import arrange_frames, describe_time_zones


def pulled(begin: str | None, end: str | None, zone: str | None = None, organization: int = 1) -> Summary:
    """Return the summary of a pull; times without an offset are local ones of the zone."""
    times = [
        None if text is None else datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC")).astimezone(UTC)
        for text in (begin, end)
    ]
    return Summary(organization, "eu1.make.com", Totals(), "1", times[0], times[1], zone)


def local_days(zone: str, first: date, count: int, is_named: bool) -> list[tuple[str, Summary]]:
    midnights = [
        datetime.combine(first + timedelta(days=n), datetime.min.time(), ZoneInfo(zone)) for n in range(count + 1)
    ]
    utc = [one.astimezone(UTC) for one in midnights]
    name = zone if is_named else None
    return [(f"{n}.parquet", Summary(1, "eu1.make.com", Totals(), "1", utc[n], utc[n + 1], name)) for n in range(count)]


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize(
    "zone",
    ["UTC", "Europe/London", "Europe/Prague", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata"],
)
@pytest.mark.parametrize("first", [date(2026, 3, 1), date(2026, 10, 1)])
def test_days_are_local_ones_over_changes_of_daylight_saving_time(zone: str, first: date, is_named: bool) -> None:
    pulls = local_days(zone, first, 40, is_named)
    frames = arrange_frames(reversed(pulls))
    assert [frame.location for frame in frames] == [location for location, _ in pulls]
    assert [frame.day for frame in frames] == [first + timedelta(days=n) for n in range(40)]
    assert {frame.length for frame in frames} == {1}
    if is_named:
        assert describe_time_zones(frames) == zone


def test_days_of_distant_zones_need_the_name_of_the_zone() -> None:
    frames = arrange_frames(local_days("Pacific/Kiritimati", date(2026, 3, 1), 3, True))
    assert frames[0].day == date(2026, 3, 1)


def test_weeks_are_named_after_their_first_day() -> None:
    pulls = [("b", pulled("2026-03-09", "2026-03-16")), ("a", pulled("2026-03-02", "2026-03-09"))]
    frames = arrange_frames(pulls)
    assert [(one.location, one.day, one.last_day, one.length) for one in frames] == [
        ("a", date(2026, 3, 2), date(2026, 3, 8), 7),
        ("b", date(2026, 3, 9), date(2026, 3, 15), 7),
    ]


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([("2026-03-01", "2026-03-02", None)], "UTC"),
        ([("2026-03-01T06:00", "2026-03-02T06:00", None)], "beginning at 06:00 UTC"),
        (
            [("2026-03-28", "2026-03-29", "Europe/Prague"), ("2026-03-29", "2026-03-30", "Europe/Prague")],
            "Europe/Prague",
        ),
        ([("2026-03-28", "2026-03-29", None), ("2026-03-29", "2026-03-30", "Europe/Prague")], "Europe/Prague and UTC"),
        ([("2026-03-28", "2026-03-29", "Not/There")], "UTC"),
        # There, summer time begins at midnight.
        ([("2026-04-24", "2026-04-25", "Africa/Cairo"), ("2026-04-25", "2026-04-26", "Africa/Cairo")], "Africa/Cairo"),
    ],
)
def test_the_time_zone_is_described(frames: list[tuple[str, str, str | None]], text: str) -> None:
    pulls = []
    for number, (begin, end, zone) in enumerate(frames):
        known = zone if zone != "Not/There" else None
        one = pulled(begin, end, known)
        pulls.append((str(number), Summary(1, one.zone, one.total, "1", one.date_from, one.date_to, zone)))
    assert describe_time_zones(arrange_frames(pulls)) == text


DAY = pulled("2026-03-01", "2026-03-02")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            pulled("2026-03-02", "2026-03-03", organization=2),
            "several organizations: 1 of eu1.make.com in 'a.parquet' and 2 of eu1.make.com in 'b.parquet'. "
            "Select one, for example with the folder organization_id=1.",
        ),
        (pulled(None, "2026-03-03"), "'b.parquet' has a time frame without a begin or an end"),
        (pulled("2026-03-03", None), "'b.parquet' has a time frame without a begin or an end"),
        (
            pulled("2026-03-03", "2026-03-03T12:00"),
            "the time frame of 'b.parquet' (2026-03-03 00:00 to 2026-03-03 12:00 UTC) is not a number of whole days",
        ),
        (pulled("2026-03-03", "2026-03-05T06:00"), "is not a number of whole days"),
        (
            pulled("2026-03-02", "2026-03-09"),
            "different length: 1\N{NO-BREAK SPACE}day in 'a.parquet' and 7\N{NO-BREAK SPACE}days in 'b.parquet'",
        ),
        (
            DAY,
            "the time frames of 'a.parquet' (2026-03-01 00:00 to 2026-03-02 00:00 UTC) and 'b.parquet' "
            "(2026-03-01 00:00 to 2026-03-02 00:00 UTC) overlap, and executions would count twice. Remove one",
        ),
        (pulled("2026-03-01T13:00", "2026-03-02T13:00"), "overlap"),
        (pulled("2026-02-28T13:00", "2026-03-01T13:00"), "overlap"),
    ],
)
def test_pulls_that_do_not_fit_together_are_named(other: Summary, message: str) -> None:
    with pytest.raises(MakeInputError) as error:
        arrange_frames([("b.parquet", other), ("a.parquet", DAY)])
    assert str(error.value).startswith("source is not valid: ")
    assert message in str(error.value)


def test_many_organizations_are_not_all_named() -> None:
    pulls = [(str(n), pulled("2026-03-01", "2026-03-02", organization=n)) for n in range(1, 10)]
    with pytest.raises(MakeInputError, match="5 of eu1.make.com in '5' and 4 more. Select one"):
        arrange_frames(pulls)


def test_an_hour_in_common_is_tolerated() -> None:
    # Frames of 24 hours that end at a local time.
    later = pulled("2026-03-01T23:00", "2026-03-02T23:00")
    assert len(arrange_frames([("a", DAY), ("b", later)])) == 2

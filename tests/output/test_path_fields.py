"""The fields of output_path, over both changes of the clocks in three time zones, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.api.time_frame import TimeFrame, resolve_time_frame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import PathFields
from tests.support.airflow_versions import find

DAY = TimeFrame(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
TimeRestriction = find("TimeRestriction", "airflow.timetables.base")


def fields(time_frame: TimeFrame = DAY, timezone: str = "Europe/Prague") -> PathFields:
    return PathFields(42, "eu1.make.com", time_frame, ZoneInfo(timezone))


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        (None, None),
        ("/data/a.csv", "/data/a.csv"),
        (Path("/data/{zone}/a.csv"), "/data/eu1.make.com/a.csv"),
        ("s3://b/{zone}/{organization_id}/a.csv", "s3://b/eu1.make.com/42/a.csv"),
        ("/{date_from:%Y-%m-%d}/{date_to:%Y-%m-%d}.csv", "/2026-03-29/2026-03-30.csv"),
        ("/{date_from:%Y/%m/%d/%H:%M%z}.csv", "/2026/03/29/00:00+0100.csv"),
        ("/{date_from:%%%j}.csv", "/%088.csv"),
        ("/{{{organization_id}}}/{{}}.csv", "/{42}/{}.csv"),
        ("/%Y.csv", "/%Y.csv"),
    ],
)
def test_fields_are_filled(path: Any, filled: str | None) -> None:
    assert fields().fill(path) == filled


@pytest.mark.parametrize(
    "path",
    [
        "/{team_id}.csv",
        "/{}.csv",
        "/{0}.csv",
        "/{organization_id.real}.csv",
        "/{zone[0]}.csv",
        "/{zone!r}.csv",
        "/{date_from!s:%Y}.csv",
        "/{organization_id:08d}.csv",
        "/{date_from.year}.csv",
        "/{ date_from:%Y}.csv",
        "/{Zone}.csv",
        "/{.csv",
        "/}.csv",
        "/{zone.csv",
        "/{date_from:{zone}}.csv",
    ],
)
def test_error_names_the_fields_that_exist(path: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        fields().fill(path)
    text = str(caught.value)
    assert f"output_path={path!r}" in text
    assert "{organization_id}, {zone}, {date_from:%Y-%m-%d} and {date_to:%Y-%m-%d}" in text or "a format for" in text


@pytest.mark.parametrize(
    "template", ["", ":", ":day", ":%%", ":%Q", ":%Y-%Q", ":%s", ":%-s", ":%Y\0", ":%Y\ud83d", ":%10000d"]
)
def test_error_names_a_format_that_can_not_tell_times_apart(template: str) -> None:
    with pytest.raises(
        MakeInputError, match=r"expected a format for strftime in the field, such as \{date_to:%Y-%m-%d\}"
    ):
        fields().fill(f"/{{date_to{template}}}.csv")


def test_error_names_the_time_that_the_time_frame_has_not() -> None:
    open_frame = TimeFrame(None, DAY.date_to)
    assert fields(open_frame).fill("/{date_to:%d}.csv") == "/30.csv"
    with pytest.raises(MakeInputError, match="set date_from"):
        fields(open_frame).fill("/{date_from:%d}.csv")


@pytest.mark.parametrize(
    ("path", "hours", "shares"),
    [
        (None, 1, False),
        ("/latest.csv", 1, False),
        ("/{organization_id}.csv", 1, False),
        ("/{date_from:%Y-%m-%d}.csv", 24, False),
        ("/{date_from:%Y-%m-%d}.csv", 1, True),
        ("/{date_from:%Y-%m}.csv", 24, True),
        ("/{date_from:%d}-{date_to:%H}.csv", 1, False),
        ("/{date_from:%Y-%m-%dT%H}.csv", 1, False),
    ],
)
def test_next_time_frame_with_the_same_path_is_noticed(path: str | None, hours: int, shares: bool) -> None:
    begin = datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert fields(TimeFrame(begin, begin + timedelta(hours=hours))).shares_path_with_next(path) is shares


def test_end_of_all_time_has_no_next_time_frame() -> None:
    frame = TimeFrame(DAY.date_from, datetime(9999, 12, 31, tzinfo=UTC))
    assert not fields(frame).shares_path_with_next("/{date_from:%Y-%m-%d}.csv")


def test_hour_that_occurs_twice_is_noticed() -> None:
    # On 25 October 2026, 02:00 in Prague is at 00:00 and 01:00 UTC.
    begin = datetime(2026, 10, 25, 0, tzinfo=UTC)
    hour = fields(TimeFrame(begin, begin + timedelta(hours=1)))
    assert hour.shares_path_with_next("/{date_from:%Y-%m-%dT%H}.csv")
    assert not hour.shares_path_with_next("/{date_from:%Y-%m-%dT%H%z}.csv")


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Prague", "America/New_York", "UTC"])
@pytest.mark.parametrize("change", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
def test_each_day_has_its_own_file_when_the_clocks_change(zone: str, change: str) -> None:
    timezone = ZoneInfo(zone)
    first = datetime.fromisoformat(change).replace(tzinfo=timezone) - timedelta(days=2)
    timetable = CronDataIntervalTimetable("0 0 * * *", timezone=zone)
    restriction = TimeRestriction(earliest=pendulum_time(first), latest=None, catchup=True)
    paths, interval = [], None
    for _ in range(5):
        run = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        assert run is not None
        interval = run.data_interval
        assert interval is not None
        frame = resolve_time_frame(
            now=datetime(2026, 11, 5, tzinfo=UTC), data_interval_start=interval.start, data_interval_end=interval.end
        )
        # As date_from and date_to in the argument's time zone, they are the same frame.
        day = interval.start.astimezone(timezone).date()
        assert frame == resolve_time_frame(
            now=datetime(2026, 11, 5, tzinfo=UTC), timezone=timezone, date_from=day, date_to=day + timedelta(days=1)
        )
        assert not fields(frame, zone).shares_path_with_next("/{date_from:%Y-%m-%d}.csv")
        paths.append(fields(frame, zone).fill("/{date_from:%Y-%m-%d}.csv"))
    assert paths == [f"/{(first + timedelta(days=number)):%Y-%m-%d}.csv" for number in range(5)]


def pendulum_time(moment: datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)

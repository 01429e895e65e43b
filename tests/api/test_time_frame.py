from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_make.api.schedule import Schedule
from airflow_provider_make.api.time_frame import (
    TimeFrame,
    complete_time_frame,
    describe_unfinished,
    iso,
    one_year_before,
    parse_time,
    parse_timezone,
    resolve_time_frame,
)
from airflow_provider_make.exceptions import MakeInputError

NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
START, END = datetime(2026, 6, 13, tzinfo=UTC), datetime(2026, 6, 14, tzinfo=UTC)
RUN = {"data_interval_start": START, "data_interval_end": END}
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WITH_INTERVALS = Schedule(("0 2 * * *",), has_intervals=True)
CENTRAL, PRAGUE = timezone(timedelta(hours=2)), pendulum.timezone("Europe/Prague")


@pytest.mark.parametrize(
    ("given_values", "date_from", "date_to"),
    [
        ({}, None, None),
        (RUN, START, END),
        ({"data_interval_start": START}, None, None),
        ({"data_interval_end": END}, None, None),
        # On Airflow 3, the data interval of a cron schedule has no length.
        ({"data_interval_start": END, "data_interval_end": END}, None, None),
        ({"lookback": DAY}, NOW - DAY, NOW),
        ({"lookback": DAY, **RUN}, END - DAY, END),
        ({"lookback": DAY, "data_interval_start": END, "data_interval_end": END}, END - DAY, END),
        ({"lookback": DAY, "date_to": JUNE, **RUN}, JUNE - DAY, JUNE),
        ({"lookback": DAY, "date_from": MAY, "date_to": JUNE, **RUN}, MAY, JUNE),
        ({"lookback": DAY, "date_from": MAY, **RUN}, MAY, None),
        ({"date_from": MAY, **RUN}, MAY, None),
        ({"date_to": JUNE, **RUN}, None, JUNE),
        ({"date_from": MAY, "date_to": JUNE, **RUN}, MAY, JUNE),
    ],
)
def test_precedence_of_arguments_and_data_interval(
    given_values: dict[str, Any], date_from: datetime | None, date_to: datetime | None
) -> None:
    assert resolve_time_frame(now=NOW, **given_values) == TimeFrame(date_from, date_to)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (date(2026, 5, 1), MAY),
        (datetime(2026, 5, 1), MAY),
        (datetime(2026, 5, 1, 2, tzinfo=CENTRAL), MAY),
        (pendulum.datetime(2026, 5, 1, 2, tz="Europe/Prague"), MAY),
        (pendulum.naive(2026, 5, 1), MAY),
        (pendulum.date(2026, 5, 1), MAY),
        ("2026-05-01", MAY),
        ("20260501", MAY),
        # Of a Dag with render_template_as_native_obj.
        (20260501, MAY),
        ("2026-05-01T00:00:00", MAY),
        ("2026-05-01 00:00", MAY),
        ("2026-05-01T00:00:00Z", MAY),
        ("2026-05-01T02:00:00+02:00", MAY),
        (" 2026-05-01T00:00:00.000250+00:00\n", MAY),
        # Summer time ends: the first and the second 02:30 of that night.
        (datetime(2025, 10, 26, 2, 30, tzinfo=PRAGUE), datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
        (datetime(2025, 10, 26, 2, 30, tzinfo=PRAGUE, fold=1), datetime(2025, 10, 26, 1, 30, tzinfo=UTC)),
    ],
)
def test_times_are_converted_to_datetime_in_utc(value: Any, expected: datetime | None) -> None:
    parsed = parse_time("date_from", value)
    assert parsed == expected
    assert parsed is None or (type(parsed), parsed.tzinfo) == (datetime, UTC)


def test_data_interval_of_pendulum_times_is_converted_to_datetime_in_utc() -> None:
    start, end = pendulum.datetime(2026, 6, 13, 2, tz="Europe/Prague"), pendulum.datetime(2026, 6, 14)
    frame = resolve_time_frame(now=NOW, data_interval_start=start, data_interval_end=end)
    assert frame == TimeFrame(START, END)
    assert (type(frame.date_from), iso(frame.date_from)) == (datetime, "2026-06-13T00:00:00Z")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2026, 3, 29), "2026-03-28T23:00:00Z"),
        ("2026-03-30", "2026-03-29T22:00:00Z"),
        (datetime(2026, 3, 29, 12), "2026-03-29T10:00:00Z"),
        (datetime(2026, 3, 29, 12, tzinfo=UTC), "2026-03-29T12:00:00Z"),
        ("2026-03-29T12:00:00+01:00", "2026-03-29T11:00:00Z"),
        # Summer time begins: this half hour does not exist, and ends as long after midnight as if it did.
        (datetime(2026, 3, 29, 2, 30), "2026-03-29T01:30:00Z"),
    ],
)
def test_dates_and_naive_times_are_in_the_time_zone(value: Any, expected: str) -> None:
    assert iso(parse_time("date_from", value, parse_timezone("Europe/Prague"))) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/London", "Europe/Prague", "America/New_York", "UTC", "Africa/Cairo", "America/Havana"]
)
@pytest.mark.parametrize("change", ["2026-03-08", "2026-03-29", "2026-04-24", "2026-10-25", "2026-10-30", "2026-11-01"])
@pytest.mark.parametrize("lookback", [timedelta(days=1), "P1D", "PT24H"])
def test_lookback_of_days_is_of_the_days_of_the_time_zone(zone: str, change: str, lookback: Any) -> None:
    timezone = parse_timezone(zone)
    day = date.fromisoformat(change)
    now = datetime(2026, 11, 5, tzinfo=UTC)
    for number in range(-1, 3):
        today = day + timedelta(days=number)
        whole_day = resolve_time_frame(now=now, timezone=timezone, date_from=today, date_to=today + timedelta(days=1))
        assert whole_day == resolve_time_frame(
            now=now, timezone=timezone, date_to=today + timedelta(days=1), lookback=lookback
        )


@pytest.mark.parametrize(
    ("zone", "end", "begin"),
    [
        # The end is as late as the clocks are turned forward, at midnight: 01:00, and a day before 00:00.
        ("Africa/Cairo", "2026-04-23T22:00:00Z", "2026-04-22T22:00:00Z"),
        ("America/Santiago", "2025-09-07T04:00:00Z", "2025-09-06T04:00:00Z"),
        # The begin is: 01:00.
        ("Africa/Cairo", "2026-04-24T21:00:00Z", "2026-04-23T22:00:00Z"),
        # The begin is repeated: Airflow's runs are at the second time of the two.
        ("America/Havana", "2025-11-03T05:00:00Z", "2025-11-02T05:00:00Z"),
        ("Europe/Prague", "2025-10-27T01:30:00Z", "2025-10-26T01:30:00Z"),
        # The begin is skipped.
        ("Europe/Prague", "2026-03-30T00:30:00Z", "2026-03-29T01:30:00Z"),
    ],
)
def test_lookback_of_a_day_begins_when_airflow_schedules_the_run_before(zone: str, end: str, begin: str) -> None:
    frame = resolve_time_frame(
        now=NOW, timezone=parse_timezone(zone), data_interval_end=datetime.fromisoformat(end), lookback=DAY
    )
    assert iso(frame.date_from) == begin


def test_lookback_of_hours_is_as_long_when_the_clocks_change() -> None:
    end = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    frame = resolve_time_frame(
        now=NOW, timezone=parse_timezone("Europe/Prague"), date_to=end, lookback=timedelta(hours=3)
    )
    assert frame.date_from == end - timedelta(hours=3)


def test_lookback_of_a_year_is_cut_also_when_the_clocks_changed_on_another_day_last_year() -> None:
    end = datetime(2026, 10, 25, 11, tzinfo=UTC)
    frame = resolve_time_frame(
        now=end + timedelta(hours=2),
        timezone=parse_timezone("Europe/Prague"),
        date_to=end,
        lookback=timedelta(days=365),
    )
    assert frame.date_from == datetime(2025, 10, 25, 14, tzinfo=UTC)


def test_time_zone_is_a_name_or_a_time_zone_with_a_name() -> None:
    for value in ("Europe/Prague", " Europe/Prague ", PRAGUE, ZoneInfo("Europe/Prague")):
        assert parse_timezone(value) == ZoneInfo("Europe/Prague")


@pytest.mark.parametrize(
    "value", ["", " ", "Mars", "../etc/passwd", "/etc/passwd", "Europe", "a\0b", 1, None, UTC, CENTRAL]
)
def test_error_names_the_invalid_time_zone(value: Any) -> None:
    with pytest.raises(MakeInputError, match="timezone=.* Europe/Prague"):
        parse_timezone(value)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"data_interval_start": None, "data_interval_end": None}, "no data interval"),
        ({"data_interval_start": None, "data_interval_end": END}, "no data interval"),
        ({"data_interval_start": END, "data_interval_end": END}, "begins and ends at 2026-06-14T00:00:00Z"),
    ],
)
def test_run_without_a_time_frame_is_an_error_that_names_the_ways_out(run: dict[str, Any], reason: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        complete_time_frame(resolve_time_frame(now=NOW, **run), now=NOW, **run)
    text = str(caught.value)
    for words in (reason, "lookback", "CronDataIntervalTimetable", "create_cron_data_intervals", "timedelta(days=365)"):
        assert words in text
    assert ("--logical-date" in text) == (run["data_interval_start"] is None)


@pytest.mark.parametrize("start", [None, END])
def test_error_does_not_advise_the_timetable_that_is_in_use(start: datetime | None) -> None:
    run: dict[str, Any] = {"data_interval_start": start, "data_interval_end": END, "schedule": WITH_INTERVALS}
    with pytest.raises(MakeInputError) as caught:
        complete_time_frame(resolve_time_frame(now=NOW, **run), now=NOW, **run)
    text = str(caught.value)
    assert ("no data interval" if start is None else "begins and ends at 2026-06-14T00:00:00Z") in text
    assert "lookback" in text
    assert "logical date (airflow dags trigger --logical-date)" in text
    assert "CronDataIntervalTimetable" not in text


@pytest.mark.parametrize(("end", "is_over"), [(NOW, True), (NOW + timedelta(seconds=50), True), (NOW + DAY, False)])
def test_time_frame_that_is_not_over_is_described(end: datetime, is_over: bool) -> None:
    text = describe_unfinished(TimeFrame(MAY, end), NOW)
    assert text == (
        None if is_over else "The time frame ends at date_to=2026-06-16T12:30:00Z, and it is 2026-06-15T12:30:00Z now"
    )


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (TimeFrame(MAY, None), TimeFrame(MAY, NOW)),
        (TimeFrame(MAY, JUNE), TimeFrame(MAY, JUNE)),
        (TimeFrame(None, JUNE), TimeFrame(None, JUNE)),
    ],
)
def test_time_frame_without_an_end_ends_now(frame: TimeFrame, expected: TimeFrame) -> None:
    run = {"data_interval_start": None, "data_interval_end": None}
    assert complete_time_frame(frame, now=NOW + timedelta(microseconds=5), **run) == expected


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(hours=23)])
@pytest.mark.parametrize("lookback", [timedelta(days=365), timedelta(days=364, hours=23, minutes=59)])
def test_lookback_of_a_year_is_cut_to_what_make_keeps_until_the_pull_ends(late: timedelta, lookback: timedelta) -> None:
    frame = resolve_time_frame(now=NOW, lookback=lookback, data_interval_end=NOW - late)
    assert frame == TimeFrame(one_year_before(NOW) + timedelta(hours=1), NOW - late)


@pytest.mark.parametrize("lookback", [DAY, timedelta(hours=1), timedelta(days=180)])
@pytest.mark.parametrize("given_end", ["date_to", "data_interval_end"])
def test_other_time_frames_are_not_cut(lookback: timedelta, given_end: str) -> None:
    oldest: Any = {given_end: one_year_before(NOW) + lookback}
    assert resolve_time_frame(now=NOW, lookback=lookback, **oldest).date_from == one_year_before(NOW)
    too_old: Any = {given_end: one_year_before(NOW) + lookback - timedelta(seconds=1)}
    with pytest.raises(MakeInputError, match="more than a year ago"):
        resolve_time_frame(now=NOW, lookback=lookback, **too_old)


def test_lookback_of_a_year_does_not_end_more_than_a_day_ago() -> None:
    with pytest.raises(MakeInputError, match="more than a year ago"):
        resolve_time_frame(now=NOW, lookback=timedelta(days=365), data_interval_end=NOW - timedelta(days=2))


@pytest.mark.parametrize("name", ["date_from", "date_to"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "None",
        5,
        5.0,
        True,
        2026,
        202605,
        2026051,
        20260230,
        20261301,
        20260501.0,
        202605010,
        -20260501,
        1780272000,
        "yesterday",
        "2026",
        "2026-02-30",
        "1780272000",
        b"2026-05-01",
        [MAY],
        DAY,
    ],
)
def test_error_names_the_invalid_time_and_its_value(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        resolve_time_frame(now=NOW, **{name: value})
    assert f"{name}={value!r}" in str(caught.value)


@pytest.mark.parametrize("open_frame", [{"date_to": "2000-01-01"}, {"date_from": NOW}, {"date_from": "2030-01-01"}])
def test_open_time_frame_that_is_empty_with_makes_defaults_raises(open_frame: dict[str, Any]) -> None:
    with pytest.raises(MakeInputError, match="empty"):
        resolve_time_frame(now=NOW, **open_frame)


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_time_outside_the_calendar_raises_input_error(value: str) -> None:
    with pytest.raises(MakeInputError, match="date_from"):
        resolve_time_frame(now=NOW, date_from=value)


@pytest.mark.parametrize(("date_from", "date_to"), [(JUNE, JUNE), (JUNE, MAY), ("2026-06-01", "2026-06-01T01+01:00")])
def test_empty_or_reversed_time_frame_raises(date_from: Any, date_to: Any) -> None:
    with pytest.raises(MakeInputError, match="date_from=2026-06-01T00:00:00Z to be before date_to="):
        resolve_time_frame(now=NOW, date_from=date_from, date_to=date_to)


@pytest.mark.parametrize(
    ("now", "year_before"),
    [
        (NOW, datetime(2025, 6, 15, 12, 30, tzinfo=UTC)),
        (datetime(2028, 2, 29, 6, tzinfo=UTC), datetime(2027, 2, 28, 6, tzinfo=UTC)),
        (datetime(2029, 2, 28, 6, tzinfo=UTC), datetime(2028, 2, 28, 6, tzinfo=UTC)),
        (datetime(2028, 3, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)),
    ],
)
def test_date_from_may_be_at_most_a_year_ago(now: datetime, year_before: datetime) -> None:
    assert one_year_before(now) == year_before
    assert resolve_time_frame(now=now, date_from=year_before).date_from == year_before
    with pytest.raises(MakeInputError, match="more than a year ago"):
        resolve_time_frame(now=now, date_from=year_before - timedelta(microseconds=1))


@pytest.mark.parametrize(
    "too_old",
    [
        {"lookback": timedelta(days=366)},
        {"data_interval_start": datetime(2024, 1, 1, tzinfo=UTC), "data_interval_end": END},
        {"date_from": "2024-01-01", "date_to": "2024-02-01"},
    ],
)
def test_limit_of_one_year_applies_to_every_source_of_date_from(too_old: dict[str, Any]) -> None:
    with pytest.raises(MakeInputError, match="expected 2025-06-15T12:30:00Z or later") as caught:
        resolve_time_frame(now=NOW, **too_old)
    assert ("lookback=" in str(caught.value)) == ("lookback" in too_old)


@given(
    date_to=st.datetimes() | st.datetimes(timezones=st.timezones()) | st.dates(),
    length=st.timedeltas(timedelta(microseconds=1)) | st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
    zone=st.timezones(),
)
@example(date_to=datetime.min.replace(tzinfo=UTC), length=DAY, zone=ZoneInfo("UTC"))
@example(date_to=datetime(1, 1, 1, 0, 30), length=timedelta(hours=1), zone=ZoneInfo("America/New_York"))
@example(date_to=datetime.max.replace(tzinfo=UTC), length=DAY, zone=ZoneInfo("Pacific/Kiritimati"))
@example(date_to=datetime.max, length=timedelta.max, zone=ZoneInfo("Pacific/Kiritimati"))
def test_lookback_of_any_length_before_any_time_is_a_time_frame_or_an_error_that_names_the_argument(
    date_to: date, length: timedelta, zone: ZoneInfo
) -> None:
    try:
        frame = resolve_time_frame(now=NOW, date_to=date_to, lookback=length, timezone=zone)
    except MakeInputError as error:
        # A length that no end makes valid is named without the end.
        assert f"lookback={length!r}" in str(error)
        assert "date_to=" in str(error) or length > timedelta(days=366)
    else:
        assert frame.date_from is not None and frame.date_to is not None
        assert one_year_before(NOW) <= frame.date_from < frame.date_to


@pytest.mark.parametrize(
    ("lookback", "length"),
    [
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(microseconds=1), timedelta(seconds=1)),
        (pendulum.datetime(2026, 3, 1) - pendulum.datetime(2026, 2, 1), timedelta(days=28)),
        (timedelta(days=364), timedelta(days=364)),
        (pendulum.duration(days=2), timedelta(days=2)),
        ("P1D", DAY),
        ("PT90M", timedelta(minutes=90)),
        ("P1DT6H", timedelta(hours=30)),
        ("P2W", timedelta(weeks=2)),
        ("PT1M", timedelta(minutes=1)),
        ("P1DT1M", timedelta(days=1, minutes=1)),
        ("P0.5D", timedelta(hours=12)),
        ("PT1,5H", timedelta(minutes=90)),
        ("+P1D", DAY),
        ("1 day, 01:00", timedelta(hours=25)),
        ("00:15:00", timedelta(minutes=15)),
        (pendulum.duration(weeks=1, hours=1), timedelta(days=7, hours=1)),
    ],
)
def test_lookback_is_the_length_of_the_time_frame(lookback: Any, length: timedelta) -> None:
    assert resolve_time_frame(now=NOW, lookback=lookback) == TimeFrame(NOW - length, NOW)


@pytest.mark.parametrize(
    "lookback",
    [timedelta(0), -DAY, timedelta.max, 3600, 1.5, True, "", "None", "P", "PT0S", "-P1D", "3600", "P999999999D", [DAY]],
)
def test_error_names_the_invalid_lookback_and_its_value(lookback: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        resolve_time_frame(now=NOW, lookback=lookback)
    assert f"lookback={lookback!r}" in str(caught.value)


@pytest.mark.parametrize(
    "lookback",
    ["P1M", "P1Y", "P1Y2M", "P1Y2M3DT4H5M", "P1M1D", "P1D1M", "P0M1D", "-P1M", "+P1M", " P1M", "P1.5M", "PM", "p1m",
     pendulum.duration(months=1), pendulum.duration(years=1, days=3)],
)  # fmt: skip
def test_lookback_in_months_or_years_raises_with_the_reason(lookback: Any) -> None:
    with pytest.raises(MakeInputError, match="months and years have no fixed length") as caught:
        resolve_time_frame(now=NOW, lookback=lookback)
    assert f"lookback={lookback!r} is not valid: expected days or weeks, such as P30D or P4W" in str(caught.value)


def test_iso_format_of_times_in_utc() -> None:
    assert (iso(None), iso(MAY)) == (None, "2026-05-01T00:00:00Z")


# Two days from either end of the calendar: no time zone differs more from UTC.
@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.timezones()))
def test_any_aware_time_survives_iso_format(moment: datetime) -> None:
    parsed = parse_time("date_from", moment)
    text = iso(parsed)
    assert text is not None
    assert text.endswith("Z")
    assert parse_time("date_from", text) == parsed == moment.astimezone(UTC).replace(microsecond=0)

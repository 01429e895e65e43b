"""Test the content of reports over several days: how files are arranged by day, and a calculation in plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.days import (
    MAX_TEAMS,
    DayFile,
    Days,
    DaysScenario,
    Scenarios,
    arrange,
    describe_time_zones,
    read_days,
    usual_range,
)
from airflow_provider_make.report.formatting import percentage
from airflow_provider_make.report.pull_files import SourceFile, Summary, Totals, find_files
from tests.support.entries import entry
from tests.support.pulled_files import EXTRACTED, expected_teams, totals, write_day

NO_PATH: Any = None


def arranged(pulls: Sequence[tuple[str, Summary]]) -> tuple[DayFile, ...]:
    return arrange((SourceFile(location, NO_PATH), summary) for location, summary in pulls)


def pulled(
    begin: str | None, end: str | None, zone: str | None = None, organization: int = 1, filters: Any = None
) -> Summary:
    """Return the summary of a pull; times without an offset are local ones of the zone."""
    times = [
        None if text is None else datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC")).astimezone(UTC)
        for text in (begin, end)
    ]
    return Summary(organization, "eu1.make.com", Totals(), "1", times[0], times[1], zone, filters)


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
    files = arranged(pulls[::-1])
    assert [file.file.location for file in files] == [location for location, _ in pulls]
    assert [file.first for file in files] == [first + timedelta(days=n) for n in range(40)]
    assert {file.length for file in files} == {1}
    if is_named:
        assert describe_time_zones(files) == zone


def test_days_of_distant_zones_need_the_name_of_the_zone() -> None:
    files = arranged(local_days("Pacific/Kiritimati", date(2026, 3, 1), 3, True))
    assert files[0].first == date(2026, 3, 1)


def test_weeks_are_named_after_their_first_day() -> None:
    pulls = [("b", pulled("2026-03-09", "2026-03-16")), ("a", pulled("2026-03-02", "2026-03-09"))]
    files = arranged(pulls)
    assert [(one.file.location, one.first, one.last, one.length) for one in files] == [
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
    assert describe_time_zones(arranged(pulls)) == text


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
        arranged([("b.parquet", other), ("a.parquet", DAY)])
    assert str(error.value).startswith("source is not valid: ")
    assert message in str(error.value)


def test_many_organizations_are_not_all_named() -> None:
    pulls = [(str(n), pulled("2026-03-01", "2026-03-02", organization=n)) for n in range(1, 10)]
    with pytest.raises(MakeInputError, match="5 of eu1.make.com in '5' and 4 more. Select one"):
        arranged(pulls)


ACTIVE = {"team_id": [100, 101], "status": ["active"]}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (({"team_id": [100]}, {"team_id": [101]}), "team 100 in '0' and team 101 in '1'. Expected files of one filter"),
        (({}, {"team_id": [100]}), "all scenarios in '0' and team 100 in '1'"),
        ((None, ACTIVE, {}), "teams 100 and 101, status active in '1' and all scenarios in '2'"),
        (({"folder_id": [1]}, {"team_id": [1]}), "folder 1 in '0' and team 1 in '1'"),
    ],
)
def test_pulls_of_different_filters_are_not_mixed(filters: Sequence[Any], message: str) -> None:
    pulls = [
        (str(number), pulled(f"2026-03-{number + 1:02}", f"2026-03-{number + 2:02}", filters=one))
        for number, one in enumerate(filters)
    ]
    with pytest.raises(MakeInputError, match="source is not valid: its files have different filters: ") as error:
        arranged(pulls)
    assert message in str(error.value)


@pytest.mark.parametrize("filters", [(None, {}), (ACTIVE, ACTIVE), (None, ACTIVE), (None, None)])
def test_pulls_of_equal_filters_or_of_older_versions_fit_together(filters: Sequence[Any]) -> None:
    pulls = [("a", pulled("2026-03-01", "2026-03-02")), ("b", pulled("2026-03-02", "2026-03-03"))]
    assert (
        len(arranged([(name, structs.replace(one, filters=f)) for (name, one), f in zip(pulls, filters, strict=True)]))
        == 2
    )


def test_an_hour_in_common_is_tolerated() -> None:
    # Frames of 24 hours that end at a local time.
    later = pulled("2026-03-01T23:00", "2026-03-02T23:00")
    assert len(arranged([("a", DAY), ("b", later)])) == 2


FIRST = date(2026, 3, 1)
_values: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", None]),
    "status": st.sampled_from(["active", "invalid", None]),
    "teamId": st.sampled_from([*range(9), None]),
    "executions": st.sampled_from([0, 10, 20, 1000, None]),
    "operations": st.sampled_from([0, 2**63 - 1, None]),
    "errors": st.sampled_from([0, 1, 10, None]),
    "centicredits": st.sampled_from([0, 1, 10**38 - 1, None]),
}
_entries = st.lists(
    st.builds(
        lambda number, known: entry(number, **known, teamName=f"Team {known['teamId']}"),
        st.integers(0, 12),
        st.fixed_dictionaries(_values),
    ),
    max_size=13,
    unique_by=lambda one: one.scenario_id,
)
_days = st.dictionaries(st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n)), _entries, min_size=2, max_size=45)
Entries = Mapping[date, Sequence[ScenarioMetrics]]


def content_of(days: Entries, min_executions: int = 20) -> Days:
    with tempfile.TemporaryDirectory() as folder:
        for day, entries in days.items():
            write_day(Path(folder), day, entries)
        return read_days(find_files(folder, None), min_executions)


def _total(entries: Sequence[ScenarioMetrics], column: str) -> int:
    return sum(int(getattr(one, column) or 0) for one in entries)


def expected_scenarios(days: Entries, recent: Sequence[date], compared: Sequence[date]) -> dict[int, DaysScenario]:
    found = {}
    for number in sorted({one.scenario_id for entries in days.values() for one in entries}):
        mine = {day: one for day in sorted(days) for one in days[day] if one.scenario_id == number}
        last = mine[max(mine)]
        sums = {
            column: _total([*mine.values()], column)
            for column in ("executions", "operations", "errors", "centicredits")
        }
        lately = [one for day, one in mine.items() if day in recent]
        before = [one for day, one in mine.items() if day in compared]
        found[number] = DaysScenario(
            scenario_id=number,
            name=last.name,
            status=last.status,
            team_id=last.team_id,
            team_name=last.team_name,
            first=min(mine),
            last=max(mine),
            **sums,
            error_rate=percentage(sums["errors"], sums["executions"]),
            recent_executions=_total(lately, "executions"),
            recent_errors=_total(lately, "errors"),
            before_executions=_total(before, "executions"),
            before_errors=_total(before, "errors"),
        )
    return found


def expected_lists(
    days: Entries, recent: Sequence[date], compared: Sequence[date], minimum: int
) -> dict[str, Scenarios]:
    scenarios = expected_scenarios(days, recent, compared).values()
    with_rows = [day for day in sorted(days) if days[day]]

    def rate(executions: int, errors: int) -> float:
        return 100 * errors / executions if executions >= minimum else float("nan")

    def now(one: DaysScenario) -> float:
        return rate(one.recent_executions, one.recent_errors)

    def before(one: DaysScenario) -> float:
        return rate(one.before_executions, one.before_errors)

    def listed(chosen: list[DaysScenario], *keys: Any) -> Scenarios:
        chosen.sort(key=lambda one: ([-key(one) for key in keys], one.scenario_id))
        return Scenarios(tuple(chosen[:10]), len(chosen))

    return {
        "consumers": listed([one for one in scenarios if one.centicredits], lambda one: one.centicredits),
        "worst": listed([one for one in scenarios if now(one) > 0], now, lambda one: one.recent_errors),
        "began": listed(
            [one for one in scenarios if now(one) >= 5 <= one.recent_errors and now(one) > 2 * before(one)],
            lambda one: one.recent_errors,
        ),
        "recovered": listed(
            [one for one in scenarios if before(one) >= 5 <= one.before_errors and before(one) > 2 * now(one)],
            lambda one: one.before_errors,
        ),
        "new": listed(
            [one for one in scenarios if one.first > with_rows[0]],
            lambda one: one.first.toordinal(),
            lambda one: one.executions,
        ),
        "gone": listed(
            [one for one in scenarios if one.last < with_rows[-1]],
            lambda one: one.last.toordinal(),
            lambda one: one.executions,
        ),
    }


@settings(max_examples=20, deadline=None)
@given(_days, st.sampled_from([1, 20, 1000]))
def test_content_equals_plain_python(days: Entries, minimum: int) -> None:
    content = content_of(days, minimum)
    order = sorted(days)
    recent = order[len(order) - min(7, len(order) // 2) :]
    compared = order[max(len(order) - len(recent) - 28, 0) : len(order) - len(recent)]
    assert (content.recent, content.before) == (len(recent), len(compared))
    assert [file.first for file in content.files] == order
    assert content.extracted_at == (EXTRACTED if any(days.values()) else None)
    assert content.scenarios == len(days[order[-1]])
    for name, scenarios in expected_lists(days, recent, compared, minimum).items():
        assert getattr(content, name) == scenarios, name
    assert list(content.teams) == expected_teams([days[day] for day in order], MAX_TEAMS)
    assert content.centicredits == sum(_total(entries, "centicredits") for entries in days.values())


def test_a_renamed_and_moved_scenario_has_its_latest_name_and_team() -> None:
    old, new = (
        entry(7, name=name, teamId=team, teamName=f"Team {team}", centicredits=5)
        for name, team in (("Old", 1), ("New", 2))
    )
    content = content_of({FIRST: [old], FIRST + timedelta(days=1): [new], FIRST + timedelta(days=2): []})
    (one,) = content.consumers.shown
    assert (one.name, one.team_id, one.team_name, one.centicredits) == ("New", 2, "Team 2", 10)
    assert [(team.name, team.centicredits) for team in content.teams] == [("Team 1", (5, 0, 0)), ("Team 2", (0, 5, 0))]
    assert (content.new.count, content.gone.count) == (0, 0)


def test_columns_may_have_another_order(tmp_path: Path) -> None:
    days = {FIRST: [entry(7, name="a", executions=5, centicredits=5)], FIRST + timedelta(days=1): [entry(7, name="b")]}
    expected = content_of(days)
    for day, entries in days.items():
        path = write_day(tmp_path, day, entries)
        table = pq.read_table(path, partitioning=None)
        metadata = pq.ParquetFile(path).metadata.metadata
        table = table.select(table.column_names[::-1])
        pq.write_table(table.replace_schema_metadata({b"make_analytics": metadata[b"make_analytics"]}), path)
    assert read_days(find_files(tmp_path, None), 20).consumers == expected.consumers


@pytest.mark.parametrize("damage", ["column", "bytes"])
def test_a_file_that_is_not_the_operators_is_named(damage: str, tmp_path: Path) -> None:
    paths = [write_day(tmp_path, FIRST + timedelta(days=number), []) for number in range(9)]
    if damage == "column":
        pq.write_table(pq.read_table(paths[4], partitioning=None).drop_columns(["team_name"]), paths[4])
    else:
        paths[4].write_bytes(b"no Parquet")
    problem = "this file has no column team_name" if damage == "column" else "this is not a Parquet file"
    with pytest.raises(MakeInputError, match=f"source='{paths[4]}' is not valid: expected a Parquet file .*{problem}"):
        read_days(find_files(tmp_path, None), 20)


def test_figures_are_those_of_the_summaries() -> None:
    summaries = [Summary(1, "eu1.make.com", total, "1") for total in (totals(errors=1, centicredits=10**40), Totals())]
    days = Days(tuple(DayFile(SourceFile("", NO_PATH), one, FIRST, 1) for one in summaries), 1, 1, 20)
    assert (days.figures("errors"), days.figures("centicredits")) == ([1, None], [10**40, None])


@pytest.mark.parametrize(
    ("values", "usual"),
    [
        ([float(number) for number in range(11)], (0.0, 14.0)),
        ([*[2.0] * 8, 2.1, 1.9, 80.0], (2.0, 2.0)),
        # A third of the days is unusual.
        ([1.9, 2.0, 2.0, 2.1, 2.2, 1.8, 2.0, 2.1, 30.0, 31.0, 32.0, 30.0], (1.65, 2.55)),
        ([None, *[5.0] * 10], (5.0, 5.0)),
        ([1.0] * 9 + [None] * 5, None),
    ],
)
def test_usual_range_ignores_unusual_values(values: list[float | None], usual: tuple[float, float] | None) -> None:
    assert usual_range(values) == (usual if usual is None else pytest.approx(usual))

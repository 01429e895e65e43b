"""Test the content of reports over several days against a calculation in plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.files import find_files
from airflow_provider_make.report.history import MAX_TEAMS, History, ScenarioHistory, Scenarios, read_history
from tests.support.entries import entry
from tests.support.pulled_files import EXTRACTED, write_day

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
Days = Mapping[date, Sequence[ScenarioMetrics]]


def history_of(days: Days, min_executions: int = 20) -> History:
    with tempfile.TemporaryDirectory() as folder:
        for day, entries in days.items():
            write_day(Path(folder), day, entries)
        return read_history(find_files(folder, None), min_executions)


def _total(entries: Sequence[ScenarioMetrics], column: str) -> int:
    return sum(int(getattr(one, column) or 0) for one in entries)


def expected_scenarios(days: Days, recent: Sequence[date], compared: Sequence[date]) -> dict[int, ScenarioHistory]:
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
        found[number] = ScenarioHistory(
            number,
            last.name,
            last.status,
            last.team_id,
            last.team_name,
            min(mine),
            max(mine),
            **sums,
            recent_executions=_total(lately, "executions"),
            recent_errors=_total(lately, "errors"),
            before_executions=_total(before, "executions"),
            before_errors=_total(before, "errors"),
        )
    return found


def expected_lists(days: Days, recent: Sequence[date], compared: Sequence[date], minimum: int) -> dict[str, Scenarios]:
    scenarios = expected_scenarios(days, recent, compared).values()
    with_rows = [day for day in sorted(days) if days[day]]

    def rate(executions: int, errors: int) -> float:
        return 100 * errors / executions if executions >= minimum else float("nan")

    def now(one: ScenarioHistory) -> float:
        return rate(one.recent_executions, one.recent_errors)

    def before(one: ScenarioHistory) -> float:
        return rate(one.before_executions, one.before_errors)

    def listed(chosen: list[ScenarioHistory], *keys: Any) -> Scenarios:
        chosen.sort(key=lambda one: ([-key(one) for key in keys], one.scenario_id))
        return Scenarios(tuple(chosen[:10]), len(chosen))

    return {
        "consumers": listed([one for one in scenarios if one.centicredits], lambda one: one.centicredits),
        "worst": listed([one for one in scenarios if now(one) > 0], now, lambda one: one.recent_errors),
        "began": listed(
            [one for one in scenarios if now(one) >= 5 and now(one) > 2 * before(one)], lambda one: one.recent_errors
        ),
        "ceased": listed(
            [one for one in scenarios if before(one) >= 5 and before(one) > 2 * now(one)],
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
def test_content_equals_plain_python(days: Days, minimum: int) -> None:
    history = history_of(days, minimum)
    order = sorted(days)
    recent = order[len(order) - min(7, len(order) // 2) :]
    compared = order[max(len(order) - len(recent) - 28, 0) : len(order) - len(recent)]
    assert (history.recent, history.before) == (len(recent), len(compared))
    assert [frame.day for frame in history.frames] == order
    assert history.extracted_at == (EXTRACTED if any(days.values()) else None)
    assert history.scenarios == len(days[order[-1]])
    for name, scenarios in expected_lists(days, recent, compared, minimum).items():
        assert getattr(history, name) == scenarios, name
    by_team = {
        team: [_total([one for one in days[day] if one.team_id == team], "centicredits") for day in order]
        for team in {one.team_id for entries in days.values() for one in entries}
    }
    used = {team: amounts for team, amounts in by_team.items() if sum(amounts)}
    largest = sorted(used, key=lambda team: (-sum(used[team]), f"Team {team}", team or 0))
    assert [(team.team_id, list(team.centicredits), team.total) for team in history.teams] == [
        (team, used[team], sum(used[team])) for team in largest[:MAX_TEAMS]
    ]
    assert history.other_teams == len(largest[MAX_TEAMS:])
    assert history.others.total == sum(sum(used[team]) for team in largest[MAX_TEAMS:])
    assert history.centicredits == sum(map(sum, used.values()))


def test_a_renamed_and_moved_scenario_has_its_latest_name_and_team() -> None:
    old, new = (
        entry(7, name=name, teamId=team, teamName=f"Team {team}", centicredits=5)
        for name, team in (("Old", 1), ("New", 2))
    )
    history = history_of({FIRST: [old], FIRST + timedelta(days=1): [new], FIRST + timedelta(days=2): []})
    (one,) = history.consumers.shown
    assert (one.name, one.team_id, one.team_name, one.centicredits) == ("New", 2, "Team 2", 10)
    assert [(team.team_id, team.centicredits) for team in history.teams] == [(1, (5, 0, 0)), (2, (0, 5, 0))]
    assert (history.new.count, history.gone.count) == (0, 0)


def test_columns_may_have_another_order(tmp_path: Path) -> None:
    days = {FIRST: [entry(7, name="a", executions=5, centicredits=5)], FIRST + timedelta(days=1): [entry(7, name="b")]}
    expected = history_of(days)
    for day, entries in days.items():
        path = write_day(tmp_path, day, entries)
        table = pq.read_table(path, partitioning=None)
        metadata = pq.ParquetFile(path).metadata.metadata
        table = table.select(table.column_names[::-1])
        pq.write_table(table.replace_schema_metadata({b"make_analytics": metadata[b"make_analytics"]}), path)
    assert read_history(find_files(tmp_path, None), 20).consumers == expected.consumers


@pytest.mark.parametrize("damage", ["column", "bytes"])
def test_a_file_that_is_not_the_operators_is_named(damage: str, tmp_path: Path) -> None:
    paths = [write_day(tmp_path, FIRST + timedelta(days=number), []) for number in range(9)]
    if damage == "column":
        pq.write_table(pq.read_table(paths[4], partitioning=None).drop_columns(["team_name"]), paths[4])
    else:
        paths[4].write_bytes(b"no Parquet")
    problem = "this file has no column team_name" if damage == "column" else "this is not a Parquet file"
    with pytest.raises(MakeInputError, match=f"source='{paths[4]}' is not valid: expected a Parquet file .*{problem}"):
        read_history(find_files(tmp_path, None), 20)

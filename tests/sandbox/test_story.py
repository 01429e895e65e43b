"""The story happens on its days, adds up over time, and keeps the number of scenarios."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sandbox.organization import Row
from airflow_provider_make.sandbox.query import Criteria
from airflow_provider_make.sandbox.scenarios import Counts

DAY = timedelta(days=1)
ORGANIZATION = Organization(1, 250, story=True)
# The days of two months, by the day of the month.
MONTHS = [
    {at.day: at for at in (datetime(2026, month, 1, tzinfo=UTC) + n * DAY for n in range(28))} for month in (5, 6)
]
# Times from 2026 on, in half hours; each event is at one of them.
TIMES = st.integers(0, 48 * 400).map(
    lambda half_hours: datetime(2026, 1, 1, tzinfo=UTC) + half_hours * timedelta(minutes=30)
)


def rows(date_from: datetime, date_to: datetime, organization: Organization = ORGANIZATION) -> dict[int, Row]:
    return {row.scenario.id: row for row in organization.select(Criteria(date_from=date_from, date_to=date_to)).rows}


def day(date: datetime, organization: Organization = ORGANIZATION) -> dict[int, Row]:
    return rows(date, date + DAY, organization)


@pytest.mark.parametrize("month", MONTHS)
def test_a_scenario_is_deleted_and_one_is_created(month: dict[int, datetime]) -> None:
    before, after = day(month[4]), day(month[5])
    (deleted,), (created,) = before.keys() - after.keys(), after.keys() - before.keys()
    assert created == max(after)
    assert before[deleted].statistics.executions > 0
    assert after[created].statistics.executions > 0
    assert after[created].statistics.executions_change is None
    assert deleted not in rows(month[1], month[20])
    # Its executions begin with its creation, in a longer frame as well.
    assert rows(month[1], month[6])[created].statistics.executions == after[created].statistics.executions
    assert all(day(month[number]).keys() == after.keys() for number in range(6, 29))


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize(("scenarios", "at_once"), [(250, 1), (1000, 3)])
def test_scenarios_begin_to_fail_and_are_repaired(month: dict[int, datetime], scenarios: int, at_once: int) -> None:
    organization = Organization(1, scenarios, story=True)

    def error_rates(number: int) -> dict[int, float]:
        on_day = day(month[number], organization).items()
        return {id_: row.statistics.error_rate or 0.0 for id_, row in on_day if row.statistics.executions > 19}

    before, after = error_rates(11), error_rates(12)
    failing = {id_ for id_ in before.keys() & after.keys() if before[id_] < 5 and after[id_] > 35}
    assert len(failing) == at_once
    assert all(error_rates(number)[id_] > 35 for number in range(12, 19) for id_ in failing)
    assert all(error_rates(19)[id_] < 5 for id_ in failing)


@pytest.mark.parametrize("month", MONTHS)
def test_a_scenario_is_disabled_and_the_one_before_is_enabled(month: dict[int, datetime]) -> None:
    before, after = day(month[22]), day(month[23])
    common = before.keys() & after.keys()
    (disabled,) = [id_ for id_ in common if before[id_].scenario.status == "active" != after[id_].scenario.status]
    (enabled,) = [id_ for id_ in common if before[id_].scenario.status != "active" == after[id_].scenario.status]
    assert after[disabled].scenario.status == before[enabled].scenario.status == "inactive"
    assert before[disabled].statistics.executions > 0 < after[enabled].statistics.executions
    assert after[disabled].statistics[:4] == before[enabled].statistics[:4] == (0, 0, 0, 0)
    assert after[disabled].statistics.executions_change == -100.0
    assert rows(month[22], month[28])[disabled].statistics[:4] == before[disabled].statistics[:4]
    inactive = ORGANIZATION.select(
        Criteria(date_from=month[23], date_to=month[24], statuses=frozenset({"inactive"}))
    ).rows
    assert disabled in {row.scenario.id for row in inactive}


def test_the_number_of_scenarios_stays_the_same() -> None:
    for number in range(100):
        assert len(day(datetime(2022, 1, 1, tzinfo=UTC) + 15 * number * DAY)) == 250


@given(st.lists(TIMES, min_size=3, max_size=3, unique=True).map(sorted))
def test_figures_of_a_frame_are_the_sums_of_its_parts(moments: list[datetime]) -> None:
    early, middle, late = moments
    first, second, whole = rows(early, middle), rows(middle, late), rows(early, late)
    assert whole.keys() == second.keys()
    for id_, row in whole.items():
        # A scenario that was created in the second part has no figures in the first one.
        parts = [part[id_].statistics[:4] if id_ in part else (0, 0, 0, 0) for part in (first, second)]
        assert row.statistics[:4] == tuple(map(sum, zip(*parts, strict=True)))
        counts = Counts(*row.statistics[:4])
        assert counts.operations >= counts.executions >= counts.errors >= 0


@given(TIMES, st.integers(1, 30))
def test_changes_compare_with_the_preceding_frame(date_from: datetime, days: int) -> None:
    length = days * DAY
    current, preceding = rows(date_from, date_from + length), rows(date_from - length, date_from)
    for id_, row in current.items():
        if id_ not in preceding:
            assert row.statistics.executions_change is None
        elif before := preceding[id_].statistics.executions:
            assert (
                row.statistics.executions_change == round((row.statistics.executions - before) / before * 100, 2) + 0.0
            )


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 12, 20])
def test_the_number_of_scenarios_is_kept_in_small_organizations(size: int) -> None:
    organization = Organization(3, size, story=True)
    for number in (1, 10, 13, 25):
        assert len(day(datetime(2026, 5, number, tzinfo=UTC), organization)) == size


def test_current_scenarios_are_those_of_a_frame_that_ends_now() -> None:
    now = datetime.now(UTC)
    scenarios = ORGANIZATION.scenarios
    assert [scenario.id for scenario in scenarios] == sorted(rows(now - DAY, now))
    statuses = Counter(scenario.status for scenario in scenarios)
    assert statuses == Counter(row.scenario.status for row in rows(now - DAY, now).values())


def test_a_deleted_scenario_vanishes_from_the_past_too() -> None:
    organization = Organization(1, 250, story=True)
    oldest, newest = organization.scenarios[0], organization.scenarios[-1]
    organization.delete_scenarios([oldest.id, newest.id])
    (new,) = organization.add_scenarios(1)
    assert organization.scenarios[-1] == new
    now = datetime.now(UTC)
    assert {oldest.id, newest.id}.isdisjoint(rows(now - 2 * DAY, now, organization))
    assert oldest.id not in rows(now - 300 * DAY, now - 299 * DAY, organization)


def test_without_a_story_nothing_changes() -> None:
    organization = Organization(1, 250)
    first, later = (day(datetime(2026, month, 1, tzinfo=UTC), organization) for month in (1, 9))
    assert [row.scenario for _, row in sorted(first.items())] == organization.scenarios
    assert [row.scenario for _, row in sorted(later.items())] == organization.scenarios


def test_the_truth_of_a_sandbox_has_its_story() -> None:
    sandbox = Sandbox(scenarios=250, story=True)
    # Within five weeks, there is a fifth day of a month.
    ends = [
        datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - number * 7 * DAY for number in range(6)
    ]
    ids = [{entry["id"] for entry in sandbox.truth(date_from=end - DAY, date_to=end)} for end in ends]
    assert all(len(some) == 250 for some in ids)
    assert len(set.union(*ids)) > 250

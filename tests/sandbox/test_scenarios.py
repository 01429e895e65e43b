"""The scenarios: reproducible, of every type, named once, and with counts that add up over time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox.scenarios import (
    TEAMS,
    Counts,
    Scenario,
    Statistics,
    busy_hours,
    compare,
    count_in_frame,
    generate_scenarios,
    hours_since_2020,
    name_scenarios,
)

START = datetime(2025, 3, 1, tzinfo=UTC)
SCENARIOS = list(islice(generate_scenarios(1, 0), 300))
HOURS = st.floats(min_value=0, max_value=70_000)
CYCLE = 143 * 168
# The third week of 2020 began with Monday, 13 January.
MONDAY = 12 * 24


def statistics(scenario: Scenario, date_from: datetime, date_to: datetime) -> Statistics:
    return compare(*count_in_frame(scenario, hours_since_2020(date_from), hours_since_2020(date_to)))


def test_data_is_the_same_on_every_machine() -> None:
    # Literal values: users may have tests with the data of their sandbox.
    scenario = SCENARIOS[0]
    assert (scenario.id, scenario.name, scenario.team_id) == (8889, "Product feed (Germany)", 104)
    assert statistics(scenario, START, START + timedelta(days=1))[:4] == (262, 6049, 592_043, 0)
    assert list(islice(generate_scenarios(1, 0), 300)) == SCENARIOS


def test_a_larger_organization_begins_with_the_scenarios_of_a_smaller_one() -> None:
    assert list(islice(generate_scenarios(1, 0), 10)) == SCENARIOS[:10]


def test_seeds_and_organizations_have_different_scenarios() -> None:
    assert list(islice(generate_scenarios(1, 1), 10)) != SCENARIOS[:10]
    assert list(islice(generate_scenarios(2, 0), 10)) != SCENARIOS[:10]


def test_ids_and_names_are_unique() -> None:
    many = list(islice(generate_scenarios(7, 3), 20_000))
    assert len({scenario.id for scenario in many}) == 20_000
    assert len({scenario.name for scenario in many}) == 20_000
    assert len({scenario.imt_id for scenario in many}) == 20_000
    assert min(scenario.id for scenario in many) > 0
    assert [scenario.id for scenario in many] == sorted(scenario.id for scenario in many)


def test_every_type_of_scenario_exists() -> None:
    assert {scenario.status for scenario in SCENARIOS} == {"active", "inactive", "invalid"}
    assert any(not scenario.name.isascii() for scenario in SCENARIOS)
    assert any('"' in scenario.name for scenario in SCENARIOS)
    assert any("," in scenario.name for scenario in SCENARIOS)
    assert any(scenario.folder_id is None for scenario in SCENARIOS)
    assert len({scenario.folder_id for scenario in SCENARIOS}) > 10
    assert len({scenario.team_id for scenario in SCENARIOS}) == 8
    assert 6 <= sum(not scenario.executions_per_hour for scenario in SCENARIOS) <= 12
    day = [statistics(scenario, START, START + timedelta(days=1)) for scenario in SCENARIOS]
    assert max(counts.centicredits for counts in day) < 10**7
    assert any(counts.executions and not counts.errors for counts in day)
    assert max(counts.error_rate or 0 for counts in day) > 25


def test_huge_credits_do_not_fit_into_64_bits_if_requested() -> None:
    huge = list(islice(generate_scenarios(1, 0, huge_credits=True), 300))
    differing = [scenario for scenario, other in zip(huge, SCENARIOS, strict=True) if scenario != other]
    assert len(differing) == 3
    for scenario in differing:
        credits = statistics(scenario, START, START + timedelta(days=365)).centicredits
        assert credits > 2**64
        assert credits % scenario.centicredits_per_execution == 0


def test_most_scenarios_rest_at_night_and_at_weekends() -> None:
    def executions(begin: datetime, length: timedelta) -> int:
        return sum(statistics(scenario, begin, begin + length).executions for scenario in SCENARIOS)

    # 3 March 2025 was a Monday.
    week = [START + timedelta(days=2 + number) for number in range(7)]
    days = [
        sum(statistics(scenario, day, day + timedelta(days=1)).executions for scenario in SCENARIOS) for day in week
    ]
    assert max(days[5:]) < 0.8 * min(days[:5])
    assert len(set(days)) == 7
    noon, night = week[0] + timedelta(hours=9), week[0]
    part = timedelta(hours=3)
    by_day, by_night = (
        sum(statistics(scenario, at, at + part).executions for scenario in SCENARIOS) for at in (noon, night)
    )
    assert by_night < 0.8 * by_day


def test_each_team_has_one_name_and_each_folder_one_team() -> None:
    assert len({(scenario.team_id, scenario.team_name) for scenario in SCENARIOS}) == 8
    folders = {scenario.folder_id for scenario in SCENARIOS if scenario.folder_id}
    assert len({(scenario.folder_id, scenario.team_id) for scenario in SCENARIOS if scenario.folder_id}) == len(folders)


@given(st.sampled_from(SCENARIOS), st.lists(HOURS, min_size=3, max_size=3, unique=True).map(sorted))
def test_counts_of_a_frame_are_the_sums_of_its_parts(scenario: Scenario, moments: list[float]) -> None:
    early, middle, late = moments
    first, _ = count_in_frame(scenario, early, middle)
    second, _ = count_in_frame(scenario, middle, late)
    whole, _ = count_in_frame(scenario, early, late)
    assert whole == Counts(*map(sum, zip(first, second, strict=True)))
    for counts in (first, second, whole):
        assert counts.operations >= counts.executions >= counts.errors >= 0
        assert counts.centicredits >= 0


def test_changes_are_relative_to_the_preceding_frame() -> None:
    day = timedelta(days=1)
    for scenario in SCENARIOS[:50]:
        current = statistics(scenario, START, START + day)
        preceding = statistics(scenario, START - day, START)
        if preceding.executions:
            change = (current.executions - preceding.executions) / preceding.executions * 100
            assert current.executions_change == round(change, 2)
        else:
            assert current.executions_change is None


def test_rates_and_changes_are_none_if_not_calculable() -> None:
    nothing = Counts(0, 0, 0, 0)
    assert compare(nothing, nothing) == Statistics(0, 0, 0, 0, None, None, None, None, None, None)
    without_errors = Counts(10, 20, 2000, 0)
    assert compare(without_errors, nothing)[4:] == (0.0, None, None, None, None, None)
    assert compare(nothing, without_errors)[4:] == (None, -100.0, -100.0, -100.0, None, None)
    assert compare(Counts(8, 30, 10**25, 2), Counts(16, 20, 2 * 10**25, 1)) == Statistics(
        8, 30, 10**25, 2, 25.0, -50.0, 50.0, -50.0, 100.0, 300.0
    )


def test_changes_are_rounded_to_two_decimals_without_negative_zero() -> None:
    assert compare(Counts(2, 3, 3, 0), Counts(3, 3, 3, 0)).executions_change == -33.33
    barely_less = compare(Counts(999_999, 1, 1, 0), Counts(1_000_000, 1, 1, 0)).executions_change
    assert str(barely_less) == "0.0"


def test_the_changes_of_a_scenario_all_differ() -> None:
    busy = max(SCENARIOS, key=lambda scenario: scenario.executions_per_hour * scenario.error_share)
    # A Monday.
    begin = START + timedelta(days=2, hours=busy.busiest_hour)
    for length in (timedelta(hours=1), timedelta(days=1), timedelta(days=365)):
        assert len(set(statistics(busy, begin, begin + length)[5:])) == 5


def test_a_frame_may_begin_before_the_first_execution() -> None:
    busy = max(SCENARIOS, key=lambda scenario: scenario.executions_per_hour)
    result = statistics(busy, START, datetime(9999, 1, 1, tzinfo=UTC))
    assert result.executions > 0
    assert result.executions_change is not None
    assert statistics(busy, datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 2, 1, tzinfo=UTC)).executions == 0


def test_names_are_unique_and_numbered_when_they_run_out() -> None:
    names = name_scenarios(random.Random(0))
    all_names = [next(names[team]) for _ in range(400) for team in range(len(TEAMS))]
    assert len(set(all_names)) == len(all_names)
    # Five activities in 24 markets.
    assert not all_names[119 * len(TEAMS)].endswith("2")
    assert all_names[120 * len(TEAMS)] == f"{all_names[0]} 2"
    assert all_names[240 * len(TEAMS)] == f"{all_names[0]} 3"


def test_the_order_of_names_is_chosen_by_the_seed() -> None:
    first, again, other = (list(islice(name_scenarios(random.Random(seed))[0], 9)) for seed in (1, 1, 2))
    assert first == again != other


def share(busiest_hour: int, start: float, length: float) -> float:
    return busy_hours(busiest_hour, start + length) - busy_hours(busiest_hour, start)


@given(
    st.integers(0, 23),
    st.integers(0, 10 * CYCLE) | st.floats(0, 10 * CYCLE),
    st.sampled_from([1e-9, 1e-6, 1 / 60]) | st.floats(0, 10),
)
def test_hours_never_fall(busiest_hour: int, hours: float, step: float) -> None:
    assert busy_hours(busiest_hour, hours) <= busy_hours(busiest_hour, hours + step)


@pytest.mark.parametrize("busiest_hour", range(24))
def test_each_rhythm_has_its_busiest_hour_and_a_mean_of_one(busiest_hour: int) -> None:
    by_hour = [share(busiest_hour, MONDAY + hour, 1) for hour in range(24)]
    assert by_hour.index(max(by_hour)) == busiest_hour
    assert min(by_hour) < 0.2 * max(by_hour)
    assert busy_hours(busiest_hour, 2 * CYCLE) == pytest.approx(2 * CYCLE)


@pytest.mark.parametrize(("busiest_hour", "rests"), [(9, True), (17, True), (20, False), (2, False)])
def test_what_runs_in_office_hours_rests_at_weekends(busiest_hour: int, rests: bool) -> None:
    days = [share(busiest_hour, MONDAY + 24 * day, 24) for day in range(7)]
    assert (max(days[5:]) < 0.5 * min(days[:5])) == rests
    assert (min(days[5:]) > 0.7 * max(days[:5])) == (not rests)


def test_no_day_is_like_another_within_a_cycle() -> None:
    days = [round(share(10, 24.0 * day, 24), 9) for day in range(143 * 7)]
    assert len(set(days)) == len(days)

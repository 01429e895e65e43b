"""The sandbox's data: the same everywhere, additive over time, with every rare kind in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox.data import (
    Counts,
    Figures,
    Scenario,
    compare,
    count_runs,
    figures,
    generate_scenarios,
)

START = datetime(2025, 3, 1, tzinfo=UTC)
SCENARIOS = list(islice(generate_scenarios(1, 0), 300))
HOURS = st.floats(min_value=0, max_value=70_000)


def test_the_data_are_the_same_on_every_machine_and_in_every_process() -> None:
    # Literal values: a change of them breaks what users wrote down about their sandbox.
    scenario = SCENARIOS[0]
    assert (scenario.id, scenario.name, scenario.team_id) == (3737, "Archive e-mails 00001", 102)
    assert figures(scenario, START, START + timedelta(days=1))[:4] == (246, 395, 49_005, 0)
    assert list(islice(generate_scenarios(1, 0), 300)) == SCENARIOS


def test_a_larger_organization_begins_like_a_smaller_one() -> None:
    assert list(islice(generate_scenarios(1, 0), 10)) == SCENARIOS[:10]


def test_seeds_and_organizations_differ() -> None:
    assert list(islice(generate_scenarios(1, 1), 10)) != SCENARIOS[:10]
    assert list(islice(generate_scenarios(2, 0), 10)) != SCENARIOS[:10]


def test_ids_and_names_are_unique() -> None:
    many = list(islice(generate_scenarios(7, 3), 20_000))
    assert len({scenario.id for scenario in many}) == 20_000
    assert len({scenario.name for scenario in many}) == 20_000
    assert len({scenario.imt_id for scenario in many}) == 20_000
    assert min(scenario.id for scenario in many) > 0
    assert [scenario.id for scenario in many] == sorted(scenario.id for scenario in many)


def test_every_kind_of_scenario_is_there() -> None:
    assert {scenario.status for scenario in SCENARIOS} == {"active", "inactive", "invalid"}
    assert any(not scenario.name.isascii() for scenario in SCENARIOS)
    assert any('"' in scenario.name for scenario in SCENARIOS)
    assert any("," in scenario.name for scenario in SCENARIOS)
    assert any(scenario.folder_id is None for scenario in SCENARIOS)
    assert len({scenario.folder_id for scenario in SCENARIOS}) > 10
    assert len({scenario.team_id for scenario in SCENARIOS}) == 8
    assert 6 <= sum(not scenario.executions_per_hour for scenario in SCENARIOS) <= 12
    day = [figures(scenario, START, START + timedelta(days=1)) for scenario in SCENARIOS]
    assert any(found.centicredits > 2**64 for found in day)
    assert any(found.executions and not found.errors for found in day)
    assert max(found.error_rate or 0 for found in day) > 25


def test_a_team_has_one_name_and_a_folder_one_team() -> None:
    assert len({(scenario.team_id, scenario.team_name) for scenario in SCENARIOS}) == 8
    folders = {scenario.folder_id for scenario in SCENARIOS if scenario.folder_id}
    assert len({(scenario.folder_id, scenario.team_id) for scenario in SCENARIOS if scenario.folder_id}) == len(folders)


@given(st.sampled_from(SCENARIOS), st.lists(HOURS, min_size=3, max_size=3, unique=True).map(sorted))
def test_a_frame_holds_what_its_parts_hold(scenario: Scenario, moments: list[float]) -> None:
    early, middle, late = moments
    first, _ = count_runs(scenario, early, middle)
    second, _ = count_runs(scenario, middle, late)
    whole, _ = count_runs(scenario, early, late)
    assert whole == Counts(*(one + other for one, other in zip(first, second, strict=True)))
    for counts in (first, second, whole):
        assert counts.operations >= counts.executions >= counts.errors >= 0
        assert counts.centicredits >= 0


def test_changes_compare_with_the_preceding_frame_of_equal_length() -> None:
    day = timedelta(days=1)
    for scenario in SCENARIOS[:50]:
        found = figures(scenario, START, START + day)
        before = figures(scenario, START - day, START)
        if before.executions:
            change = (found.executions - before.executions) / before.executions * 100
            assert found.executions_change == round(change, 2)
        else:
            assert found.executions_change is None


def test_rates_and_changes_are_absent_where_not_calculable() -> None:
    nothing = Counts(0, 0, 0, 0)
    assert compare(nothing, nothing) == Figures(0, 0, 0, 0, None, None, None, None, None, None)
    without_errors = Counts(10, 20, 2000, 0)
    assert compare(without_errors, nothing)[4:] == (0.0, None, None, None, None, None)
    assert compare(nothing, without_errors)[4:] == (None, -100.0, -100.0, -100.0, None, None)
    assert compare(Counts(8, 30, 10**25, 2), Counts(16, 20, 2 * 10**25, 1)) == Figures(
        8, 30, 10**25, 2, 25.0, -50.0, 50.0, -50.0, 100.0, 300.0
    )


def test_changes_are_rounded_to_two_decimals_without_a_minus_zero() -> None:
    assert compare(Counts(2, 3, 3, 0), Counts(3, 3, 3, 0)).executions_change == -33.33
    barely_less = compare(Counts(999_999, 1, 1, 0), Counts(1_000_000, 1, 1, 0)).executions_change
    assert str(barely_less) == "0.0"


def test_the_changes_of_a_scenario_differ_so_that_no_client_can_mix_them_up() -> None:
    busy = max(SCENARIOS, key=lambda scenario: scenario.executions_per_hour * scenario.error_share)
    for length in (timedelta(hours=1), timedelta(days=1), timedelta(days=365)):
        found = figures(busy, START, START + length)
        assert len(set(found[5:])) == 5


def test_a_frame_that_begins_before_the_first_executions_is_no_error() -> None:
    busy = max(SCENARIOS, key=lambda scenario: scenario.executions_per_hour)
    found = figures(busy, START, datetime(9999, 1, 1, tzinfo=UTC))
    assert found.executions > 0
    assert found.executions_change is not None
    assert figures(busy, datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 2, 1, tzinfo=UTC)).executions == 0

"""Test the names of scenarios."""

from __future__ import annotations

import random

from airflow_provider_make.sandbox.names import TEAMS, ScenarioNames


def test_names_are_unique_and_numbered_when_they_run_out() -> None:
    names = ScenarioNames(random.Random(0))
    all_names = [names.next(team) for _ in range(400) for team in range(len(TEAMS))]
    assert len(set(all_names)) == len(all_names)
    # Five activities in 24 markets.
    assert not all_names[119 * len(TEAMS)].endswith("2")
    assert all_names[120 * len(TEAMS)] == f"{all_names[0]} 2"
    assert all_names[240 * len(TEAMS)] == f"{all_names[0]} 3"


def test_the_order_of_names_is_chosen_by_the_seed() -> None:
    first, again, other = (ScenarioNames(random.Random(seed)) for seed in (1, 1, 2))
    assert [first.next(0) for _ in range(9)] == [again.next(0) for _ in range(9)] != [other.next(0) for _ in range(9)]

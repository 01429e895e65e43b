"""An organization's scenarios: filters, order, additions and deletions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_make.sandbox import organization as module
from airflow_provider_make.sandbox.organization import Organization, Row
from airflow_provider_make.sandbox.query import SORT_KEYS, Criteria
from airflow_provider_make.sandbox.scenarios import compare, count_in_frame, hours_since_2020

# In a single hour many scenarios have no executions, so there are many ties and absent values.
HOUR = Criteria(date_from=datetime(2025, 6, 3, 8, tzinfo=UTC), date_to=datetime(2025, 6, 3, 9, tzinfo=UTC))
ATTRIBUTES = {
    "name": "scenario.name",
    "teamName": "scenario.team_name",
    "status": "scenario.status",
    "operations": "statistics.operations",
    "executions": "statistics.executions",
    "errors": "statistics.errors",
    "errorRate": "statistics.error_rate",
    "executionsChange": "statistics.executions_change",
    "operationsChange": "statistics.operations_change",
    "errorsChange": "statistics.errors_change",
    "errorRateChange": "statistics.error_rate_change",
}


def hour(**criteria: Any) -> Criteria:
    return HOUR.model_copy(update=criteria)


def value(row: Row, sort_by: str) -> object:
    part, name = ATTRIBUTES[sort_by].split(".")
    return getattr(getattr(row, part), name)


@pytest.fixture(scope="module")
def organization() -> Organization:
    return Organization(1, 200)


@pytest.mark.parametrize("absent_first", [False, True])
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_by", SORT_KEYS)
def test_every_sort_key_sorts(sort_by: str, sort_dir: str, absent_first: bool) -> None:
    organization = Organization(1, 200, absent_first=absent_first)
    rows = organization.select(hour(sort_by=sort_by, sort_dir=sort_dir)).rows
    assert sorted(row.scenario.id for row in rows) == [scenario.id for scenario in organization.scenarios]
    values = [value(row, sort_by) for row in rows]
    absent = [key is None for key in values]
    assert absent == sorted(absent, reverse=absent_first)
    assert any(absent) == (sort_by.endswith("Change") or sort_by == "errorRate")
    present = [key for key in values if key is not None]
    assert present == sorted(present, reverse=sort_dir == "desc")  # type: ignore[type-var]
    for row, following in zip(rows, rows[1:], strict=False):
        if value(row, sort_by) == value(following, sort_by):
            assert row.scenario.id < following.scenario.id


@pytest.mark.parametrize("sort_by", SORT_KEYS)
def test_ties_are_the_ranges_of_equal_keys(organization: Organization, sort_by: str) -> None:
    result = organization.select(hour(sort_by=sort_by))
    tied = {at for start, end in result.ties for at in range(start, end)}
    for start, end in result.ties:
        assert len({value(row, sort_by) for row in result.rows[start:end]}) == 1
    for at in range(1, len(result.rows)):
        alike = value(result.rows[at], sort_by) == value(result.rows[at - 1], sort_by)
        assert alike == ({at - 1, at} <= tied and not any(start == at for start, _ in result.ties))


@pytest.mark.parametrize("criteria", [HOUR, hour(statuses=frozenset({"invalid"}))])
def test_the_total_sums_the_selected_scenarios(organization: Organization, criteria: Criteria) -> None:
    result = organization.select(criteria)
    for name in ("executions", "operations", "centicredits", "errors"):
        assert getattr(result.total, name) == sum(getattr(row.statistics, name) for row in result.rows)
    assert result.total.error_rate == result.total.errors / result.total.executions * 100
    before = {"date_from": criteria.date_from - timedelta(hours=1), "date_to": criteria.date_from}
    preceding = organization.select(criteria.model_copy(update=before)).total
    change = (result.total.operations - preceding.operations) / preceding.operations * 100
    assert result.total.operations_change == round(change, 2)


def test_rows_contain_the_statistics_of_their_scenarios(organization: Organization) -> None:
    frame = hours_since_2020(HOUR.date_from), hours_since_2020(HOUR.date_to)
    for row in organization.select(HOUR).rows:
        assert row.statistics == compare(*count_in_frame(row.scenario, *frame))


def test_filters_by_team_status_and_folder(organization: Organization) -> None:
    scenarios = organization.scenarios
    folders = frozenset(scenario.folder_id for scenario in scenarios[:9] if scenario.folder_id is not None)
    criteria = hour(team_ids=frozenset({101, 102}), statuses=frozenset({"active", "invalid"}))
    assert {row.scenario.id for row in organization.select(criteria).rows} == {
        scenario.id
        for scenario in scenarios
        if scenario.team_id in (101, 102) and scenario.status in ("active", "invalid")
    }
    in_folders = organization.select(hour(folder_ids=folders)).rows
    assert in_folders
    assert {row.scenario.id for row in in_folders} == {
        scenario.id for scenario in scenarios if scenario.folder_id in folders
    }


def test_an_empty_selection_has_a_total_of_zero(organization: Organization) -> None:
    result = organization.select(hour(team_ids=frozenset({999})))
    assert result.rows == []
    assert result.total == (0, 0, 0, 0, None, None, None, None, None, None)
    assert Organization(1, 0).select(HOUR) == result


def test_the_cache_of_results_is_limited(organization: Organization) -> None:
    result = organization.select(HOUR)
    assert organization.select(HOUR) is result
    for team in range(module._CACHED_RESULTS):
        organization.select(hour(team_ids=frozenset({team})))
    assert organization.select(HOUR) is not result


def test_scenarios_are_added_and_deleted() -> None:
    organization = Organization(1, 10)
    assert len(organization.select(HOUR).rows) == 10
    first, second = organization.scenarios[:2]
    organization.delete_scenarios([first.id, second.id])
    assert {first.id, second.id}.isdisjoint(row.scenario.id for row in organization.select(HOUR).rows)
    assert len(organization.select(HOUR).rows) == 8
    new = organization.add_scenarios(3)
    assert organization.scenarios[-3:] == new == Organization(1, 13).scenarios[-3:]
    assert len(organization.select(HOUR).rows) == 11


def test_deleting_an_unknown_scenario_deletes_nothing() -> None:
    organization = Organization(1, 3)
    with pytest.raises(ValueError, match=r"no scenario \[1\]"):
        organization.delete_scenarios([organization.scenarios[0].id, 1])
    assert len(organization.scenarios) == 3


def test_a_scenario_is_renamed_and_sorted_by_its_new_name() -> None:
    organization = Organization(1, 5)
    by_name = hour(sort_by="name")
    last = organization.select(by_name).rows[-1].scenario
    revision = organization.revision
    organization.rename_scenario(last.id, "\0 first")
    assert organization.revision == revision + 1
    assert organization.select(by_name).rows[0].scenario == replace(last, name="\0 first")
    assert [scenario.id for scenario in organization.scenarios] == [
        scenario.id for scenario in Organization(1, 5).scenarios
    ]
    with pytest.raises(ValueError, match=r"no scenario \[1\]"):
        organization.rename_scenario(1, "name")
    assert organization.revision == revision + 1


def test_renaming_is_thread_safe() -> None:
    organization = Organization(1, 8)
    scenarios = organization.scenarios

    def work(number: int) -> None:
        for _ in range(50):
            organization.rename_scenario(scenarios[number].id, f"renamed {number}")
            organization.select(HOUR)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert organization.revision == 400
    assert [scenario.name for scenario in organization.scenarios] == [f"renamed {number}" for number in range(8)]


@pytest.mark.parametrize(("organization_id", "scenarios"), [(0, 1), (-1, 1), (1, -1)])
def test_invalid_organizations_are_rejected(organization_id: int, scenarios: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Organization(organization_id, scenarios)

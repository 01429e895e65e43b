"""The URLs of Make's web pages."""

from __future__ import annotations

from airflow_provider_make.links import organization_url, scenario_url


def test_organization_has_a_dashboard() -> None:
    assert organization_url("eu1.make.com", 42) == "https://eu1.make.com/organization/42/dashboard"


def test_scenario_is_found_by_its_team() -> None:
    assert scenario_url("eu1.make.com", 7, 9) == "https://eu1.make.com/7/scenarios/9/edit"
    assert scenario_url("eu1.make.com", None, 9) is None

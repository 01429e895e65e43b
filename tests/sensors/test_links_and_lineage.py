"""Links and lineage of sensors."""

from __future__ import annotations

from airflow_provider_make.links import MakeOrganizationLink, MakeScenarioLink
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor


def test_organization_and_most_extreme_scenario_are_recorded() -> None:
    sensor = MakeErrorRateSensor(task_id="x", threshold=5)
    sensor.record_organization({}, "eu1.make.com", 42)
    sensor.record_scenario({}, "eu1.make.com", {"scenarios": []})
    assert list(sensor.link_urls) == [MakeOrganizationLink.xcom_key]
    rows = [{"team_id": 7, "scenario_id": 9}, {"team_id": 7, "scenario_id": 1}]
    sensor.record_scenario({}, "eu1.make.com", {"scenarios": rows})
    assert sensor.link_urls[MakeScenarioLink.xcom_key] == "https://eu1.make.com/7/scenarios/9/edit"
    (dataset,) = sensor.get_openlineage_facets_on_complete(None).inputs
    assert "42" in dataset.name

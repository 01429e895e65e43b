"""Links to Make, as tasks store them in a real Airflow and its UI reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.get_provider_info import get_provider_info
from airflow_provider_make.links import (
    LinksAndLineage,
    MakeObjectLink,
    MakeOrganizationLink,
    MakeReportLink,
    MakeScenarioLink,
    organization_url,
    scenario_url,
)
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.operators.report import MakeReportOperator
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.airflow_versions import NATIVE, VERSION, find, load_dag, run_dag

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


class FakeTaskInstance(dict[str, Any]):
    """A fake task instance, which collects XComs."""

    def xcom_push(self, key: str, value: Any) -> None:
        self[key] = value


def test_organization_has_a_dashboard_and_a_scenario_is_found_by_its_team() -> None:
    assert organization_url("eu1.make.com", 42) == "https://eu1.make.com/organization/42/dashboard"
    assert scenario_url("eu1.make.com", 7, 9) == "https://eu1.make.com/7/scenarios/9/edit"
    assert scenario_url("eu1.make.com", None, 9) is None


def test_urls_of_organization_and_the_most_extreme_scenario_are_stored() -> None:
    task_instance = FakeTaskInstance()
    context: Any = {"ti": task_instance}
    task = LinksAndLineage()
    task.record_organization(context, "eu1.make.com", 42)
    task.record_scenario(context, "eu1.make.com", {"scenarios": []})
    organization = {"_link_MakeOrganizationLink": "https://eu1.make.com/organization/42/dashboard"}
    assert task_instance == organization
    rows = [{"team_id": 7, "scenario_id": 123}, {"team_id": 7, "scenario_id": 1}]
    task.record_scenario(context, "eu1.make.com", {"scenarios": rows})
    urls = {**organization, "_link_MakeScenarioLink": "https://eu1.make.com/7/scenarios/123/edit"}
    assert task_instance == urls
    # Airflow 3 calls get_link with the task after it ran.
    links = (MakeOrganizationLink(), MakeScenarioLink())
    assert [link.get_link(task, ti_key=None) for link in links] == list(urls.values())
    assert [link.get_link(LinksAndLineage(), ti_key=None) for link in links] == ["", ""]
    (dataset,) = task.get_openlineage_facets_on_complete(None).inputs
    assert (dataset.namespace, dataset.name) == ("make://eu1.make.com", "organizations/42")


def test_no_link_for_a_scenario_without_team_or_outside_a_task() -> None:
    task_instance = FakeTaskInstance()
    context: Any = {"ti": task_instance}
    LinksAndLineage().record_scenario(context, "eu1.make.com", {"scenarios": [{"team_id": None, "scenario_id": 123}]})
    LinksAndLineage().record_organization({}, "eu1.make.com", 42)
    assert task_instance == {}


def test_link_classes_are_in_the_provider_info() -> None:
    operators = (MakeAnalyticsOperator, MakeReportOperator, MakeErrorRateSensor)
    links = [link for operator in operators for link in operator.operator_extra_links]
    paths = {f"{type(link).__module__}.{type(link).__qualname__}" for link in links}
    assert paths == set(get_provider_info()["extra-links"])


def test_written_objects_have_a_link_where_their_storage_has_a_page(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    page = "https://console.aws.amazon.com/s3/object/b?prefix="
    asked = []

    def object_page(path: str, conn_id: str | None) -> str | None:
        asked.append((Path(path).name, conn_id))
        return page + path

    monkeypatch.setattr("airflow_provider_make.output.object_path.object_page", object_page)
    path = f"{tmp_path}/a.parquet"
    pull = MakeAnalyticsOperator(task_id="pull", output_path=path, date_from=MIDNIGHT, date_to=MIDNIGHT.replace(hour=1))
    report = MakeReportOperator(task_id="report", source=path)
    for operator, link, name in ((pull, MakeObjectLink, path), (report, MakeReportLink, f"{tmp_path}/a.html")):
        task_instance = FakeTaskInstance()
        context: Any = {"ti": task_instance}
        operator.execute(context)
        assert task_instance[link.xcom_key] == link().get_link(operator, ti_key=None) == page + name
    assert asked == [("a.parquet", None), ("a.html", None)]
    # Nothing is written.
    pull.output_path = None
    pull.link_urls.clear()
    pull.execute({})
    assert MakeObjectLink().get_link(pull, ti_key=None) == ""


@pytest.mark.usefixtures("airflow_database")
def test_tasks_store_links_that_airflow_finds(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    worst = make_sandbox.organization().scenarios[5]
    make_sandbox.organization().set_counts(100, 1)
    make_sandbox.organization().set_counts(100, 50, [worst.id])
    dag = load_dag(NATIVE, "links")
    tasks = {task.task_id: task for task in run_dag(dag, MIDNIGHT).get_task_instances()}

    def link(task_id: str, link_class: type[Any]) -> str:
        # Airflow 3's UI reads the XCom; Airflow 2's calls the link class, with the deserialized task.
        from_class = None
        if VERSION < (3, 0):
            serialized = find("SerializedDAG", "airflow.serialization.serialized_objects")
            deserialized = serialized.deserialize_dag(serialized.serialize_dag(dag)).get_task(task_id)
            from_class = link_class().get_link(deserialized, ti_key=tasks[task_id].key)
        stored: str = tasks[task_id].xcom_pull(task_ids=task_id, key=link_class.xcom_key) or ""
        assert from_class in (None, stored)
        return stored

    host = make_sandbox.host.removeprefix("http://")
    organization = f"https://{host}/organization/1/dashboard"
    scenario = f"https://{host}/{worst.team_id}/scenarios/{worst.id}/edit"
    assert [link(task, MakeOrganizationLink) for task in tasks] == [organization] * 3
    assert {task: link(task, MakeScenarioLink) for task in tasks} == {
        "pull": "",
        "wait": scenario,
        "quiet": "",
    }


def test_deferred_sensor_stores_links_when_it_resumes() -> None:
    row = {"team_id": 7, "scenario_id": 123}
    event = {"organization_id": 1, "scenarios": [row, {}], "status": "success", "version": 1, "message": None}
    task_instance = FakeTaskInstance()
    context: Any = {"ti": task_instance}
    sensor = MakeErrorRateSensor(task_id="wait", threshold=1)
    sensor.execute_complete(context, event, zone="eu1.make.com", organization_id=1)
    assert task_instance == {
        "_link_MakeOrganizationLink": "https://eu1.make.com/organization/1/dashboard",
        "_link_MakeScenarioLink": "https://eu1.make.com/7/scenarios/123/edit",
    }

"""Lineage, as OpenLineage's extractor and Airflow's collector receive it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde

from airflow_provider_make.exceptions import MakeServerError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.lineage import convert_asset_to_openlineage, organization_uri, to_openlineage
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.airflow_versions import find
from tests.support.time_frames import LAST_WEEK


@pytest.fixture(autouse=True)
def connection(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)


def lineage_of(task: Any) -> dict[str, Any]:
    """Return the lineage in OpenLineage's event of a task, as JSON."""
    extracted = DefaultExtractor(task).extract_on_complete(None)
    assert extracted is not None
    lineage: dict[str, Any] = json.loads(Serde.to_json(extracted))
    return lineage


def organization(sandbox: Sandbox) -> dict[str, Any]:
    return {"namespace": f"make://{sandbox.host.removeprefix('http://')}", "name": "organizations/1", "facets": {}}


def names_of(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def test_operator_reports_the_organization_and_the_object(make_sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "analytics.parquet"
    task = MakeAnalyticsOperator(task_id="pull", output_path=str(path), **LAST_WEEK)
    task.execute({})
    lineage = lineage_of(task)
    assert names_of(lineage["inputs"]) == names_of([organization(make_sandbox)])
    (output,) = lineage["outputs"]
    assert (output["namespace"], output["name"]) == ("file", str(path))
    fields = output["facets"]["schema"]["fields"]
    assert [field["name"] for field in fields] == list(COLUMNS)
    types = {field["name"]: field["type"] for field in fields}
    assert (types["centicredits"], types["name"], types["error_rate"]) == ("decimal128(38, 0)", "string", "float64")
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (250, path.stat().st_size)
    assert make_sandbox.token not in json.dumps(lineage)


def test_operator_without_an_object_reports_the_organization(make_sandbox: Sandbox) -> None:
    task = MakeAnalyticsOperator(task_id="pull", max_xcom_bytes=5_000_000, **LAST_WEEK)
    task.execute({})
    lineage = lineage_of(task)
    assert (names_of(lineage["inputs"]), lineage["outputs"]) == (names_of([organization(make_sandbox)]), [])


def test_a_failed_task_reports_the_organization(make_sandbox: Sandbox, tmp_path: Path) -> None:
    task = MakeAnalyticsOperator(task_id="pull", output_path=str(tmp_path / "a.csv"), api_retry_limit=1, **LAST_WEEK)
    make_sandbox.fail("503")
    with pytest.raises(MakeServerError):
        task.execute({})
    lineage = lineage_of(task)
    assert (names_of(lineage["inputs"]), lineage["outputs"]) == (names_of([organization(make_sandbox)]), [])


def test_a_task_that_did_not_start_reports_nothing() -> None:
    assert lineage_of(MakeErrorRateSensor(task_id="wait", threshold=1))["inputs"] == []


def test_sensor_reports_the_organization(make_sandbox: Sandbox) -> None:
    task = MakeErrorRateSensor(task_id="wait", threshold=0)
    result = task.execute({})
    assert names_of(lineage_of(task)["inputs"]) == names_of([organization(make_sandbox)])
    # Resumed after the triggerer's event: in another process, which has fetched nothing.
    resumed = MakeErrorRateSensor(task_id="wait", threshold=0)
    event = {**result, "status": "success", "version": 1}
    zone = make_sandbox.host.removeprefix("http://")
    assert resumed.execute_complete({}, event, zone=zone, organization_id=1) == result
    assert names_of(lineage_of(resumed)["inputs"]) == names_of([organization(make_sandbox)])


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("/data/a.parquet", "file", "/data/a.parquet"),
        ("file:///data/a.parquet", "file", "/data/a.parquet"),
        ("/data/run#2/Ü a%20.parquet", "file", "/data/run#2/Ü a%20.parquet"),
        ("s3://bucket/Ü a?#.parquet", "s3://bucket", "Ü a?#.parquet"),
        ("s3://bucket/make/a.parquet", "s3://bucket", "make/a.parquet"),
        ("s3://aws_default@bucket/make/a.parquet", "s3://bucket", "make/a.parquet"),
        ("gs://bucket/a.csv.gz", "gs://bucket", "a.csv.gz"),
    ],
)
def test_objects_are_named_by_openlineages_conventions(path: str, namespace: str, name: str) -> None:
    lineage = to_openlineage("make://eu1.make.com/organizations/42", {"path": path, "row_count": 1, "bytes": 2})
    assert [(output.namespace, output.name) for output in lineage.outputs] == [(namespace, name)]


def test_asset_of_an_organization_is_converted() -> None:
    asset = SimpleNamespace(uri=organization_uri("eu1.make.com", 42))
    dataset = convert_asset_to_openlineage(asset, None)
    assert (dataset.namespace, dataset.name) == ("make://eu1.make.com", "organizations/42")


def test_airflow_finds_the_converter(airflow_database: None) -> None:
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset

    asset = find("Asset", "airflow.providers.common.compat.sdk")(uri=organization_uri("eu1.make.com", 42))
    dataset = translate_airflow_asset(asset, None)
    assert dataset is not None
    assert (dataset.namespace, dataset.name) == ("make://eu1.make.com", "organizations/42")


def test_hook_reports_its_organization_to_airflows_collector(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = find("HookLineageCollector", "airflow.sdk.lineage", "airflow.lineage.hook")()
    monkeypatch.setattr(sdk, "get_hook_lineage_collector", lambda: collector)
    with MakeHook() as hook:
        hook.get_analytics_page(limit=1)
        pages = hook.iter_analytics_pages(page_size=100)
        assert collector.collected_assets.inputs[0].count == 1
        assert len(list(pages)) == 3
    (reported,) = collector.collected_assets.inputs
    asset = getattr(reported, "asset", None) or reported.dataset
    assert (asset.uri, reported.count) == (organization_uri(make_sandbox.host.removeprefix("http://"), 1), 2)

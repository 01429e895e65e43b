"""Lineage, as OpenLineage's extractor and Airflow's collector receive it, and the asset events of a pull."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import Asset, AssetAlias
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde

from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError, MakeServerError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.lineage import Outlets, convert_asset_to_openlineage, organization_uri, to_openlineage
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.airflow_versions import HAS_PARTITIONS, NATIVE, VERSION, find, load_dag, run_dag
from tests.support.time_frames import LAST_WEEK, MIDNIGHT

DAY = TimeFrame(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
PLAIN = Asset(uri="s3://warehouse/analytics")
SUMMARY: dict[str, Any] = {"row_count": 1, "path": "/data/a.parquet", "total": {"error_rate": 6.5}, "rows": [{}]}


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
        ("local:///data/a.parquet", "file", "/data/a.parquet"),
        ("/data/run#2/Ü a%20.parquet", "file", "/data/run#2/Ü a%20.parquet"),
        ("s3://bucket/Ü a?#.parquet", "s3://bucket", "Ü a?#.parquet"),
        ("s3://bucket/make/a.parquet", "s3://bucket", "make/a.parquet"),
        ("s3://aws_default@bucket/make/a.parquet", "s3://bucket", "make/a.parquet"),
        ("s3a://aws_default@bucket/make/a.parquet", "s3://bucket", "make/a.parquet"),
        ("s3n://bucket/a.parquet", "s3://bucket", "a.parquet"),
        ("gs://bucket/a.csv.gz", "gs://bucket", "a.csv.gz"),
        ("gcs://bucket/a.csv.gz", "gs://bucket", "a.csv.gz"),
        ("abfs://container/a.csv", "abfs://container", "a.csv"),
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


class Event(SimpleNamespace):
    """An outlet event of any Airflow version."""

    def __init__(self) -> None:
        super().__init__(extra={}, added=[])

    def add(self, asset: Any, extra: dict[str, Any]) -> None:
        self.added.append((asset, extra))


class PartitionedEvent(Event):
    """An outlet event of Airflow 3.3."""

    partition: str | None = None

    def add_partitions(self, key: str) -> None:
        self.partition = key


class ByOutlet(dict[int, Any]):
    """Accessors by outlet, which raise for other objects than assets, like Airflow's."""

    def __getitem__(self, outlet: Any) -> Any:
        if isinstance(outlet, dict):
            raise TypeError("not an asset")
        return super().__getitem__(id(outlet))


def outlets_of(events: Sequence[tuple[Any, Any]], time_frame: TimeFrame = DAY) -> Outlets:
    """The outlets of a task, with the event of each."""
    context: Any = {"outlet_events": ByOutlet({id(outlet): event for outlet, event in events})}
    return Outlets([outlet for outlet, _ in events], context, time_frame)


def partitioned_by(template: Any) -> Any:
    return SimpleNamespace(uri="s3://warehouse/analytics", extra={"partition_key": template})


def partition_key(outlet: Any, time_frame: TimeFrame = DAY) -> str | None:
    return Outlets([], {}, time_frame).partition_key(outlet)


@pytest.mark.parametrize(
    ("template", "key"),
    [("%Y-%m-%d", "2026-11-22"), ("%Y-%m-%dT%H:%M:%S", "2026-11-22T00:00:00"), ("day-%j", "day-326")],
)
def test_partition_key_is_the_formatted_start_of_the_time_frame(template: str, key: str) -> None:
    assert partition_key(Asset(uri="s3://warehouse/analytics", extra={"partition_key": template})) == key


@pytest.mark.parametrize("outlet", [PLAIN, AssetAlias("anything"), "a text"])
def test_outlets_without_a_format_have_no_partition(outlet: Any) -> None:
    assert partition_key(outlet) is None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        *((template, "partition_key=") for template in ("", "daily", "%%", "%Q", "%s", "%Y\0", "%Y\ud800", True, 7)),
        (["%Y"], "partition_key="),
        *((template, "1 to 250 characters") for template in ("%t", "%n%t", "%Y" + "-" * 250)),
    ],
)
def test_error_names_a_format_that_is_not_valid_or_whose_keys_airflow_rejects(template: Any, problem: str) -> None:
    with pytest.raises(MakeInputError, match=problem):
        partition_key(partitioned_by(template))


def test_partition_of_a_time_frame_without_start_raises() -> None:
    with pytest.raises(MakeInputError, match="data interval"):
        partition_key(partitioned_by("%Y"), TimeFrame())


def test_events_have_the_summary_without_rows() -> None:
    events = [Event(), Event()]
    reference = SimpleNamespace(uri="only a reference")
    outlets_of([(PLAIN, events[0]), (reference, events[1]), ({"not": "an asset"}, None)]).fill_events(SUMMARY)
    expected = {"row_count": 1, "path": "/data/a.parquet", "total": {"error_rate": 6.5}, "error_rate": 6.5}
    assert [event.extra for event in events] == [expected, expected]


@pytest.mark.parametrize(
    ("path", "uris"),
    [
        ("/data/a.parquet", ["file:///data/a.parquet"]),
        ("/data/Übersicht #1/a.parquet", ["file:///data/%C3%9Cbersicht%20%231/a.parquet"]),
        (None, []),
    ],
)
def test_alias_gets_an_event_for_the_object(path: str | None, uris: list[str]) -> None:
    event = Event()
    outlets = outlets_of([(AssetAlias("of the day"), event)])
    outlets.check(path)
    outlets.fill_events({**SUMMARY, "path": path})
    assert [asset.uri for asset, _ in event.added] == uris
    assert [(extra["path"], extra["row_count"]) for _, extra in event.added] == [(path, 1)] * len(uris)


def test_error_names_a_path_whose_asset_airflow_rejects() -> None:
    # Airflow 2.11 allows 3000 characters, later versions 1500; percent-encoded, a character can have twelve.
    path = f"/data/{'🐎' * 300}/a.csv"
    with pytest.raises(MakeInputError, match=r"output_path='/data/.*AssetAlias.*(1500|3000)"):
        Outlets([AssetAlias("a")], {}, DAY).check(path)
    Outlets([PLAIN], {}, DAY).check(path)
    Outlets([AssetAlias("a")], {}, DAY).check(None)


def test_partitions_need_airflow_3_3() -> None:
    event = PartitionedEvent()
    outlets = outlets_of([(partitioned_by("%Y-%m-%d"), event)])
    outlets.check(None)
    outlets.fill_events(SUMMARY)
    assert event.partition == "2026-11-22"
    with pytest.raises(MakeInputError, match=r"3\.3"):
        outlets_of([(partitioned_by("%Y-%m-%d"), Event())]).check(None)


def test_no_events_outside_a_task() -> None:
    Outlets([PLAIN], {}, DAY).check(None)
    Outlets([PLAIN], {}, DAY).fill_events(SUMMARY)


@pytest.mark.usefixtures("airflow_database")
def test_outlet_event_of_a_real_task(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    run = run_dag(load_dag(NATIVE, "outlets"), MIDNIGHT)
    (task,) = run.get_task_instances()
    event = task.xcom_pull(task_ids="pull", key="event")
    assert event["extra"] == {**task.xcom_pull(task_ids="pull"), "error_rate": event["extra"]["total"]["error_rate"]}
    assert (event["extra"]["row_count"], event["extra"]["path"]) == (250, str(tmp_path / "outlets.jsonl"))
    yesterday = (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%d")
    assert event["partitions"] == ([yesterday] if HAS_PARTITIONS else [])


@pytest.mark.usefixtures("airflow_database")
def test_event_of_an_alias_is_stored(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    assert str(run_dag(load_dag(NATIVE, "alias"), MIDNIGHT).state) == "success"
    model = (
        find("AssetEvent", "airflow.models.asset")
        if VERSION >= (3, 0)
        else find("DatasetEvent", "airflow.models.dataset")
    )
    with find("create_session", "airflow.utils.session")() as session:
        events = [event for event in session.query(model) if event.uri == f"file://{tmp_path}/alias.jsonl"]
    (extra,) = [event.extra for event in events]
    # Before 3.1, Airflow hashes the values.
    total = json.loads(extra["total"]) if VERSION < (3, 1) else extra["total"]
    assert (extra["row_count"], total["error_rate"]) == (250, extra["error_rate"])


@pytest.mark.usefixtures("airflow_database")
def test_a_reference_to_an_asset_that_no_dag_defines_gets_no_event(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if VERSION < (3, 0):
        pytest.skip("Airflow 2 has no references to assets.")
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    assert str(run_dag(load_dag(NATIVE, "undefined_outlet"), MIDNIGHT).state) == "success"
    assert [path.name for path in tmp_path.iterdir()] == ["undefined.jsonl"]


def test_outlets_that_airflow_does_not_find_are_named_before_any_request(caplog: pytest.LogCaptureFixture) -> None:
    class Accessors(ByOutlet):
        def __getitem__(self, outlet: Any) -> Any:
            if outlet is undefined:
                raise RuntimeError("ASSET_NOT_FOUND")
            return super().__getitem__(outlet)

    undefined, event = SimpleNamespace(name="defined_elsewhere"), Event()
    context: Any = {"outlet_events": Accessors({id(PLAIN): event})}
    outlets = Outlets([undefined, PLAIN], context, DAY)
    outlets.check(None)
    (record,) = caplog.records
    assert "defined_elsewhere" in record.getMessage()
    assert "ASSET_NOT_FOUND" in record.getMessage()
    outlets.fill_events(SUMMARY)
    assert event.extra["row_count"] == 1
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("airflow_database")
def test_invalid_outlet_fails_before_any_request(make_sandbox: Sandbox) -> None:
    assert str(run_dag(load_dag(NATIVE, "wrong_outlet"), MIDNIGHT).state) == "failed"
    assert make_sandbox.requests == []


def test_rejected_asset_fails_before_any_request(make_sandbox: Sandbox, tmp_path: Path) -> None:
    path = "/".join([str(tmp_path), *["🐎" * 60] * 5, "a.csv"])
    for outlet in (AssetAlias("a"), PLAIN):
        task = MakeAnalyticsOperator(task_id="pull", output_path=path, outlets=[outlet], **LAST_WEEK)
        if outlet is PLAIN:
            task.execute({})
        else:
            with pytest.raises(MakeInputError, match="output_path="):
                task.execute({})
            assert make_sandbox.requests == []
    assert len(make_sandbox.requests) == 1

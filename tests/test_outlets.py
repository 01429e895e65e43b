"""The asset events of a pull, and their partitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.lineage import check_outlets, fill_outlet_events, partition_of
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import HAS_PARTITIONS, NATIVE, load_dag, run_dag
from tests.support.time_frames import LAST_WEEK

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY = TimeFrame(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
PLAIN = Asset(uri="s3://warehouse/analytics")
SUMMARY: dict[str, Any] = {"row_count": 1, "path": "/data/a.parquet", "total": {"error_rate": 6.5}, "rows": [{}]}


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


def partitioned_by(template: Any) -> Any:
    return Asset(uri="s3://warehouse/analytics", extra={"partition_key": template})


@pytest.mark.parametrize(
    ("template", "key"),
    [("%Y-%m-%d", "2026-11-22"), ("%Y-%m-%dT%H:%M:%S", "2026-11-22T00:00:00"), ("day-%j", "day-326")],
)
def test_partition_key_is_the_formatted_start_of_the_time_frame(template: str, key: str) -> None:
    assert partition_of(partitioned_by(template), DAY) == key


def test_outlets_without_a_format_have_no_partition() -> None:
    assert partition_of(PLAIN, DAY) is None
    assert partition_of(AssetAlias("anything"), DAY) is None
    assert partition_of("a text", DAY) is None


@pytest.mark.parametrize("template", ["", "daily", "%%", "%Q", "%s", "%Y\0", "%Y\ud800", True, 7, ["%Y"]])
def test_error_names_an_invalid_format(template: Any) -> None:
    with pytest.raises(MakeInputError, match="partition_key="):
        partition_of(SimpleNamespace(extra={"partition_key": template}), DAY)


@pytest.mark.parametrize("template", ["%t", "%n%t", "%Y" + "-" * 250])
def test_error_names_a_format_whose_keys_airflow_rejects(template: str) -> None:
    with pytest.raises(MakeInputError, match="1 to 250 characters"):
        partition_of(partitioned_by(template), DAY)


def test_partition_of_a_time_frame_without_start_raises() -> None:
    with pytest.raises(MakeInputError, match="data interval"):
        partition_of(partitioned_by("%Y"), TimeFrame())


def test_events_have_the_summary_without_rows() -> None:
    ref = SimpleNamespace(uri="only a reference")
    events = {id(PLAIN): Event(), id(ref): Event()}
    context: Any = {"outlet_events": ByOutlet(events)}
    fill_outlet_events([PLAIN, ref, {"not": "an asset"}], context, DAY, SUMMARY)
    expected = {"row_count": 1, "path": "/data/a.parquet", "total": {"error_rate": 6.5}, "error_rate": 6.5}
    assert [event.extra for event in events.values()] == [expected, expected]


def test_alias_gets_an_event_for_the_object() -> None:
    alias, event = AssetAlias("of the day"), Event()
    fill_outlet_events([alias], {"outlet_events": ByOutlet({id(alias): event})}, DAY, SUMMARY)  # type: ignore[typeddict-item]
    ((asset, extra),) = event.added
    assert (asset.uri.rstrip("/"), extra["row_count"]) == ("file:///data/a.parquet", 1)
    fill_outlet_events(
        [alias],
        {"outlet_events": ByOutlet({id(alias): event})},  # type: ignore[typeddict-item]
        DAY,
        {**SUMMARY, "path": None},
    )
    assert len(event.added) == 1


def test_alias_gets_a_percent_encoded_uri_and_the_plain_path() -> None:
    alias, event = AssetAlias("of the day"), Event()
    summary = {**SUMMARY, "path": "/data/Übersicht #1/a.parquet"}
    context: Any = {"outlet_events": ByOutlet({id(alias): event})}
    check_outlets([alias], context, DAY, summary["path"])
    fill_outlet_events([alias], context, DAY, summary)
    ((asset, extra),) = event.added
    assert asset.uri == "file:///data/%C3%9Cbersicht%20%231/a.parquet"
    assert extra["path"] == summary["path"]


def test_error_names_a_path_whose_asset_airflow_rejects() -> None:
    # Airflow 2.11 allows 3000 characters, later versions 1500; percent-encoded, a character can have twelve.
    path = f"/data/{'🐎' * 300}/a.csv"
    with pytest.raises(MakeInputError, match=r"output_path='/data/.*AssetAlias.*(1500|3000)"):
        check_outlets([AssetAlias("a")], {}, DAY, path)
    check_outlets([PLAIN], {}, DAY, path)
    check_outlets([AssetAlias("a")], {}, DAY, None)


def test_partitions_need_airflow_3_3() -> None:
    outlet, event = partitioned_by("%Y-%m-%d"), PartitionedEvent()
    context: Any = {"outlet_events": ByOutlet({id(outlet): event})}
    check_outlets([outlet], context, DAY)
    fill_outlet_events([outlet], context, DAY, SUMMARY)
    assert event.partition == "2026-11-22"
    with pytest.raises(MakeInputError, match=r"3\.3"):
        check_outlets([outlet], {"outlet_events": ByOutlet({id(outlet): Event()})}, DAY)  # type: ignore[typeddict-item]


def test_no_events_outside_a_task() -> None:
    check_outlets([PLAIN], {}, DAY)
    fill_outlet_events([PLAIN], {}, DAY, SUMMARY)


class ByOutlet(dict[int, Any]):
    """Accessors by outlet, which raise for other objects than assets, like Airflow's."""

    def __getitem__(self, outlet: Any) -> Any:
        if isinstance(outlet, dict):
            raise TypeError("not an asset")
        return super().__getitem__(id(outlet))


@pytest.mark.usefixtures("airflow_database")
def test_outlet_event_of_a_real_task(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    monkeypatch.setenv("AIRFLOW_VAR_MAKE_ANALYTICS_ROOT", str(tmp_path))
    run = run_dag(load_dag(NATIVE, "outlets"), MIDNIGHT)
    (task,) = run.get_task_instances()
    event = task.xcom_pull(task_ids="pull", key="event")
    assert event["extra"] == {**task.xcom_pull(task_ids="pull"), "error_rate": event["extra"]["total"]["error_rate"]}
    assert (event["extra"]["row_count"], event["extra"]["path"]) == (250, str(tmp_path / "outlets.jsonl"))
    yesterday = (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%d")
    assert event["partitions"] == ([yesterday] if HAS_PARTITIONS else [])


@pytest.mark.usefixtures("airflow_database")
def test_invalid_outlet_fails_before_any_request(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    assert str(run_dag(load_dag(NATIVE, "wrong_outlet"), MIDNIGHT).state) == "failed"
    assert make_sandbox.requests == []


def test_rejected_asset_fails_before_any_request(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
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

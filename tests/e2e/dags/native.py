"""Dags for tests of links, lineage, outlets with partitions, a retry policy, and mapped tasks that are cleared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk import Asset, PartitionedAssetTimetable, dag, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.retry_policy import MakeRetryPolicy
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONED = Asset(name="partitioned", uri="s3://warehouse/analytics", extra={"partition_key": "%Y-%m-%d"})


@dag(schedule=None, start_date=START)
def native() -> None:
    @task
    def hooked() -> int:
        from airflow_provider_make.hooks.make import MakeHook

        with MakeHook("make_native") as hook:
            return sum(len(page.analytics) for page in hook.iter_analytics_pages(page_size=20))

    waited = MakeErrorRateSensor(
        task_id="waited",
        threshold=40,
        scope="scenario",
        min_executions=10,
        make_conn_id="make_native",
        poke_interval=1,
        deferrable=True,
    )
    pulled = MakeAnalyticsOperator(
        task_id="pulled",
        make_conn_id="make_native",
        lookback=timedelta(days=1),
        output_path="{{ var.value.make_analytics_root }}/native.parquet",
        outlets=[PARTITIONED],
        api_retry_limit=1,
        retries=2,
        retry_delay=timedelta(hours=1),
        retry_policy=MakeRetryPolicy(),
    )
    # First, so that it gets the fault.
    pulled >> [hooked(), waited]


@dag(schedule=PartitionedAssetTimetable(assets=PARTITIONED), start_date=START)
def partition() -> None:
    @task
    def key(partition_key: Any = None) -> str:
        return str(partition_key)

    key()


@dag(schedule=None, start_date=START)
def remapped() -> None:
    @task
    def organizations(ti: Any = None) -> list[int]:
        return [1, 2] if ti.try_number == 1 else [1]

    MakeAnalyticsOperator.partial(
        task_id="pull",
        make_conn_id="make_native",
        lookback=timedelta(days=1),
        output_path="{{ var.value.make_analytics_root }}/remapped.csv",
    ).expand(organization_id=organizations())


enable_lineage(native())
partition()
remapped()

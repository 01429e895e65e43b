"""Dags for a short run on a real Airflow of each minor version: a pull, a deferred sensor, and a watcher."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor

START = datetime(2026, 1, 1, tzinfo=UTC)
# With the default lookback.
RULE: dict[str, Any] = {"threshold": 5.0, "poke_interval": 1.0, "emit_metrics": "organization"}

with DAG("pulled", schedule="@once", start_date=START):
    MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(days=1),
        output_path="{{ var.value.make_analytics_root }}/{organization_id}.parquet",
        emit_metrics="team",
    )
    MakeErrorRateSensor(task_id="wait", deferrable=True, **RULE)

try:
    from airflow.sdk import AssetWatcher
except ImportError:
    # Watchers came with Airflow 3.0.
    pass
else:
    from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

    failing = Asset("failing", watchers=[AssetWatcher(name="rate", trigger=MakeErrorRateEventTrigger(**RULE))])

    with DAG("watched", schedule=[failing], start_date=START):

        @task
        def receive(triggering_asset_events: Any = None) -> list[Any]:
            return [event.extra["payload"]["value"] for events in triggering_asset_events.values() for event in events]

        receive()

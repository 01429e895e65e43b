"""Dags for the page on a real Airflow: a pull with an outlet, one without, and a watcher."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)
FRAME: dict[str, Any] = {"date_to": "{{ dag_run.run_after.date() }}", "lookback": timedelta(days=1)}

with DAG("page_pull", schedule="@once", start_date=START):
    MakeAnalyticsOperator(task_id="pull", outlets=[Asset("page_analytics")], **FRAME)

with DAG("page_without_outlets", schedule="@once", start_date=START):
    MakeAnalyticsOperator(task_id="pull", **FRAME)

trigger = MakeErrorRateEventTrigger(threshold=5.0, scope="scenario", poke_interval=5.0)
failing = Asset("page_failing", watchers=[AssetWatcher(name="rate", trigger=trigger)])

with DAG("page_alert", schedule=[failing], start_date=START):

    @task
    def notify(triggering_asset_events: Any = None) -> int:
        return len(triggering_asset_events)

    notify()

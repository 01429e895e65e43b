"""Dags for tests: an operator, sensors in both modes and a watcher, which read names that no database can store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)
FRAME: dict[str, Any] = {"lookback": timedelta(minutes=30), "make_conn_id": "make_odd_names"}
RULE: dict[str, Any] = {"threshold": 5.0, "scope": "scenario", **FRAME}


@dag(schedule=None, start_date=START)
def odd_names() -> None:
    MakeAnalyticsOperator(task_id="pull", **FRAME)
    MakeErrorRateSensor(task_id="poke", poke_interval=5, timeout=300, **RULE)
    MakeErrorRateSensor(task_id="deferrable", poke_interval=5, timeout=300, deferrable=True, **RULE)


odd = Asset("odd", watchers=[AssetWatcher(name="rate", trigger=MakeErrorRateEventTrigger(poke_interval=5.0, **RULE))])


@dag(schedule=[odd], start_date=START)
def odd_watched() -> None:
    @task
    def receive() -> None:
        pass

    receive()


odd_names()
odd_watched()

"""A Dag for a test that kills the triggerer: 24 watchers, of an organization each, half of them of its scenario."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

# By asset.
ORGANIZATIONS = {f"killed-{number}": number for number in range(1, 25)}


def watcher(number: int) -> AssetWatcher:
    scope = "scenario" if number % 2 else "organization"
    options: dict[str, Any] = {
        "make_conn_id": "make_killed",
        "organization_id": number,
        "scope": scope,
        "poke_interval": 1.0,
    }
    return AssetWatcher(name="rate", trigger=MakeErrorRateEventTrigger(threshold=5.0, **options))


assets = [Asset(name, watchers=[watcher(number)]) for name, number in ORGANIZATIONS.items()]
with DAG("killed", schedule=assets, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    # Without a process: each run needs an event of all.
    EmptyOperator(task_id="receive")

"""A Dag that runs when an organization's error rate crosses a threshold. Needs Airflow 3.0 or later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

# Watched by the triggerer for as long as a Dag that is not paused is scheduled by it.
failing = Asset(
    "make_organization_failing",
    watchers=[
        AssetWatcher(
            name="error_rate",
            # Once for each crossing; armed again when the rate has come back below 8 percent.
            trigger=MakeErrorRateEventTrigger(
                threshold=10.0, hysteresis=2.0, min_executions=100, lookback=timedelta(hours=1), poke_interval=60.0
            ),
        )
    ],
)


@dag(schedule=[failing], start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_error_rate_watcher() -> None:
    """Tell what happened."""

    @task
    def tell(triggering_asset_events: Any = None) -> list[str]:
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return [f"{found['value']:.1f} % of executions failed since {found['date_from']}" for found in payloads]

    tell()


example = make_error_rate_watcher()

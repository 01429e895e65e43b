"""Run when an organization's error rate crosses a threshold. Needs Airflow 3.0 or later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

# The triggerer watches this asset as long as a Dag that is scheduled by it is not paused.
failing = Asset(
    "make_organization_failing",
    watchers=[
        AssetWatcher(
            name="error_rate",
            # Emits one event per crossing. The next crossing counts after the rate has been below 8 percent.
            trigger=MakeErrorRateEventTrigger(
                threshold=10.0, hysteresis=2.0, min_executions=100, lookback=timedelta(hours=1), poke_interval=60.0
            ),
        )
    ],
)


@dag(schedule=[failing], start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_error_rate_watcher() -> None:
    """Report each crossing."""

    @task
    def report(triggering_asset_events: Any = None) -> list[str]:
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return [f"{payload['value']:.1f} % of executions failed since {payload['date_from']}" for payload in payloads]

    report()


example = make_error_rate_watcher()

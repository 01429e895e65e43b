"""Run when a day's analytics have been pulled, and read the summary of the pull from the asset event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import Asset, dag, task

# The outlet of make_analytics_daily.
DAILY = Asset("make_daily_figures")


@dag(schedule=[DAILY], start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_analytics_consumer() -> None:
    """List each day that was pulled."""

    @task
    def load(triggering_asset_events: Any = None, triggering_dataset_events: Any = None) -> list[str]:
        # The events that triggered this run, by asset. Airflow 2 calls assets datasets.
        events_by_asset = triggering_asset_events or triggering_dataset_events
        summaries = [event.extra for events in events_by_asset.values() for event in events]
        return [
            f"{summary['path']}: {summary['row_count']} scenarios, {summary['error_rate'] or 0} % of executions failed"
            for summary in summaries
        ]

    load()


example = make_analytics_consumer()

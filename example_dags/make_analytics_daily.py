"""Every day, the day's analytics into a file of its own, and a task that reads the file.

The folder, or bucket, is the Airflow variable ``make_analytics_root``. A run belongs to a data interval of
one day, so that a retry, a later re-run or a backfill of an old day writes the same file again, and no other.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_daily() -> None:
    """Pull a day of the connection's organization into JSON Lines, then name the worst scenarios."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        output_path=(
            "{{ var.value.get('make_analytics_root', '/tmp/make_analytics') }}"
            "/date={{ data_interval_start | ds }}/analytics.jsonl"
        ),
    )

    @task
    def worst(summary: dict[str, Any]) -> list[dict[str, Any]]:
        with ObjectStoragePath(summary["path"]).open("r") as lines:
            # A scenario that ran a few times and failed once is no news.
            often = [row for row in map(json.loads, lines) if row["executions"] >= 20]
        often.sort(key=lambda row: row["error_rate"], reverse=True)
        shown = ("name", "error_rate", "errors", "executions")
        return [{column: row[column] for column in shown} for row in often[:5]]

    worst(pull.output)


example = make_analytics_daily()

"""Pull each day's analytics into a Parquet file, and read the file in a second task.

The Airflow variable ``make_analytics_root`` sets the folder or bucket. Each run has a data interval of one day, so a
retry, a later re-run or a backfill of an old day writes the same file again, and no other. To pull a year of history:
``airflow backfill create --dag-id make_analytics_daily --from-date ... --to-date ...``
Make returns no figures of deleted scenarios, also for the past: ``if_exists="skip"`` keeps each day as first pulled.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# The time zone of the days.
TIMEZONE = "UTC"
# Triggers make_analytics_consumer, which reads the summary from the asset event.
DAILY = Asset("make_daily_figures")


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=TIMEZONE),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # A backfill shares the organization's rate limit with its other API clients.
    max_active_runs=2,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_daily() -> None:
    """Pull one day of the connection's organization, then find the scenarios with the highest error rates."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        output_path=(
            "{{ var.value.get('make_analytics_root', '/tmp/make_analytics') }}"
            "/organization_id={organization_id}/date={date_from:%Y-%m-%d}/analytics.parquet"
        ),
        timezone=TIMEZONE,
        outlets=[DAILY],
    )

    @task
    def worst(summary: dict[str, Any]) -> list[dict[str, Any]]:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with ObjectStoragePath(summary["path"]).open("rb") as file:
            rows = pq.read_table(file, columns=["name", "error_rate", "errors", "executions"])
        # With few executions, a single error would already be a high error rate.
        frequent = rows.filter(pc.field("executions") >= 20)
        highest: list[dict[str, Any]] = frequent.sort_by([("error_rate", "descending")]).slice(0, 5).to_pylist()
        return highest

    worst(pull.output)


example = make_analytics_daily()

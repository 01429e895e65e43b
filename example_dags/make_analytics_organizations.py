"""Pull several organizations in several zones in parallel, with a connection for each, and add up their totals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# The organization for each connection of type make, which has the zone and the token.
ORGANIZATIONS = {"make_eu": 1, "make_us": 2}
ROOT = "{{ var.value.get('make_analytics_root', '/tmp/make_analytics') }}"
DAY = "{{ data_interval_start | ds }}"


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_organizations() -> None:
    """Pull one day of each organization into a separate file."""
    pull = MakeAnalyticsOperator.partial(task_id="pull").expand_kwargs(
        [
            {
                "make_conn_id": make_conn_id,
                "organization_id": organization_id,
                "output_path": f"{ROOT}/organization_id={organization_id}/date={DAY}/analytics.parquet",
            }
            for make_conn_id, organization_id in ORGANIZATIONS.items()
        ]
    )

    @task
    def add_up(summaries: list[dict[str, Any]]) -> dict[str, int]:
        return {
            "scenarios": sum(summary["row_count"] for summary in summaries),
            "executions": sum(summary["total"]["executions"] for summary in summaries),
            "errors": sum(summary["total"]["errors"] for summary in summaries),
        }

    add_up(pull.output)


example = make_analytics_organizations()

"""Pull each week's analytics into a Parquet file, and write an HTML report next to it.

The Airflow variable ``make_reports_root`` sets the folder or bucket. It is not the folder of the daily files, because
those are read as one table. The report needs the extra ``report``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.report import write_report


@dag(
    # From Monday to Monday.
    schedule=CronDataIntervalTimetable("0 0 * * 1", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_report() -> None:
    """Pull one week of the connection's organization, and write the report."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        output_path=(
            "{{ var.value.get('make_reports_root', '/tmp/make_reports') }}"
            "/{{ conn.make_default.extra_dejson['organization_id'] }}"
            "/{{ data_interval_start | ds }}/analytics.parquet"
        ),
    )

    @task
    def report(summary: dict[str, Any]) -> str:
        return write_report(summary["path"], min_executions=20)

    report(pull.output)


example = make_analytics_report()

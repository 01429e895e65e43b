"""A Dag for tests: one file per week, for a backfill over a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

PATH = "{{ var.value.make_analytics_root }}/weekly/week={date_from:%Y-%m-%d}/analytics.parquet"


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * 1", timezone="UTC"),
    start_date=datetime.now(UTC) - timedelta(days=400),
    catchup=False,
)
def weekly() -> None:
    MakeAnalyticsOperator(task_id="pull", output_path=PATH)


weekly()

"""Dags for tests of time frames: days in three time zones, a cron string without intervals, and an asset's run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

START = datetime.now(UTC) - timedelta(days=400)
ROOT = "{{ var.value.make_analytics_root }}/time_frames"
PULLED = Asset("pulled_in_prague")
ZONES = {"london": "Europe/London", "prague": "Europe/Prague", "new_york": "America/New_York"}
defaults = {"make_conn_id": "make_time_frames", "retries": 1, "retry_delay": timedelta(minutes=5)}

for city, zone in ZONES.items():
    schedule = CronDataIntervalTimetable("0 0 * * *", timezone=zone)
    with DAG(f"days_{city}", schedule=schedule, start_date=START, catchup=False, default_args=defaults):
        MakeAnalyticsOperator(
            task_id="pull",
            timezone=zone,
            output_path=f"{ROOT}/{city}/{{organization_id}}/{{date_from:%Y-%m-%d}}.parquet",
            if_exists="skip",
            outlets=[PULLED] if city == "prague" else [],
        )

with DAG("cron_string", schedule="@daily", start_date=START, catchup=False, default_args=defaults):
    MakeAnalyticsOperator(task_id="pull", output_path=f"{ROOT}/cron/{{date_from:%Y-%m-%d}}.parquet")

# Runs of the same second would have the same path.
with DAG("by_asset", schedule=[PULLED], start_date=START, max_active_runs=1, default_args=defaults):
    MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(hours=1),
        output_path=f"{ROOT}/by_asset/{{date_to:%Y-%m-%dT%H%M%S}}.parquet",
    )

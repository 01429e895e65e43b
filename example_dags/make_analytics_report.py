"""Write a report over all days that make_analytics_daily has pulled, every Monday.

The Airflow variable ``make_analytics_root`` sets the folder or bucket of the daily files, and ``make_reports_root``
that of the report: it is another one, because the daily files are read as one table. Each run replaces the report. All
files must be of one organization: if there are several, add a folder to both paths, such as /organization_id=42.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import Asset, dag

from airflow_provider_make.operators.report import MakeReportOperator

REPORT = Asset("make_weekly_report")


@dag(
    # After Monday's run of make_analytics_daily.
    schedule="0 6 * * 1",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_report() -> None:
    """Write the report of the organization."""
    MakeReportOperator(
        task_id="report",
        source="{{ var.value.get('make_analytics_root', '/tmp/make_analytics') }}",
        target="{{ var.value.get('make_reports_root', '/tmp/make_reports') }}/analytics.html",
        outlets=[REPORT],
    )


example = make_analytics_report()

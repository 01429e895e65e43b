"""Pull each day of all organizations that the token sees, each into a file of its own, and add up their totals.

The token needs the scope ``organizations:read`` besides ``analytics:read``. An organization that the user joins later
is pulled from the next run on. Each mapped task is named after its organization's id. The Airflow variable
``make_organizations_root`` sets the folder or bucket.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# The time zone of the days.
TIMEZONE = "UTC"


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=TIMEZONE),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_organizations() -> None:
    """Pull one day of each organization of the connection's zone, then add up their totals."""

    @task
    def find_organizations() -> list[int]:
        from airflow_provider_make.hooks.make import MakeHook

        with MakeHook() as hook:
            return [
                organization["organization_id"]
                for organization in hook.get_organizations()
                # The token is for one zone; and a plan without analytics would be a 403.
                if organization["in_zone"] and organization["analytics_access"] is not False
            ]

    pull = MakeAnalyticsOperator.partial(
        task_id="pull",
        map_index_template="{{ task.organization_id }}",
        output_path=(
            "{{ var.value.get('make_organizations_root', '/tmp/make_organizations') }}"
            "/organization_id={organization_id}/date={date_from:%Y-%m-%d}/analytics.parquet"
        ),
        timezone=TIMEZONE,
    ).expand(organization_id=find_organizations())

    @task
    def add_up(summaries: list[dict[str, Any]]) -> dict[str, int]:
        return {
            "scenarios": sum(summary["row_count"] for summary in summaries),
            "executions": sum(summary["total"]["executions"] or 0 for summary in summaries),
            "errors": sum(summary["total"]["errors"] or 0 for summary in summaries),
        }

    add_up(pull.output)


example = make_analytics_organizations()

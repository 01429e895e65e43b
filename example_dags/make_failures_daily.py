"""
Pull each day's analytics, and then the failed executions of the scenarios that had errors, with their reasons.

The Airflow variable ``make_failures_root`` sets the folder or bucket. Each day has two Parquet files in it,
analytics.parquet and failures.parquet; docs/warehouse.md has a query. It is not the folder of make_analytics_daily,
which reports read as a whole. The token needs the scope scenarios:read besides analytics:read. Each scenario with
errors takes a request, or one for each 50 of its errors: requests_per_minute in the connection leaves a part of the
organization's rate limit to others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.exceptions import MakeApiError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# The time zone of the days.
TIMEZONE = "UTC"
# Of one scenario in one day, the newest.
MOST_FAILURES = 1000


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=TIMEZONE),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # The limit of the connection is one for each task that runs.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_failures_daily() -> None:
    """Write the day's figures into one file, and its failed executions into another one."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        output_path=(
            "{{ var.value.get('make_failures_root', '/tmp/make_failures') }}"
            "/organization_id={organization_id}/date={date_from:%Y-%m-%d}/analytics.parquet"
        ),
        timezone=TIMEZONE,
    )

    @task
    def failures(summary: dict[str, Any]) -> dict[str, Any]:
        import io

        import pyarrow as pa
        import pyarrow.parquet as pq

        from airflow_provider_make.hooks.make import MakeHook

        schema = pa.schema(
            [
                *((name, pa.int64()) for name in ("organization_id", "scenario_id")),
                *((name, pa.string()) for name in ("name", "team_name", "execution_id")),
                ("failed_at", pa.timestamp("us", tz="UTC")),
                *((name, pa.int64()) for name in ("duration", "operations")),
                ("centicredits", pa.string()),
                *((name, pa.string()) for name in ("type", "error_name", "error_message", "module", "url")),
            ]
        )
        path = ObjectStoragePath(summary["path"])
        with path.open("rb") as file:
            table = pq.read_table(file, columns=["organization_id", "scenario_id", "name", "team_name", "errors"])
        rows: list[dict[str, Any]] = []
        with MakeHook() as hook:
            for scenario in table.to_pylist():
                if not scenario["errors"]:
                    continue
                frame = {name: summary[name] for name in ("date_from", "date_to")}
                try:
                    found = hook.get_failures(scenario["scenario_id"], **frame, limit=MOST_FAILURES)
                except MakeApiError as error:
                    # The scenario has been deleted since the pull.
                    if error.status_code != 404:
                        raise
                    continue
                for failure in found:
                    failed_at = failure["failed_at"] and datetime.fromisoformat(failure["failed_at"])
                    rows.append({**scenario, **failure, "failed_at": failed_at})
        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), content)
        # Readers see the old file or the new one: a rename is atomic, and a re-run replaces the file.
        target, part = path.parent / "failures.parquet", path.parent / ".failures.parquet.part"
        part.write_bytes(content.getvalue())
        part.replace(target)
        return {"path": str(target), "row_count": len(rows)}

    failures(pull.output)


example = make_failures_daily()

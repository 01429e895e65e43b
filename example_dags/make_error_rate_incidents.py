"""Branch: run one mapped task for each failing scenario, or a single task if none fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator


@dag(schedule="*/15 * * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_error_rate_incidents() -> None:
    """Open an incident for each scenario with a high error rate in the last hour."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(hours=1),
        sort_by="error_rate",
        sort_dir="desc",
        max_xcom_bytes=5_000_000,
    )

    @task
    def find_failing(summary: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in summary["rows"] if (row["executions"] or 0) >= 10 and (row["error_rate"] or 0) >= 20]

    @task.branch
    def choose(failing: list[dict[str, Any]]) -> str:
        return "open_incident" if failing else "all_is_well"

    @task(map_index_template="{{ scenario }}")
    def open_incident(row: dict[str, Any]) -> str:
        from airflow.providers.common.compat.sdk import get_current_context

        # The name of the mapped task in Airflow's UI.
        get_current_context()["scenario"] = row["name"]  # type: ignore[typeddict-unknown-key]
        return f"{row['name']} ({row['team_name']}): {row['errors']} of {row['executions']} executions failed"

    @task
    def all_is_well() -> None:
        pass

    failing = find_failing(pull.output)
    choose(failing) >> [open_incident.expand(row=failing), all_is_well()]


example = make_error_rate_incidents()

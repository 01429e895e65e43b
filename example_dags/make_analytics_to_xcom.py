"""Pull analytics into XCom, and read them in a second task: for organizations with up to a few thousand scenarios."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_analytics_to_xcom() -> None:
    """Pull the last seven days of the connection's organization, and list the scenarios with the most errors."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(days=7),
        sort_by="errors",
        sort_dir="desc",
        max_xcom_bytes=5_000_000,
    )

    @task
    def failing(summary: dict[str, Any]) -> list[str]:
        return [f"{row['name']}: {row['errors']} errors" for row in summary["rows"][:10] if row["errors"]]

    failing(pull.output)


example = make_analytics_to_xcom()

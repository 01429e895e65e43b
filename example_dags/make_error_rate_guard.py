"""Run a pipeline only while its scenarios are healthy, and report the scenarios that fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_error_rate_guard() -> None:
    """Load the data that the scenarios deliver only while few executions fail; report scenarios that fail often."""
    # Waits in the triggerer for up to half an hour. If the rate stays high, the downstream task is skipped.
    healthy = MakeErrorRateSensor(
        task_id="healthy",
        threshold=5.0,
        comparison="<",
        lookback=timedelta(hours=1),
        poke_interval=60,
        timeout=1800,
        soft_fail=True,
        deferrable=True,
    )
    # Checks once whether any scenario with at least ten executions fails often.
    failing = MakeErrorRateSensor(
        task_id="failing",
        scope="scenario",
        threshold=20.0,
        min_executions=10,
        lookback=timedelta(hours=1),
        timeout=0,
        soft_fail=True,
    )

    @task
    def load() -> str:
        return "Load the data that the scenarios delivered here."

    @task
    def report(result: dict[str, Any]) -> list[str]:
        return [f"{row['name']}: {row['error_rate']:.1f} % of {row['executions']}" for row in result["scenarios"]]

    healthy >> load()
    report(failing.output)


example = make_error_rate_guard()

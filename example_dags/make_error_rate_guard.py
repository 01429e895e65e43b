"""A pipeline that waits until its scenarios are healthy, and a task that is told which ones fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["make", "example"])
def make_error_rate_guard() -> None:
    """Load what scenarios deliver only while few of their executions fail; and report those that fail often."""
    # Waits in the triggerer, up to half an hour, and then skips what depends on it.
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
    # Looks once: is any scenario with more than a handful of executions failing?
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
        return "What the scenarios delivered is loaded here."

    @task
    def report(found: dict[str, Any]) -> list[str]:
        return [f"{row['name']}: {row['error_rate']:.1f} % of {row['executions']}" for row in found["scenarios"]]

    healthy >> load()
    report(failing.output)


example = make_error_rate_guard()

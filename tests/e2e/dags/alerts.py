"""Dags for tests: sensors whose condition holds, sensors in every mode and case, watchers, and 400 sensors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)
SENSOR: dict[str, Any] = {
    "threshold": 5.0,
    "lookback": timedelta(minutes=30),
    "make_conn_id": "make_alerts",
    "api_retry_limit": 1,
}

MODES: dict[str, dict[str, Any]] = {
    "poke": {},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
CASES: dict[str, dict[str, Any]] = {
    "success": {"timeout": 600, "explain": True},
    "timeout": {"timeout": 15},
    "timeout_soft_fail": {"timeout": 15, "soft_fail": True},
    "refused": {"timeout": 600, "make_conn_id": "make_refused"},
    "refused_soft_fail": {"timeout": 600, "make_conn_id": "make_refused", "soft_fail": True},
    "down": {"timeout": 15, "make_conn_id": "make_down"},
    "down_soft_fail": {"timeout": 15, "make_conn_id": "make_down", "soft_fail": True},
}


@dag(schedule=None, start_date=START)
def alerts_hold() -> None:
    common: dict[str, Any] = {**SENSOR, "deferrable": True, "poke_interval": 5, "timeout": 600}
    MakeErrorRateSensor.partial(task_id="wait", **common).expand(organization_id=[1] * 30)


@dag(schedule=None, start_date=START, max_active_tasks=32)
def alerts_modes() -> None:
    # Retries would show a failure that a retry is meant to mend. The interval is longer than a busy machine needs to
    # end a rescheduled task: Airflow fails a task that starts again before that.
    common: dict[str, Any] = {**SENSOR, "poke_interval": 5, "retries": 2, "retry_delay": timedelta(seconds=1)}
    for case, arguments in CASES.items():
        for number, (mode, of_mode) in enumerate(MODES.items()):
            organization_id = 11 + number if case == "success" else 10
            MakeErrorRateSensor(
                task_id=f"{case}-{mode}", organization_id=organization_id, **{**common, **arguments, **of_mode}
            )


@dag(schedule=None, start_date=START)
def alerts_killed() -> None:
    common: dict[str, Any] = {**SENSOR, "make_conn_id": "make_shared", "poke_interval": 2, "timeout": 900}
    MakeErrorRateSensor(task_id="wait", organization_id=4, deferrable=True, **common)


def watcher(**arguments: Any) -> AssetWatcher:
    common: dict[str, Any] = {"lookback": timedelta(minutes=30), "make_conn_id": "make_watched", "poke_interval": 1.0}
    return AssetWatcher(name="rate", trigger=MakeErrorRateEventTrigger(**{**common, **arguments}))


scenarios = Asset(
    "failing-scenarios",
    watchers=[watcher(organization_id=2, scope="scenario", threshold=20.0, hysteresis=5.0, min_executions=10)],
)
of_organization: dict[str, Any] = {"organization_id": 5, "make_conn_id": "make_shared", "hysteresis": 2.0}
# For Airflow, equal triggers are one trigger with two assets; the third trigger shares their poll.
failing = Asset("failing", watchers=[watcher(threshold=5.0, **of_organization)])
too = Asset("failing-too", watchers=[watcher(threshold=5.0, **of_organization)])
badly = Asset("failing-badly", watchers=[watcher(threshold=8.0, **of_organization)])


@dag(schedule=[scenarios], start_date=START)
def alerts_watched() -> None:
    @task
    def receive(triggering_asset_events: Any = None) -> list[Any]:
        return [event.extra for events in triggering_asset_events.values() for event in events]

    receive()


@dag(schedule=[failing, too, badly], start_date=START)
def alerts_shared() -> None:
    @task
    def receive() -> None:
        pass

    receive()


@dag(schedule=None, start_date=START)
def alerts_many() -> None:
    # The test defers them itself: to start 400 tasks takes minutes.
    MakeErrorRateSensor.partial(task_id="wait", deferrable=True, pool="closed", **SENSOR).expand(
        organization_id=[3] * 400
    )


alerts_hold()
alerts_modes()
alerts_killed()
alerts_watched()
alerts_shared()
alerts_many()

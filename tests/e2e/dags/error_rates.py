"""Dags for tests: sensors in every mode, 64 mapped sensors, and watchers, each for its own organization."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)
SENSOR: dict[str, Any] = {"threshold": 5.0, "lookback": timedelta(minutes=30), "api_retry_limit": 1}


@dag(schedule=None, start_date=START)
def modes() -> None:
    # Longer than a busy machine needs to end a rescheduled task: Airflow fails a task that starts again before that.
    common: dict[str, Any] = {**SENSOR, "poke_interval": 5, "timeout": 600}
    MakeErrorRateSensor(task_id="poke", organization_id=1, **common)
    MakeErrorRateSensor(task_id="reschedule", organization_id=2, mode="reschedule", **common)
    MakeErrorRateSensor(task_id="deferrable", organization_id=3, deferrable=True, **common)


@dag(schedule=None, start_date=START)
def killed() -> None:
    MakeErrorRateSensor(task_id="wait", organization_id=4, deferrable=True, poke_interval=2, timeout=900, **SENSOR)


@dag(schedule=None, start_date=START)
def timeouts() -> None:
    common: dict[str, Any] = {**SENSOR, "organization_id": 7, "deferrable": True, "poke_interval": 2, "timeout": 15}
    MakeErrorRateSensor(task_id="fails", **common)
    MakeErrorRateSensor(task_id="skips", soft_fail=True, **common)


@dag(schedule=None, start_date=START)
def many() -> None:
    MakeErrorRateSensor.partial(
        task_id="wait", organization_id=6, deferrable=True, poke_interval=5, timeout=1800, **SENSOR
    ).expand(comparison=[">="] * 64)


def watcher(threshold: float) -> MakeErrorRateEventTrigger:
    return MakeErrorRateEventTrigger(
        threshold=threshold, hysteresis=2.0, organization_id=5, lookback=timedelta(minutes=30), poke_interval=1.0
    )


# For Airflow, equal triggers are one trigger with two assets; the third trigger shares their poll.
one = Asset("failing", watchers=[AssetWatcher(name="rate", trigger=watcher(5.0))])
same = Asset("failing-too", watchers=[AssetWatcher(name="rate", trigger=watcher(5.0))])
other = Asset("failing-badly", watchers=[AssetWatcher(name="rate", trigger=watcher(8.0))])


@dag(schedule=[one], start_date=START)
def watched() -> None:
    @task
    def receive(triggering_asset_events: Any = None) -> list[Any]:
        return [event.extra for events in triggering_asset_events.values() for event in events]

    receive()


@dag(schedule=[same], start_date=START)
def watched_too() -> None:
    @task
    def receive() -> None:
        pass

    receive()


@dag(schedule=[other], start_date=START)
def watched_badly() -> None:
    @task
    def receive() -> None:
        pass

    receive()


modes()
killed()
timeouts()
many()
watched()
watched_too()
watched_badly()

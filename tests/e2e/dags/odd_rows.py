"""Dags for tests of odd stored triggers: sensors and assets to which the test gives one, and a watcher beside them."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 10


@dag(schedule=None, start_date=START)
def odd_rows() -> None:
    # The test defers them itself, and opens the pool then.
    MakeErrorRateSensor.partial(task_id="wait", deferrable=True, pool="odd_rows", threshold=5.0).expand(
        organization_id=[1] * ROWS
    )


@dag(schedule=[Asset(f"odd-row-{number}") for number in range(ROWS)], start_date=START)
def odd_rows_watched() -> None:
    @task
    def receive() -> None:
        pass

    receive()


trigger = MakeErrorRateEventTrigger(threshold=5.0, make_conn_id="make_odd_rows", poke_interval=1.0)


@dag(schedule=[Asset("beside-odd-rows", watchers=[AssetWatcher(name="rate", trigger=trigger)])], start_date=START)
def beside_odd_rows() -> None:
    @task
    def receive() -> None:
        pass

    receive()


odd_rows()
odd_rows_watched()
beside_odd_rows()

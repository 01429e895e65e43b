"""Run a Dag that assets trigger, with events, as the scheduler creates such a run. Needs Airflow 3.0 or later."""

from __future__ import annotations

from typing import Any

import sqlalchemy

from tests.support.airflow_versions import run_dag


def watchers(dag: Any) -> list[Any]:
    """Return the watchers of the assets that schedule a Dag."""
    assets = list(dag.timetable.asset_condition.objects)
    return [watcher for asset in assets for watcher in asset.watchers]


def run_triggered_dag(dag: Any, *payloads: dict[str, Any]) -> Any:
    """
    Run a Dag once in this process, triggered by events of the assets that schedule it.

    :param dag: The Dag.
    :param payloads: The payloads of the watchers' events: each is of the asset whose watcher has its comparison.
    :return: The run.
    """
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.dagrun import DagRun

    assets = list(dag.timetable.asset_condition.objects)

    def asset_of(payload: dict[str, Any]) -> Any:
        if len(assets) == 1:
            return assets[0]
        comparisons = [asset.watchers[0].trigger.serialize()[1]["comparison"] for asset in assets]
        return assets[comparisons.index(payload["comparison"])]

    def consume_events(mapper: Any, connection: Any, run: Any) -> None:
        for payload in payloads:
            by_name = AssetModel.name == asset_of(payload).name
            asset_id = connection.scalar(sqlalchemy.select(AssetModel.id).where(by_name))
            assert asset_id, "the Dag's assets are not registered"
            event = {"asset_id": asset_id, "extra": {"from_trigger": True, "payload": payload}}
            (event_id,) = connection.execute(sqlalchemy.insert(AssetEvent).values(**event)).inserted_primary_key
            connection.execute(
                sqlalchemy.insert(DagRun.consumed_asset_events.property.secondary).values(
                    dag_run_id=run.id, event_id=event_id
                )
            )

    # dag.test() creates runs without events.
    sqlalchemy.event.listen(DagRun, "after_insert", consume_events)
    try:
        return run_dag(dag)
    finally:
        sqlalchemy.event.remove(DagRun, "after_insert", consume_events)

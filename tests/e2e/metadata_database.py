"""Airflow's metadata database (PostgreSQL), where its REST API is too slow for hundreds of tasks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from tests.e2e.stack import FERNET_KEY
from tests.support.airflow_versions import encode_watcher

# Class path and arguments.
StoredTrigger = tuple[str, dict[str, Any]]


def states(database: Engine, dag_id: str) -> dict[str, int]:
    """Count the tasks of a Dag by state."""
    query = "SELECT coalesce(state, 'none'), count(*) FROM task_instance WHERE dag_id = :dag_id GROUP BY 1"
    with database.connect() as session:
        return {state: count for state, count in session.execute(text(query), {"dag_id": dag_id})}


def unpause(database: Engine, *dag_ids: str) -> bool:
    """Unpause Dags, where Airflow has no API server; return whether all are parsed."""
    query = "UPDATE dag SET is_paused = false WHERE dag_id = :dag_id"
    with database.begin() as session:
        return all([session.execute(text(query), {"dag_id": dag_id}).rowcount for dag_id in dag_ids])


def payloads(database: Engine, asset: str) -> list[dict[str, Any]]:
    """Return the payloads of the events that watchers of an asset have emitted, the oldest first."""
    query = (
        "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id "
        "WHERE name = :name ORDER BY asset_event.id"
    )
    with database.connect() as session:
        return [extra["payload"] for extra in session.execute(text(query), {"name": asset}).scalars()]


def running_triggerers(database: Engine) -> int:
    """Count the triggerers that have started, and were not found dead."""
    query = "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running'"
    with database.connect() as session:
        return int(session.execute(text(query)).scalar_one())


def end_job(database: Engine, pid: int) -> None:
    """Store that a forked triggerer has ended."""
    with database.begin() as session:
        session.execute(text("UPDATE job SET end_date = now() WHERE unixname = :pid"), {"pid": str(pid)})


def watched_assets(database: Engine, pid: int) -> list[str]:
    """Return the assets whose watchers a forked triggerer runs."""
    query = (
        "SELECT asset.name FROM asset JOIN asset_watcher ON asset.id = asset_id "
        "JOIN trigger ON trigger.id = trigger_id JOIN job ON job.id = triggerer_id WHERE unixname = :pid"
    )
    with database.connect() as session:
        return list(session.execute(text(query), {"pid": str(pid)}).scalars())


def stored_as_firing(database: Engine) -> dict[str, list[int]]:
    """Return the ids that watchers have stored as firing, by asset."""
    query = "SELECT name, value FROM asset_state_store JOIN asset ON asset.id = asset_id"
    with database.connect() as session:
        return {asset: json.loads(value)["not_back"] for asset, value in session.execute(text(query))}


def event_counts(database: Engine) -> Counter[str]:
    """Count the events of each asset."""
    query = "SELECT name, count(*) FROM asset_event JOIN asset ON asset.id = asset_id GROUP BY name"
    with database.connect() as session:
        return Counter({asset: count for asset, count in session.execute(text(query))})


def defer_all(database: Engine, dag_id: str, triggers: Iterable[StoredTrigger]) -> None:
    """Defer the mapped tasks of a Dag with one run as their workers would, which takes minutes for hundreds."""
    # Airflow 3.3 has it.
    from airflow.sdk.serde import serialize

    update = text(
        "UPDATE task_instance SET state = 'deferred', trigger_id = :trigger, next_method = 'execute_complete' "
        "WHERE dag_id = :dag_id AND map_index = :index"
    )
    with database.begin() as session:
        for index, (path, arguments) in enumerate(triggers):
            trigger = _insert_trigger(session, path, json.dumps(serialize(arguments)))
            session.execute(update, {"trigger": trigger, "dag_id": dag_id, "index": index})


def add_watchers(database: Engine, triggers: Mapping[str, StoredTrigger]) -> None:
    """Add a watcher to each of some assets, as the Dag processor would: with encoded and encrypted arguments."""
    columns = "asset_watcher (name, asset_id, trigger_id)"
    insert = text(f"INSERT INTO {columns} SELECT name, id, :trigger FROM asset WHERE name = :asset")
    with database.begin() as session:
        for asset, (path, arguments) in triggers.items():
            stored = json.dumps(encode_watcher(path, arguments)).encode()
            trigger = _insert_trigger(session, path, Fernet(FERNET_KEY).encrypt(stored).decode())
            session.execute(insert, {"trigger": trigger, "asset": asset})


def _insert_trigger(session: Connection, path: str, arguments: str) -> int:
    insert = text("INSERT INTO trigger (classpath, kwargs, created_date) VALUES (:path, :arguments, :now) RETURNING id")
    row = {"path": path, "arguments": arguments, "now": datetime.now(UTC)}
    return int(session.execute(insert, row).scalar_one())

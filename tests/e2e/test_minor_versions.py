"""A short run on a real Airflow of each minor version, with which ``make test-airflow-3.0`` and its like end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.metadata_database import payloads, states, unpause
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import TOKEN, AirflowStack, wait_for
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.metrics_receivers import StatsDServer

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scenarios=30, token=TOKEN) as running:
        running.organization().set_counts(1000, 10)
        yield running


@pytest.fixture
def statsd() -> Iterator[StatsDServer]:
    with StatsDServer() as running:
        yield running


@pytest.fixture
def stack(
    sandbox: Sandbox, statsd: StatsDServer, postgresql: PostgreSQL, root: Path, tmp_path: Path
) -> Iterator[AirflowStack]:
    shutil.copy(Path(__file__).parents[1] / "dags" / "minor_versions.py", tmp_path)
    environment = {
        **postgresql.copy("minor"),
        **statsd.environment,
        "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
        # Airflow starts watchers when it parses the file of a Dag that is no longer paused.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    }
    with AirflowStack(tmp_path, environment) as running:
        yield running


def test_a_file_is_pulled_a_deferred_sensor_resumes_a_watcher_fires_and_gauges_are_set(
    sandbox: Sandbox, stack: AirflowStack, statsd: StatsDServer, root: Path
) -> None:
    database = create_engine(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    dags = ("pulled", "watched") if HAS_WATCHERS else ("pulled",)
    wait_for("The Dags are parsed", lambda: unpause(database, *dags), 300)
    wait_for("The sensor waits", lambda: states(database, "pulled") == {"success": 1, "deferred": 1}, 300)
    assert pq.read_table(root / "1.parquet").num_rows == 30
    wait_for("The task's gauges are set", lambda: statsd.gauges().get("make.pull.rows.1") == 30.0, 60)
    assert any(name.startswith("make.team.errors.1.") for name in statsd.gauges())
    sent = len(sandbox.requests)
    # One by the sensor's trigger, and some by the watcher.
    wait_for("The triggers poll", lambda: len(sandbox.requests) >= sent + 6, 180)
    if HAS_WATCHERS:
        assert payloads(database, "failing") == []
    sandbox.organization().set_counts(1000, 250)
    wait_for("A trigger has set a gauge", lambda: statsd.gauges().get("make.organization.error_rate.1") == 25.0, 60)
    wait_for("The sensor has resumed", lambda: states(database, "pulled") == {"success": 2}, 180)
    if HAS_WATCHERS:
        wait_for("The watcher's Dag has run", lambda: states(database, "watched") == {"success": 1}, 180)
        assert [payload["value"] for payload in payloads(database, "failing")] == [25.0]
    database.dispose()
    assert "Traceback" not in stack.log("triggerer")
    assert TOKEN not in "".join(map(stack.log, stack.commands)) + stack.task_logs()

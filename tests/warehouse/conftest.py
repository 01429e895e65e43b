"""Fixtures for the recipes: a sandbox to pull from, and a PostgreSQL to load into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.services import PostgreSQL


@pytest.fixture
def sandbox(make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = make_sandbox_factory(scenarios=40)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    return sandbox


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for Dag files, from which Airflow 3 runs them."""
    bundle = {
        # The name that run_dag uses on Airflow 3.0.
        "name": "tests",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(tmp_path / "dags")},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    (tmp_path / "dags").mkdir()
    return tmp_path / "dags"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> PostgreSQL:
    """Connect make_warehouse to a PostgreSQL whose table is missing."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_MAKE_WAREHOUSE", postgres_server.connection_json)
    PostgresHook("make_warehouse").run("DROP TABLE IF EXISTS make_analytics")
    return postgres_server

"""An Airflow of the tests' own: a home in a temporary folder, and a database where a test asks for one."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

# Before anything imports airflow, which reads its configuration then.
_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_DAGS = {"examples": Path(__file__).parents[1] / "example_dags", "tests": Path(__file__).parent / "dags"}
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    # Airflow 3 runs only Dags of its bundles.
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(
        [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(path)},
            }
            for name, path in _DAGS.items()
        ]
    ),
    NO_PROXY="127.0.0.1,localhost",
)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
    del os.environ[_name]


def pytest_report_header() -> str:
    """Tell which versions run."""
    names = ("apache-airflow", "apache-airflow-providers-http", "apache-airflow-providers-common-compat", "aiohttp")
    return ", ".join(f"{name} {version(name)}" for name in (*names, "requests", "msgspec", "pydantic"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's tables in a database of the tests' own."""
    from airflow.utils.db import initdb

    initdb()

"""An Airflow of the tests' own: a home in a temporary folder, and a database where a test asks for one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

# Before anything imports airflow, which reads its configuration then.
_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parents[1] / "example_dags"),
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

"""An Airflow of the tests' own: a home in a temporary folder, and a database where a test asks for one."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

_ASKED_FOR_BY_NAME = [Path(__file__).parent / name for name in ("e2e", "release")]
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
    found = {distribution.name: distribution.version for distribution in distributions()}
    names = ("apache-airflow", "apache-airflow-providers-http", "apache-airflow-providers-common-compat", "aiohttp")
    # make test-release runs where none of them is.
    return ", ".join(f"{name} {found[name]}" for name in (*names, "requests", "msgspec", "pydantic") if name in found)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that have a target of their own, unless the run was pointed at them."""
    if collection_path not in _ASKED_FOR_BY_NAME:
        return None
    asked = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(collection_path) for path in asked) else True


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's tables in a database of the tests' own."""
    from airflow.utils.db import initdb

    initdb()

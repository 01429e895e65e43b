"""Run the tests with an Airflow home in a temporary folder, and a database for the tests that need one."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from functools import cache
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_imports import can_call_airflow

try:
    from hypothesis import settings
except ImportError:
    # The environment of make test-release has no hypothesis.
    pass
else:
    # A busy machine makes no test fail, and neither does chance: a commit always has the same examples.
    # `--hypothesis-profile random` looks for others.
    settings.register_profile("repeatable", deadline=None, derandomize=True)
    settings.register_profile("random", deadline=None, print_blob=True)
    settings.load_profile("repeatable")

_ONLY_BY_NAME = [Path(__file__).parent / name for name in ("e2e", "release")]
_DOCUMENTS = ("test_architecture", "test_document_facts", "test_document_messages", "test_documents", "test_repository")
# Before the first import of airflow, which reads the configuration.
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
    """Show the versions of Airflow and of the main libraries."""
    installed = {distribution.name: distribution.version for distribution in distributions()}
    names = ("apache-airflow", "apache-airflow-providers-http", "apache-airflow-providers-common-compat", "aiohttp")
    # In the environment of make test-release, none of them is installed.
    return ", ".join(
        f"{name} {installed[name]}" for name in (*names, "requests", "msgspec", "pydantic") if name in installed
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the folders that have their own make target, unless the command line names them."""
    if collection_path not in _ONLY_BY_NAME:
        return None
    requested = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(collection_path) for path in requested) else True


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what the Makefile does not run on each minor version of Airflow; anything new runs on all of them."""
    if item.path.stem in _DOCUMENTS:
        item.add_marker("documents")
    elif not can_call_airflow(item.path):
        item.add_marker("without_airflow")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why tests were skipped: each reason once, with the number of tests."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[-1]).removeprefix("Skipped: ") for report in reports)
    if reasons:
        terminalreporter.write_line("Skipped: " + "; ".join(f"{count} {reason}" for reason, count in reasons.items()))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Create Airflow's tables in the test database."""
    from airflow.utils.db import initdb

    initdb()
    try:
        supervisor: Any = import_module("airflow.sdk.execution_time.supervisor")
    except ImportError:
        # Airflow 2 has none.
        return
    # dag.test() would build an API server for each task, which takes a second, and leaves a thread.
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What an operator or sensor logs, whatever Airflow's version, and a Dag that ran before, do with it."""
    from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
    from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor

    caplog.set_level("INFO", "tests.task")
    for kind in (MakeAnalyticsOperator, MakeAnalyticsSensor):
        monkeypatch.setattr(kind, "log", logging.getLogger("tests.task"))
    return caplog

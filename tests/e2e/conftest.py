"""Shared by the tests on a real Airflow, which ``make test-e2e`` runs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.stack import AirflowStack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last log lines of Airflow's components to the report of a failed test."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if call.excinfo is not None and isinstance(stack, AirflowStack):
        report.sections += [(f"log of the {name}", stack.log(name)[-40000:]) for name in stack.processes]
    return report


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the folder that the Dags of a module write into."""
    return tmp_path_factory.mktemp("analytics")

"""What the tests on a real Airflow share. They run when asked for by name: ``make test-e2e``."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.stack import AirflowStack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out of a run that was not pointed at this folder."""
    if any(Path(argument.split("::")[0]).resolve().is_relative_to(HERE) for argument in config.args):
        return
    kept = [item for item in items if not item.path.is_relative_to(HERE)]
    config.hook.pytest_deselected(items=[item for item in items if item.path.is_relative_to(HERE)])
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what components of Airflow wrote last."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if call.excinfo is not None and isinstance(stack, AirflowStack):
        report.sections += [(f"log of the {name}", stack.log(name)[-40000:]) for name in stack.processes]
    return report

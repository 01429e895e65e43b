"""
The Airflow that most of these tests share, which ``make test-e2e`` runs: PostgreSQL, LocalExecutor, and all Dags.

Each module pulls from a sandbox of its own, with connections, Dags, assets and folders that no other module uses, so
that a fault or a change of figures reaches only the tests that cause it. Celery, the form and the page have
stacks of their own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from tests.e2e.rest import Rest
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import AirflowStack
from tests.support.documents import ROOT, blocks

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "example_dags"
# Before the shared stack starts, because two at once would be slow.
WITHOUT_THE_SHARED_STACK = ("test_page", "test_page_in_airflow", "test_site_search", "test_form", "test_celery")
# Its Dags run for minutes, while tests of other modules wait for theirs; those that kill triggerers come later.
FIRST, LAST = "test_examples", "test_tokens"

SECONDS_TO_STORE_AN_EVENT = 10.0
# An environment variable: the triggerer forks others.
FORK = "FORK_TRIGGERERS"
LOCAL_SETTINGS = {
    # The processes of tasks are forked, and start faster with this.
    "scheduler": "import airflow_provider_make.pull, airflow_provider_make.sensors.error_rate\n"
    "import airflow_provider_make.hooks.make",
    # After a minute; here, the tests wait for it. A busy machine needs some seconds.
    "triggerer": f"""
import os
import airflow_provider_make.triggers.analytics as triggers
triggers.SECONDS_TO_STORE_AN_EVENT = {SECONDS_TO_STORE_AN_EVENT}
if "{FORK}" in os.environ:
    sys.path.append({str(HERE.parents[1])!r})
    from tests.e2e import forking_triggerer
    forking_triggerer.install()
""",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the modules."""

    def position(item: pytest.Item) -> tuple[bool, bool, bool]:
        module = item.path.stem
        return module not in WITHOUT_THE_SHARED_STACK, module == LAST, module != FIRST

    items.sort(key=position)


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Start PostgreSQL, with Airflow's tables in the database that each stack copies."""
    with PostgreSQL() as running:
        running.migrate()
        yield running


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the folder that the Dags write into."""
    return tmp_path_factory.mktemp("analytics")


@pytest.fixture(scope="session")
def stack(postgresql: PostgreSQL, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """Start Airflow with the Dags of all modules, the examples, and some of the guides."""
    dags = tmp_path_factory.mktemp("dags")
    for path in [*EXAMPLES.glob("make_*.py"), *(HERE / "dags").glob("*.py")]:
        shutil.copy(path, dags)
    for number, recipe in enumerate(recipes()):
        (dags / f"recipe_{number}.py").write_text(recipe.replace("/tmp/", f"{root}/"))
    lineage = {"type": "file", "log_file_path": str(root / "lineage.jsonl"), "append": True}
    environment = {
        **postgresql.copy("shared"),
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
        "AIRFLOW_VAR_MAKE_ORGANIZATIONS_ROOT": str(root / "organizations"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "e2e",
        # For the Dags that ask for it.
        "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",
    }
    with AirflowStack(dags, environment, local_settings=LOCAL_SETTINGS) as running:
        yield running


def recipes() -> list[str]:
    """Return the guides' Dags that need a scheduler, with connections of their own."""
    found = [block.text for block in blocks(ROOT / "docs" / "recurring.md")]
    kept = [text for text in found if "RollupMapper" in text or "DeadlineAlert" in text]
    return [text.replace("slack_default", "slack_recipe") for text in kept]


@pytest.fixture(scope="session")
def rest(stack: AirflowStack) -> Rest:
    """Sign in, and wait until all Dags are parsed."""
    client = Rest(stack.url)
    files = len([*Path(stack.environment["AIRFLOW__CORE__DAGS_FOLDER"]).glob("*.py")])
    client.wait_for_files(files)
    return client


@pytest.fixture(scope="session")
def database(stack: AirflowStack) -> Iterator[Engine]:
    """Connect to Airflow's metadata database."""
    engine = create_engine(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    yield engine
    engine.dispose()

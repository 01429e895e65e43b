"""The distributions and the environments that they are installed into. ``make test-release`` runs these tests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from airflow_provider_make import __version__
from tests.release.commands import PINS, copy_tree, tool
from tests.release.environment import Environment

AIRFLOW = ("--constraint", str(PINS / "airflow-3.3.txt"))


class Distributions(NamedTuple):
    """The files of a release."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a clean copy of the project."""
    return copy_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def distributions(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build the sdist from the tree, and the wheel from the sdist, as for a release."""
    folder = tmp_path_factory.mktemp("dist")
    tool("pyproject-build", "--installer", "uv", "--outdir", folder, cwd=tree)
    name = f"airflow_provider_make-{__version__}"
    built = Distributions(folder / f"{name}.tar.gz", folder / f"{name}-py3-none-any.whl")
    assert sorted(folder.iterdir()) == sorted(built)
    return built


@pytest.fixture(scope="session")
def without_extras(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel without extras, with Airflow 3.3."""
    environment = Environment(tmp_path_factory.mktemp("without_extras"))
    environment.install(distributions.wheel, *AIRFLOW)
    return environment


@pytest.fixture(scope="session")
def with_extras(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel with all extras, with Airflow 3.3."""
    environment = Environment(tmp_path_factory.mktemp("extras"))
    # pyarrow and pytest are pinned in development.txt.
    tools = ("--constraint", str(PINS / "development.txt"))
    environment.install(f"{distributions.wheel}[parquet,sandbox]", *AIRFLOW, *tools)
    return environment

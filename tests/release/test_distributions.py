"""The files and metadata of the distributions, and the checks of twine and pyroma."""

from __future__ import annotations

import re
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from airflow_provider_make import __version__
from tests.release.commands import tool
from tests.release.conftest import Distributions
from tests.support.documents import links

DIST_INFO = f"airflow_provider_make-{__version__}.dist-info"


def files(folder: Path) -> set[str]:
    # The build compiles hatch_build.py.
    paths = (path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    return {path.relative_to(folder).as_posix() for path in paths}


def metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{DIST_INFO}/METADATA")


def test_wheel_contains_only_the_package_and_the_example_dags(distributions: Distributions, tree: Path) -> None:
    package = {f"airflow_provider_make/{name}" for name in files(tree / "airflow_provider_make")}
    assert "airflow_provider_make/py.typed" in package
    examples = {path.name for path in (tree / "example_dags").glob("make_*.py")}
    assert "make_analytics_daily.py" in examples
    package |= {f"airflow_provider_make/examples/dags/{name}" for name in examples}
    about = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    with zipfile.ZipFile(distributions.wheel) as archive:
        assert set(archive.namelist()) == package | {f"{DIST_INFO}/{name}" for name in about}


def test_sdist_contains_the_whole_tree(distributions: Distributions, tree: Path, tmp_path: Path) -> None:
    with tarfile.open(distributions.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"airflow_provider_make-{__version__}"
    assert files(unpacked) == files(tree) | {"PKG-INFO"}
    assert [name for name in files(tree) if (unpacked / name).read_bytes() != (tree / name).read_bytes()] == []
    assert (unpacked / "PKG-INFO").read_bytes() == metadata(distributions.wheel)


def test_sdist_and_tree_build_the_same_wheel(distributions: Distributions, tree: Path, tmp_path: Path) -> None:
    tool("pyproject-build", "--installer", "uv", "--wheel", "--outdir", tmp_path, cwd=tree)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == distributions.wheel.name
    assert wheel.read_bytes() == distributions.wheel.read_bytes()


def test_metadata_is_that_of_pyproject(distributions: Distributions, tree: Path) -> None:
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    parsed = Metadata.from_email(metadata(distributions.wheel))
    assert (parsed.name, str(parsed.version)) == (project["name"], __version__)
    assert str(parsed.requires_python) == project["requires-python"]
    needed = {Requirement(text) for text in project["dependencies"]}
    for extra, texts in project["optional-dependencies"].items():
        needed |= {Requirement(f'{text}; extra == "{extra}"') for text in texts}
    assert set(parsed.requires_dist or ()) == needed
    assert (parsed.classifiers, parsed.license_expression) == (project["classifiers"], project["license"])


@pytest.mark.parametrize("repository", [None, "https://github.com/example/airflow-provider-make"])
def test_readme_has_absolute_links_if_the_url_of_the_repository_is_set(
    repository: str | None, tree: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(tree, tmp_path / "source")
    # The repository's URL is perhaps set already.
    project = re.sub(r"^Repository = .*\n", "", (source / "pyproject.toml").read_text(), flags=re.MULTILINE)
    setting = f'[project.urls]\nRepository = "{repository}"' if repository else "[project.urls]"
    (source / "pyproject.toml").write_text(project.replace("[project.urls]", setting))
    tool("pyproject-build", "--installer", "uv", "--wheel", "--outdir", tmp_path, cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    parsed = Metadata.from_email(metadata(wheel))
    described, tag = parsed.description, f"v{__version__}"
    assert described is not None
    # Airflow's page of providers links to it.
    documentation = f"{repository}/tree/{tag}/docs" if repository else "https://developers.make.com/api-documentation"
    assert (parsed.project_urls or {})["Documentation"] == documentation
    assert (described == (tree / "README.md").read_text()) == (repository is None)
    readme = tmp_path / "README.md"
    readme.write_text(described)
    relative = {link for link in links(tree / "README.md") if not link.startswith(("https://", "#"))}
    left = {link for link in links(readme) if not link.startswith(("https://", "#"))}
    assert left == (set() if repository else relative)
    if repository:
        assert {
            f"{repository}/raw/{tag}/docs/images/report-part.png",
            f"{repository}/raw/{tag}/docs/images/report-part-dark.png",
            f"{repository}/blob/{tag}/docs/report.md",
            f"{repository}/blob/{tag}/docs/analytics.md#what-a-pull-guarantees",
            f"{repository}/blob/{tag}/LICENSE",
            f"{repository}/tree/{tag}/example_dags",
        } <= {*links(readme)}


def test_twine_accepts_both_and_the_readme(distributions: Distributions) -> None:
    tool("twine", "check", "--strict", *distributions)


def test_pyroma_rates_ten_of_ten(tree: Path) -> None:
    # The authors have no email address. pyroma also looks up the classifiers.
    tool("pyroma", "--min", "10", "--skip-tests", "AuthorEmail", tree)

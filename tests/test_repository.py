"""GitHub's files in .github, and the Makefile that they call: none of them can run here, so they are checked."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from airflow_provider_make.sandbox.__main__ import DEFAULT_PORT
from airflow_provider_make.sandbox.options import Options
from tests.support.documents import ROOT, blocks, tables

GITHUB = ROOT / ".github"
URL = "https://example.org/owner/airflow-provider-make"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
# The files of each of the schemas that check-jsonschema contains.
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": sorted({*(GITHUB / "ISSUE_TEMPLATE").glob("*.yml")} - {GITHUB / "ISSUE_TEMPLATE/config.yml"}),
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "dependabot": [GITHUB / "dependabot.yml"],
}


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Without the options of the make that runs these tests.
    variables = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


def parsed(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def steps(workflow: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return all steps of a workflow, each with its job."""
    return [(job, step) for job in parsed(workflow)["jobs"].values() for step in job["steps"]]


def matrix(job: dict[str, Any]) -> list[dict[str, str]]:
    """Return the values of a job's matrix, as GitHub combines them."""
    values = {name: value for name, value in job.get("strategy", {}).get("matrix", {}).items() if name != "exclude"}
    excluded = job.get("strategy", {}).get("matrix", {}).get("exclude", [])
    combined = [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]
    return [combination for combination in combined if combination not in excluded]


def check(schema: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths))


def test_the_compose_file_of_the_installation_is_valid_and_shares_the_loopback_interface(tmp_path: Path) -> None:
    (block,) = [block for block in blocks(ROOT / "docs" / "installation.md") if block.language == "yaml"]
    path = tmp_path / "compose.yaml"
    path.write_text(block.text)
    done = check("compose-spec", path)
    assert done.returncode == 0, done.stdout + done.stderr
    services = parsed(path)["services"]
    connection = json.loads(services["airflow"]["environment"]["AIRFLOW_CONN_MAKE_DEFAULT"])
    assert connection["host"] == f"http://127.0.0.1:{DEFAULT_PORT}"
    assert connection["password"] == Options().token
    assert services["sandbox"]["network_mode"] == "service:airflow"
    assert services["sandbox"]["entrypoint"] == "python -m airflow_provider_make.sandbox"


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_of_github_are_valid_and_spoiled_ones_are_not(schema: str, tmp_path: Path) -> None:
    assert SCHEMAS[schema]
    done = check(schema, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr
    spoiled = tmp_path / "spoiled.yml"
    spoiled.write_text(SCHEMAS[schema][0].read_text() + "unknown: 1\n")
    assert check(schema, spoiled).returncode == 1


def test_every_file_of_github_has_a_schema() -> None:
    assert {*GITHUB.rglob("*.yml")} == {path for paths in SCHEMAS.values() for path in paths}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_make_targets_that_exist(workflow: Path) -> None:
    targets = 0
    for job, step in steps(workflow):
        for values in matrix(job):
            if "run" in step:
                command = step["run"]
                for name, value in values.items():
                    command = command.replace(f"${{{{ matrix.{name} }}}}", value)
                # Prints what it would run, also for the environments that are missing.
                done = run(*command.split(), "--dry-run")
                assert (command.split()[0], done.returncode) == ("make", 0), done.stderr
                targets += 1
    assert targets


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_few_permissions_and_actions_with_a_version(workflow: Path) -> None:
    assert parsed(workflow)["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in parsed(workflow)["jobs"].items() if "permissions" in job}
    assert granted == ({"publish": {"id-token": "write"}} if workflow.stem == "release" else {})
    for job, step in steps(workflow):
        assert re.search(r"@(v\d+|release/v\d+|[0-9a-f]{40})$", step.get("uses", "@v1"))
        # The job that may publish runs no code of the repository.
        assert "id-token" not in job.get("permissions", {}) or "run" not in step
        # Text that others choose, such as a branch's name, is never part of a command.
        assert "${{ github" not in step.get("run", "")


def test_documented_pairs_of_airflow_and_python_are_those_of_the_workflow() -> None:
    pairs = [(values["airflow"], values["python"]) for values in matrix(parsed(WORKFLOWS[0])["jobs"]["fast"])]
    (rows,) = [rows[1:] for rows in tables(ROOT / "docs" / "installation.md") if rows[0][:2] == ["Airflow", "Python"]]
    documented = []
    for airflow, python, *_ in rows:
        first, last = (int(version.removeprefix("3.")) for version in python.split(" to "))
        documented += [(airflow.rpartition(".")[0], f"3.{minor}") for minor in range(first, last + 1)]
    assert pairs == documented
    assert {airflow for airflow, _ in pairs} == {
        path.stem.removeprefix("airflow-") for path in (ROOT / "constraints").glob("airflow-*.txt")
    }
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    declared = re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert declared == sorted({python for _, python in pairs})


def test_make_lists_every_target_and_the_documentation_names_them() -> None:
    done = run("make")
    listed = re.findall(r"^(\S+) {2,}\S", done.stdout, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert sorted(listed) == sorted(["test-airflow-2.11", *targets.split()])
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert {name for name in listed if f"make {name}" not in contributing} == {"help"}


@pytest.mark.parametrize(
    ("tag", "repository", "problem"),
    [
        ("v1.2.4", URL, "airflow_provider_make/__init__.py has another version than the tag v1.2.4."),
        ("v1.2.3", None, "pyproject.toml has no Repository in [project.urls]"),
        ("v1.2.3", URL, None),
        ("", None, None),
    ],
)
def test_a_release_needs_the_version_of_its_tag_and_the_urls_of_readme(
    tag: str, repository: str | None, problem: str | None, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    write_project(tmp_path, repository)
    (tmp_path / "airflow_provider_make").mkdir()
    (tmp_path / "airflow_provider_make" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    dist = tmp_path / "dist"
    dist.mkdir()
    # Without the tools for releases: if the checks pass, the next step removes dist/, and the build fails.
    done = run("make", "--assume-old", ".venv-release/release.ready", "dist", f"TAG={tag}", folder=tmp_path)
    assert done.returncode == 2
    assert dist.exists() is (problem is not None)
    assert problem is None or problem in done.stdout


@pytest.mark.parametrize("repository", [None, URL])
def test_the_site_links_to_the_repository_once_it_is_known(repository: str | None, tmp_path: Path) -> None:
    write_project(tmp_path, repository)
    hook = runpy.run_path(str(ROOT / "docs" / "extensions" / "repository_link.py"))
    config = SimpleNamespace(docs_dir=str(tmp_path / "docs"), repo_url=None, repo_name=None)
    assert hook["on_config"](config) is config
    assert (config.repo_url, config.repo_name) == (repository, repository and "airflow-provider-make")


def test_cells_of_the_sites_tables_have_their_columns_as_labels() -> None:
    head = '<thead><tr><th>key</th><th style="x"><code>a</code> &amp; "b"</th><th></th></tr></thead>'
    rows = '<tr><td>1</td><td style="x">2</td><td></td><td>4</td></tr><tr>\n<td>5</td><td>6</td></tr>'
    table = f"<table>{head}<tbody>{rows}</tbody></table>"
    hook = runpy.run_path(str(ROOT / "docs" / "extensions" / "table_labels.py"))
    label = 'data-label="a &amp; &quot;b&quot;"'
    expected = rows.replace('<td style="x">2', f'<td {label} style="x">2').replace("<td>6", f"<td {label}>6")
    changed = hook["on_page_content"](f"<td>{table}", None, None, None)
    assert changed == f"<td><table>{head}<tbody>{expected}</tbody></table>"


def write_project(folder: Path, repository: str | None) -> None:
    setting = "" if repository is None else f'Repository = "{repository}"\n'
    (folder / "pyproject.toml").write_text(f'[project]\nname = "airflow-provider-make"\n[project.urls]\n{setting}')


@pytest.mark.parametrize(
    "target",
    ["demo", "test", "test-slow", "test-storage", "test-release", "test-airflow-2.11", "docs", "dist", "clean"],
)
def test_a_target_works_in_a_folder_whose_name_has_a_space(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints", "airflow_provider_make"):
        (folder / name).symlink_to(ROOT / name)
    done = run("make", "--dry-run", "--always-make", target, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    # No command has the folder's path, which a shell and some tools would split.
    assert "two words" not in done.stdout

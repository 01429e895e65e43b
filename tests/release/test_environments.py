"""The installed wheel: with Airflow only, with its extras, and with the oldest allowed dependencies."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make import __version__
from airflow_provider_make.get_provider_info import get_provider_info
from tests.release.commands import PINS, ROOT, CommandFailedError
from tests.release.conftest import Distributions
from tests.release.environment import Environment

# The first test that needs an environment creates it, which takes longer than the default timeout.
pytestmark = pytest.mark.timeout(600)

IMPORT_ALL = """
import importlib, json, pkgutil, airflow_provider_make as package
errors = {}
names = [module.name for module in pkgutil.walk_packages(package.__path__, "airflow_provider_make.")]
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        errors[name] = str(error)
print(json.dumps([len(names), errors]))
"""
PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps([sorted(bag.dags), bag.import_errors]))
"""
PULL = """
import json, sys
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
print(json.dumps(MakeAnalyticsOperator(task_id="pull", lookback="P7D", output_path=sys.argv[1]).execute({})))
"""
READ = """
import sys, pyarrow.parquet
table = pyarrow.parquet.read_table(sys.argv[1])
print(table.num_rows, table.schema.field("centicredits").type)
"""
USER_TEST = """
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

def test_pull(make_sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    assert MakeAnalyticsOperator(task_id="pull", lookback="P7D").execute({})["row_count"] == 250
"""


def last_line(printed: str) -> Any:
    return json.loads(printed.splitlines()[-1])


def pull(environment: Environment, name: str) -> Any:
    with environment.sandbox() as connection:
        code, path = PULL, environment.home / name
        return last_line(environment.run("python", "-c", code, path, AIRFLOW_CONN_MAKE_DEFAULT=connection))


def assert_reports(environment: Environment) -> None:
    source = pull(environment, "report.parquet")["path"]
    path = environment.run("python", "-m", "airflow_provider_make.report", source).splitlines()[-1]
    page = Path(path).read_text()
    assert page.endswith("</html>\n")
    assert page.count("<figure>") == 3


def test_installed_packages_are_compatible_and_have_no_extras(without_extras: Environment) -> None:
    without_extras.check()
    versions = without_extras.versions()
    assert versions["airflow-provider-make"] == __version__
    assert versions["apache-airflow"].startswith("3.3.")
    assert not {"pyarrow", "pytest"} & versions.keys()


def test_every_module_imports_except_the_pytest_plugin(without_extras: Environment) -> None:
    number, errors = last_line(without_extras.run("python", "-c", IMPORT_ALL))
    # All but the package itself.
    assert number == len(list((ROOT / "airflow_provider_make").rglob("*.py"))) - 1
    assert errors == {"airflow_provider_make.pytest_plugin": "No module named 'pytest'"}


def test_every_example_dag_parses_or_is_skipped_for_the_provider_that_it_needs(
    without_extras: Environment, tree: Path
) -> None:
    folder = without_extras.home / "copied"
    lines = without_extras.run("python", "-m", "airflow_provider_make.examples", folder).splitlines()
    dags, errors = last_line(without_extras.run("python", "-c", PARSE, folder))
    assert errors == {}
    found = (re.fullmatch(r"skipped .*/(\w+)\.py: it needs ([\w-]+)", line) for line in lines)
    missing = {skipped[1]: skipped[2] for skipped in found if skipped}
    assert missing == {
        "make_alert_recovered": "apache-airflow-providers-slack",
        "make_alert_slack": "apache-airflow-providers-slack",
        "make_analytics_to_postgres": "apache-airflow-providers-postgres",
    }
    examples = {path.stem for path in (tree / "example_dags").glob("make_*.py")}
    assert dags == sorted(examples - missing.keys())


def test_airflow_shows_the_provider(without_extras: Environment) -> None:
    command = ("providers", "get", "airflow-provider-make", "--full", "--output", "json")
    (shown,) = json.loads(without_extras.run("airflow", *command))
    info = get_provider_info()
    assert shown["versions"] == [__version__]
    # The command converts numbers and markup to text.
    same = ("package-name", "name", "integrations", "hooks", "operators", "sensors", "triggers")
    assert {name: shown[name] for name in same} == {name: info[name] for name in same}


def test_airflow_finds_the_hook_of_the_connection_type(without_extras: Environment) -> None:
    hooks = json.loads(without_extras.run("airflow", "providers", "hooks", "--output", "json"))
    assert [hook for hook in hooks if hook["package_name"] == "airflow-provider-make"] == [
        {
            "connection_type": "make",
            "class": "airflow_provider_make.hooks.make.MakeHook",
            "conn_id_attribute_name": "make_conn_id",
            "package_name": "airflow-provider-make",
            "hook_name": "Make",
        }
    ]


def test_json_lines_need_no_extra(without_extras: Environment) -> None:
    summary = pull(without_extras, "rows.jsonl")
    rows = [json.loads(line) for line in Path(summary["path"]).read_text().splitlines()]
    assert len({row["scenario_id"] for row in rows}) == len(rows) == summary["row_count"] == 30


def test_error_for_parquet_without_pyarrow_says_what_to_install(without_extras: Environment) -> None:
    with pytest.raises(CommandFailedError, match="pip install pyarrow"):
        pull(without_extras, "rows.parquet")
    assert not (without_extras.home / "rows.parquet").exists()


def test_parquet_works_with_its_extra(with_extras: Environment) -> None:
    with_extras.check()
    summary = pull(with_extras, "rows.parquet")
    assert summary["row_count"] == 30
    assert with_extras.run("python", "-c", READ, summary["path"]).strip() == "30 decimal128(38, 0)"


def test_error_for_reports_without_pyarrow_says_what_to_install(without_extras: Environment) -> None:
    with pytest.raises(CommandFailedError, match="pip install pyarrow"):
        without_extras.run("python", "-m", "airflow_provider_make.report", "rows.parquet")


def test_reports_work_with_the_extra_for_parquet(with_extras: Environment) -> None:
    assert_reports(with_extras)


def test_fixtures_work_with_their_extra(with_extras: Environment) -> None:
    (with_extras.home / "test_user.py").write_text(USER_TEST)
    assert "1 passed" in with_extras.run("pytest", "test_user.py")


def test_oldest_versions_that_the_metadata_allows_work(distributions: Distributions, tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["parquet"]]
    bounds = dict(text.split(">=") for text in requirements)
    # All others are pinned as for Airflow 2.11, except packages of Airflow and of pydantic.
    pinned = (PINS / "airflow-2.11.txt").read_text().splitlines(keepends=True)
    free = ("apache-airflow", *bounds)
    pins = tmp_path / "pins.txt"
    pins.write_text("".join(line for line in pinned if not line.startswith(free)))
    oldest = Environment(tmp_path)
    oldest.install(*requirements, "--resolution", "lowest-direct", "--constraint", pins)
    oldest.install(distributions.wheel, "--no-deps")
    oldest.check()
    versions = oldest.versions()
    assert {name: bound for name, bound in bounds.items() if not versions[name].startswith(bound)} == {}
    for name in ("rows.jsonl", "rows.parquet"):
        assert pull(oldest, name)["row_count"] == 30
    assert_reports(oldest)

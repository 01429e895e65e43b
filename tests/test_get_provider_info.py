from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest

from airflow_provider_make import __version__
from airflow_provider_make.get_provider_info import get_provider_info

INFO = get_provider_info()
CONNECTION_TYPE: dict[str, Any] = INFO["connection-types"][0]
COMPONENTS = ("hooks", "operators", "sensors", "triggers")


def listed_modules(component: str) -> set[str]:
    return {module for integration in INFO.get(component, []) for module in integration["python-modules"]}


def defines_a_class(module: str) -> bool:
    values = vars(importlib.import_module(module)).values()
    # Mixins have other names.
    return any(isinstance(one, type) and one.__module__ == module and one.__name__.startswith("Make") for one in values)


def load_schema(name: str) -> Any:
    path = Path(airflow.__path__[0]) / name
    if not path.exists():
        pytest.skip(f"this Airflow has no {name}")
    return json.loads(path.read_text())


def hook_class() -> Any:
    return importlib.import_module("airflow_provider_make.hooks.make").MakeHook


def test_provider_info_matches_airflows_schema() -> None:
    jsonschema.validate(INFO, load_schema("provider_info.schema.json"))


def test_connection_type_matches_airflows_schema() -> None:
    whole = load_schema("provider.yaml.schema.json")
    described = {**whole["properties"]["connection-types"], "definitions": whole.get("definitions", {})}
    if "conn-fields" not in described["items"]["properties"]:
        pytest.skip("this Airflow's schema has no conn-fields")
    jsonschema.validate(INFO["connection-types"], described)


def test_field_behaviour_matches_airflows_schema() -> None:
    schema = load_schema("customized_form_field_behaviours.schema.json")
    jsonschema.validate(hook_class().get_ui_field_behaviour(), schema)


def test_provider_info_is_json_and_the_same_at_each_call() -> None:
    assert json.loads(json.dumps(INFO)) == INFO
    assert get_provider_info() == INFO


def test_package_name_and_version_are_the_distributions() -> None:
    distribution = importlib.metadata.distribution(INFO["package-name"])
    assert distribution.metadata["Name"] == INFO["package-name"]
    assert (INFO["versions"][0], distribution.version) == (__version__, __version__)
    entry_points = distribution.entry_points.select(group="apache_airflow_provider")
    assert [entry_point.load()() for entry_point in entry_points] == [INFO]


@pytest.mark.parametrize("module", sorted(set().union(*(listed_modules(component) for component in COMPONENTS))))
def test_listed_module_can_be_imported(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_every_module_with_hooks_operators_sensors_or_triggers_is_listed() -> None:
    package = Path(importlib.import_module("airflow_provider_make").__path__[0])
    for component in COMPONENTS:
        names = {f"airflow_provider_make.{component}.{path.stem}" for path in (package / component).glob("[!_]*.py")}
        assert listed_modules(component) == {name for name in names if defines_a_class(name)}


def test_connection_type_is_that_of_the_hook() -> None:
    module, name = CONNECTION_TYPE["hook-class-name"].rsplit(".", 1)
    hook = hook_class()
    assert getattr(importlib.import_module(module), name) is hook
    assert (CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-name"]) == (hook.conn_type, hook.hook_name)

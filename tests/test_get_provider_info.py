from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest
import wtforms

from airflow_provider_make import __version__
from airflow_provider_make.connection.settings import MakeConnection
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.get_provider_info import AUTH_SCHEMES, ZONES, get_provider_info

INFO = get_provider_info()
CONNECTION_TYPE: dict[str, Any] = INFO["connection-types"][0]
FIELDS: dict[str, dict[str, Any]] = CONNECTION_TYPE["conn-fields"]
KINDS = ("hooks", "operators", "sensors", "triggers")


def named(kind: str) -> set[str]:
    return {module for integration in INFO.get(kind, []) for module in integration["python-modules"]}


def schema(name: str) -> Any:
    path = Path(airflow.__path__[0]) / name
    if not path.exists():
        pytest.skip(f"this Airflow has no {name}")
    return json.loads(path.read_text())


def hook() -> Any:
    return importlib.import_module("airflow_provider_make.hooks.make").MakeHook


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> type[wtforms.Form]:
    """The form that Airflow 2.11 to 3.1 make of the hook's widgets; Flask-AppBuilder is theirs and not here."""
    package, widgets = ModuleType("flask_appbuilder"), ModuleType("flask_appbuilder.fieldwidgets")
    widgets.BS3TextFieldWidget = type("BS3TextFieldWidget", (wtforms.widgets.TextInput,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flask_appbuilder", package)
    monkeypatch.setitem(sys.modules, "flask_appbuilder.fieldwidgets", widgets)
    return type("ConnectionForm", (wtforms.Form,), hook().get_connection_form_widgets())


def test_provider_info_fits_airflows_schema() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_connection_type_fits_airflows_schema() -> None:
    whole = schema("provider.yaml.schema.json")
    described = {**whole["properties"]["connection-types"], "definitions": whole.get("definitions", {})}
    if "conn-fields" not in described["items"]["properties"]:
        pytest.skip("this Airflow's schema knows no conn-fields")
    jsonschema.validate(INFO["connection-types"], described)


def test_field_behaviour_fits_airflows_schema() -> None:
    jsonschema.validate(hook().get_ui_field_behaviour(), schema("customized_form_field_behaviours.schema.json"))


def test_provider_info_is_json_and_the_callers_own() -> None:
    assert json.loads(json.dumps(INFO)) == INFO
    assert get_provider_info() == INFO


def test_package_name_is_the_distributions() -> None:
    distribution = importlib.metadata.distribution(INFO["package-name"])
    assert distribution.metadata["Name"] == INFO["package-name"]
    assert (INFO["versions"][0], distribution.version) == (__version__, __version__)
    entry_points = distribution.entry_points.select(group="apache_airflow_provider")
    assert [entry_point.load()() for entry_point in entry_points] == [INFO]


@pytest.mark.parametrize("module", sorted(set().union(*(named(kind) for kind in KINDS))))
def test_named_module_imports(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_every_module_of_hooks_operators_sensors_and_triggers_is_named() -> None:
    package = Path(importlib.import_module("airflow_provider_make").__path__[0])
    for kind in KINDS:
        there = {f"airflow_provider_make.{kind}.{path.stem}" for path in (package / kind).glob("[!_]*.py")}
        assert named(kind) == there


def test_connection_type_is_the_hooks() -> None:
    module, name = CONNECTION_TYPE["hook-class-name"].rsplit(".", 1)
    assert getattr(importlib.import_module(module), name) is hook()
    assert (CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-name"]) == (hook().conn_type, hook().hook_name)


def test_form_has_the_documented_extras() -> None:
    documented = {"zone", "organization_id", "auth_scheme", "requests_per_minute"}
    assert set(FIELDS) == documented | {"verify", "proxies", "cert", "timeout", "trust_env"}
    assert FIELDS["zone"]["schema"]["enum"] == list(ZONES)
    assert FIELDS["auth_scheme"]["schema"]["enum"] == list(AUTH_SCHEMES)


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_is_an_extra_that_is_read(name: str) -> None:
    from airflow.models.connection import Connection

    extra = {"zone": ZONES[0], name: {"no": ["such", "value"]}}
    with pytest.raises(MakeInputError, match=name):
        MakeConnection.read(Connection(conn_id="c", conn_type="make", password="t", extra=json.dumps(extra)))


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_may_be_saved_empty(name: str) -> None:
    jsonschema.validate(None, {"type": FIELDS[name]["schema"]["type"]})
    assert "default" not in FIELDS[name]["schema"]


def test_forms_have_the_same_fields_in_the_same_order(form: type[wtforms.Form]) -> None:
    assert [field.name for field in form()] == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_forms_agree_about_a_field(form: type[wtforms.Form], name: str) -> None:
    field, described = form()[name], FIELDS[name]
    assert (field.label.text, field.description) == (described["label"], described["description"])
    kind = wtforms.IntegerField if "integer" in described["schema"]["type"] else wtforms.StringField
    assert type(field) is kind
    choices = [list(v.values) for v in field.validators if isinstance(v, wtforms.validators.AnyOf)]
    assert choices == ([described["schema"]["enum"]] if "enum" in described["schema"] else [])


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({}, set()),
        (dict.fromkeys(FIELDS, ""), set()),
        ({"zone": "us1.make.com", "organization_id": "42", "auth_scheme": "Bearer", "trust_env": "false"}, set()),
        ({"zone": "eu9.make.com", "trust_env": "perhaps"}, {"zone", "trust_env"}),
        ({"auth_scheme": "Basic", "organization_id": "x"}, {"auth_scheme", "organization_id"}),
    ],
)
def test_old_form_accepts_what_the_field_says(form: type[wtforms.Form], data: dict[str, str], wrong: set[str]) -> None:
    filled = form(MultiDict(data))
    filled.validate()
    assert set(filled.errors) == wrong


class MultiDict(dict[str, str]):
    """As much of a request's form data as wtforms asks for."""

    def getlist(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


def test_ui_field_behaviour_agrees_with_the_hooks() -> None:
    described = CONNECTION_TYPE["ui-field-behaviour"]
    assert hook().get_ui_field_behaviour() == {
        "hidden_fields": described["hidden-fields"],
        "relabeling": described["relabeling"],
        "placeholders": described["placeholders"],
    }
    assert not {"host", "password", "port", "extra"} & set(described["hidden-fields"])
    assert described["relabeling"] == {"password": "API token"}

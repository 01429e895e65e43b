"""The fields of the connection form, each a validated extra; and the same fields in Airflow 2.11 to 3.1."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import jsonschema  # type: ignore[import-untyped]
import pytest
import wtforms
from airflow.models.connection import Connection

from airflow_provider_make.connection.form import (
    AUTH_SCHEMES,
    CONNECTION_FIELDS,
    UI_FIELD_BEHAVIOUR,
    ZONES,
    connection_form_widgets,
    ui_field_behaviour,
)
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeInputError

FIELDS = CONNECTION_FIELDS


def test_form_has_the_documented_extras() -> None:
    documented = {"zone", "organization_id", "auth_scheme", "requests_per_minute"}
    assert set(FIELDS) == documented | {"verify", "proxies", "cert", "timeout", "trust_env"}
    assert FIELDS["zone"]["schema"]["enum"] == list(ZONES)
    assert FIELDS["auth_scheme"]["schema"]["enum"] == list(AUTH_SCHEMES)


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_is_a_validated_extra(name: str) -> None:
    extra = {"zone": ZONES[0], name: {"no": ["such", "value"]}}
    with pytest.raises(MakeInputError, match=name):
        ConnectionSettings.from_airflow(Connection("c", "make", password="t", extra=json.dumps(extra)))


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_may_be_saved_empty(name: str) -> None:
    jsonschema.validate(None, {"type": FIELDS[name]["schema"]["type"]})
    assert "default" not in FIELDS[name]["schema"]


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> type[wtforms.Form]:
    """Build the form from the widgets, like Airflow 2.11 to 3.1. Flask-AppBuilder, which those install, is missing."""
    package, widgets = ModuleType("flask_appbuilder"), ModuleType("flask_appbuilder.fieldwidgets")
    widgets.BS3TextFieldWidget = type("BS3TextFieldWidget", (wtforms.widgets.TextInput,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flask_appbuilder", package)
    monkeypatch.setitem(sys.modules, "flask_appbuilder.fieldwidgets", widgets)
    return type("ConnectionForm", (wtforms.Form,), connection_form_widgets())


def test_both_forms_have_the_same_fields_in_the_same_order(form: type[wtforms.Form]) -> None:
    assert [field.name for field in form()] == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_both_forms_have_the_same_labels_descriptions_types_and_choices(form: type[wtforms.Form], name: str) -> None:
    field, described = form()[name], FIELDS[name]
    assert (field.label.text, field.description) == (described["label"], described["description"])
    field_class = wtforms.IntegerField if "integer" in described["schema"]["type"] else wtforms.StringField
    assert type(field) is field_class
    choices = [list(v.values) for v in field.validators if isinstance(v, wtforms.validators.AnyOf)]
    assert choices == ([described["schema"]["enum"]] if "enum" in described["schema"] else [])


@pytest.mark.parametrize(
    ("data", "invalid"),
    [
        ({}, set()),
        (dict.fromkeys(FIELDS, ""), set()),
        ({"zone": "us1.make.com", "organization_id": "42", "auth_scheme": "Bearer", "trust_env": "false"}, set()),
        ({"zone": "eu9.make.com", "trust_env": "perhaps"}, {"zone", "trust_env"}),
        ({"auth_scheme": "<b>", "organization_id": "x"}, {"auth_scheme", "organization_id"}),
    ],
)
def test_old_form_validates_types_and_choices(
    form: type[wtforms.Form], data: dict[str, str], invalid: set[str]
) -> None:
    filled = form(MultiDict(data))
    filled.validate()
    assert set(filled.errors) == invalid
    # Airflow 2.11 shows no other text of an error.
    assert {field.name for field in filled if "text-danger" in field()} == invalid
    if "zone" in invalid:
        reason = f"Invalid value, must be one of: {', '.join(ZONES)}."
        assert f'<p class="text-danger">{reason}</p>' in filled["zone"]()


class MultiDict(dict[str, str]):
    """The part of a request's form data that wtforms uses."""

    def getlist(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


def test_field_behaviour_is_the_same_under_the_older_names() -> None:
    assert ui_field_behaviour() == {
        "hidden_fields": UI_FIELD_BEHAVIOUR["hidden-fields"],
        "relabeling": UI_FIELD_BEHAVIOUR["relabeling"],
        # Without the hint about Airflow 3.3.2.
        "placeholders": {**UI_FIELD_BEHAVIOUR["placeholders"], "port": "443"},
    }
    assert not {"host", "password", "port", "extra"} & set(UI_FIELD_BEHAVIOUR["hidden-fields"])
    assert UI_FIELD_BEHAVIOUR["relabeling"] == {"password": "API token"}

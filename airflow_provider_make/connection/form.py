"""The connection's form for Airflow 2.11 to 3.1, made of what the provider info tells later versions."""

from __future__ import annotations

from typing import Any

from airflow_provider_make.get_provider_info import get_provider_info


def connection_form_widgets() -> dict[str, Any]:
    """
    Describe the form's own fields.

    :return: A form field by the name of the extra that it fills.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional, any_of

    widgets = {}
    for name, described in _connection_type()["conn-fields"].items():
        schema = described["schema"]
        field = IntegerField if "integer" in schema["type"] else StringField
        choice = [any_of(schema["enum"])] if "enum" in schema else []
        widgets[name] = field(
            described["label"],
            validators=[Optional(), *choice],
            description=described["description"],
            widget=BS3TextFieldWidget(),
        )
    return widgets


def ui_field_behaviour() -> dict[str, Any]:
    """
    Describe the standard fields of the form.

    :return: Which fields are hidden, or named otherwise.
    """
    return {name.replace("-", "_"): value for name, value in _connection_type()["ui-field-behaviour"].items()}


def _connection_type() -> dict[str, Any]:
    described: dict[str, Any] = get_provider_info()["connection-types"][0]
    return described

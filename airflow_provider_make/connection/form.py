"""The connection form for Airflow 2.11 to 3.1, which do not read the declarative form of later versions."""

from __future__ import annotations

from typing import Any

from airflow_provider_make.connection.fields import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR


def connection_form_widgets() -> dict[str, Any]:
    """
    Build the form fields of the connection's extras.

    :return: A wtforms field by the name of each extra.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from markupsafe import Markup
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional, any_of

    class TextFieldWithErrors(BS3TextFieldWidget):  # type: ignore[misc]
        """Shows the errors, too: the script of Airflow 2.11's form replaces the text of the alerts that have them."""

        def __call__(self, field: Any, **attributes: Any) -> str:
            error = Markup('<p class="text-danger">{}</p>')
            return Markup("").join([super().__call__(field, **attributes), *map(error.format, field.errors)])

    widgets = {}
    for name, described in CONNECTION_FIELDS.items():
        schema = described["schema"]
        field = IntegerField if "integer" in schema["type"] else StringField
        choice = [any_of(schema["enum"])] if "enum" in schema else []
        widgets[name] = field(
            described["label"],
            validators=[Optional(), *choice],
            description=described["description"],
            widget=TextFieldWithErrors(),
        )
    return widgets


def ui_field_behaviour() -> dict[str, Any]:
    """
    Describe the standard fields of the form.

    :return: The fields to hide, labels to replace and placeholders, by the key names of Airflow before 3.2.
    """
    behaviour = {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}
    # These versions can test a connection without a port.
    return behaviour | {"placeholders": UI_FIELD_BEHAVIOUR["placeholders"] | {"port": "443"}}

"""The connection form in Airflow's UI, made of one description of each field."""

from __future__ import annotations

from typing import Any

# The servers in Make's OpenAPI description.
ZONES = (
    "eu1.make.com",
    "eu2.make.com",
    "us1.make.com",
    "us2.make.com",
    "eu1.make.celonis.com",
    "us1.make.celonis.com",
)
AUTH_SCHEMES = ("Token", "Bearer")
# Seconds: a day. Timers of event loops and sockets fail beyond some weeks to centuries, depending on the library, and
# the whole response may take ten times as long.
MAX_TIMEOUT = 86_400
# The extras of a connection, and the form field of each.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "zone": {
        "label": "Zone",
        "description": "The zone of the organization. Used if Host is empty.",
        "schema": {"type": ["string", "null"], "enum": list(ZONES)},
    },
    "organization_id": {
        "label": "Organization ID",
        "description": "The organization that tasks use unless they set another. The Test button needs it.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "auth_scheme": {
        "label": "Auth scheme",
        "description": "Token for an API token (the default), Bearer for an OAuth2 access token.",
        "schema": {"type": ["string", "null"], "enum": list(AUTH_SCHEMES)},
    },
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "The most requests that one task sends in a minute. Empty: no limit.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "timeout": {
        "label": "Timeout",
        "description": "Seconds to wait for a connection, and for each piece of a response. Empty: 60.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TIMEOUT},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true (the default), false, or the path of a CA bundle on the workers.",
        "schema": {"type": ["string", "null"]},
    },
    "cert": {
        "label": "Client certificate",
        "description": 'Path of a certificate file that contains the key, or ["certificate path", "key path"].',
        "schema": {"type": ["string", "null"]},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'URL of a proxy, or a JSON object such as {"https": "http://proxy:3128"}.',
        "schema": {"type": ["string", "null"]},
    },
    "trust_env": {
        "label": "Trust environment",
        "description": "Whether proxies and CA bundles set in the workers' environment are used (the default).",
        "schema": {"type": ["string", "null"], "enum": ["true", "false"]},
    },
}
UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login"],
    "relabeling": {"password": "API token"},
    "placeholders": {
        "host": "For a private instance: its host or URL",
        # The Test button of Airflow 3.3.2 refuses connections without a port: apache/airflow#73298.
        "port": "443, which Airflow 3.3.2 needs to test",
    },
}


def connection_form_widgets() -> dict[str, Any]:
    """Build a wtforms field by the name of each extra."""
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
    """Describe the standard fields of the form by the key names of Airflow before 3.2."""
    behaviour = {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}
    # These versions can test a connection without a port.
    return behaviour | {"placeholders": UI_FIELD_BEHAVIOUR["placeholders"] | {"port": "443"}}

"""The provider's description for Airflow: its modules, connection type and connection form."""

from __future__ import annotations

from typing import Any

from airflow_provider_make import __version__
from airflow_provider_make.connection.form import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR

_INTEGRATION = "Make"
# Without a handler, Airflow leaves the URIs unchanged; the converter maps them to OpenLineage names.
_ASSET_URIS = [
    {
        "schemes": ["make"],
        "handler": None,
        "to_openlineage_converter": "airflow_provider_make.lineage.convert_asset_to_openlineage",
    }
]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider by provider_info.schema.json, and the form in it by provider.yaml.schema.json."""
    return {
        "package-name": "airflow-provider-make",
        "name": "Make",
        # Airflow's page of providers glues a word to a URL before it.
        "description": "Scenario analytics for data pipelines, from `Make <https://www.make.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://developers.make.com/api-documentation/api-reference/analytics",
                "tags": ["service"],
            }
        ],
        "hooks": _list_modules("hooks.make"),
        "operators": _list_modules("operators.analytics", "operators.report"),
        "sensors": _list_modules("sensors.analytics", "sensors.error_rate"),
        "triggers": _list_modules("triggers.analytics", "triggers.error_rate"),
        "asset-uris": _ASSET_URIS,
        # Airflow 2 calls assets datasets.
        "dataset-uris": _ASSET_URIS,
        "extra-links": [
            "airflow_provider_make.links.MakeObjectLink",
            "airflow_provider_make.links.MakeOrganizationLink",
            "airflow_provider_make.links.MakeReportLink",
            "airflow_provider_make.links.MakeScenarioLink",
        ],
        "connection-types": [
            {
                "connection-type": "make",
                "hook-class-name": "airflow_provider_make.hooks.make.MakeHook",
                "hook-name": "Make",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
        "config": {
            "make": {
                "description": "Settings of the provider for Make.",
                "options": {
                    "page": {
                        "description": "Whether Airflow's navigation has the page *Make* (Airflow 3.1 and later).",
                        "version_added": None,
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    }
                },
            }
        },
    }


def _list_modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_make.{name}" for name in names]}]

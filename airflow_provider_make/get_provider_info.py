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
    """
    Describe the provider to Airflow.

    :return: Provider info according to Airflow's ``provider_info.schema.json``; the connection form in it
        according to ``provider.yaml.schema.json``.
    """
    return {
        "package-name": "airflow-provider-make",
        "name": "Make",
        "description": "`Make <https://www.make.com/>`__ scenario analytics for data pipelines.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://developers.make.com/api-documentation/api-reference/analytics",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_make.hooks.make"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_make.operators.analytics"],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_make.sensors.analytics",
                    "airflow_provider_make.sensors.error_rate",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_make.triggers.analytics",
                    "airflow_provider_make.triggers.error_rate",
                ],
            }
        ],
        "asset-uris": _ASSET_URIS,
        # Airflow 2 calls assets datasets.
        "dataset-uris": _ASSET_URIS,
        "extra-links": [
            "airflow_provider_make.links.MakeOrganizationLink",
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
    }

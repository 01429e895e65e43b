"""What Airflow learns of this provider from its entry point: modules, connection type and form."""

from __future__ import annotations

from typing import Any

from airflow_provider_make import __version__

_INTEGRATION = "Make"
# Airflow takes URIs of organizations as they are, and OpenLineage's names for them from here.
_ASSET_URIS = [
    {
        "schemes": ["make"],
        "handler": None,
        "to_openlineage_converter": "airflow_provider_make.lineage.convert_asset_to_openlineage",
    }
]
# The servers of Make's OpenAPI file.
ZONES = (
    "eu1.make.com",
    "eu2.make.com",
    "us1.make.com",
    "us2.make.com",
    "eu1.make.celonis.com",
    "us1.make.celonis.com",
)
AUTH_SCHEMES = ("Token", "Bearer")
# The connection's extras, each with its field in the form.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "zone": {
        "label": "Zone",
        "description": "The zone that the organization lives in. Used where Host is empty.",
        "schema": {
            "type": ["string", "null"],
            "enum": list(ZONES),
        },
    },
    "organization_id": {
        "label": "Organization ID",
        "description": "The organization that tasks use unless they name another. The Test button needs it.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "auth_scheme": {
        "label": "Auth scheme",
        "description": "Token for an API token (the default), Bearer for an OAuth2 access token.",
        "schema": {"type": ["string", "null"], "enum": list(AUTH_SCHEMES)},
    },
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "The most requests one task sends in a minute. Empty: no limit of our own.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "timeout": {
        "label": "Timeout",
        "description": "Seconds to wait for a connection, and for each piece of an answer. Empty: 60.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true (the default), false, or the path of a CA bundle on the workers.",
        "schema": {"type": ["string", "null"]},
    },
    "cert": {
        "label": "Client certificate",
        "description": 'Path of a certificate with its key, or ["certificate path", "key path"].',
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


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider to Airflow.

    :return: Provider info as of Airflow's ``provider_info.schema.json``; the form of the connection type
        as of its ``provider.yaml.schema.json``.
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
                "python-modules": ["airflow_provider_make.sensors.error_rate"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_make.triggers.error_rate"],
            }
        ],
        "asset-uris": _ASSET_URIS,
        # Their name in Airflow 2.
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
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login"],
                    "relabeling": {"password": "API token"},
                    "placeholders": {
                        "host": "For a private instance: its host or URL",
                        # Its Test button refuses connections without a port: apache/airflow#73298.
                        "port": "443, which Airflow 3.3.2 needs to test",
                    },
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
    }

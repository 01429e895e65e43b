"""Make's OpenAPI description of the analytics endpoint, to validate requests and responses."""

from __future__ import annotations

from typing import Any

_INTEGERS = {"type": "array", "items": {"type": "integer"}}
_STATUS = {"type": "string", "enum": ["active", "invalid", "inactive"]}
_TIME = {"type": "string", "format": "date-time"}
_SORT_KEYS = [
    "name", "teamName", "status", "operations", "executions", "errors", "errorRate",
    "executionsChange", "operationsChange", "errorsChange", "errorRateChange",
]  # fmt: skip

PARAMETERS: dict[str, Any] = {
    # The description has no brackets in these names; Make's examples of arrays at other endpoints always have them.
    "teamId": {"type": "integer"},
    "teamId[]": _INTEGERS,
    "folderId": {"type": "integer"},
    "folderId[]": _INTEGERS,
    "status": _STATUS,
    "status[]": {"type": "array", "items": _STATUS},
    "timeframe[dateFrom]": _TIME,
    "timeframe[dateTo]": _TIME,
    "pg[offset]": {"type": "integer"},
    "pg[limit]": {"type": "integer"},
    "pg[last]": {"type": "integer"},
    "pg[sortBy]": {"type": "string", "enum": _SORT_KEYS},
    "pg[sortDir]": {"type": "string", "enum": ["asc", "desc"]},
    "pg[returnTotalCount]": {"type": "boolean"},
}
_COUNT = {"type": "integer", "minimum": 0}
FIGURES: dict[str, Any] = {
    "executions": _COUNT,
    "operations": _COUNT,
    "centicredits": {"type": "string"},
    "errors": _COUNT,
    "errorRate": {"type": "number"},
    "executionsChange": {"type": "number"},
    "operationsChange": {"type": "number"},
    "centicreditsChange": {"type": "number"},
    "errorsChange": {"type": "number"},
    "errorRateChange": {"type": "number"},
}
SCENARIO: dict[str, Any] = {
    "imtId": {"type": "string"},
    "id": {"type": "number"},
    "name": {"type": "string"},
    "status": _STATUS,
    "teamId": {"type": "number"},
    "teamName": {"type": "string"},
}
PAGINATION: dict[str, Any] = {
    "last": {"type": "string"},
    "showLast": {"type": "boolean"},
    "sortBy": {"type": "string"},
    "sortDir": {"type": "string"},
    "limit": {"type": "integer"},
    "offset": {"type": "integer"},
    "totalCount": {"type": "integer"},
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    # Stricter than Make's own description, so that a misspelt field of the sandbox is detected.
    return {"type": "object", "properties": properties, "additionalProperties": False}


def openapi_description(server: str) -> dict[str, Any]:
    """Describe the endpoint as OpenAPI 3.0, for this server."""
    response = _object(
        {
            "total": _object(FIGURES),
            "analytics": {"type": "array", "items": _object(FIGURES | SCENARIO)},
            "pg": _object(PAGINATION),
        }
    )
    in_path = {"name": "organizationId", "in": "path", "required": True, "schema": {"type": "integer"}}
    in_query = [{"name": name, "in": "query", "schema": schema} for name, schema in PARAMETERS.items()]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Make", "version": "2"},
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "apiKey", "name": "Authorization", "in": "header"}}},
        "paths": {
            "/analytics/{organizationId}": {
                "get": {
                    "parameters": [in_path, *in_query],
                    "responses": {
                        "200": {"description": "Entries", "content": {"application/json": {"schema": response}}}
                    },
                }
            }
        },
    }

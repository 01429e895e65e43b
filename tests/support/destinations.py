"""The operator's own destinations, without all of the operator's arguments."""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_make.output.destination import Destination, open_destination


def destination_for(path: object, **arguments: Any) -> Destination:
    """Open the destination for a path, or for XCom, with the operator's defaults for the other arguments."""
    defaults: dict[str, Any] = {
        "output_format": None,
        "storage_conn_id": None,
        "max_xcom_bytes": 1_048_576,
        "csv_safe": False,
        "if_exists": "replace",
        "identity": {},
        "timezone": "UTC",
        "log": logging.getLogger(__name__),
    }
    return open_destination(output_path=path, **{**defaults, **arguments})

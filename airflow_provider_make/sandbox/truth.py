"""Select what correct responses would contain, by Python values instead of URL parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypedDict

from airflow_provider_make.sandbox.organization import Organization, Result
from airflow_provider_make.sandbox.query import parse_query


class Filters(TypedDict, total=False):
    """Filters, all optional; each means the same as the parameter of the API."""

    team_id: int | Sequence[int]
    folder_id: int | Sequence[int]
    status: str | Sequence[str]
    date_from: datetime
    date_to: datetime
    sort_by: str
    sort_dir: str


_PARAMETERS = {
    "team_id": "teamId",
    "folder_id": "folderId",
    "status": "status",
    "date_from": "timeframe[dateFrom]",
    "date_to": "timeframe[dateTo]",
    "sort_by": "pg[sortBy]",
    "sort_dir": "pg[sortDir]",
}


def select_truth(organization: Organization, filters: Filters) -> Result:
    """
    Select an organization's scenarios as a correct server does.

    :param organization: The organization.
    :param filters: The filters; without dates, the frame is the default one of :func:`parse_query`.
    :return: The result, shared with later callers: do not change it.
    :raises Refusal: If the API would refuse these values.
    """
    parameters: list[tuple[str, str]] = []
    for name, argument in filters.items():
        values = argument if isinstance(argument, Iterable) and not isinstance(argument, str) else [argument]
        for value in values:
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            parameters.append((_PARAMETERS[name], text))
    return organization.select(parse_query(parameters, datetime.now(UTC)).selection)

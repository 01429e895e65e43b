"""Strict reading of a request's query parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from airflow_provider_make.sandbox.refusals import Refusal

STATUSES = ("active", "invalid", "inactive")
SORT_KEYS = (
    "name",
    "teamName",
    "status",
    "operations",
    "executions",
    "errors",
    "errorRate",
    "executionsChange",
    "operationsChange",
    "errorsChange",
    "errorRateChange",
)
SORT_DIRECTIONS = ("asc", "desc")
# Make does not document its default; a client that counts on one large enough finds out here.
DEFAULT_LIMIT = 100

_ARRAYS = ("teamId", "folderId", "status")
_SINGLES = (
    "timeframe[dateFrom]",
    "timeframe[dateTo]",
    "pg[offset]",
    "pg[limit]",
    "pg[last]",
    "pg[sortBy]",
    "pg[sortDir]",
    "pg[returnTotalCount]",
)
# A client's clock may run behind, and its request took a moment to arrive.
_LEEWAY = timedelta(minutes=1)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Selection:
    """
    Which scenarios are asked for, in which time frame and order.

    :param date_from: First moment of the frame.
    :param date_to: First moment after the frame.
    :param team_ids: Only scenarios of these teams; of all if empty (default).
    :param folder_ids: Only scenarios in these folders; in all and none if empty (default).
    :param statuses: Only scenarios with these statuses; with any if empty (default).
    :param sort_by: One of the eleven sort keys, ``operations`` by default.
    :param sort_dir: ``asc`` (default) or ``desc``.
    """

    date_from: datetime
    date_to: datetime
    team_ids: frozenset[int] = frozenset()
    folder_ids: frozenset[int] = frozenset()
    statuses: frozenset[str] = frozenset()
    sort_by: str = "operations"
    sort_dir: str = "asc"


@dataclass(frozen=True)
class Query:
    """
    A request for one page of a selection.

    :param selection: What is asked for.
    :param offset: Number of entries before the page, 0 by default.
    :param last: Id of the entry just before the page; ``None`` (default) where the offset counts.
    :param limit: Longest page the client wants, at least 1; 100 by default.
    :param return_total_count: Whether the answer says how many entries the selection has, no by default.
    """

    selection: Selection
    offset: int = 0
    last: int | None = None
    limit: int = DEFAULT_LIMIT
    return_total_count: bool = False


def year_before(moment: datetime) -> datetime:
    """
    Go back one calendar year.

    :param moment: Any moment.
    :return: The same day and time a year earlier; 28 February for 29 February.
    """
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        return moment.replace(year=moment.year - 1, day=28)


def parse_query(parameters: Iterable[tuple[str, str]], now: datetime) -> Query:
    """
    Read the parameters of a request for analytics.

    Without dates the frame is today (UTC, the whole day) and the year before it, so that answers stay alike
    for a day.

    :param parameters: Decoded names and values in the order of the request, repeated names repeated.
    :param now: The present, with a zone.
    :return: The query.
    :raises Refusal: A 400 with every problem found among its suberrors.
    """
    problems: list[str] = []
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        if name not in _ARRAYS and name not in _SINGLES:
            problems.append(f"Unknown parameter '{name}'.")
        elif name not in _ARRAYS and len(values) > 1:
            problems.append(f"Parameter '{name}' is given {len(values)} times.")

    def several(name: str, read: Callable[[str], _Value]) -> list[_Value]:
        found = []
        for text in given.get(name, []):
            try:
                found.append(read(text))
            except ValueError as error:
                problems.append(f"Invalid value {text!r} of parameter '{name}': {error}.")
        return found

    def single(name: str, read: Callable[[str], _Value], default: _Value) -> _Value:
        return next(iter(several(name, read)), default)

    def recent_date(text: str) -> datetime:
        moment = _date(text)
        if moment < year_before(now) - _LEEWAY:
            raise ValueError("it is older than one year")
        return moment

    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    date_from = single("timeframe[dateFrom]", recent_date, year_before(today))
    date_to = single("timeframe[dateTo]", _date, today + timedelta(days=1))
    if date_from >= date_to:
        problems.append("Parameter 'timeframe[dateFrom]' is not earlier than 'timeframe[dateTo]'.")
    if "pg[offset]" in given and "pg[last]" in given:
        problems.append("Parameters 'pg[offset]' and 'pg[last]' exclude each other.")
    query = Query(
        Selection(
            date_from=date_from,
            date_to=date_to,
            team_ids=frozenset(several("teamId", _integer)),
            folder_ids=frozenset(several("folderId", _integer)),
            statuses=frozenset(several("status", _one_of(STATUSES))),
            sort_by=single("pg[sortBy]", _one_of(SORT_KEYS), "operations"),
            sort_dir=single("pg[sortDir]", _one_of(SORT_DIRECTIONS), "asc"),
        ),
        offset=single("pg[offset]", _at_least(0), 0),
        last=single("pg[last]", _integer, None),
        limit=single("pg[limit]", _at_least(1), DEFAULT_LIMIT),
        return_total_count=single("pg[returnTotalCount]", _one_of(("true", "false")), "false") == "true",
    )
    if problems:
        raise Refusal(400, problems)
    return query


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("an integer is needed")
    return int(text)


def _at_least(minimum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _integer(text)
        if number < minimum:
            raise ValueError(f"{minimum} is the least")
        return number

    return read


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed")
        return text

    return read


def _date(text: str) -> datetime:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("an ISO 8601 date and time is needed, such as 2024-05-31T00:00:00Z")
    if match[2] is None:
        raise ValueError("the zone is missing, such as Z or +02:00")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such time in UTC") from None

"""Parse a request's query parameters, and reject all that Make does not document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar, get_args

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
# Make does not document its default. 100 exposes clients that rely on a large one.
DEFAULT_LIMIT = 100

Misreading = Literal["last", "ignore"]
MISREADINGS: tuple[str, ...] = get_args(Misreading)

_ARRAYS = ("teamId", "folderId", "status")
_SINGLES = (
    "timeframe[dateFrom]",
    "timeframe[dateTo]",
    "pg[offset]",
    "pg[limit]",
    "pg[last]",
    "pg[showLast]",
    "pg[sortBy]",
    "pg[sortDir]",
    "pg[returnTotalCount]",
)
# An hour, because a client may choose a frame of exactly one year and then wait out rate limits. A minute, because its
# clock may be slow, and a request needs time to arrive.
_LEEWAY = timedelta(hours=1, minutes=1)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Selection:
    """
    The filters, the time frame and the order of a query.

    :param date_from: Start of the frame.
    :param date_to: End of the frame (exclusive).
    :param team_ids: Only scenarios of these teams; all teams if empty (default).
    :param folder_ids: Only scenarios in these folders; if empty (default), in any folder or none.
    :param statuses: Only scenarios with these statuses; any status if empty (default).
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
    A query for one page of a selection.

    :param selection: Filters, time frame and order.
    :param offset: Number of entries before the page, 0 by default.
    :param last: Key of the entry just before the page, as in ``pg.last``, or its id; ``None`` (default) to use the
        offset.
    :param show_last: The value of ``pg[showLast]``, which the response repeats; ``None`` (default) if not sent.
    :param limit: Maximum entries of the page, at least 1; 100 by default.
    :param return_total_count: Whether the response contains the number of entries of the selection, no by default.
    """

    selection: Selection
    offset: int = 0
    last: str | None = None
    show_last: bool | None = None
    limit: int = DEFAULT_LIMIT
    return_total_count: bool = False


def year_before(moment: datetime) -> datetime:
    """
    Subtract one calendar year.

    :param moment: Any time.
    :return: The same day and time a year earlier; 28 February for 29 February.
    """
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        return moment.replace(year=moment.year - 1, day=28)


def parse_query(
    parameters: Iterable[tuple[str, str]],
    now: datetime,
    *,
    max_limit: int | None = None,
    misread_filters: Misreading | None = None,
) -> Query:
    """
    Parse the parameters of an analytics request.

    Without dates the frame is today (UTC, the whole day) and the year before it, so that responses stay the same for
    a day. Several values of a filter have the name repeated, with or without brackets: ``teamId=1&teamId=2`` or
    ``teamId[]=1&teamId[]=2``.

    :param parameters: Decoded names and values in the order of the request, repeated names repeated.
    :param now: The present time, aware.
    :param max_limit: The largest ``pg[limit]``; ``None`` (default) for any.
    :param misread_filters: ``last`` to use only the last of repeated names without brackets; ``ignore`` to ignore names
        with brackets; ``None`` (default) to use all.
    :return: The query.
    :raises Refusal: A 400 with a suberror for every problem.
    """
    problems: list[str] = []
    received: dict[str, list[str]] = {}
    for name, value in parameters:
        received.setdefault(name, []).append(value)
    for name, values in received.items():
        is_array = name.removesuffix("[]") in _ARRAYS
        if not is_array and name not in _SINGLES:
            problems.append(f"Unknown parameter '{name}'.")
        elif not is_array and len(values) > 1:
            problems.append(f"Parameter '{name}' is repeated {len(values)} times.")
    for name in _ARRAYS:
        if misread_filters == "last" and name in received:
            received[name] = received[name][-1:]
        if misread_filters == "ignore":
            received.pop(f"{name}[]", None)

    def parse_all(name: str, parse: Callable[[str], _Value]) -> list[_Value]:
        parsed = []
        for text in received.get(name, []):
            try:
                parsed.append(parse(text))
            except ValueError as error:
                problems.append(f"Invalid value {text!r} of parameter '{name}': {error}.")
        return parsed

    def parse_single(name: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
        return next(iter(parse_all(name, parse)), default)

    def parse_filter(name: str, parse: Callable[[str], _Value]) -> frozenset[_Value]:
        return frozenset(parse_all(name, parse) + parse_all(f"{name}[]", parse))

    def parse_recent_date(text: str) -> datetime:
        moment = _parse_date(text)
        if moment < year_before(now) - _LEEWAY:
            raise ValueError("older than one year")
        return moment

    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    date_from = parse_single("timeframe[dateFrom]", parse_recent_date, year_before(today))
    date_to = parse_single("timeframe[dateTo]", _parse_date, today + timedelta(days=1))
    if date_from >= date_to:
        problems.append("Parameter 'timeframe[dateFrom]' is not earlier than 'timeframe[dateTo]'.")
    if "pg[offset]" in received and "pg[last]" in received:
        problems.append("Parameters 'pg[offset]' and 'pg[last]' exclude each other.")
    query = Query(
        Selection(
            date_from=date_from,
            date_to=date_to,
            team_ids=parse_filter("teamId", _parse_integer),
            folder_ids=parse_filter("folderId", _parse_integer),
            statuses=parse_filter("status", _one_of(STATUSES)),
            sort_by=parse_single("pg[sortBy]", _one_of(SORT_KEYS), "operations"),
            sort_dir=parse_single("pg[sortDir]", _one_of(SORT_DIRECTIONS), "asc"),
        ),
        offset=parse_single("pg[offset]", _between(0), 0),
        last=parse_single("pg[last]", str, None),
        show_last=parse_single("pg[showLast]", _parse_boolean, None),
        limit=parse_single("pg[limit]", _between(1, max_limit), min(DEFAULT_LIMIT, max_limit or DEFAULT_LIMIT)),
        return_total_count=parse_single("pg[returnTotalCount]", _parse_boolean, False),
    )
    if problems:
        raise Refusal(400, problems)
    return query


def _parse_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("expected an integer")
    return int(text)


def _between(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = _parse_integer(text)
        if number < minimum:
            raise ValueError(f"expected at least {minimum}")
        if maximum is not None and number > maximum:
            raise ValueError(f"expected at most {maximum}")
        return number

    return parse


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return parse


def _parse_boolean(text: str) -> bool:
    return _one_of(("true", "false"))(text) == "true"


def _parse_date(text: str) -> datetime:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("expected an ISO 8601 date and time, such as 2024-05-31T00:00:00Z")
    if match[2] is None:
        raise ValueError("the time zone is missing, such as Z or +02:00")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range in UTC") from None

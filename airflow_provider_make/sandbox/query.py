"""The parameters of a request: validated strictly, and refused with every problem at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, TypedDict, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Options

Status = Literal["active", "invalid", "inactive"]
_Change = Literal["executionsChange", "operationsChange", "errorsChange", "errorRateChange"]
SortKey = Literal["name", "teamName", "status", "operations", "executions", "errors", "errorRate", _Change]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)
SortDirection = Literal["asc", "desc"]
# Make does not document its default. 100 exposes clients that rely on a large one.
DEFAULT_LIMIT = 100

_Time = TypeVar("_Time", int, datetime)
_FILTERS = ("teamId", "folderId", "status")
# An hour, because a client may choose a frame of exactly one year and then wait out rate limits. A minute, because its
# clock may be slow, and a request needs time to arrive.
_LEEWAY = timedelta(hours=1, minutes=1)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def year_before(moment: datetime) -> datetime:
    """Subtract one calendar year; from 29 February, to 28 February."""
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        return moment.replace(year=moment.year - 1, day=28)


# The validators convert texts. What is no text is a value of ours, and stays as it is.
def parse_integer(value: str | int) -> int:
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise ValueError("expected an integer")
    return int(value)


def _parse_flag(value: str | bool) -> bool:
    if value not in ("true", "false", True, False):
        raise ValueError("expected 'true' or 'false'")
    return value in ("true", True)


def _parse_date(value: str | datetime) -> datetime:
    if isinstance(value, datetime):
        return value
    match = _DATE.fullmatch(value)
    if match is None:
        raise ValueError("expected an ISO 8601 date and time, such as 2024-05-31T00:00:00Z")
    if match[2] is None:
        raise ValueError("the time zone is missing, such as Z or +02:00")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range in UTC") from None


def _parse_date_from(value: str | datetime, info: ValidationInfo) -> datetime:
    date = _parse_date(value)
    if isinstance(value, str) and info.context and date < year_before(info.context["now"]) - _LEEWAY:
        raise ValueError("older than one year")
    return date


def check_end(start: str, parameter: str) -> AfterValidator:
    """Let the end of a time frame be later than its start, which is in this field, and in this parameter."""

    def check(end: _Time, info: ValidationInfo) -> _Time:
        if start in info.data and end <= info.data[start]:
            raise ValueError(f"not later than '{parameter}'")
        return end

    return AfterValidator(check)


def _check_limit(limit: int, info: ValidationInfo) -> int:
    if info.context and info.context["max_limit"] and limit > info.context["max_limit"]:
        raise ValueError(f"expected at most {info.context['max_limit']}")
    return limit


def _check_last(last: str, info: ValidationInfo) -> str:
    # An offset that is not valid is not in the data.
    if info.data.get("offset", "not valid") is not None:
        raise ValueError("'pg[offset]' and 'pg[last]' exclude each other")
    return last


Integer = Annotated[int, BeforeValidator(parse_integer)]
Offset = Annotated[Integer, Field(ge=0)]
Limit = Annotated[Integer, Field(ge=1), AfterValidator(_check_limit)]
Last = Annotated[str, AfterValidator(_check_last)]
Flag = Annotated[bool, BeforeValidator(_parse_flag)]
_DateFrom = Annotated[datetime, BeforeValidator(_parse_date_from)]
_DateTo = Annotated[datetime, BeforeValidator(_parse_date), check_end("date_from", "timeframe[dateFrom]")]


class Parameters(BaseModel):
    """The parameters of an endpoint, as Make documents them; all others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    # Those that take several values, without brackets, too.
    filters: ClassVar[tuple[str, ...]] = ()


_Parameters = TypeVar("_Parameters", bound=Parameters)


class Criteria(Parameters):
    """Which scenarios, in which time frame (its end is exclusive), in which order; empty filters select all."""

    filters: ClassVar[tuple[str, ...]] = _FILTERS

    date_from: _DateFrom = Field(alias="timeframe[dateFrom]")
    date_to: _DateTo = Field(alias="timeframe[dateTo]")
    team_ids: frozenset[Integer] = Field(frozenset(), alias="teamId")
    folder_ids: frozenset[Integer] = Field(frozenset(), alias="folderId")
    statuses: frozenset[Status] = Field(frozenset(), alias="status")
    sort_by: SortKey = Field("operations", alias="pg[sortBy]")
    sort_dir: SortDirection = Field("asc", alias="pg[sortDir]")


class Query(Criteria):
    """A query for one page: after an offset, or after the entry with a key (as in ``pg.last``) or an id."""

    offset: Offset | None = Field(None, alias="pg[offset]")
    last: Last | None = Field(None, alias="pg[last]")
    # Without effect; the response repeats it.
    show_last: Flag | None = Field(None, alias="pg[showLast]")
    limit: Limit = Field(DEFAULT_LIMIT, alias="pg[limit]")
    return_total_count: Flag = Field(False, alias="pg[returnTotalCount]")

    @property
    def criteria(self) -> Criteria:
        """The criteria alone, which all pages of a result have in common."""
        return Criteria.model_construct(**{name: getattr(self, name) for name in Criteria.model_fields})


class Filters(TypedDict, total=False):
    """Filters, all optional; each means the same as the parameter of the API."""

    team_id: int | Sequence[int]
    folder_id: int | Sequence[int]
    status: str | Sequence[str]
    date_from: datetime
    date_to: datetime
    sort_by: str
    sort_dir: str


_PARAMETER_NAMES = {
    "team_id": "teamId",
    "folder_id": "folderId",
    "status": "status",
    "date_from": "timeframe[dateFrom]",
    "date_to": "timeframe[dateTo]",
    "sort_by": "pg[sortBy]",
    "sort_dir": "pg[sortDir]",
}


def parse_query(parameters: Iterable[tuple[str, str]], now: datetime, options: Options) -> Query:
    """
    Parse the parameters of an analytics request.

    Without dates the frame is today (UTC, the whole day) and the year before it, so that responses stay the same for
    a day. Several values of a filter have the name repeated, with or without brackets: ``teamId=1&teamId=2`` or
    ``teamId[]=1&teamId[]=2``.
    """
    received = group_by_name(parameters)
    for name in _FILTERS:
        if options.misread_filters == "last" and name in received:
            received[name] = received[name][-1:]
        in_brackets = received.pop(f"{name}[]", [])
        if in_brackets and options.misread_filters != "ignore":
            received.setdefault(name, []).extend(in_brackets)
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    defaults = {
        "timeframe[dateFrom]": year_before(today),
        "timeframe[dateTo]": today + timedelta(days=1),
        "pg[limit]": min(DEFAULT_LIMIT, options.max_limit or DEFAULT_LIMIT),
    }
    return parse_parameters(Query, received, defaults, now=now, max_limit=options.max_limit)


def parse_filters(filters: Filters) -> Criteria:
    """Parse filters that are Python values as those of a request; refuse what the API would refuse."""
    parameters: list[tuple[str, str]] = []
    for name, argument in filters.items():
        values = argument if isinstance(argument, Iterable) and not isinstance(argument, str) else [argument]
        for value in values:
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            parameters.append((_PARAMETER_NAMES[name], text))
    return parse_query(parameters, datetime.now(UTC), Options()).criteria


def group_by_name(parameters: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    received: dict[str, list[str]] = {}
    for name, value in parameters:
        received.setdefault(name, []).append(value)
    return received


def parse_parameters(
    model: type[_Parameters],
    received: Mapping[str, Sequence[str]],
    defaults: Mapping[str, object] | None = None,
    **context: object,
) -> _Parameters:
    """Validate the parameters of an endpoint; refuse them with a suberror for every problem."""
    problems: list[str] = []
    values = dict(defaults or {})
    for name, texts in received.items():
        is_array = name.endswith("[]") or name in model.filters
        values[name] = texts if is_array else texts[0]
        if len(texts) > 1 and not is_array:
            problems.append(f"Parameter '{name}' is repeated {len(texts)} times.")
    try:
        valid = model.model_validate(values, by_alias=True, by_name=False, context=context)
    except ValidationError as error:
        problems += map(_describe, error.errors(include_url=False))
    if problems:
        raise Refusal(400, problems)
    return valid


def _describe(error: ErrorDetails) -> str:
    name, kind, message = error["loc"][0], error["type"], error["msg"]
    if kind == "extra_forbidden":
        return f"Unknown parameter '{name}'."
    if kind == "missing":
        return f"Parameter '{name}' is missing."
    reason = message.removeprefix("Value error, ").replace("Input should be", "expected")
    reason = reason.replace("greater than or equal to", "at least")
    return f"Invalid value {str(error['input'])!r} of parameter '{name}': {reason}."

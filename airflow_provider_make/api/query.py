"""A query of the analytics endpoint, a request for one of its pages, and the URL parameters of both."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.arguments import (
    is_collection,
    parse_non_negative_integer,
    parse_positive_integer,
    to_integer,
)
from airflow_provider_make.exceptions import MakeInputError

STATUSES = ("active", "invalid", "inactive")
# Make's values of pg[sortBy] by our column names. Make can't sort by centicredits.
SORT_KEYS = {
    "name": "name",
    "team_name": "teamName",
    "status": "status",
    "operations": "operations",
    "executions": "executions",
    "errors": "errors",
    "error_rate": "errorRate",
    "executions_change": "executionsChange",
    "operations_change": "operationsChange",
    "errors_change": "errorsChange",
    "error_rate_change": "errorRateChange",
}
# Make's names of the filters, by ours.
FILTERS = {"team_id": "teamId", "folder_id": "folderId", "status": "status"}
_EXPECTED = {
    "organization_id": "a positive integer",
    "team_id": "a positive integer, or a list of at least one",
    "folder_id": "a positive integer, or a list of at least one",
    "status": f"one of {', '.join(STATUSES)}, or a list of these",
    "sort_by": f"one of {', '.join(SORT_KEYS)} (Make can't sort by anything else)",
    "sort_dir": "asc or desc",
}


def _sequence(value: Any) -> Any:
    if isinstance(value, str) and value.strip().startswith("["):
        # A list in a template is rendered as text, unless the Dag renders templates as native objects.
        with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(value.strip())
    # An array of numpy without a dimension is a number.
    return tuple(value) if is_collection(value) and to_integer(value) is value else (value,)


def _sort_key(value: Any) -> Any:
    return SORT_KEYS.get(value, value) if isinstance(value, str) else value


def _parse_key(value: Any) -> int | str:
    # Keys such as 1632371803593_scenario.1229 occur, and are sent as they were received.
    if isinstance(value, str) and 0 < len(value.strip()) <= 300 and value.isprintable():
        return value
    number = None if isinstance(value, str) else to_integer(value)
    if not isinstance(number, int) or number < 0:
        raise MakeInputError.expected("last", value, "a whole number, zero or more, or the text of a page's pg.last")
    return number


def _filter(name: str, values: tuple[Any, ...] | None) -> Iterator[tuple[str, Any]]:
    # An array, as in all of Make's examples: a server may use only the last value of repeated plain names.
    return ((name if len(values or ()) == 1 else f"{name}[]", value) for value in values or ())


_Id = Annotated[int, Field(strict=True, gt=0), BeforeValidator(to_integer)]
_Ids = Annotated[tuple[_Id, ...], Field(min_length=1), BeforeValidator(_sequence)]
_Statuses = Annotated[
    tuple[Literal["active", "invalid", "inactive"], ...], Field(min_length=1), BeforeValidator(_sequence)
]


class ScenarioFilters(BaseModel):
    """Which scenarios to fetch. Every field is validated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # None for the connection's.
    organization_id: _Id | None = None
    # Only scenarios of these; None for all.
    team_id: _Ids | None = None
    folder_id: _Ids | None = None
    status: _Statuses | None = None

    @classmethod
    def from_arguments(cls, **values: Any) -> Self:
        """Validate the fields as arguments of a user; the error names the first that is not valid."""
        try:
            return cls(**values)
        except ValidationError as error:
            wrong = str(error.errors(include_url=False)[0]["loc"][0])
        raise MakeInputError.expected(wrong, values.get(wrong), _EXPECTED[wrong])

    @property
    def filters(self) -> dict[str, list[Any]]:
        """What is asked for, by argument, in one order whatever the arguments had; none for all scenarios."""
        values = {name: getattr(self, name) for name in FILTERS}
        return {name: sorted(set(value)) for name, value in values.items() if value is not None}


class AnalyticsQuery(ScenarioFilters):
    """Which scenarios to fetch, for which time frame, in which order. Every field is validated."""

    organization_id: _Id
    time_frame: TimeFrame = TimeFrame()
    # Our column name or Make's; stored as Make's.
    sort_by: Annotated[str, BeforeValidator(_sort_key), Field(pattern=f"^({'|'.join(SORT_KEYS.values())})$")]
    sort_dir: Literal["asc", "desc"]

    @property
    def sort_column(self) -> str:
        """The sort key, by our column's name."""
        return next(column for column, name in SORT_KEYS.items() if name == self.sort_by)

    @property
    def path(self) -> str:
        """The path, relative to the base URL."""
        return f"analytics/{self.organization_id}"

    def parameters(self, page: PageRequest) -> list[tuple[str, str]]:
        """Build the URL parameters of a page, not yet percent-encoded."""
        frame = self.time_frame
        pairs: list[tuple[str, Any]] = [
            *(pair for name, of_make in FILTERS.items() for pair in _filter(of_make, getattr(self, name))),
            ("timeframe[dateFrom]", iso(frame.date_from)),
            ("timeframe[dateTo]", iso(frame.date_to)),
            ("pg[sortBy]", self.sort_by),
            ("pg[sortDir]", self.sort_dir),
            ("pg[offset]", page.offset),
            ("pg[last]", page.last),
            ("pg[limit]", page.limit),
            ("pg[returnTotalCount]", "true" if page.return_total_count else None),
        ]
        return [(name, str(value)) for name, value in pairs if value is not None]


@dataclass(frozen=True)
class PageRequest:
    """One page of a query's result. A field that is None is not sent."""

    offset: int | None = None
    # The key of the last entry received, to continue after it.
    last: int | str | None = None
    limit: int | None = None
    return_total_count: bool = False

    @classmethod
    def from_arguments(cls, *, offset: Any, last: Any, limit: Any, return_total_count: Any) -> PageRequest:
        """Validate the arguments of the hook, of which ``offset`` and ``last`` exclude each other."""
        if offset is not None and last is not None:
            raise MakeInputError.expected("last", last, f"either last or offset, not both (offset={offset!r})")
        if not isinstance(return_total_count, bool):
            raise MakeInputError.expected("return_total_count", return_total_count, "True or False")
        return cls(
            offset=None if offset is None else parse_non_negative_integer("offset", offset),
            last=None if last is None else _parse_key(last),
            limit=None if limit is None else parse_positive_integer("limit", limit),
            return_total_count=return_total_count,
        )

"""One question to Make's analytics endpoint: which scenarios, in which order, and which page of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.exceptions import MakeInputError

STATUSES = ("active", "invalid", "inactive")
# Our column names, and Make's names for pg[sortBy]. Make offers no centicredits there.
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
_EXPECTED = {
    "organization_id": "a positive integer",
    "team_id": "a positive integer, or a list of at least one",
    "folder_id": "a positive integer, or a list of at least one",
    "status": f"one of {', '.join(STATUSES)}, or a list of at least one",
    "sort_by": f"one of {', '.join(SORT_KEYS)} (Make can't sort by anything else)",
    "sort_dir": "asc or desc",
}


# As many as fit into 64 bits.
_DIGITS = re.compile("[0-9]{1,18}")


def positive_integer(name: str, value: Any) -> int:
    """
    Read a whole number above zero; a template renders it as text, so text of digits is one.

    :param name: The argument or field, for the error.
    :param value: What the user gave.
    :return: The number.
    :raises MakeInputError: It is no whole number, or not above zero.
    """
    number = _integer(value)
    if not isinstance(number, int) or number < 1:
        raise MakeInputError.expected(name, value, "a positive integer")
    return number


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    # None is what pydantic's strict integer refuses, as it does a float; a bool it would have to be told.
    return None if isinstance(value, bool) else value


def _sequence(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def _sort_key(value: Any) -> Any:
    return SORT_KEYS.get(value, value) if isinstance(value, str) else value


_Id = Annotated[int, Field(strict=True, gt=0), BeforeValidator(_integer)]
_Ids = Annotated[tuple[_Id, ...], Field(min_length=1), BeforeValidator(_sequence)]
_Statuses = Annotated[
    tuple[Literal["active", "invalid", "inactive"], ...], Field(min_length=1), BeforeValidator(_sequence)
]


class AnalyticsQuery(BaseModel):
    """
    The scenarios that a pull is about; every field is checked when it is made.

    :param organization_id: The organization.
    :param team_id: Only scenarios of these teams; None for all.
    :param folder_id: Only scenarios in these folders; None for all.
    :param status: Only scenarios with these statuses: ``active``, ``inactive``, ``invalid`` (disabled due
        to errors); None for all.
    :param time_frame: The time that figures are counted in.
    :param sort_by: The sort key, by our column name or Make's; held as Make's.
    :param sort_dir: ``asc`` or ``desc``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    organization_id: _Id
    team_id: _Ids | None = None
    folder_id: _Ids | None = None
    status: _Statuses | None = None
    time_frame: TimeFrame = TimeFrame()
    sort_by: Annotated[str, BeforeValidator(_sort_key), Field(pattern=f"^({'|'.join(SORT_KEYS.values())})$")]
    sort_dir: Literal["asc", "desc"]

    @classmethod
    def read(cls, **values: Any) -> AnalyticsQuery:
        """
        Make a query of what the user gave, with errors in the user's terms.

        :param values: The fields; numbers may be text, as templates render them.
        :return: The checked query.
        :raises MakeInputError: The first field that is wrong, its value, and what would be right.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            wrong = str(error.errors(include_url=False)[0]["loc"][0])
        raise MakeInputError.expected(wrong, values.get(wrong), _EXPECTED[wrong])

    @property
    def sort_column(self) -> str:
        """The sort key, by our column's name."""
        return next(column for column, name in SORT_KEYS.items() if name == self.sort_by)

    @property
    def path(self) -> str:
        """The endpoint, relative to the base URL."""
        return f"analytics/{self.organization_id}"

    def parameters(self, page: PageRequest) -> list[tuple[str, str]]:
        """
        Write the query as Make wants it on the wire: array parameters repeat the key.

        :param page: Which of its pages is asked for.
        :return: Names and values of the URL's query, not yet quoted.
        """
        frame = self.time_frame
        pairs: list[tuple[str, Any]] = [
            *(("teamId", team) for team in self.team_id or ()),
            *(("folderId", folder) for folder in self.folder_id or ()),
            *(("status", status) for status in self.status or ()),
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
    """
    One page of a query; what is None is left to Make.

    :param offset: How many entries to skip.
    :param last: The last key retrieved, to continue behind it; not together with ``offset``.
    :param limit: The largest number of entries wanted; the server may have a smaller one of its own.
    :param return_total_count: Whether the answer shall tell how many entries the whole query has.
    """

    offset: int | None = None
    last: int | None = None
    limit: int | None = None
    return_total_count: bool = False

    @classmethod
    def read(cls, *, offset: Any, last: Any, limit: Any, return_total_count: Any) -> PageRequest:
        """
        Check what the user gave.

        :param offset: A whole number, zero or more, or None.
        :param last: A whole number, zero or more, or None; not together with ``offset``.
        :param limit: A positive integer, or None.
        :param return_total_count: True or False.
        :return: The checked page.
        :raises MakeInputError: A number is none, or is out of range; both ``offset`` and ``last`` are given.
        """
        if offset is not None and last is not None:
            raise MakeInputError.expected("last", last, f"either last or offset, not both (offset={offset!r})")
        for name, value in (("offset", offset), ("last", last)):
            number = _integer(value)
            if value is not None and (not isinstance(number, int) or number < 0):
                raise MakeInputError.expected(name, value, "a whole number, zero or more")
        if not isinstance(return_total_count, bool):
            raise MakeInputError.expected("return_total_count", return_total_count, "True or False")
        return cls(
            offset=_integer(offset),
            last=_integer(last),
            limit=None if limit is None else positive_integer("limit", limit),
            return_total_count=return_total_count,
        )

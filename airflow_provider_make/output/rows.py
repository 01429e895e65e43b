"""The rows of a pull: which columns they have, made of Make's entries one by one or column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec.structs import astuple

from airflow_provider_make.api.response import Figures, ScenarioFigures, make_names
from airflow_provider_make.api.time_frame import iso

# By each column that Make fills, Make's name for it.
FIGURE_COLUMNS = make_names(Figures)
_NAMES = make_names(ScenarioFigures)
SCENARIO_COLUMNS = {**{column: _NAMES[column] for column in _NAMES if column not in FIGURE_COLUMNS}, **FIGURE_COLUMNS}
COLUMNS = ("organization_id", *SCENARIO_COLUMNS, "date_from", "date_to", "extracted_at", "extra")
_OTHER_TYPES = {
    **dict.fromkeys(("imt_id", "name", "status", "team_name", "extra"), "string"),
    **dict.fromkeys(("organization_id", "scenario_id", "team_id", "executions", "operations", "errors"), "int64"),
    **dict.fromkeys(("date_from", "date_to", "extracted_at"), "timestamp[us, UTC]"),
    "centicredits": "decimal128(38, 0)",
}
# What the columns hold, in Arrow's words; rates and changes are float64.
COLUMN_TYPES = {column: _OTHER_TYPES.get(column, "float64") for column in COLUMNS}
# Text of any content, as opposed to numbers and times, which JSON and CSV write as text too.
TEXT_COLUMNS = frozenset(column for column, kind in COLUMN_TYPES.items() if kind == "string")
_values = attrgetter(*SCENARIO_COLUMNS)
# More tuples than these at a time set off Python's garbage collector, which goes through all of Airflow.
_FEW = 256


@dataclass(frozen=True)
class RowMaker:
    """
    Makes rows of the entries of one pull.

    :param organization_id: The organization asked for.
    :param date_from: Begin of the time frame, as sent; None if none was.
    :param date_to: End of the time frame, likewise.
    :param extracted_at: When the pull began.
    """

    organization_id: int
    date_from: datetime | None
    date_to: datetime | None
    extracted_at: datetime

    def rows(self, entries: Sequence[ScenarioFigures]) -> Iterator[dict[str, Any]]:
        """
        Make a dict of each entry.

        :param entries: Entries of an answer.
        :return: JSON-serialisable dicts of ``COLUMNS``, in the entries' order, of the values as in ``tuples``.
        """
        return (dict(zip(COLUMNS, row, strict=True)) for row in self.tuples(entries))

    def tuples(self, entries: Sequence[ScenarioFigures]) -> Iterator[tuple[Any, ...]]:
        """
        Make a tuple of each entry.

        :param entries: Entries of an answer.
        :return: Values in the order of ``COLUMNS``, in the entries' order. Centicredits are text, as Make sends
            them; times are ISO 8601; what is absent is None; ``extra`` is a JSON object of the fields this version
            does not know, or None.
        """
        organization_id = self.organization_id
        times = (iso(self.date_from), iso(self.date_to), iso(self.extracted_at))
        for entry in entries:
            yield (organization_id, *_values(entry), *times, entry.extra)

    def columns(self, entries: Sequence[ScenarioFigures]) -> dict[str, list[Any]]:
        """
        Make a list of each column that differs from entry to entry.

        :param entries: Entries of an answer.
        :return: Lists by the names of ``SCENARIO_COLUMNS`` and ``extra``; values are as in ``tuples``.
        """
        columns: dict[str, list[Any]] = {field: [] for field in ScenarioFigures.__struct_fields__}
        for begin in range(0, len(entries), _FEW):
            by_field = zip(*map(astuple, entries[begin : begin + _FEW]), strict=True)
            for column, values in zip(columns.values(), by_field, strict=True):
                column.extend(values)
        return columns

    def constants(self) -> dict[str, Any]:
        """
        Give the columns that are alike in all rows of the pull.

        :return: Values by column; times are datetimes.
        """
        return {
            "organization_id": self.organization_id,
            "date_from": self.date_from,
            "date_to": self.date_to,
            "extracted_at": self.extracted_at,
        }


def to_total(total: Figures) -> dict[str, Any]:
    """
    Name the organization's figures as the columns are named.

    :param total: The ``total`` of an answer.
    :return: A JSON-serialisable dict, with ``extra`` as in rows.
    """
    return {column: getattr(total, column) for column in (*FIGURE_COLUMNS, "extra")}

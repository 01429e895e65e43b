"""The rows of a pull: their columns, and how they are built from Make's entries, by row or by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec.structs import astuple

from airflow_provider_make.api.page import Metrics, ScenarioMetrics, make_names
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.text import replace_unprintable

# Make's field names by column, for the columns that Make fills.
FIGURE_COLUMNS = make_names(Metrics)
_NAMES = make_names(ScenarioMetrics)
SCENARIO_COLUMNS = {**{column: _NAMES[column] for column in _NAMES if column not in FIGURE_COLUMNS}, **FIGURE_COLUMNS}
COLUMNS = ("organization_id", *SCENARIO_COLUMNS, "date_from", "date_to", "extracted_at", "extra")
_OTHER_TYPES = {
    **dict.fromkeys(("imt_id", "name", "status", "team_name", "extra"), "string"),
    **dict.fromkeys(("organization_id", "scenario_id", "team_id", "executions", "operations", "errors"), "int64"),
    **dict.fromkeys(("date_from", "date_to", "extracted_at"), "timestamp[us, UTC]"),
    "centicredits": "decimal128(38, 0)",
}
# Arrow types; rates and changes are float64.
COLUMN_TYPES = {column: _OTHER_TYPES.get(column, "float64") for column in COLUMNS}
# Columns of free text. Centicredits and times are text in JSON and CSV, too.
TEXT_COLUMNS = frozenset(column for column, kind in COLUMN_TYPES.items() if kind == "string")
# Characters of JSON in a field for XCom or an event. In files, extra has no limit.
MAX_EXTRA_LENGTH = 1_000
_values = attrgetter(*SCENARIO_COLUMNS)
# More tuples at a time trigger Python's garbage collector, which then traverses all objects of Airflow.
_CHUNK = 256


@dataclass(frozen=True)
class RowBuilder:
    """Build the rows of one pull from its entries."""

    organization_id: int
    # The time frame as sent; None where none was sent.
    date_from: datetime | None
    date_to: datetime | None
    # When the pull began.
    extracted_at: datetime

    def rows(self, entries: Sequence[ScenarioMetrics]) -> Iterator[dict[str, Any]]:
        """Build a dict for each entry, for XCom and events, which people read: control characters are replaced."""
        for row in self.tuples(entries):
            by_column = dict(zip(COLUMNS, row, strict=True))
            for column in TEXT_COLUMNS:
                by_column[column] = by_column[column] and replace_unprintable(by_column[column])
            yield by_column

    def tuples(self, entries: Sequence[ScenarioMetrics]) -> Iterator[tuple[Any, ...]]:
        """
        Build a tuple for each entry, in the order of ``COLUMNS``.

        Centicredits are text, as Make sends them; times are ISO 8601; absent values are None; ``extra`` is a JSON
        object of the fields that this version does not know, or None.
        """
        organization_id = self.organization_id
        times = (iso(self.date_from), iso(self.date_to), iso(self.extracted_at))
        for entry in entries:
            yield (organization_id, *_values(entry), *times, entry.extra)

    def columns(self, entries: Sequence[ScenarioMetrics]) -> dict[str, list[Any]]:
        """Build a list for each column that differs between entries, with values as in ``tuples``."""
        columns: dict[str, list[Any]] = {field: [] for field in ScenarioMetrics.__struct_fields__}
        for begin in range(0, len(entries), _CHUNK):
            by_field = zip(*map(astuple, entries[begin : begin + _CHUNK]), strict=True)
            for column, values in zip(columns.values(), by_field, strict=True):
                column.extend(values)
        return columns

    def constants(self) -> dict[str, Any]:
        """Return the values that are the same in all rows of the pull, by column; times are datetimes."""
        return {
            "organization_id": self.organization_id,
            "date_from": self.date_from,
            "date_to": self.date_to,
            "extracted_at": self.extracted_at,
        }


def to_total(total: Metrics) -> dict[str, Any]:
    """Convert the organization's figures for XCom and events, without an ``extra`` that is too long for both."""
    figures = {column: getattr(total, column) for column in (*FIGURE_COLUMNS, "extra")}
    extra = total.extra or ""
    return {**figures, "extra": replace_unprintable(extra) if 0 < len(extra) <= MAX_EXTRA_LENGTH else None}

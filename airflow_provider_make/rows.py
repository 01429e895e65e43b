"""The rows of a pull: which columns they have, made of Make's entries as dicts or column by column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from airflow_provider_make.answer import Figures, ScenarioFigures
from airflow_provider_make.exceptions import MakeResponseError
from airflow_provider_make.time_frame import iso

# By each column that Make fills, Make's name for it.
FIGURE_COLUMNS = {
    "executions": "executions",
    "operations": "operations",
    "centicredits": "centicredits",
    "errors": "errors",
    "error_rate": "errorRate",
    "executions_change": "executionsChange",
    "operations_change": "operationsChange",
    "centicredits_change": "centicreditsChange",
    "errors_change": "errorsChange",
    "error_rate_change": "errorRateChange",
}
SCENARIO_COLUMNS = {
    "scenario_id": "id",
    "imt_id": "imtId",
    "name": "name",
    "status": "status",
    "team_id": "teamId",
    "team_name": "teamName",
    **FIGURE_COLUMNS,
}
COLUMNS = ("organization_id", *SCENARIO_COLUMNS, "date_from", "date_to", "extracted_at", "extra")
# Text of any content, as opposed to numbers and times, which JSON and CSV write as text too.
TEXT_COLUMNS = frozenset(("imt_id", "name", "status", "team_name", "extra"))
_KNOWN_FIGURES = frozenset(FIGURE_COLUMNS.values())
_KNOWN = frozenset(SCENARIO_COLUMNS.values())


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
        :return: JSON-serialisable dicts of ``COLUMNS``, in the entries' order. Centicredits are text, as Make
            sends them; what is absent is None; ``extra`` is a JSON object of the fields this version does not
            know, or None.
        """
        organization_id = self.organization_id
        date_from, date_to, extracted_at = iso(self.date_from), iso(self.date_to), iso(self.extracted_at)
        # Spelt out, and not read off the table above: this takes half the time.
        for entry in entries:
            get = entry.get
            yield {
                "organization_id": organization_id,
                "scenario_id": entry["id"],
                "imt_id": get("imtId"),
                "name": get("name"),
                "status": get("status"),
                "team_id": get("teamId"),
                "team_name": get("teamName"),
                "executions": get("executions"),
                "operations": get("operations"),
                "centicredits": _text(get("centicredits")),
                "errors": get("errors"),
                "error_rate": get("errorRate"),
                "executions_change": get("executionsChange"),
                "operations_change": get("operationsChange"),
                "centicredits_change": get("centicreditsChange"),
                "errors_change": get("errorsChange"),
                "error_rate_change": get("errorRateChange"),
                "date_from": date_from,
                "date_to": date_to,
                "extracted_at": extracted_at,
                "extra": _extra(entry, _KNOWN),
            }

    def columns(self, entries: Sequence[ScenarioFigures]) -> dict[str, list[Any]]:
        """
        Make a list of each column that differs from entry to entry.

        :param entries: Entries of an answer.
        :return: Lists by the names of ``SCENARIO_COLUMNS`` and ``extra``; centicredits are int.
        """
        return {
            **{column: _column(entries, name) for column, name in SCENARIO_COLUMNS.items()},
            "extra": [_extra(entry, _KNOWN) for entry in entries],
        }

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
    figures = {column: total.get(name) for column, name in FIGURE_COLUMNS.items()}
    return {**figures, "centicredits": _text(figures["centicredits"]), "extra": _extra(total, _KNOWN_FIGURES)}


def _column(entries: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    try:
        # Twice as fast as get, and most columns have no gaps.
        return list(map(itemgetter(name), entries))
    except KeyError:
        return [entry.get(name) for entry in entries]


def _text(number: Any) -> str | None:
    return None if number is None else str(number)


def _extra(entry: Mapping[str, Any], known: frozenset[str]) -> str | None:
    if known.issuperset(entry):
        return None
    unknown = sorted(entry.keys() - known)
    try:
        return json.dumps({name: entry[name] for name in unknown}, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise MakeResponseError("an unknown field of the answer is NaN or infinite, which is no JSON") from None

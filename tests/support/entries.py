"""Entries as Make may send them, and the rows expected for them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.output.rows import RowBuilder

# The columns, in the documented order.
DOCUMENTED = [
    "organization_id", "scenario_id", "imt_id", "name", "status", "team_id", "team_name", "executions", "operations",
    "centicredits", "errors", "error_rate", "executions_change", "operations_change", "centicredits_change",
    "errors_change", "error_rate_change", "date_from", "date_to", "extracted_at", "extra",
]  # fmt: skip
TEXTS = ("imt_id", "name", "status", "team_name")
COUNTS = ("executions", "operations", "errors")
TIMES = ("date_from", "date_to", "extracted_at")
RATES = tuple(column for column in DOCUMENTED if column.endswith(("_rate", "_change")))

BUILDER = RowBuilder(42, datetime(2026, 1, 31, tzinfo=UTC), None, datetime(2026, 2, 28, 23, 59, 58, tzinfo=UTC))
SUMMARY: dict[str, Any] = {"organization_id": 42, "zone": "eu1.make.com", "total": {"name": "🐎"}, "row_count": 2}


def make_name(column: str) -> str:
    """Return Make's name of a column."""
    return "id" if column == "scenario_id" else re.sub("_(.)", lambda found: found[1].upper(), column)


def entry(scenario_id: int = 7, **fields: Any) -> ScenarioMetrics:
    """Create an entry with these fields, by Make's names; centicredits may be an integer."""
    known = {column: fields.pop(make_name(column)) for column in DOCUMENTED[2:17] if make_name(column) in fields}
    if known.get("centicredits") is not None:
        known["centicredits"] = str(known["centicredits"])
    unknown = {name: fields[name] for name in sorted(fields)}
    extra = msgspec.json.encode(unknown).decode() if unknown else None
    return ScenarioMetrics(scenario_id=scenario_id, extra=extra, **known)


def truth(entry: ScenarioMetrics) -> dict[str, Any]:
    """Return the expected row of an entry, with values of Python's types."""
    return {
        "organization_id": 42,
        **{column: getattr(entry, column) for column in DOCUMENTED[1:17]},
        "centicredits": None if entry.centicredits is None else int(entry.centicredits),
        "date_from": BUILDER.date_from,
        "date_to": None,
        "extracted_at": BUILDER.extracted_at,
        "extra": json.loads(entry.extra or "null"),
    }


# Without NUL, which DuckDB rejects.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "",
        '"',
        '""',
        "a,b",
        "a\r\nb",
        "\n",
        "\r",
        " ",
        "\t",
        "NULL",
        "null",
        "0123",
        "true",
        "=1+1",
        "'",
        "\\",
        "\\n",
        "🐎",
    ]
    + ["\x01\x1f\x7f\x85", "\u2028\u2029", "\ufeff", "\ufffe", "e\u0301", "a;b|c", "#"]
)
_int64 = st.integers(-(2**63), 2**63 - 1)
_unknown = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=3,
)
_fields: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(TEXTS, texts),
    "team_id": _int64,
    **dict.fromkeys(COUNTS, st.integers(0, 2**63 - 1)),
    "centicredits": st.integers(0, 10**38 - 1) | st.sampled_from([0, 2**53 + 1, 2**63, 2**64, 10**38 - 1]),
    **dict.fromkeys(RATES, st.floats(allow_nan=False, allow_infinity=False)),
}
_known = st.fixed_dictionaries(
    {}, optional={make_name(column): st.none() | values for column, values in _fields.items()}
)
_names = st.sampled_from(DOCUMENTED).map("new {}".format) | texts.map("new {}".format) | st.just("extra")
entries = st.builds(
    lambda number, known, unknown: entry(number, **known, **unknown),
    _int64,
    _known,
    st.dictionaries(_names, _unknown, max_size=2),
)
# Entries in pages of any size.
pages = st.lists(st.lists(entries, max_size=4), max_size=4)

"""Rows and totals, built from the responses of Make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import PageParser, ScenarioMetrics
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeResponseError
from airflow_provider_make.output.rows import COLUMNS, FIGURE_COLUMNS, to_total
from airflow_provider_make.text import replace_unprintable
from tests.support.entries import BUILDER, DOCUMENTED, entries, make_name, truth

QUERY = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")

FIGURES: dict[str, Any] = {
    "executions": 120,
    "operations": 3456,
    "centicredits": "345600",
    "errors": 3,
    "errorRate": 2.5,
    "executionsChange": -12.5,
    "operationsChange": 100,
    "centicreditsChange": 0.1,
    "errorsChange": 33.33,
    "errorRateChange": -0.0,
}
SCENARIO = {"imtId": "imt-1", "id": 7, "name": "Žluťoučký kůň 🐎", "status": "active", "teamId": 3, "teamName": "Ops"}
ROW = (42, 7, "imt-1", "Žluťoučký kůň 🐎", "active", 3, "Ops")
# Percentages are floats, however Make writes them.
ROW_FIGURES = (120, 3456, "345600", 3, 2.5, -12.5, 100.0, 0.1, 33.33, -0.0)


def parse(entry: Any = None, total: Any = None) -> tuple[list[ScenarioMetrics], dict[str, Any]]:
    """Parse a response with one entry, and return its entries, and its total as in the summary."""
    response = {"total": total or {}, "analytics": [{"id": 7, **(entry or {})}], "pg": {}}
    page = PageParser().parse(json.dumps(response).encode(), QUERY, PageRequest())
    return page.analytics, to_total(page.total)


def row(entry: Any = None) -> dict[str, Any]:
    (built,) = BUILDER.rows(parse(entry)[0])
    return built


def test_columns_are_in_the_documented_order() -> None:
    assert list(COLUMNS) == list(row()) == DOCUMENTED
    parts = [*BUILDER.columns([]), *BUILDER.constants()]
    assert sorted(parts) == sorted(DOCUMENTED)


def test_documented_response_becomes_a_row_and_a_total() -> None:
    entries, total = parse({**SCENARIO, **FIGURES}, FIGURES)
    (built,) = BUILDER.rows(entries)
    times = ("2026-01-31T00:00:00Z", None, "2026-02-28T23:59:58Z")
    assert repr(tuple(built.values())) == repr((*ROW, *ROW_FIGURES, *times, None))
    assert repr(tuple(total.values())) == repr((*ROW_FIGURES, None))
    assert list(total) == [*DOCUMENTED[7:17], "extra"]
    columns = BUILDER.columns(entries)
    assert columns["centicredits"] == ["345600"]
    assert [columns[name] for name in DOCUMENTED[1:7]] == [[value] for value in ROW[1:]]


def test_rows_and_total_are_json_serializable() -> None:
    entries, total = parse({**SCENARIO, **FIGURES, "new": [1]}, {**FIGURES, "new": {"a": None}})
    built = [*BUILDER.rows(entries), total]
    assert json.loads(json.dumps(built)) == built


@given(st.lists(entries, max_size=3))
def test_rows_and_columns_have_the_same_values(some: list[ScenarioMetrics]) -> None:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in BUILDER.tuples(some)]
    columns, constants = BUILDER.columns(some), BUILDER.constants()
    by_column = [
        {name: columns[name][n] if name in columns else constants[name] for name in DOCUMENTED}
        for n in range(len(some))
    ]
    for built, same, entry in zip(rows, by_column, some, strict=True):
        assert {**built, **constants} == same
        centicredits = None if entry.centicredits is None else int(entry.centicredits)
        assert {**same, "centicredits": centicredits, "extra": json.loads(same["extra"] or "null")} == truth(entry)


@pytest.mark.parametrize("centicredits", ["0", str(2**63), str(2**64 + 1), "9" * 38, "9" * 39, "9" * 1000])
def test_centicredits_are_exact_text(centicredits: str) -> None:
    assert row({"centicredits": centicredits})["centicredits"] == centicredits
    assert parse(total={"centicredits": centicredits})[1]["centicredits"] == centicredits


@pytest.mark.parametrize("null", [{}, dict.fromkeys(make_name(column) for column in DOCUMENTED[2:17])])
def test_absent_and_null_fields_are_none(null: dict[str, None]) -> None:
    built = row(null)
    assert {built[column] for column in DOCUMENTED[2:17]} == {built["extra"]} == {None}
    total = parse(total={name: None for name in null if name in FIGURES})[1]
    assert set(total.values()) == {None}
    assert list(total) == [*FIGURE_COLUMNS, "extra"]


@pytest.mark.parametrize("count", [0, 2**63 - 1])
def test_counts_of_64_bits_are_kept(count: int) -> None:
    built = row({"id": count, "teamId": count, "executions": count, "operations": count, "errors": count})
    assert {built[name] for name in ("scenario_id", "team_id", "executions", "operations", "errors")} == {count}


def test_unknown_fields_go_to_extra_and_change_no_column() -> None:
    unknown = {
        "organization_id": 1,
        "error_rate": 99.0,
        "extra": "é",
        "scenario_id": 0,
        "date_from": {"a": [None, 1.5]},
    }
    built = row({**SCENARIO, **FIGURES, **unknown})
    assert "é" in built["extra"]
    assert json.loads(built.pop("extra")) == unknown
    assert {**built, "extra": None} == row({**SCENARIO, **FIGURES})


def test_unknown_fields_of_the_total_go_to_its_extra() -> None:
    unknown = {"error_rate": 99.0, "organization_id": 1, "id": 5}
    total = parse(total={**FIGURES, **unknown})[1]
    assert json.loads(total["extra"]) == unknown
    assert total["error_rate"] == 2.5


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"0x1"])
def test_unknown_number_that_is_not_json_raises(number: bytes) -> None:
    for response in (
        b'{"total": {"new": %s}, "analytics": [], "pg": {}}',
        b'{"total": {}, "analytics": [{"id": 1, "new": [%s]}], "pg": {}}',
    ):
        with pytest.raises(MakeResponseError, match="is not JSON"):
            PageParser().parse(response % number, QUERY, PageRequest())


def test_unknown_number_beyond_any_float_is_kept() -> None:
    response = b'{"total": {}, "analytics": [{"id": 1, "new": [1E+400]}], "pg": {}}'
    assert PageParser().parse(response, QUERY, PageRequest()).analytics[0].extra == '{"new":[1E+400]}'


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers() | st.text(st.characters(codec="utf-8"))))
def test_any_unknown_fields_are_restored_from_extra(unknown: dict[str, Any]) -> None:
    unknown = {f"new {name}": value for name, value in unknown.items()}
    (entry,) = parse(unknown)[0]
    # NUL can't be stored.
    assert json.loads(entry.extra or "{}") == json.loads(json.dumps(unknown).replace("\\u0000", "\ufffd"))


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\u202eb", "a\r", "a\x7fb"])
def test_rows_for_people_have_no_control_characters(name: str) -> None:
    entry = {"name": name, "imtId": name, "status": name, "teamName": name, name: name}
    built = row(entry)
    (raw,) = parse(entry)[0]
    assert (raw.name, built["name"]) == (name, replace_unprintable(name))
    assert "\ufffd" in built["name"]
    text = "".join(str(value) for value in built.values())
    assert text == replace_unprintable(text)
    assert json.loads(built["extra"])


def test_an_extra_of_the_total_that_is_too_long_is_left_out() -> None:
    assert parse(total={"new": "x" * 900})[1]["extra"] == json.dumps({"new": "x" * 900}, separators=(",", ":"))
    assert parse(total={"new": "x" * 1000})[1]["extra"] is None

"""Rows and totals, from the answers of Make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.api.response import ScenarioMetrics, parse_page
from airflow_provider_make.exceptions import MakeResponseError
from airflow_provider_make.output.rows import COLUMNS, FIGURE_COLUMNS, to_total
from tests.support.entries import MAKER, PROMISED, entries, truth, wire

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


def read(entry: Any = None, total: Any = None) -> tuple[list[ScenarioMetrics], dict[str, Any]]:
    """Give the entries of an answer with one, and its total as it is shown."""
    answer = {"total": total or {}, "analytics": [{"id": 7, **(entry or {})}], "pg": {}}
    page = parse_page(json.dumps(answer).encode(), PageRequest())
    return page.analytics, to_total(page.total)


def row(entry: Any = None) -> dict[str, Any]:
    (made,) = MAKER.rows(read(entry)[0])
    return made


def test_columns_are_in_the_promised_order() -> None:
    assert list(COLUMNS) == list(row()) == PROMISED
    parts = [*MAKER.columns([]), *MAKER.constants()]
    assert sorted(parts) == sorted(PROMISED)


def test_documented_answer() -> None:
    entries, total = read({**SCENARIO, **FIGURES}, FIGURES)
    (made,) = MAKER.rows(entries)
    times = ("2026-01-31T00:00:00Z", None, "2026-02-28T23:59:58Z")
    assert repr(tuple(made.values())) == repr((*ROW, *ROW_FIGURES, *times, None))
    assert repr(tuple(total.values())) == repr((*ROW_FIGURES, None))
    assert list(total) == [*PROMISED[7:17], "extra"]
    columns = MAKER.columns(entries)
    assert columns["centicredits"] == ["345600"]
    assert [columns[name] for name in PROMISED[1:7]] == [[value] for value in ROW[1:]]


def test_rows_and_total_are_json() -> None:
    entries, total = read({**SCENARIO, **FIGURES, "new": [1]}, {**FIGURES, "new": {"a": None}})
    made = [*MAKER.rows(entries), total]
    assert json.loads(json.dumps(made)) == made


@given(st.lists(entries, max_size=3))
def test_rows_and_columns_say_the_same(some: list[ScenarioMetrics]) -> None:
    rows, columns, constants = list(MAKER.rows(some)), MAKER.columns(some), MAKER.constants()
    by_column = [
        {name: columns[name][n] if name in columns else constants[name] for name in PROMISED} for n in range(len(some))
    ]
    for made, same, entry in zip(rows, by_column, some, strict=True):
        assert {**made, **constants} == same
        centicredits = None if entry.centicredits is None else int(entry.centicredits)
        assert {**same, "centicredits": centicredits, "extra": json.loads(same["extra"] or "null")} == truth(entry)


@pytest.mark.parametrize("centicredits", ["0", str(2**63), str(2**64 + 1), "9" * 38, "9" * 39, "9" * 1000])
def test_centicredits_are_exact_text(centicredits: str) -> None:
    assert row({"centicredits": centicredits})["centicredits"] == centicredits
    assert read(total={"centicredits": centicredits})[1]["centicredits"] == centicredits


@pytest.mark.parametrize("null", [{}, dict.fromkeys(wire(column) for column in PROMISED[2:17])])
def test_absent_and_null_values_are_none(null: dict[str, None]) -> None:
    made = row(null)
    assert {made[column] for column in PROMISED[2:17]} == {made["extra"]} == {None}
    total = read(total={name: None for name in null if name in FIGURES})[1]
    assert set(total.values()) == {None}
    assert list(total) == [*FIGURE_COLUMNS, "extra"]


@pytest.mark.parametrize("count", [0, 2**63 - 1])
def test_counts_reach_to_64_bits(count: int) -> None:
    made = row({"id": count, "teamId": count, "executions": count, "operations": count, "errors": count})
    assert {made[name] for name in ("scenario_id", "team_id", "executions", "operations", "errors")} == {count}


def test_unknown_fields_go_to_extra_and_disturb_no_column() -> None:
    strange = {
        "organization_id": 1,
        "error_rate": 99.0,
        "extra": "é",
        "scenario_id": 0,
        "date_from": {"a": [None, 1.5]},
    }
    made = row({**SCENARIO, **FIGURES, **strange})
    assert "é" in made["extra"]
    assert json.loads(made.pop("extra")) == strange
    assert {**made, "extra": None} == row({**SCENARIO, **FIGURES})


def test_unknown_fields_of_the_total_go_to_its_extra() -> None:
    strange = {"error_rate": 99.0, "organization_id": 1, "id": 5}
    total = read(total={**FIGURES, **strange})[1]
    assert json.loads(total["extra"]) == strange
    assert total["error_rate"] == 2.5


@pytest.mark.parametrize("number", [b"NaN", b"1e400"])
def test_an_unknown_number_that_is_no_json_is_an_error(number: bytes) -> None:
    for answer in (
        b'{"total": {"new": %s}, "analytics": [], "pg": {}}',
        b'{"total": {}, "analytics": [{"id": 1, "new": [%s]}], "pg": {}}',
    ):
        with pytest.raises(MakeResponseError, match="malformed|out of range"):
            parse_page(answer % number, PageRequest())


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers() | st.text(st.characters(codec="utf-8"))))
def test_any_unknown_fields_come_back_from_extra(unknown: dict[str, Any]) -> None:
    unknown = {f"new {name}": value for name, value in unknown.items()}
    assert json.loads(row(unknown)["extra"] or "{}") == unknown

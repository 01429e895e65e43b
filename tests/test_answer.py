from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.answer import COLUMNS, read_page, to_rows, to_total
from airflow_provider_make.exceptions import MakeResponseError
from airflow_provider_make.query import PageRequest

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
PG = {"sortBy": "name", "sortDir": "asc", "limit": 1000, "offset": 0, "totalCount": 1}
SECRET = "Payroll-of-the-board"


def body(entry: Any = None, *, total: Any = None, pg: Any = None, **more: Any) -> bytes:
    answer = {"total": {} if total is None else total, "analytics": [{"id": 7, **(entry or {})}], "pg": pg or {}}
    return json.dumps({**answer, **more}).encode()


def rows(answer: bytes) -> list[dict[str, Any]]:
    page = read_page(answer, PageRequest())
    return list(to_rows(page.analytics, organization_id=42, date_from="F", date_to=None, extracted_at="X"))


def test_columns_are_in_the_promised_order() -> None:
    promised = (
        "organization_id, scenario_id, imt_id, name, status, team_id, team_name, executions, operations, "
        "centicredits, errors, error_rate, executions_change, operations_change, centicredits_change, errors_change, "
        "error_rate_change, date_from, date_to, extracted_at, extra"
    )
    assert ", ".join(COLUMNS) == promised
    assert tuple(rows(body())[0]) == COLUMNS


def test_documented_answer() -> None:
    figures = (120, 3456, "345600", 3, 2.5, -12.5, 100.0, 0.1, 33.33, -0.0)
    answer = body({**SCENARIO, **FIGURES}, total=FIGURES, pg=PG)
    named = (42, 7, "imt-1", "Žluťoučký kůň 🐎", "active", 3, "Ops")
    assert [tuple(row.values()) for row in rows(answer)] == [(*named, *figures, "F", None, "X", None)]
    page = read_page(answer, PageRequest(offset=0, limit=1000, return_total_count=True))
    assert tuple(to_total(page.total).values()) == (*figures, None)
    assert tuple(to_total(page.total)) == (*COLUMNS[7:17], "extra")
    assert page.pg.model_dump(exclude_none=True) == PG


def test_rows_and_total_are_json() -> None:
    answer = body({**SCENARIO, **FIGURES, "new": [1]}, total={**FIGURES, "new": {"a": None}})
    made = [*rows(answer), to_total(read_page(answer, PageRequest()).total)]
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("centicredits", ["0", str(2**63), str(2**64 + 1), "9" * 38])
def test_centicredits_are_exact_text(centicredits: str) -> None:
    answer = body({"centicredits": centicredits}, total={"centicredits": centicredits})
    assert rows(answer)[0]["centicredits"] == centicredits
    assert to_total(read_page(answer, PageRequest()).total)["centicredits"] == centicredits


@pytest.mark.parametrize("null", [{}, dict.fromkeys([*FIGURES, "imtId", "name", "status", "teamId", "teamName"])])
def test_absent_and_null_values_are_none(null: dict[str, None]) -> None:
    row = rows(body(null, total={name: None for name in null if name in FIGURES}))[0]
    assert {row[column] for column in COLUMNS[2:17]} == {None}
    assert row["extra"] is None


@pytest.mark.parametrize("count", [0, 2**63 - 1])
def test_counts_reach_to_64_bits(count: int) -> None:
    row = rows(body({"id": count, "teamId": count, "executions": count, "operations": count, "errors": count}))[0]
    assert {row[name] for name in ("scenario_id", "team_id", "executions", "operations", "errors")} == {count}


def test_unknown_fields_go_to_extra_and_disturb_no_column() -> None:
    strange = {
        "organization_id": 1,
        "error_rate": 99.0,
        "extra": "é",
        "scenario_id": 0,
        "date_from": {"a": [None, 1.5]},
    }
    row = rows(body({**SCENARIO, **FIGURES, **strange}))[0]
    assert json.loads(row.pop("extra")) == strange
    assert {**row, "extra": None} == rows(body({**SCENARIO, **FIGURES}))[0]


def test_unknown_fields_of_the_total_go_to_its_extra() -> None:
    strange = {"error_rate": 99.0, "organization_id": 1, "id": 5}
    total = to_total(read_page(body(total={**FIGURES, **strange}), PageRequest()).total)
    assert json.loads(total["extra"]) == strange
    assert total["error_rate"] == 2.5


def test_unknown_fields_around_the_entries_are_no_error() -> None:
    page = read_page(body(pg={"next": "x"}, meta={"a": 1}), PageRequest())
    assert len(page.analytics) == 1


@pytest.mark.parametrize("number", [b"NaN", b"1e400"])
def test_an_unknown_number_that_is_no_json_is_an_error(number: bytes) -> None:
    answer = b'{"total": {}, "analytics": [{"id": 1, "new": %s}], "pg": {}}' % number
    with pytest.raises(MakeResponseError, match="unknown field"):
        rows(answer)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers() | st.text(st.characters(codec="utf-8"))))
def test_any_unknown_fields_come_back_from_extra(unknown: dict[str, Any]) -> None:
    unknown = {f"new {name}": value for name, value in unknown.items()}
    assert json.loads(rows(body(unknown))[0]["extra"] or "{}") == unknown


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (f"<html><title>{SECRET}</title></html>".encode(), "HTML"),
        (f"\n<!DOCTYPE html>{SECRET}".encode(), "HTML"),
        (SECRET.encode(), "JSON"),
        (body({"name": SECRET})[:-1], "JSON"),
        (body({"name": SECRET})[:60], "JSON"),
        (body({"name": SECRET}) + b"}", "JSON"),
        (b'{"total": {}, "analytics": [{"id": 1, "name": "\xff"}], "pg": {}}', "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"null", "object"),
        (f'["{SECRET}"]'.encode(), "object"),
        (b'{"message": "Permission denied"}', "total"),
        (b'{"total": {}, "pg": {}}', "analytics"),
        (b'{"total": {}, "analytics": []}', "pg"),
        (body(total=SECRET), "total"),
        (body(total={"executions": SECRET}), "total.executions"),
        (body(analytics=None), "analytics"),
        (body(analytics={"0": SECRET}), "analytics"),
        (body(analytics=[SECRET]), "analytics.0"),
        (body(analytics=[{"id": 1}, {"name": SECRET}]), "analytics.1.id"),
        (body({"id": None}), "analytics.0.id"),
        (body({"id": SECRET}), "analytics.0.id"),
        (body({"id": True}), "analytics.0.id"),
        (body({"id": 2**63}), "analytics.0.id"),
        (body({"teamId": 1.5}), "analytics.0.teamId"),
        (body({"name": [SECRET]}), "analytics.0.name"),
        (body({"executions": "120"}), "analytics.0.executions"),
        (body({"executions": -1}), "analytics.0.executions"),
        (body({"operations": 2**63}), "analytics.0.operations"),
        (body({"errors": True}), "analytics.0.errors"),
        (body({"errorRate": SECRET}), "analytics.0.errorRate"),
        (body({"errorRate": float("nan")}), "analytics.0.errorRate"),
        (body({"errorsChange": float("-inf")}), "analytics.0.errorsChange"),
        (body({"centicredits": SECRET}), "analytics.0.centicredits"),
        (body({"centicredits": "-1"}), "analytics.0.centicredits"),
        (body({"centicredits": "1.5"}), "analytics.0.centicredits"),
        (body({"centicredits": [SECRET]}), "analytics.0.centicredits"),
        (body({"centicredits": "1_000"}), "analytics.0.centicredits"),
        (body({"centicredits": "12.0"}), "analytics.0.centicredits"),
        (body({"centicredits": True}), "analytics.0.centicredits"),
        (body(pg={"totalCount": SECRET}), "pg.totalCount"),
        (body(pg={"totalCount": -1}), "pg.totalCount"),
        (body(pg={"limit": "1000"}), "pg.limit"),
    ],
)
def test_misshapen_answer_is_told_without_its_values(answer: bytes, told: str) -> None:
    with pytest.raises(MakeResponseError) as caught:
        read_page(answer, PageRequest())
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.status_code == 200
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("answer", "asked", "told"),
    [
        (body(pg={"offset": 0}), PageRequest(offset=1000), "offset 0, not the one at 1000"),
        (body(pg={"offset": 1000}), PageRequest(offset=0), "offset 1000, not the one at 0"),
        (body(analytics=[{"id": 1}, {"id": 2}]), PageRequest(limit=1), "2 entries, more than the 1"),
        (body(pg={"offset": 0}), PageRequest(offset=0, return_total_count=True), "lacks pg.totalCount"),
        (body(pg={"totalCount": None}), PageRequest(return_total_count=True), "lacks pg.totalCount"),
    ],
)
def test_another_page_than_asked_for(answer: bytes, asked: PageRequest, told: str) -> None:
    with pytest.raises(MakeResponseError, match=told):
        read_page(answer, asked)


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        # The server has a smaller limit of its own, or does not tell what it used.
        (
            body(pg={"offset": 5, "limit": 1, "totalCount": 9}),
            PageRequest(offset=5, limit=1000, return_total_count=True),
        ),
        (body(), PageRequest(offset=5, limit=1)),
        (body(pg={"offset": 5}), PageRequest(last=17)),
        (body(analytics=[], pg={"totalCount": 0}), PageRequest(offset=0, return_total_count=True)),
    ],
)
def test_fitting_answers(answer: bytes, asked: PageRequest) -> None:
    assert read_page(answer, asked).analytics == json.loads(answer)["analytics"]

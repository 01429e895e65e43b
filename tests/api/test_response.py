from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.api.response import Metrics, Pagination, make_names, parse_page
from airflow_provider_make.exceptions import MakeResponseError

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


def only(answer: bytes) -> dict[str, Any]:
    (entry,) = parse_page(answer, PageRequest()).analytics
    return set_fields(entry)


def set_fields(figures: Metrics) -> dict[str, Any]:
    """What is there, by Make's names."""
    by_name = {name: getattr(figures, column) for column, name in make_names(type(figures)).items()}
    by_name["extra"] = figures.extra
    return {name: value for name, value in by_name.items() if value is not None}


def test_documented_answer() -> None:
    answer = body({**SCENARIO, **FIGURES}, total=FIGURES, pg=PG)
    page = parse_page(answer, PageRequest(offset=0, limit=1000, return_total_count=True))
    figures = {**FIGURES, "operationsChange": 100.0}
    assert repr(set_fields(page.total)) == repr(figures)
    assert only(answer) == {**SCENARIO, **figures}
    assert page.pg == Pagination(sort_by="name", sort_dir="asc", limit=1000, offset=0, total_count=1)


@pytest.mark.parametrize("centicredits", ["0", "007", str(2**64 + 1), "9" * 39, "9" * 1000])
def test_centicredits_are_digits_of_any_number(centicredits: str) -> None:
    answer = body({"centicredits": centicredits}, total={"centicredits": centicredits})
    assert only(answer)["centicredits"] == centicredits
    assert parse_page(answer, PageRequest()).total == Metrics(centicredits=centicredits)


@pytest.mark.parametrize("null", [{}, dict.fromkeys([*FIGURES, "imtId", "name", "status", "teamId", "teamName"])])
def test_absent_and_null_values_are_none(null: dict[str, None]) -> None:
    assert only(body(null)) == {"id": 7}


@pytest.mark.parametrize("count", [0, 2**63 - 1])
def test_counts_reach_to_64_bits(count: int) -> None:
    counts = dict.fromkeys(["id", "teamId", "executions", "operations", "errors"], count)
    assert only(body(counts)) == counts


def test_unknown_fields_are_kept() -> None:
    strange = {"error_rate": 99.0, "extra": "é", "date_from": {"a": [None, 1.5]}}
    answer = body({**SCENARIO, **FIGURES, **strange}, total=strange)
    page = parse_page(answer, PageRequest())
    assert page.analytics[0].extra == page.total.extra
    assert json.loads(page.total.extra or "") == strange
    assert {**only(answer), "extra": None} == {**only(body({**SCENARIO, **FIGURES})), "extra": None}


def test_unknown_fields_around_the_entries_are_no_error() -> None:
    page = parse_page(body(pg={"next": "x"}, meta={"a": 1}), PageRequest())
    assert len(page.analytics) == 1


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
        (body(analytics=[SECRET]), "$.analytics[0]`"),
        (body(analytics=[{"id": 1}, {"name": SECRET}]), "missing required field `id` - at `$.analytics[1]`"),
        (body({"id": None}), "$.analytics[0].id"),
        (body({"id": SECRET}), "$.analytics[0].id"),
        (body({"id": True}), "$.analytics[0].id"),
        (body({"id": 2**63}), "$.analytics[0].id"),
        (body({"teamId": 1.5}), "$.analytics[0].teamId"),
        (body({"name": [SECRET]}), "$.analytics[0].name"),
        (body({"executions": "120"}), "$.analytics[0].executions"),
        (body({"executions": -1}), "$.analytics[0].executions"),
        (body({"operations": 2**63}), "$.analytics[0].operations"),
        (body({"errors": True}), "$.analytics[0].errors"),
        (body({"errorRate": SECRET}), "$.analytics[0].errorRate"),
        (body({"errorRate": float("nan")}), "JSON"),
        (body({"errorsChange": float("-inf")}), "JSON"),
        (b'{"total": {}, "analytics": [{"id": 1, "errorRate": 1e999}], "pg": {}}', "out of range"),
        (body({"centicredits": SECRET}), "$.analytics[0].centicredits"),
        (body({"centicredits": "-1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1.5"}), "$.analytics[0].centicredits"),
        (body({"centicredits": [SECRET]}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1_000"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "12.0"}), "$.analytics[0].centicredits"),
        (body({"centicredits": True}), "$.analytics[0].centicredits"),
        (body({"centicredits": 12}), "$.analytics[0].centicredits"),
        (body({"centicredits": 1e30}), "$.analytics[0].centicredits"),
        (body({"centicredits": ""}), "$.analytics[0].centicredits"),
        (body({"centicredits": " 1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1\n"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "+1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "٣"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "9" * 1001}), "$.analytics[0].centicredits"),
        (body(total={"centicredits": 12}), "total.centicredits"),
        (body(pg={"totalCount": SECRET}), "pg.totalCount"),
        (body(pg={"totalCount": -1}), "pg.totalCount"),
        (body(pg={"limit": "1000"}), "pg.limit"),
    ],
)
def test_misshapen_answer_is_told_without_its_values(answer: bytes, told: str) -> None:
    with pytest.raises(MakeResponseError) as caught:
        parse_page(answer, PageRequest())
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.status_code == 200
    # Nor with what it came from, whose traceback would show them.
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("answer", "asked", "told"),
    [
        (body(pg={"offset": 0}), PageRequest(offset=1000), "offset 0, but the one at 1000 was requested"),
        (body(pg={"offset": 1000}), PageRequest(offset=0), "offset 1000, but the one at 0 was requested"),
        (body(analytics=[{"id": 1}, {"id": 2}]), PageRequest(limit=1), "2 entries, more than the 1"),
        (body(pg={"offset": 0}), PageRequest(offset=0, return_total_count=True), "lacks pg.totalCount"),
        (body(pg={"totalCount": None}), PageRequest(return_total_count=True), "lacks pg.totalCount"),
    ],
)
def test_another_page_than_asked_for(answer: bytes, asked: PageRequest, told: str) -> None:
    with pytest.raises(MakeResponseError, match=told):
        parse_page(answer, asked)


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
    assert [{"id": entry.scenario_id} for entry in parse_page(answer, asked).analytics] == json.loads(answer)[
        "analytics"
    ]

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
    response = {"total": {} if total is None else total, "analytics": [{"id": 7, **(entry or {})}], "pg": pg or {}}
    return json.dumps({**response, **more}).encode()


def only_entry(response: bytes) -> dict[str, Any]:
    (entry,) = parse_page(response, PageRequest()).analytics
    return set_fields(entry)


def set_fields(figures: Metrics) -> dict[str, Any]:
    """Return the fields that are set, by Make's names."""
    by_name = {name: getattr(figures, column) for column, name in make_names(type(figures)).items()}
    by_name["extra"] = figures.extra
    return {name: value for name, value in by_name.items() if value is not None}


def test_documented_response_is_parsed() -> None:
    response = body({**SCENARIO, **FIGURES}, total=FIGURES, pg=PG)
    page = parse_page(response, PageRequest(offset=0, limit=1000, return_total_count=True))
    figures = {**FIGURES, "operationsChange": 100.0}
    assert repr(set_fields(page.total)) == repr(figures)
    assert only_entry(response) == {**SCENARIO, **figures}
    assert page.pg == Pagination(sort_by="name", sort_dir="asc", limit=1000, offset=0, total_count=1)


@pytest.mark.parametrize("centicredits", ["0", "007", str(2**64 + 1), "9" * 39, "9" * 1000])
def test_centicredits_may_have_any_number_of_digits(centicredits: str) -> None:
    response = body({"centicredits": centicredits}, total={"centicredits": centicredits})
    assert only_entry(response)["centicredits"] == centicredits
    assert parse_page(response, PageRequest()).total == Metrics(centicredits=centicredits)


@pytest.mark.parametrize("null", [{}, dict.fromkeys([*FIGURES, "imtId", "name", "status", "teamId", "teamName"])])
def test_absent_and_null_fields_are_none(null: dict[str, None]) -> None:
    assert only_entry(body(null)) == {"id": 7}


@pytest.mark.parametrize("count", [0, 2**63 - 1])
def test_counts_of_64_bits_are_parsed(count: int) -> None:
    counts = dict.fromkeys(["id", "teamId", "executions", "operations", "errors"], count)
    assert only_entry(body(counts)) == counts


def test_unknown_fields_are_kept_in_extra() -> None:
    unknown = {"error_rate": 99.0, "extra": "é", "date_from": {"a": [None, 1.5]}}
    response = body({**SCENARIO, **FIGURES, **unknown}, total=unknown)
    page = parse_page(response, PageRequest())
    assert page.analytics[0].extra == page.total.extra
    assert json.loads(page.total.extra or "") == unknown
    assert {**only_entry(response), "extra": None} == {**only_entry(body({**SCENARIO, **FIGURES})), "extra": None}


def test_unknown_fields_outside_the_entries_are_ignored() -> None:
    page = parse_page(body(pg={"next": "x"}, meta={"a": 1}), PageRequest())
    assert len(page.analytics) == 1


@pytest.mark.parametrize(
    ("response", "problem"),
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
def test_error_for_an_invalid_response_does_not_show_its_values(response: bytes, problem: str) -> None:
    with pytest.raises(MakeResponseError) as caught:
        parse_page(response, PageRequest())
    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.status_code == 200
    # No cause or context either: their tracebacks would show the values.
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("response", "requested", "problem"),
    [
        (body(pg={"offset": 0}), PageRequest(offset=1000), "offset 0, but the one at 1000 was requested"),
        (body(pg={"offset": 1000}), PageRequest(offset=0), "offset 1000, but the one at 0 was requested"),
        (body(analytics=[{"id": 1}, {"id": 2}]), PageRequest(limit=1), "2 entries, more than the 1"),
        (body(pg={"offset": 0}), PageRequest(offset=0, return_total_count=True), "lacks pg.totalCount"),
        (body(pg={"totalCount": None}), PageRequest(return_total_count=True), "lacks pg.totalCount"),
    ],
)
def test_page_that_does_not_match_the_request_raises(response: bytes, requested: PageRequest, problem: str) -> None:
    with pytest.raises(MakeResponseError, match=problem):
        parse_page(response, requested)


@pytest.mark.parametrize(
    ("response", "requested"),
    [
        # The server uses a smaller limit, or does not return its limit.
        (
            body(pg={"offset": 5, "limit": 1, "totalCount": 9}),
            PageRequest(offset=5, limit=1000, return_total_count=True),
        ),
        (body(), PageRequest(offset=5, limit=1)),
        (body(pg={"offset": 5}), PageRequest(last=17)),
        (body(analytics=[], pg={"totalCount": 0}), PageRequest(offset=0, return_total_count=True)),
    ],
)
def test_page_that_matches_the_request_is_parsed(response: bytes, requested: PageRequest) -> None:
    assert [{"id": entry.scenario_id} for entry in parse_page(response, requested).analytics] == json.loads(response)[
        "analytics"
    ]

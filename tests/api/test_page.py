"""Responses of the analytics endpoint: exact pages that fit the request, or errors without values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_make.api.page import (
    AnalyticsPage,
    Metrics,
    PageParser,
    Pagination,
    fraction_warning,
    make_names,
)
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeFilterError, MakeResponseError

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


def query(**filters: Any) -> AnalyticsQuery:
    return AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc", **filters)


def parse_page(response: bytes, request: PageRequest, **filters: Any) -> AnalyticsPage:
    return PageParser().parse(response, query(**filters), request)


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
        (b"[" * 100_000, "JSON"),
        (b"null", "object"),
        (f'["{SECRET}"]'.encode(), "object"),
        (b'{"message": "Permission denied"}', "total"),
        (b'{"total": {}, "pg": {}}', "analytics"),
        (body(total=SECRET), "total"),
        (body(total={"executions": SECRET}), "total.executions"),
        (body(analytics={"0": SECRET}), "analytics"),
        (body(analytics=[SECRET]), "$.analytics[0]`"),
        (body(analytics=[{"id": 1}, {"name": SECRET}]), "missing required field `id` - at `$.analytics[1]`"),
        (body({"id": None}), "$.analytics[0].id"),
        (body({"id": SECRET}), "$.analytics[0].id"),
        (body({"id": True}), "$.analytics[0].id"),
        (body({"id": 2**63}), "$.analytics[0].id"),
        (body({"teamId": 1.5}), "$.analytics[0].teamId"),
        (body({"executions": -1}), "$.analytics[0].executions"),
        (body({"operations": 2**63}), "$.analytics[0].operations"),
        (body({"errors": True}), "$.analytics[0].errors"),
        (body({"errorRate": SECRET}), "$.analytics[0].errorRate"),
        (body({"errorRate": float("nan")}), "JSON"),
        (body({"errorsChange": float("-inf")}), "JSON"),
        (b'{"total": {}, "analytics": [{"id": 1, "errorRate": 1e999}], "pg": {}}', "errorRate` (received 1E+999)"),
        (body({"centicredits": SECRET}), "$.analytics[0].centicredits"),
        (body({"centicredits": "-1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1.5"}), "$.analytics[0].centicredits"),
        (body({"centicredits": [SECRET]}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1_000"}), "$.analytics[0].centicredits"),
        (body({"centicredits": True}), "$.analytics[0].centicredits"),
        (body({"centicredits": 1e30}), "$.analytics[0].centicredits"),
        (body({"centicredits": ""}), "$.analytics[0].centicredits"),
        (body({"centicredits": " 1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "1\n"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "+1"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "٣"}), "$.analytics[0].centicredits"),
        (body({"centicredits": "9" * 1001}), "$.analytics[0].centicredits"),
        (body(pg={"totalCount": SECRET}), "pg.totalCount` (received text)"),
        (body({"executions": "1.5"}), '$.analytics[0].executions` (received "1.5")'),
        (body({"executions": float(2**53 + 2)}), "$.analytics[0].executions` (received 9007199254740994.0)"),
        (body({"executions": "9" * 19}), "$.analytics[0].executions"),
        (body({"errorRate": "5,5"}), '$.analytics[0].errorRate` (received "5,5")'),
        (body({"errorRate": "1e999"}), "$.analytics[0].errorRate"),
        (body({"errorRate": "nan"}), "$.analytics[0].errorRate` (received text)"),
        (body({"centicredits": 1.5}), "$.analytics[0].centicredits` (received 1.5)"),
        (body({"centicredits": -3}), "$.analytics[0].centicredits"),
        (body({"id": ""}), '$.analytics[0].id` (received "")'),
        (b'{"total": {}, "analytics": [{"id": 1, "extra": NaN, "name": "\\ud83d"}], "pg": {}}', "NaN is not a number"),
        (body(total=None, analytics=[None]), "$.analytics[0]` (received null)"),
        (b'{"total": null, "analytics": [], "pg": {}}', "total"),
        (body(pg={"totalCount": -1}), "pg.totalCount"),
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
        (body(pg={"offset": 0}), PageRequest(offset=1000), "offset 0, but 1000 was requested"),
        (body(pg={"offset": 1000}), PageRequest(offset=0), "offset 1000, but 0 was requested"),
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


ENTRIES = [{"id": 7, "teamId": 3, "status": "Active"}, {"id": 8}]


@pytest.mark.parametrize(
    "filters", [{}, {"team_id": 3}, {"team_id": [2, 3]}, {"status": ["inactive", "active"]}, {"folder_id": 9}]
)
def test_entries_that_fit_or_lack_the_field_are_accepted(filters: dict[str, Any]) -> None:
    assert len(parse_page(body(analytics=ENTRIES), PageRequest(), **filters).analytics) == 2


@pytest.mark.parametrize(
    ("filters", "shown"), [({"team_id": [4, 5]}, r"team_id=\[4, 5\]"), ({"status": "invalid"}, r"status=\['invalid'\]")]
)
def test_an_entry_that_does_not_fit_raises(filters: dict[str, Any], shown: str) -> None:
    with pytest.raises(MakeFilterError, match=f"scenario 7 does not fit the filter {shown}") as caught:
        parse_page(body(analytics=ENTRIES), PageRequest(), **filters)
    # Only several values may have been misread.
    assert ("one task for each value" in str(caught.value)) == ("team_id" in filters)


@pytest.mark.parametrize("kind", [int, float, str])
def test_whole_numbers_of_any_json_type_are_exact(kind: type) -> None:
    ids, counts = {"id": 7, "teamId": 3}, {"executions": 120, "operations": 2**53, "errors": 0}
    paging = {"limit": 1000, "offset": 0, "totalCount": 1}
    response = body(
        {name: kind(value) for name, value in {**ids, **counts}.items()},
        total={name: kind(value) for name, value in counts.items()},
        pg={name: kind(value) for name, value in paging.items()},
    )
    page = parse_page(response, PageRequest(offset=0, limit=1000, return_total_count=True))
    assert set_fields(page.analytics[0]) == {**ids, **counts}
    assert set_fields(page.total) == counts
    assert page.pg == Pagination(limit=1000, offset=0, total_count=1)


@pytest.mark.parametrize(("sent", "kept"), [(300, "300"), (300.0, "300"), ("0300", "0300"), (10**40, str(10**40))])
def test_centicredits_of_any_json_type_are_exact(sent: Any, kept: str) -> None:
    page = parse_page(body({"centicredits": sent}, total={"centicredits": sent}), PageRequest())
    assert (page.total.centicredits, page.analytics[0].centicredits) == (kept, kept)


@pytest.mark.parametrize(("sent", "kept"), [("5.5", 5.5), ("-12", -12.0), (7, 7.0), ("1e2", 100.0), (None, None)])
def test_rates_may_be_text(sent: Any, kept: float | None) -> None:
    (entry,) = parse_page(body({"errorRate": sent, "errorsChange": sent}), PageRequest()).analytics
    assert (entry.error_rate, entry.errors_change) == (kept, kept)


@pytest.mark.parametrize(
    ("last", "kept"), [("17", "17"), ("1632371803593_scenario.1229", None), (17, 17), (None, None)]
)
def test_the_last_key_is_kept_as_it_was_received(last: Any, kept: Any) -> None:
    page = parse_page(body(pg={"last": last, "showLast": "maybe", "sortBy": 1}), PageRequest())
    assert page.pg == Pagination(last=kept or last)


@pytest.mark.parametrize(
    "response", [b'{"total": {}, "analytics": null}', b'{"total": {}, "analytics": [], "pg": null}']
)
def test_null_is_nothing(response: bytes) -> None:
    assert parse_page(response, PageRequest()) == AnalyticsPage(Metrics(), [], Pagination())


ODD_TEXTS = [
    (rb"Promo \ud83d", "Promo \ufffd"),
    (rb"Promo \udc00!", "Promo \ufffd!"),
    (rb"\ud83d\u0041", "\ufffdA"),
    (rb"\ud83d\ude80", "\U0001f680"),
    (rb"A\u0000B", "A\ufffdB"),
    (b"A\x00B", "A\ufffdB"),
    (b"A\x1bB", "A\x1bB"),
    (b"\xff\xfe", "\ufffd\ufffd"),
    (rb"\\u0000", r"\u0000"),
]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("sent", "kept"), ODD_TEXTS)
def test_text_that_can_not_be_stored_blocks_nothing(sent: bytes, kept: str, mark: bytes) -> None:
    entry = b'{"id": 1, "name": "%s", "executions": 9007199254740993, "new": {"%s": ["%s"]}}' % (sent, sent, sent)
    response = b'%s{"total": {}, "analytics": [%s], "pg": {"totalCount": 1}}' % (mark, entry)
    (parsed,) = parse_page(response, PageRequest(return_total_count=True)).analytics
    assert (parsed.name, parsed.executions) == (kept, 9007199254740993)
    assert json.loads(parsed.extra or "") == {"new": {kept: [kept]}}


def test_after_one_lenient_response_further_ones_are_not_decoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = PageParser()
    strict: list[bytes] = []
    monkeypatch.setattr("airflow_provider_make.api.page._decode_strictly", strict.append)
    parser._is_lenient = True
    parser.parse(body(), query(), PageRequest())
    assert strict == []


def test_garbage_does_not_make_the_parser_lenient() -> None:
    parser = PageParser()
    with pytest.raises(MakeResponseError):
        parser.parse(b"<html>", query(), PageRequest())
    assert not parser._is_lenient
    parser.parse(body({"executions": "5"}), query(), PageRequest())
    assert parser._is_lenient


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_any_value_in_any_field_is_exact_or_a_response_error(value: Any) -> None:
    for name in [*SCENARIO, *FIGURES]:
        try:
            (entry,) = parse_page(body({name: value}), PageRequest()).analytics
        except MakeResponseError as error:
            assert name in str(error) or "JSON" in str(error)
            continue
        kept = {made: getattr(entry, column) for column, made in make_names(type(entry)).items()}[name]
        if name in ("imtId", "name", "status", "teamName") and not isinstance(value, str | None):
            assert json.loads(kept) == json.loads(json.dumps(value).replace("\\u0000", "\ufffd"))
        else:
            assert kept in (value, str(value).replace("\0", "\ufffd")) or float(kept) == float(value)


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,25})?", fullmatch=True),
    st.sampled_from([*SCENARIO, *FIGURES, "new"]),
    st.sampled_from(["x", "\\ud83d"]),
)
@example("1E1000000", "id", "x")
@example("-1E-1000000", "id", "x")
@example("1E999999999999999999", "executions", "x")
@example("1E-1000000", "errorRate", "\\ud83d")
def test_any_number_in_any_field_is_parsed_or_a_response_error(number: str, name: str, other: str) -> None:
    entry = f'{{"id": 7, "{name}": {number}, "other": "{other}"}}'
    try:
        parse_page(f'{{"total": {{}}, "analytics": [{entry}], "pg": {{}}}}'.encode(), PageRequest())
    except MakeResponseError as error:
        assert "HTTP 200" in str(error)


@pytest.mark.parametrize("value", [-1, "", "all", 1000.5, False, {}, [1]])
def test_pagination_that_is_not_used_is_never_an_error(value: Any) -> None:
    paging = {"limit": value, "last": value, "showLast": value, "sortBy": value, "offset": value, "totalCount": 1}
    page = parse_page(body(pg=paging), PageRequest(offset=0, limit=1000, return_total_count=True))
    assert (page.pg.total_count, page.pg.limit, page.pg.offset) == (1, None, None)


@pytest.mark.parametrize("tiny", [b"{}", b"[]", b"0", b'{"id":1}'])
@pytest.mark.parametrize("limit", [1, 1000])
def test_millions_of_tiny_values_are_refused_before_they_become_objects(tiny: bytes, limit: int) -> None:
    many = b",".join([tiny] * 2_000_000)
    for response in (b'{"total": {}, "analytics": [%s], "pg": {}}' % many, b'{"total": {"new": [%s]}}' % many):
        with pytest.raises(MakeResponseError, match=f"values, far more than {limit} entries have"):
            parse_page(response, PageRequest(limit=limit))


def test_a_large_page_with_long_texts_is_no_bomb() -> None:
    entries = [{**SCENARIO, **FIGURES, "id": id_, "name": "x" * 3000} for id_ in range(1000)]
    assert len(parse_page(body(analytics=entries), PageRequest(limit=1000)).analytics) == 1000


@pytest.mark.parametrize(
    ("executions", "errors", "rate", "warns"),
    [
        (100, 5, 5.0, False),
        (100, 5, 0.05, True),
        (1000, 1, 0.1, False),
        (1000, 1, 0.001, True),
        (3, 1, 33.33, False),
        (3, 1, 0.33, True),
        (1, 1, 1.0, True),
        (1, 1, 100.0, False),
        (100, 0, 0.0, False),
        (0, 0, None, False),
        (None, 5, 0.05, False),
        # Neither: Make may count otherwise than expected.
        (100, 5, 7.0, False),
    ],
)
def test_a_rate_that_looks_like_a_fraction(
    executions: int | None, errors: int, rate: float | None, warns: bool
) -> None:
    warning = fraction_warning(Metrics(executions=executions, errors=errors, error_rate=rate))
    assert (warning is not None) == warns
    if warning:
        assert f"errorRate={rate:g}" in warning
        assert f"{errors} errors in {executions} executions" in warning

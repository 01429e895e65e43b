"""Pages have the documented shape and types unless an option changes them, are cached, and are the truth."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
import requests

from airflow_provider_make.sandbox import Organization, Sandbox, responses
from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Options, ValueTypes
from airflow_provider_make.sandbox.query import Query
from airflow_provider_make.sandbox.responses import Pages, encode, figures, page_body
from airflow_provider_make.sandbox.scenarios import Statistics
from tests.support.analytics_openapi import FIGURES, PAGINATION, SCENARIO
from tests.support.sandbox_requests import TOKEN, get_page

HOUR = {"date_from": datetime(2025, 6, 3, 8, tzinfo=UTC), "date_to": datetime(2025, 6, 3, 9, tzinfo=UTC)}
Types = type | tuple[type, ...]
COUNTS: dict[str, Types] = {"executions": int, "operations": int, "centicredits": str, "errors": int}
OPTIONAL: dict[str, Types] = dict.fromkeys(
    ("errorRate", "executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange"),
    (int, float),
)
IDENTITY: dict[str, Types] = {
    "imtId": str,
    "id": int,
    "name": str,
    "status": str,
    "teamId": int,
    "teamName": str,
}
RATES = {name for name, schema in FIGURES.items() if schema["type"] == "number"}
# Every count and id that Make documents.
WHOLE_NUMBERS = {
    name
    for name, schema in {**FIGURES, **SCENARIO, **PAGINATION}.items()
    if schema["type"] in ("integer", "number") and name not in RATES
}


def query(**parameters: Any) -> Query:
    return Query(**HOUR, **parameters)


def get_body(
    organization: Organization,
    query: Query,
    page_cap: int | None = None,
    shuffle: random.Random | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(page_body(organization, query, page_cap=page_cap, shuffle=shuffle)))
    return body


def check(body: dict[str, Any], required: dict[str, Types], optional: dict[str, Types]) -> None:
    assert required.keys() <= body.keys() <= required.keys() | optional.keys()
    for name, value in body.items():
        assert isinstance(value, {**required, **optional}[name]) and not isinstance(value, bool)


@pytest.fixture(scope="module")
def organization() -> Organization:
    return Organization(1, 120)


def test_bodies_have_the_documented_shape(organization: Organization) -> None:
    body = get_body(organization, query(limit=1000))
    assert list(body) == ["total", "analytics", "pg"]
    check(body["total"], COUNTS, OPTIONAL)
    assert len(body["analytics"]) == 120
    for entry in body["analytics"]:
        check(entry, COUNTS | IDENTITY, OPTIONAL)
        assert entry["centicredits"].isdecimal()
        assert entry["status"] in ("active", "invalid", "inactive")
        assert ("errorRate" in entry) == (entry["executions"] > 0)
        if entry["executions"]:
            assert entry["errorRate"] == entry["errors"] / entry["executions"] * 100
    assert any("errorRate" not in entry for entry in body["analytics"])


def test_every_statistic_has_its_own_name() -> None:
    assert figures(Statistics(1, 2, 3, 4, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)) == {
        "executions": 1,
        "operations": 2,
        "centicredits": "3",
        "errors": 4,
        "errorRate": 5.0,
        "executionsChange": 6.0,
        "operationsChange": 7.0,
        "centicreditsChange": 8.0,
        "errorsChange": 9.0,
        "errorRateChange": 10.0,
    }


def test_paging_by_offset(organization: Organization) -> None:
    page = get_body(organization, query(offset=20, limit=10))
    assert page["pg"] == {"sortBy": "operations", "sortDir": "asc", "limit": 10, "offset": 20}
    whole = get_body(organization, query(limit=1000))
    assert page["analytics"] == whole["analytics"][20:30]
    assert page["total"] == whole["total"]


def test_a_page_past_the_end_is_empty(organization: Organization) -> None:
    assert get_body(organization, query(offset=120))["analytics"] == []
    assert len(get_body(organization, query(offset=115))["analytics"]) == 5


def test_the_total_count_is_returned_only_on_request(organization: Organization) -> None:
    assert "totalCount" not in get_body(organization, query())["pg"]
    counted = get_body(organization, query(statuses={"invalid"}, limit=2, return_total_count=True))
    assert counted["pg"]["totalCount"] == sum(scenario.status == "invalid" for scenario in organization.scenarios)


def test_a_page_cap_shortens_pages_and_their_limit(organization: Organization) -> None:
    capped = get_body(organization, query(limit=50), page_cap=7)
    assert len(capped["analytics"]) == capped["pg"]["limit"] == 7
    assert get_body(organization, query(limit=5), page_cap=7)["pg"]["limit"] == 5


def test_paging_by_the_last_key_returns_each_entry_once(organization: Organization) -> None:
    whole = get_body(organization, query(limit=1000))["analytics"]
    entries = get_body(organization, query(limit=50))["analytics"]
    # The first response has no key: it is shown only with this pagination.
    last = str(entries[-1]["id"])
    while page := get_body(organization, query(last=last, limit=50))["analytics"]:
        entries += page
        paging = get_body(organization, query(last=last, limit=50))["pg"]
        assert set(paging) == {"sortBy", "sortDir", "limit", "last"}
        last = paging["last"]
        assert re.fullmatch(rf"\d{{13,}}_scenario\.{page[-1]['id']}", last)
    assert entries == whole
    assert get_body(organization, query(last=last))["pg"]["last"] == last


@pytest.mark.parametrize("show_last", [None, True, False])
def test_show_last_is_repeated_and_has_no_effect(organization: Organization, show_last: bool | None) -> None:
    some_id = str(organization.select(query().criteria).rows[60].scenario.id)
    page = get_body(organization, query(last=some_id, show_last=show_last, limit=3))
    assert page["pg"].get("showLast") == show_last
    assert page["analytics"] == get_body(organization, query(offset=61, limit=3))["analytics"]
    assert "showLast" not in get_body(organization, query(show_last=show_last))["pg"]


@pytest.mark.parametrize("change", ["{}0", "0{}", " {}", "{}_1", "1", "", "abc", "scenario.{}"])
def test_only_a_key_that_was_sent_is_accepted(organization: Organization, change: str) -> None:
    rows = organization.select(query().criteria).rows
    some_id = str(rows[60].scenario.id)
    key = get_body(organization, query(last=str(rows[59].scenario.id), limit=1))["pg"]["last"]
    for last in (some_id, key):
        assert get_body(organization, query(last=last, limit=1))["analytics"][0]["id"] == rows[61].scenario.id
        with pytest.raises(Refusal, match="no entry has this key or id") as caught:
            page_body(organization, query(last=change.format(last)))
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("A\0B", rb"A\u0000B"),
        # What JSON.stringify prints for an emoji that is cut in half.
        ("Promo \ud83d", rb"Promo \ud83d"),
        ("\udc00\ud800", rb"\udc00\ud800"),
        ("\x1b[31m\x01\x1f", rb"\u001b[31m\u0001\u001f"),
        ('\t\n\r\b\f"\\/', rb"\t\n\r\b\f\"\\/"),
        (r"\ud83d", rb"\\ud83d"),
        ("\x7f\x85\u2028\u202e\ufeff🚀", "\x7f\x85\u2028\u202e\ufeff🚀".encode()),
        ("", b""),
    ],
)
def test_any_name_is_encoded_as_node_prints_it(name: str, encoded: bytes) -> None:
    organization = Organization(1, 1)
    organization.rename_scenario(organization.scenarios[0].id, name)
    body = encode(page_body(organization, query()))
    assert b'"name":"' + encoded + b'",' in body
    assert json.loads(body)["analytics"][0]["name"] == name


def test_only_ties_are_shuffled_and_differently_each_time(organization: Organization) -> None:
    shuffle = random.Random(0)
    plain = get_body(organization, query(limit=1000))["analytics"]
    shuffled = [get_body(organization, query(limit=1000), shuffle=shuffle)["analytics"] for _ in range(3)]
    for entries in shuffled:
        assert [entry["operations"] for entry in entries] == [entry["operations"] for entry in plain]
        assert {entry["id"] for entry in entries} == {entry["id"] for entry in plain}
    orders = {tuple(entry["id"] for entry in entries) for entries in [plain, *shuffled]}
    assert len(orders) == 4
    again = random.Random(0)
    assert get_body(organization, query(limit=1000), shuffle=again)["analytics"] == shuffled[0]


def test_a_repeated_page_is_not_built_again(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(Options(page_cap=50))
    queries = [query(), query(offset=50), query(limit=10), query(return_total_count=True)]
    first = [pages.get(organization, each) for each in queries]
    assert [page.body for page in first] == [encode(page_body(organization, each, page_cap=50)) for each in queries]
    assert [page.entries for page in first] == [50, 50, 10, 50]
    assert pages.get(Organization(2, 5), queries[0]) != first[0]
    monkeypatch.setattr(responses, "page_body", None)
    assert [pages.get(organization, each) for each in queries] == first


def test_cached_pages_are_replaced_after_a_change() -> None:
    organization, pages = Organization(1, 3), Pages(Options())

    def ids() -> list[int]:
        return [entry["id"] for entry in json.loads(pages.get(organization, query()).body)["analytics"]]

    before = ids()
    organization.rename_scenario(before[0], "renamed")
    assert json.loads(pages.get(organization, query()).body)["analytics"][0]["name"] == "renamed"
    organization.delete_scenarios(before[:1])
    assert ids() == before[1:]
    new = organization.add_scenarios(1)[0].id
    assert sorted(ids()) == [*sorted(before[1:]), new]


def test_the_memory_of_cached_pages_is_limited(organization: Organization) -> None:
    pages = Pages(Options())
    page = pages.get(organization, query(limit=1))
    assert pages.get(organization, query(limit=1)) is page
    for offset in range(responses.CACHED_PAGES):
        pages.get(organization, query(limit=1, offset=offset))
    assert pages.get(organization, query(limit=1)) is not page
    long = query(limit=responses.LONGEST_CACHED_PAGE + 1)
    assert pages.get(organization, long) is not pages.get(organization, long)


def converted(values: dict[str, Any], value_types: ValueTypes) -> dict[str, Any]:
    """Convert the values of an object that has the documented types."""
    expected = dict(values)
    for name, value in values.items():
        if value_types == "text" and name in WHOLE_NUMBERS | RATES:
            expected[name] = str(value)
        if value_types == "float" and name in WHOLE_NUMBERS:
            expected[name] = float(value)
        if value_types == "number" and name == "centicredits":
            expected[name] = int(value)
    return expected


def types(values: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


@pytest.mark.parametrize("value_types", get_args(ValueTypes))
def test_only_the_types_change(value_types: ValueTypes) -> None:
    with Sandbox(scenarios=120, value_types=value_types, huge_credits=True) as sandbox:
        body = get_page(sandbox, limit=120, offset=0, count="true").json()
        truth, total = sandbox.truth(), sandbox.truth_total()
    paging = {"sortBy": "operations", "sortDir": "asc", "limit": 120, "offset": 0, "totalCount": 120}
    for received, documented in zip(
        [body["total"], body["pg"], *body["analytics"]], [total, paging, *truth], strict=True
    ):
        expected = converted(documented, value_types)
        if value_types == "null" and documented is not paging:
            expected = dict.fromkeys(RATES) | expected
        assert received == expected
        assert types(received) == types(expected)


def test_every_kind_of_value_occurs() -> None:
    assert {"executions", "operations", "errors", "id", "teamId", "limit", "offset", "totalCount"} == WHOLE_NUMBERS
    assert len(RATES) == 6
    truth = Sandbox(scenarios=120, huge_credits=True).truth()
    # Beyond what a float holds exactly, and without a rate.
    assert max(int(entry["centicredits"]) for entry in truth) > 2**64
    assert any(not RATES & entry.keys() for entry in truth)


@pytest.mark.parametrize(
    ("value_types", "text"),
    [
        ("documented", '"executions":7,'),
        ("text", '"executions":"7",'),
        ("float", '"executions":7.0,'),
        ("number", '"executions":7,'),
        ("null", '"executions":7,'),
    ],
)
def test_types_as_they_are_sent(value_types: ValueTypes, text: str) -> None:
    with Sandbox(scenarios=1, value_types=value_types) as sandbox:
        sandbox.organization().set_counts(7, 0)
        assert text in get_page(sandbox).text


def test_the_truth_accepts_the_filters_of_the_api(make_sandbox: Sandbox) -> None:
    now = datetime.now(UTC)
    response = requests.get(
        f"{make_sandbox.base_url}/analytics/1",
        params=[
            ("teamId", "101"),
            ("teamId", "103"),
            ("status", "active"),
            ("timeframe[dateFrom]", (now - timedelta(days=2)).isoformat()),
            ("timeframe[dateTo]", now.isoformat()),
            ("pg[sortBy]", "errorRate"),
            ("pg[sortDir]", "desc"),
            ("pg[limit]", "1000"),
        ],
        headers=TOKEN,
        timeout=10,
    )
    filters: dict[str, Any] = {
        "team_id": [101, 103],
        "status": "active",
        "date_from": now - timedelta(days=2),
        "date_to": now,
    }
    truth = make_sandbox.truth(sort_by="errorRate", sort_dir="desc", **filters)
    assert truth
    assert response.json()["analytics"] == truth
    assert response.json()["total"] == make_sandbox.truth_total(**filters)
    with pytest.raises(Refusal, match="zone"):
        make_sandbox.truth(date_from=datetime(2026, 1, 1))

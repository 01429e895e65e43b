"""Test that pages have the documented shape, and how they are cached."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_make.sandbox import responses as module
from airflow_provider_make.sandbox.data import Statistics
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import Query, Selection
from airflow_provider_make.sandbox.refusals import Refusal
from airflow_provider_make.sandbox.responses import PageCache, encode, page_body, total

HOUR = Selection(datetime(2025, 6, 3, 8, tzinfo=UTC), datetime(2025, 6, 3, 9, tzinfo=UTC))
Types = type | tuple[type, ...]
COUNTS: dict[str, Types] = {"executions": int, "operations": int, "centicredits": str, "errors": int}
OPTIONAL: dict[str, Types] = dict.fromkeys(
    ("errorRate", "executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange"),
    (int, float),
)
SCENARIO: dict[str, Types] = {
    "imtId": str,
    "id": int,
    "name": str,
    "status": str,
    "teamId": int,
    "teamName": str,
}


def get_page(
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
    body = get_page(organization, Query(HOUR, limit=1000))
    assert list(body) == ["total", "analytics", "pg"]
    check(body["total"], COUNTS, OPTIONAL)
    assert len(body["analytics"]) == 120
    for entry in body["analytics"]:
        check(entry, COUNTS | SCENARIO, OPTIONAL)
        assert entry["centicredits"].isdecimal()
        assert entry["status"] in ("active", "invalid", "inactive")
        assert ("errorRate" in entry) == (entry["executions"] > 0)
        if entry["executions"]:
            assert entry["errorRate"] == entry["errors"] / entry["executions"] * 100
    assert any("errorRate" not in entry for entry in body["analytics"])


def test_every_statistic_has_its_own_name() -> None:
    assert total(Statistics(1, 2, 3, 4, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)) == {
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
    page = get_page(organization, Query(HOUR, offset=20, limit=10))
    assert page["pg"] == {"sortBy": "operations", "sortDir": "asc", "limit": 10, "offset": 20}
    whole = get_page(organization, Query(HOUR, limit=1000))
    assert page["analytics"] == whole["analytics"][20:30]
    assert page["total"] == whole["total"]


def test_a_page_past_the_end_is_empty(organization: Organization) -> None:
    assert get_page(organization, Query(HOUR, offset=120))["analytics"] == []
    assert len(get_page(organization, Query(HOUR, offset=115))["analytics"]) == 5


def test_the_total_count_is_returned_only_on_request(organization: Organization) -> None:
    assert "totalCount" not in get_page(organization, Query(HOUR))["pg"]
    selection = Selection(HOUR.date_from, HOUR.date_to, statuses=frozenset({"invalid"}))
    counted = get_page(organization, Query(selection, limit=2, return_total_count=True))
    assert counted["pg"]["totalCount"] == sum(scenario.status == "invalid" for scenario in organization.scenarios)


def test_a_page_cap_shortens_pages_and_their_limit(organization: Organization) -> None:
    capped = get_page(organization, Query(HOUR, limit=50), page_cap=7)
    assert len(capped["analytics"]) == capped["pg"]["limit"] == 7
    assert get_page(organization, Query(HOUR, limit=5), page_cap=7)["pg"]["limit"] == 5


def test_paging_by_the_last_key_returns_each_entry_once(organization: Organization) -> None:
    whole = get_page(organization, Query(HOUR, limit=1000))["analytics"]
    entries = get_page(organization, Query(HOUR, limit=50))["analytics"]
    # The first response has no key: it is shown only with this pagination.
    last = str(entries[-1]["id"])
    while page := get_page(organization, Query(HOUR, last=last, limit=50))["analytics"]:
        entries += page
        paging = get_page(organization, Query(HOUR, last=last, limit=50))["pg"]
        assert set(paging) == {"sortBy", "sortDir", "limit", "last"}
        last = paging["last"]
        assert re.fullmatch(rf"\d{{13,}}_scenario\.{page[-1]['id']}", last)
    assert entries == whole
    assert get_page(organization, Query(HOUR, last=last))["pg"]["last"] == last


@pytest.mark.parametrize("show_last", [None, True, False])
def test_show_last_is_repeated_and_has_no_effect(organization: Organization, show_last: bool | None) -> None:
    some_id = str(organization.select(HOUR).rows[60].scenario.id)
    page = get_page(organization, Query(HOUR, last=some_id, show_last=show_last, limit=3))
    assert page["pg"].get("showLast") == show_last
    assert page["analytics"] == get_page(organization, Query(HOUR, offset=61, limit=3))["analytics"]
    assert "showLast" not in get_page(organization, Query(HOUR, show_last=show_last))["pg"]


@pytest.mark.parametrize("change", ["{}0", "0{}", " {}", "{}_1", "1", "", "abc", "scenario.{}"])
def test_only_a_key_that_was_sent_is_accepted(organization: Organization, change: str) -> None:
    rows = organization.select(HOUR).rows
    some_id = str(rows[60].scenario.id)
    key = get_page(organization, Query(HOUR, offset=0, last=str(rows[59].scenario.id), limit=1))["pg"]["last"]
    for last in (some_id, key):
        assert get_page(organization, Query(HOUR, last=last, limit=1))["analytics"][0]["id"] == rows[61].scenario.id
        with pytest.raises(Refusal, match="no entry has this key or id") as caught:
            page_body(organization, Query(HOUR, last=change.format(last)))
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
    body = encode(page_body(organization, Query(HOUR)))
    assert b'"name":"' + encoded + b'",' in body
    assert json.loads(body)["analytics"][0]["name"] == name


def test_only_ties_are_shuffled_and_differently_each_time(organization: Organization) -> None:
    shuffle = random.Random(0)
    plain = get_page(organization, Query(HOUR, limit=1000))["analytics"]
    shuffled = [get_page(organization, Query(HOUR, limit=1000), shuffle=shuffle)["analytics"] for _ in range(3)]
    for entries in shuffled:
        assert [entry["operations"] for entry in entries] == [entry["operations"] for entry in plain]
        assert {entry["id"] for entry in entries} == {entry["id"] for entry in plain}
    orders = {tuple(entry["id"] for entry in entries) for entries in [plain, *shuffled]}
    assert len(orders) == 4
    again = random.Random(0)
    assert get_page(organization, Query(HOUR, limit=1000), shuffle=again)["analytics"] == shuffled[0]


def test_a_repeated_page_is_not_built_again(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PageCache(page_cap=50)
    queries = [Query(HOUR), Query(HOUR, offset=50), Query(HOUR, limit=10), Query(HOUR, return_total_count=True)]
    first = [cache.get(organization, query) for query in queries]
    assert [page.body for page in first] == [encode(page_body(organization, query, page_cap=50)) for query in queries]
    assert [page.entries for page in first] == [50, 50, 10, 50]
    assert cache.get(Organization(2, 5), queries[0]) != first[0]
    monkeypatch.setattr(module, "page_body", None)
    assert [cache.get(organization, query) for query in queries] == first


def test_cached_pages_are_replaced_after_a_change() -> None:
    organization, cache = Organization(1, 3), PageCache()

    def ids() -> list[int]:
        return [entry["id"] for entry in json.loads(cache.get(organization, Query(HOUR)).body)["analytics"]]

    before = ids()
    organization.rename_scenario(before[0], "renamed")
    assert json.loads(cache.get(organization, Query(HOUR)).body)["analytics"][0]["name"] == "renamed"
    organization.delete_scenarios(before[:1])
    assert ids() == before[1:]
    new = organization.add_scenarios(1)[0].id
    assert sorted(ids()) == [*sorted(before[1:]), new]


def test_shuffled_pages_are_not_cached(organization: Organization) -> None:
    cache = PageCache(shuffle=random.Random(0))
    assert len({cache.get(organization, Query(HOUR)).body for _ in range(4)}) == 4


def test_the_least_recently_used_pages_are_evicted(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, one = PageCache(), Query(HOUR, limit=1)
    page = cache.get(organization, one)
    monkeypatch.setattr(module, "_CACHED_BYTES", 2 * len(page.body) + 20)
    assert cache.get(organization, Query(HOUR, limit=1, offset=1)) != page
    assert cache.get(organization, one) is page
    assert cache.get(organization, Query(HOUR, limit=1, offset=2)) != page
    assert cache.get(organization, one) is page
    assert cache.get(organization, Query(HOUR)) not in cache._cached.values()
    assert cache._bytes == 0 == len(cache._cached)

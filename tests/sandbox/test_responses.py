"""Test that pages have the documented shape, and how they are cached."""

from __future__ import annotations

import json
import random
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


def test_paging_by_the_last_id_returns_each_entry_once(organization: Organization) -> None:
    whole = get_page(organization, Query(HOUR, limit=1000))["analytics"]
    entries = get_page(organization, Query(HOUR, limit=40))["analytics"]
    has_more = True
    while has_more:
        assert len(entries) < 120, "showLast is true after the last entry"
        page = get_page(organization, Query(HOUR, last=entries[-1]["id"], limit=40))
        entries += page["analytics"]
        assert set(page["pg"]) == {"sortBy", "sortDir", "limit", "last", "showLast"}
        assert page["pg"]["last"] == str(entries[-1]["id"])
        has_more = page["pg"]["showLast"]
    assert entries == whole
    at_the_end = get_page(organization, Query(HOUR, last=whole[-1]["id"]))
    assert at_the_end["analytics"] == []
    assert at_the_end["pg"]["last"] == str(whole[-1]["id"])
    assert at_the_end["pg"]["showLast"] is False


def test_an_unknown_last_id_is_refused(organization: Organization) -> None:
    with pytest.raises(Refusal, match="no entry has this id") as caught:
        page_body(organization, Query(HOUR, last=1))
    assert caught.value.status == 400


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
    assert first == [encode(page_body(organization, query, page_cap=50)) for query in queries]
    assert cache.get(Organization(2, 5), queries[0]) != first[0]
    monkeypatch.setattr(module, "page_body", None)
    assert [cache.get(organization, query) for query in queries] == first


def test_cached_pages_are_replaced_after_a_change() -> None:
    organization, cache = Organization(1, 3), PageCache()

    def ids() -> list[int]:
        return [entry["id"] for entry in json.loads(cache.get(organization, Query(HOUR)))["analytics"]]

    before = ids()
    organization.delete_scenarios(before[:1])
    assert ids() == before[1:]
    new = organization.add_scenarios(1)[0].id
    assert sorted(ids()) == [*sorted(before[1:]), new]


def test_shuffled_pages_are_not_cached(organization: Organization) -> None:
    cache = PageCache(shuffle=random.Random(0))
    assert len({cache.get(organization, Query(HOUR)) for _ in range(4)}) == 4


def test_the_least_recently_used_pages_are_evicted(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, one = PageCache(), Query(HOUR, limit=1)
    body = cache.get(organization, one)
    monkeypatch.setattr(module, "_CACHED_BYTES", 2 * len(body) + 20)
    assert cache.get(organization, Query(HOUR, limit=1, offset=1)) != body
    assert cache.get(organization, one) is body
    assert cache.get(organization, Query(HOUR, limit=1, offset=2)) != body
    assert cache.get(organization, one) is body
    assert cache.get(organization, Query(HOUR)) not in cache._cached.values()
    assert cache._bytes == 0 == len(cache._cached)

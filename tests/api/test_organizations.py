"""Lists of organizations and teams: their entries, their zones, and all of their pages."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.organizations import (
    MAX_PAGES,
    MAX_PASSES,
    ListPage,
    is_in_zone,
    mark_zone,
    organizations_query,
    parse_list,
    read_list,
    teams_query,
)
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeResponseError


def organizations(*entries: Any, **paging: Any) -> dict[int, dict[str, Any]]:
    body = json.dumps({"organizations": entries, "pg": paging}).encode()
    return parse_list(body, organizations_query()).entries


def test_an_organization_has_the_values_that_make_returns() -> None:
    values = {"id": 42, "name": "Acme", "timezoneId": 113, "zone": "eu1.make.com", "isPaused": False}
    values |= {"license": {"apiLimit": 1000, "analyticsAccess": True}, "new": [1]}
    assert organizations(values) == {
        42: {
            "organization_id": 42,
            "name": "Acme",
            "zone": "eu1.make.com",
            "timezone_id": 113,
            "is_paused": False,
            "analytics_access": True,
        }
    }


@pytest.mark.parametrize("values", [{}, {"name": None, "zone": None, "isPaused": None, "license": None}])
def test_what_make_does_not_return_is_none(values: dict[str, Any]) -> None:
    (organization,) = organizations({"id": 42, **values}).values()
    assert organization.pop("organization_id") == 42
    assert set(organization.values()) == {None}


def test_a_team_has_its_organization_also_where_make_does_not_return_it() -> None:
    body = b'{"teams": [{"id": "7", "name": "Sales", "isPaused": true}, {"id": 8.0, "organizationId": "43"}]}'
    page = parse_list(body, teams_query(42))
    assert page.limit is None
    assert list(page.entries.values()) == [
        {"team_id": 7, "name": "Sales", "organization_id": 42, "is_paused": True},
        {"team_id": 8, "name": None, "organization_id": 43, "is_paused": None},
    ]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (r'"a\u0000b"', "a\ufffdb"),
        (r'"\ud83d"', "\ufffd"),
        ("123", "123"),
        ('["x"]', '["x"]'),
    ],
)
def test_names_can_be_stored_and_are_text(sent: str, name: str) -> None:
    body = f'{{"organizations": [{{"id": 1, "name": {sent}}}]}}'.encode()
    (organization,) = parse_list(body, organizations_query()).entries.values()
    assert organization["name"] == name
    json.dumps(organization).encode()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the response is empty"),
        (b"<html>", "the response is HTML, not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no list of organizations"),
        (b'{"organizations": {}}', "no list of organizations"),
        (b'{"organizations": [1]}', r"has no id \(received 1\)"),
        (b'{"organizations": [{"name": "x"}]}', r"has no id \(received null\)"),
        (b'{"organizations": [{"id": true}]}', r"has no id \(received true\)"),
        (b'{"organizations": [{"id": 1.5}]}', r"has no id \(received 1.5\)"),
        (b'{"organizations": [{"id": 0}]}', r"has no id \(received 0\)"),
        (b'{"organizations": [{"id": 9223372036854775808}]}', "has no id"),
        (b'{"organizations": [{"id": 1}, {"id": "1"}]}', "repeats an id"),
        (b'{"organizations": [' + b"{}," * 6_000_000 + b"]}", "far more than 10000 entries"),
    ],
)
def test_a_list_of_another_shape_is_an_error(body: bytes, problem: str) -> None:
    with pytest.raises(MakeResponseError, match=problem):
        parse_list(body, organizations_query())


def test_the_columns_and_the_offset_are_requested() -> None:
    parameters = teams_query(42).parameters(50)
    assert ("organizationId", "42") in parameters
    assert ("pg[offset]", "50") in parameters
    assert [value for name, value in parameters if name == "cols[]"] == ["id", "name", "organizationId", "isPaused"]
    # The largest limit is unknown, and a larger one may be refused.
    assert "pg[limit]" not in dict(parameters)
    assert "organizationId" not in dict(organizations_query().parameters(0))


EU, US, UNKNOWN = ({"zone": zone, "is_paused": None} for zone in ("eu1.make.com", "https://US1.make.com/", None))
PAUSABLE = {"zone": "eu1.make.com", "is_paused": False}


@pytest.mark.parametrize(
    ("listed", "zone", "expected"),
    [
        ([EU, US, UNKNOWN], "eu1.make.com", [True, False, None]),
        ([EU, US], "us1.make.com", [False, True]),
        ([US], "eu1.make.com", [False]),
        # A gateway or private instance.
        ([EU, US], "make.example.com", [None, None]),
        ([PAUSABLE, US, UNKNOWN], "make.example.com", [True, False, False]),
        ([{"zone": "make.example.com", "is_paused": None}, US], "make.example.com", [True, False]),
        ([UNKNOWN], "make.example.com", [None]),
        # No addresses.
        ([{**EU, "zone": "[eu1"}, {**EU, "zone": "\u2100"}, EU], "eu1.make.com", [None, None, True]),
    ],
)
def test_the_zone_of_an_organization_is_known_or_unknown(
    listed: list[dict[str, Any]], zone: str, expected: list[bool | None]
) -> None:
    assert [is_in_zone(each, listed, zone) for each in listed] == expected
    assert [each["in_zone"] for each in mark_zone(listed, zone)] == [known is not False for known in expected]


def test_the_zones_of_many_organizations_are_decided_at_once() -> None:
    listed = [{**EU, "organization_id": number} for number in range(20_000)]
    begin = time.process_time()
    mark_zone(listed, "eu1.make.com")
    # A scan of all for each would take minutes.
    assert time.process_time() - begin < 5


# What a server responds to the request with this number for the page at this offset.
Serve = Callable[[int, int], ListPage]


def page(ids: list[int], limit: int | None = None) -> ListPage:
    return ListPage({id_: {"organization_id": id_} for id_ in ids}, limit)


def read(serve: Serve) -> tuple[list[int], int]:
    """Return the ids of a list, and the number of requests."""
    offsets: list[int] = []

    async def fetch(offset: int) -> ListPage:
        offsets.append(offset)
        return serve(len(offsets), offset)

    entries = asyncio.run(read_list(fetch))
    return [entry["organization_id"] for entry in entries], len(offsets)


@given(count=st.integers(0, 60), size=st.integers(2, 20), says_its_limit=st.sampled_from([None, "size", "more"]))
def test_every_entry_is_read_once_whatever_the_length_of_a_page(
    count: int, size: int, says_its_limit: str | None
) -> None:
    ids = list(range(1, count + 1))
    limit = {None: None, "size": size, "more": 10_000}[says_its_limit]
    found, requests = read(lambda _, offset: page(ids[offset : offset + size], limit))
    assert found == ids
    # A page has one entry of the page before, and the last page no other.
    assert requests <= count // (size - 1) + 2


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_a_server_may_ignore_paging(count: int) -> None:
    ids = list(range(1, count + 1))
    assert read(lambda *_: page(ids))[0] == ids
    assert read(lambda *_: page(ids, 10_000))[0] == ids


def test_a_full_page_again_and_again_may_not_be_the_whole_list() -> None:
    with pytest.raises(MakeIncompleteResultError, match="repeats its page of 100 entries"):
        read(lambda *_: page(list(range(1, 101)), 100))


@pytest.mark.parametrize(
    "change",
    [lambda ids: ids.pop(0), lambda ids: ids.insert(0, 99), lambda ids: ids.reverse()],
    ids=["deleted", "created", "in_another_order"],
)
def test_a_list_that_changes_between_pages_is_read_again(change: Callable[[list[int]], Any]) -> None:
    ids = list(range(1, 11))

    def serve(number: int, offset: int) -> ListPage:
        if number == 2:
            change(ids)
        return page(ids[offset : offset + 5], 5)

    found, _ = read(serve)
    assert found == ids


def test_a_list_that_changes_in_every_pass_is_an_error() -> None:
    passes: list[int] = []

    def serve(number: int, offset: int) -> ListPage:
        passes.extend([number] * (offset == 0))
        return page([number * 10, number * 10 + 1], 2)

    with pytest.raises(
        MakeIncompleteResultError, match=r"offset 1 does not continue .* \(after 2 entries\)\n\[3 tries:"
    ):
        read(serve)
    assert len(passes) == MAX_PASSES


def test_a_page_that_repeats_an_earlier_entry_is_an_error() -> None:
    pages = {0: [1, 2, 3], 2: [3, 1]}
    with pytest.raises(MakeIncompleteResultError):
        read(lambda _, offset: page(pages[offset]))


def test_a_list_without_an_end_is_an_error() -> None:
    with pytest.raises(MakeIncompleteResultError, match=f"more than {MAX_PAGES} pages"):
        read(lambda _, offset: page([offset + 1, offset + 2]))


def test_pages_of_one_entry_are_an_error() -> None:
    # They can't overlap, so whether there is another entry is unknown.
    with pytest.raises(MakeIncompleteResultError, match="there may be more"):
        read(lambda *_: page([1], 1))

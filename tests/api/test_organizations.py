from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_make.api.organizations import (
    is_in_zone,
    mark_zone,
    organizations_query,
    parse_list,
    teams_query,
)
from airflow_provider_make.exceptions import MakeResponseError


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
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
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

"""What Make says about a token: the requests, what they may fail with, and how long a diagnosis is remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from airflow_provider_make.api import access
from airflow_provider_make.api.access import (
    ANALYTICS_SCOPE,
    TIME_LIMIT,
    Access,
    Diagnoses,
    Evidence,
    gather_evidence,
    read_evidence,
)
from airflow_provider_make.api.transport import HttpResponse
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeConnectionError
from tests.support.virtual_time import run_in_virtual_time

TOKEN = "c0ffee00-token"
AUTHORIZATION, USER, ORGANIZATIONS = "users/me/current-authorization", "users/me", "organizations"
ACCESS = Access(ANALYTICS_SCOPE, 42)
REFUSED = HttpResponse(401, {}, b'{"message": "Not authorized."}')


def ok(body: Any) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps(body).encode())


ORGANIZATION = {"id": "42", "name": "Acme", "zone": "eu1.make.com", "license": {"analyticsAccess": False}}
COMPLETE = {
    AUTHORIZATION: ok({"authorization": {"authUsed": "token", "scope": [ANALYTICS_SCOPE, "user:read"]}}),
    USER: ok({"authUser": {"id": 1, "userOrganizationRoles": [{"organizationId": 42, "usersRoleId": "12"}]}}),
    ORGANIZATIONS: ok({"organizations": [ORGANIZATION], "pg": {"limit": 10_000}}),
}


def test_responses_become_evidence() -> None:
    found = read_evidence(COMPLETE, TOKEN)
    assert (found.is_token_accepted, found.has_all_organizations) == (True, True)
    assert (found.scopes, found.roles) == ([ANALYTICS_SCOPE, "user:read"], {42: 12})
    assert [(each["organization_id"], each["analytics_access"]) for each in found.organizations or ()] == [(42, False)]


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("analytics:read user:read", ["analytics:read", "user:read"]),
        ([], []),
        ([{"name": "analytics:read"}], None),
        ({"analytics:read": True}, None),
        (None, None),
    ],
)
def test_scopes_of_another_form_are_not_misread(scope: Any, scopes: list[str] | None) -> None:
    assert read_evidence({AUTHORIZATION: ok({"authorization": {"scope": scope}})}, TOKEN).scopes == scopes


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ({}, Evidence()),
        (dict.fromkeys(COMPLETE, REFUSED), Evidence(is_token_accepted=False)),
        # Without a response of one, the token may be accepted there.
        ({AUTHORIZATION: REFUSED, USER: REFUSED}, Evidence()),
        (dict.fromkeys(COMPLETE, HttpResponse(403, {}, b"{}")), Evidence()),
        (dict.fromkeys(COMPLETE, HttpResponse(200, {}, b"<html>")), Evidence()),
        (dict.fromkeys(COMPLETE, ok({})), Evidence()),
        (dict.fromkeys(COMPLETE, ok([])), Evidence()),
        ({AUTHORIZATION: ok({"authorization": {"scope": None}})}, Evidence()),
        ({AUTHORIZATION: ok({"authorization": {"scope": []}})}, Evidence(is_token_accepted=True, scopes=[])),
        ({USER: ok({"authUser": {"id": 1}})}, Evidence(is_token_accepted=True, roles={})),
        ({USER: ok({"authUser": {"userOrganizationRoles": [1]}})}, Evidence()),
        ({AUTHORIZATION: HttpResponse(200, {}, b"[" + b"{}," * 2_000_000 + b"{}]")}, Evidence()),
    ],
)
def test_what_is_missing_or_of_another_shape_says_nothing(
    responses: dict[str, HttpResponse], expected: Evidence
) -> None:
    assert read_evidence(responses, TOKEN) == expected


@pytest.mark.parametrize(
    ("paging", "has_all"), [({"limit": 1}, False), ({}, False), (None, False), ({"limit": 2}, True)]
)
def test_a_page_that_may_be_full_is_not_all_organizations(paging: dict[str, Any] | None, has_all: bool) -> None:
    found = read_evidence({ORGANIZATIONS: ok({"organizations": [ORGANIZATION], "pg": paging})}, TOKEN)
    assert found.has_all_organizations == has_all
    assert len(found.organizations or ()) == 1


def test_text_of_responses_is_short_and_without_the_token_and_control_characters() -> None:
    found = read_evidence(
        {
            AUTHORIZATION: ok({"authorization": {"scope": [f"x{TOKEN}\x1b"]}}),
            ORGANIZATIONS: ok({"organizations": [{"id": 1, "name": TOKEN + "a\n" * 999, "zone": TOKEN.upper()}]}),
        },
        TOKEN,
    )
    assert found.scopes == ["x***\ufffd"]
    (organization,) = found.organizations or ()
    assert organization["zone"] == "***"
    assert organization["name"].startswith("***a a a")
    assert len(organization["name"]) <= 301


class Server:
    """Responds to each path after a delay, and records the requests."""

    def __init__(
        self, responses: Mapping[str, HttpResponse | Exception], delays: Mapping[str, float] | None = None
    ) -> None:
        self.responses, self.delays = responses, delays or {}
        self.paths: list[str] = []

    async def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        self.paths.append(path)
        await asyncio.sleep(self.delays.get(path, 0.0))
        response = self.responses[path]
        if isinstance(response, Exception):
            raise response
        return response


@pytest.mark.parametrize("failure", [MakeConnectionError("dropped"), ValueError("a bug")])
def test_a_request_that_fails_hides_no_other(failure: Exception) -> None:
    server = Server({**COMPLETE, USER: failure})
    found = run_in_virtual_time(gather_evidence(server.get, TOKEN))
    assert (found.scopes, found.roles) == ([ANALYTICS_SCOPE, "user:read"], None)
    assert sorted(server.paths) == sorted(COMPLETE)


def test_what_arrives_in_time_counts() -> None:
    server = Server(COMPLETE, {USER: 3600.0, AUTHORIZATION: TIME_LIMIT / 2})

    async def gather() -> tuple[Evidence, float]:
        began = asyncio.get_running_loop().time()
        return await gather_evidence(server.get, TOKEN), asyncio.get_running_loop().time() - began

    found, seconds = run_in_virtual_time(gather())
    assert seconds == TIME_LIMIT
    assert (found.scopes is None, found.roles) == (False, None)


def settings(token: str = TOKEN) -> ConnectionSettings:
    return ConnectionSettings("https://eu1.make.com/api/v2", token)


def test_the_same_refusal_is_looked_into_once_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    server, diagnoses = Server(COMPLETE), Diagnoses()
    assert TOKEN not in repr(diagnoses)

    async def refused(status: int = 403, access: Access = ACCESS, token: str = TOKEN) -> int:
        before = len(server.paths)
        advice = await asyncio.gather(*(diagnoses.advise(status, access, settings(token), server.get) for _ in "abc"))
        assert all(advice)
        assert len(set(advice)) == 1
        return len(server.paths) - before

    async def run() -> None:
        assert [await refused() for _ in range(3)] == [3, 0, 0]
        assert await refused(status=401) == 3
        assert await refused(access=Access(ANALYTICS_SCOPE, 43)) == 3
        assert await refused(token="another-token") == 3
        monkeypatch.setattr(access, "REMEMBERED", 0.0)
        assert await refused() == 9

    asyncio.run(run())

"""Why Make refuses a token: the requests about it, what they may fail with, and what the answers show."""

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
    default_advice,
    diagnose,
    gather_evidence,
    list_some,
    read_evidence,
)
from airflow_provider_make.api.transport import HttpResponse
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeConnectionError
from tests.support.virtual_time import run_in_virtual_time

ZONE = "eu1.make.com"
ANALYTICS = Access(ANALYTICS_SCOPE, 42)
SCOPES = (ANALYTICS_SCOPE, "organizations:read", "user:read")


def organization(organization_id: int = 42, **values: Any) -> dict[str, Any]:
    defaults = {"name": "Acme", "zone": ZONE, "is_paused": False, "analytics_access": True}
    return {"organization_id": organization_id, **defaults, **values}


def evidence(*organizations: dict[str, Any], **values: Any) -> Evidence:
    """What Make says where nothing is at fault, with some values replaced."""
    defaults: dict[str, Any] = {
        "is_token_accepted": True,
        "scopes": SCOPES,
        "organizations": organizations or (organization(),),
        "has_all_organizations": True,
        "roles": {42: 11, 7: 13},
    }
    return Evidence(**{**defaults, **values})


NOT_A_MEMBER = "The token's user is not a member of organization 42, but of 7 (Beta), 8. Check the organization id."


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (evidence(scopes=["user:read"]), "The token lacks the scope analytics:read: it has user:read. Create a"),
        (evidence(scopes=[]), "The token lacks the scope analytics:read: it has no scopes. Create a"),
        (evidence(organization(7, name="Beta"), organization(8, name=None)), NOT_A_MEMBER),
        (evidence(organizations=[]), "The token's user is not a member of organization 42, but of none."),
        (
            evidence(organization(zone="us1.make.com", analytics_access=None)),
            "Organization 42 is in us1.make.com, and the connection is to eu1.make.com: use a connection to the zone",
        ),
        (
            evidence(organization(analytics_access=False)),
            "The plan of organization 42 does not include analytics: they need the Enterprise plan.",
        ),
        (
            evidence(roles={42: 12}),
            "The token's user has the role Admin in organization 42: analytics need the role Owner.",
        ),
    ],
    ids=["scope", "no_scope", "not_a_member", "of_no_organization", "zone", "plan", "role"],
)
@pytest.mark.parametrize("status", [401, 403])
def test_what_is_at_fault_is_named_alone(status: int, found: Evidence, advice: str) -> None:
    given = diagnose(status, ANALYTICS, ZONE, found)
    assert given is not None
    assert given.startswith(advice)
    named = ("lacks the scope", "not a member", "the connection is to", "The plan", "has the role")
    assert sum(cause in given for cause in named) == 1


def test_all_that_is_at_fault_is_named() -> None:
    advice = diagnose(403, ANALYTICS, ZONE, evidence(organization(analytics_access=False), roles={42: 13}))
    assert advice is not None
    assert "The plan of organization 42" in advice
    assert "the role Member" in advice


def test_a_token_that_make_refuses_everywhere_is_probably_wrong() -> None:
    advice = diagnose(401, ANALYTICS, ZONE, Evidence(is_token_accepted=False))
    assert advice is not None
    # It may also have other scopes only: Make has the same error for that.
    for text in ("probably invalid, or of another zone than eu1.make.com", "scopes", "auth_scheme Bearer"):
        assert text in advice
    # Make does not respond with a 403 to a token that it does not know.
    assert diagnose(403, ANALYTICS, ZONE, Evidence(is_token_accepted=False)) is None


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (evidence(scopes=None), "the scope analytics:read"),
        (evidence(roles=None), "the role Owner of the token's user"),
        # A role of the organization's own may also permit it.
        (evidence(roles={42: 57}), "the role Owner of the token's user"),
        (evidence(organization(analytics_access=None)), "the Enterprise plan"),
        (evidence(organization(zone=None, is_paused=None)), "its zone"),
        (
            evidence(organization(7), has_all_organizations=False),
            "the organization id, its zone and the Enterprise plan",
        ),
        (
            evidence(organizations=None, has_all_organizations=False),
            "the organization id, its zone and the Enterprise plan",
        ),
    ],
)
def test_what_is_unknown_is_left_to_check(found: Evidence, left: str) -> None:
    for status in (401, 403):
        advice = diagnose(status, ANALYTICS, ZONE, found)
        assert advice is not None
        assert advice.startswith("Make confirms that the token is valid")
        assert advice.endswith(f"Left to check: {left}.")


@pytest.mark.parametrize("zone", ["make.example.com", "127.0.0.1:8080"])
def test_a_gateway_is_not_another_zone(zone: str) -> None:
    named = diagnose(403, ANALYTICS, zone, evidence(organization(), roles={42: 12}))
    assert named is not None
    assert "the connection is to" not in named
    # Make has the plan and the pause of an organization in this zone only.
    elsewhere = organization(zone="us1.make.com", is_paused=None, analytics_access=None)
    other = diagnose(403, ANALYTICS, zone, evidence(organization(7), elsewhere))
    assert other is not None
    assert other.startswith(f"Organization 42 is in us1.make.com, and the connection is to {zone}")


@pytest.mark.parametrize("status", [401, 403])
def test_no_evidence_and_no_fault_say_nothing(status: int) -> None:
    assert diagnose(status, ANALYTICS, ZONE, Evidence()) is None
    assert diagnose(status, ANALYTICS, ZONE, evidence()) is None


@pytest.mark.parametrize("access", [Access("organizations:read"), Access("teams:read", 42), Access("scenarios:read")])
def test_other_requests_need_their_scope_but_no_plan_or_role(access: Access) -> None:
    poor = evidence(
        organization(analytics_access=False), roles={42: 13}, scopes=[*SCOPES, "teams:read", "scenarios:read"]
    )
    assert diagnose(403, access, ZONE, poor) is None
    lacking = diagnose(401, access, ZONE, evidence(scopes=["user:read"]))
    assert lacking is not None
    assert lacking.startswith(f"The token lacks the scope {access.scope}: it has user:read.")
    for status in (401, 403, 404):
        assert access.scope in (default_advice(status, access) or "")
        assert default_advice(status, ANALYTICS) is None
    # As a token for analytics alone, which is valid.
    assert diagnose(401, access, ZONE, Evidence(is_token_accepted=False)) is None


def test_long_lists_are_cut() -> None:
    assert list_some([]) == ""
    assert list_some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert list_some(map(str, range(12))).endswith("8, 9 and 2 more")


TOKEN = "c0ffee00-token"
AUTHORIZATION, USER, ORGANIZATIONS = "users/me/current-authorization", "users/me", "organizations"
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

    async def refused(status: int = 403, access: Access = ANALYTICS, token: str = TOKEN) -> int:
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
        assert await refused(token="a-third-token") == 9

    asyncio.run(run())


@pytest.mark.parametrize("failure", [MakeConnectionError("dropped"), HttpResponse(503, {}, b""), REFUSED])
def test_a_refusal_is_looked_into_again_soon_if_make_did_not_answer(
    failure: HttpResponse | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, diagnoses = Server({**COMPLETE, AUTHORIZATION: failure}), Diagnoses()
    monkeypatch.setattr(access, "UNANSWERED", 0.0)

    async def refuse_twice() -> None:
        for _ in range(2):
            await diagnoses.advise(403, ANALYTICS, settings(), server.get)

    asyncio.run(refuse_twice())
    assert len(server.paths) == (3 if failure is REFUSED else 6)

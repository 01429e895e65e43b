"""The decision what is at fault where Make refuses a request: a table of evidence and advice."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.api.access import ANALYTICS_SCOPE, Access, Evidence, default_advice, diagnose, list_some

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
    for text in ("most likely, it is not valid, or not of the zone eu1.make.com", "scopes", "auth_scheme Bearer"):
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


@pytest.mark.parametrize("access", [Access("organizations:read"), Access("teams:read", 42)])
def test_other_requests_need_their_scope_but_no_plan_or_role(access: Access) -> None:
    poor = evidence(organization(analytics_access=False), roles={42: 13}, scopes=[*SCOPES, "teams:read"])
    assert diagnose(403, access, ZONE, poor) is None
    lacking = diagnose(401, access, ZONE, evidence(scopes=["user:read"]))
    assert lacking is not None
    assert lacking.startswith(f"The token lacks the scope {access.scope}: it has user:read.")
    default = default_advice(access)
    assert default is not None
    assert access.scope in default
    assert default_advice(ANALYTICS) is None


def test_long_lists_are_cut() -> None:
    assert list_some([]) == ""
    assert list_some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert list_some(map(str, range(12))).endswith("8, 9 and 2 more")

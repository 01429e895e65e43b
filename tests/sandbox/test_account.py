"""The sandbox's endpoints about the token, over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_make.sandbox import Sandbox
from tests.support.sandbox_requests import TOKEN

Start = Callable[..., Sandbox]
Parameters = list[tuple[str, str]]


def get(sandbox: Sandbox, path: str, parameters: Parameters | None = None) -> requests.Response:
    return requests.get(f"{sandbox.base_url}/{path}", params=parameters, headers=TOKEN, timeout=10)


def json(sandbox: Sandbox, path: str, parameters: Parameters | None = None) -> Any:
    response = get(sandbox, path, parameters)
    assert response.status_code == 200, response.text
    return response.json()


def columns(*names: str) -> Parameters:
    return [("cols[]", name) for name in names]


def test_organizations_have_the_columns_that_are_requested(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(organizations={12: 5, 2: 5}, elsewhere=[9])
    body = json(sandbox, "organizations")
    # In the order of the names, which are text.
    assert [each["id"] for each in body["organizations"]] == [1, 12, 2, 9]
    assert all(each.keys() == {"id", "name", "timezoneId"} for each in body["organizations"])
    assert body["pg"] == {"sortBy": "name", "sortDir": "asc", "limit": 10_000, "offset": 0}
    sorted_by_id = [("pg[sortBy]", "id"), ("pg[sortDir]", "desc")]
    body = json(sandbox, "organizations", [*columns("id", "zone", "license", "isPaused"), *sorted_by_id])
    zone = sandbox.host.removeprefix("http://")
    here = {"zone": zone, "license": {"apiLimit": 1000, "analyticsAccess": True}, "isPaused": False}
    assert body["organizations"] == [
        {"id": 12, **here},
        {"id": 9, "zone": "us1.make.com"},
        {"id": 2, **here},
        {"id": 1, **here},
    ]
    assert [each["id"] for each in json(sandbox, "organizations", [("zone", "us1.make.com")])["organizations"]] == [9]


def test_an_organization_has_its_license(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(plan="teams", elsewhere=[9])
    organization = json(sandbox, "organizations/1")["organization"]
    assert organization["license"] == {"apiLimit": 240, "analyticsAccess": False}
    assert (organization["operations"], organization["unusedOperations"]) == ("0", "0")
    assert [get(sandbox, f"organizations/{id_}").status_code for id_ in (9, 8)] == [403, 403]


def test_teams_are_those_of_the_scenarios(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(organizations={2: 250})
    scenarios = sandbox.organization(2).scenarios
    teams = {team["id"]: team["name"] for team in json(sandbox, "teams", [("organizationId", "2")])["teams"]}
    assert teams == {scenario.team_id: scenario.team_name for scenario in scenarios}
    assert list(teams.values()) == sorted(teams.values())
    assert get(sandbox, "teams", [("organizationId", "3")]).status_code == 403


def test_the_user_has_a_role_in_each_organization(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(role="admin", elsewhere=[9])
    user = json(sandbox, "users/me")["authUser"]
    assert user.keys() == {"id", "name", "email", "timezone"}
    roles = json(sandbox, "users/me", columns("userOrganizationRoles"))["authUser"]["userOrganizationRoles"]
    assert [(role["organizationId"], role["usersRoleId"]) for role in roles] == [(1, 12), (9, 12)]


def test_a_list_is_paged(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(organizations=dict.fromkeys(range(2, 6), 1), page_cap=2, max_limit=3)
    pages = [json(sandbox, "organizations", [("pg[offset]", str(offset))]) for offset in (0, 2, 4, 6)]
    assert [[each["id"] for each in body["organizations"]] for body in pages] == [[1, 2], [3, 4], [5], []]
    assert [body["pg"]["limit"] for body in pages] == [2] * 4
    assert get(sandbox, "organizations", [("pg[limit]", "3")]).status_code == 200


def test_numbers_may_have_other_types(make_sandbox_factory: Start) -> None:
    as_text, as_float = (make_sandbox_factory(value_types=types) for types in ("text", "float"))
    assert json(as_text, "organizations")["organizations"][0]["id"] == "1"
    assert "1.0" in get(as_float, "organizations/1").text
    assert json(as_text, "teams", [("organizationId", "1")])["teams"][0]["organizationId"] == "1"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("organizations", [("limit", "1")]),
        ("organizations", columns("id", "secrets")),
        ("organizations", [("pg[sortBy]", "zone")]),
        ("organizations", [("pg[sortDir]", "up")]),
        ("organizations", [("pg[offset]", "-1")]),
        ("organizations", [("pg[limit]", "0")]),
        ("organizations", [("pg[limit]", "5000")]),
        ("organizations", [("pg[limit]", "2"), ("pg[limit]", "3")]),
        ("organizations/1", [("cols[]", "id")]),
        ("teams", []),
        ("teams", [("organizationId", "one")]),
        ("users/me", columns("password")),
        ("users/me/current-authorization", columns("scope")),
    ],
)
def test_what_make_does_not_document_is_refused(path: str, parameters: Parameters, make_sandbox_factory: Start) -> None:
    response = get(make_sandbox_factory(max_limit=1000), path, parameters)
    assert response.status_code == 400
    assert response.json()["suberrors"]


ENDPOINTS = {
    "analytics/1": "analytics:read",
    "organizations": "organizations:read",
    "organizations/1": "organizations:read",
    "teams?organizationId=1": "teams:read",
    "users/me": "user:read",
    "users/me/current-authorization": "user:read",
}


@pytest.mark.parametrize("scope", sorted(set(ENDPOINTS.values())))
def test_each_endpoint_needs_its_scope(scope: str, make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(scopes=[scope])
    statuses = {path: get(sandbox, path).status_code for path in ENDPOINTS}
    assert statuses == {path: 200 if needed == scope else 401 for path, needed in ENDPOINTS.items()}
    if scope == "user:read":
        assert json(sandbox, "users/me/current-authorization") == {
            "authorization": {"authUsed": "token", "scope": ["user:read"]}
        }


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, 200), ({"plan": "teams"}, 403), *(({"role": role}, 403) for role in ("admin", "member", "accountant"))],
)
def test_analytics_need_plan_and_role(options: dict[str, Any], status: int, make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(elsewhere=[9], **options)
    assert get(sandbox, "analytics/1").status_code == status
    assert get(sandbox, "analytics/9").status_code == 403

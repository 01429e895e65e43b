"""What is at fault where Make refuses a request, in all places where users meet the error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeAccessDeniedError, MakeApiError, MakeAuthenticationError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger
from airflow_provider_make.triggers.event_payload import parse_event
from tests.support.documents import first_payload
from tests.support.loopback import Script, http_response, responding
from tests.support.sandbox_requests import analytics_requests

Start = Callable[..., Sandbox]
PROBES = {"/api/v2/users/me", "/api/v2/users/me/current-authorization", "/api/v2/organizations"}


@pytest.fixture
def start(make_sandbox_factory: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    def started(organization_id: int | None = None, password: str | None = None, **options: Any) -> Sandbox:
        sandbox = make_sandbox_factory(**{"scenarios": 3, **options})
        connection = json.loads(sandbox.connection_json)
        if organization_id is not None:
            connection["extra"]["organization_id"] = organization_id
        connection["password"] = password or connection["password"]
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        return sandbox

    return started


CAUSES = [
    pytest.param({"password": "another-token"}, MakeAuthenticationError, "The token is probably invalid", id="token"),
    pytest.param(
        {"scopes": ["user:read"]}, MakeAuthenticationError, "lacks the scope analytics:read: it has user:r", id="scope"
    ),
    pytest.param(
        {"organization_id": 9, "elsewhere": [9]},
        MakeAccessDeniedError,
        "Organization 9 is in us1.make.com, and the connection is to 127.0.0.1:",
        id="zone",
    ),
    pytest.param(
        {"organization_id": 8},
        MakeAccessDeniedError,
        "is not a member of organization 8, but of 1 (Sandbox organization 1)",
        id="organization",
    ),
    pytest.param({"plan": "teams"}, MakeAccessDeniedError, "The plan of organization 1 does not include", id="plan"),
    pytest.param({"role": "admin"}, MakeAccessDeniedError, "has the role Admin in organization 1", id="role"),
    pytest.param(
        {"role": "admin", "scopes": ["analytics:read", "organizations:read"]},
        MakeAccessDeniedError,
        "its plan includes analytics. Left to check: the scope analytics:read and the role Owner",
        id="unknown_role",
    ),
    pytest.param(
        {"role": "admin", "scopes": ["analytics:read"]},
        MakeAccessDeniedError,
        "Check these four, and the organization id. This was connection",
        id="unknown",
    ),
]


def pull() -> None:
    MakeAnalyticsOperator(task_id="pull", lookback=timedelta(days=1)).execute({})


@pytest.mark.parametrize(("options", "error_class", "text"), CAUSES)
def test_the_error_of_a_task_names_what_is_at_fault(
    options: dict[str, Any], error_class: type[MakeApiError], text: str, start: Start
) -> None:
    sandbox = start(**options)
    with pytest.raises(error_class) as caught:
        pull()
    assert text in str(caught.value)
    assert "This was connection 'make_default' at 127.0.0.1:" in str(caught.value)
    # Only Make's own host, and each question once.
    assert len(analytics_requests(sandbox)) == 1
    assert {request.path for request in sandbox.requests[1:]} == PROBES
    assert len(sandbox.requests) == 4
    # The Test button.
    assert MakeHook().test_connection() == (False, str(caught.value))


def poke() -> None:
    MakeErrorRateSensor(task_id="wait", threshold=5).poke({})


def poll() -> None:
    parse_event(first_payload(MakeErrorRateTrigger(threshold=5, poke_interval=0.0)))


@pytest.mark.parametrize("wait", [poke, poll])
def test_the_error_of_a_sensor_and_its_trigger_names_what_is_at_fault(wait: Callable[[], None], start: Start) -> None:
    start(role="member")
    with pytest.raises(MakeAccessDeniedError, match="has the role Member in organization 1") as caught:
        wait()
    assert (caught.value.status_code, caught.value.code) == (403, "SC403")


@pytest.mark.parametrize(
    ("scope", "method", "arguments"),
    [
        ("organizations:read", "get_organizations", ()),
        ("teams:read", "get_teams", ()),
        ("scenarios:read", "get_failures", (1,)),
    ],
)
def test_lists_need_their_own_scope(scope: str, method: str, arguments: tuple[int, ...], start: Start) -> None:
    start(scopes=["user:read"], plan="teams", role="member")
    with pytest.raises(MakeAuthenticationError) as caught, MakeHook() as hook:
        getattr(hook, method)(*arguments)
    assert f"The token lacks the scope {scope}: it has user:read." in str(caught.value)
    assert "analytics" not in str(caught.value)


@pytest.mark.parametrize("faults", [["403"] * 4, ["401", "reset", "500", "html"], ["403", "429", "503", "redirect"]])
def test_requests_that_fail_leave_the_error_and_all_causes(faults: list[str], start: Start) -> None:
    start().fail(*faults)
    with pytest.raises((MakeAccessDeniedError, MakeAuthenticationError)) as caught, MakeHook() as hook:
        hook.get_analytics_page()
    assert caught.value.status_code == int(faults[0])
    assert caught.value.tries == (caught.value.headline(),)
    for cause in ("scope", "zone"):
        assert cause in str(caught.value)


def test_a_refusal_that_make_does_not_explain_has_all_causes(start: Start) -> None:
    start().fail("403")
    with pytest.raises(MakeAccessDeniedError, match="Check these four, and the organization id") as caught:
        pull()
    assert "Make confirms" not in str(caught.value)


def test_nothing_is_asked_about_a_firewall_or_while_all_is_well(start: Start) -> None:
    sandbox = start()
    sandbox.fail("firewall")
    with pytest.raises(MakeAccessDeniedError, match="firewall"):
        pull()
    pull()
    assert len(sandbox.requests) == len(analytics_requests(sandbox)) == 2


def test_a_sensors_timeout_does_not_hide_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = http_response(body=b'{"message": "Permission denied"}', status="403 Forbidden")

    def respond(script: Script, client: Any) -> None:
        if "/analytics/" in script.heads[-1]:
            client.sendall(refused)
        else:
            script.stopping.wait()

    with Script(respond) as server:
        connection = {"conn_type": "make", "host": server.url, "password": "token", "extra": {"timeout": 0.5}}
        connection["extra"] = {"timeout": 0.5, "organization_id": 1}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        with pytest.raises(MakeAccessDeniedError, match="Permission denied"):
            MakeErrorRateSensor(task_id="wait", threshold=5, timeout=0).poke({})


def test_a_token_that_a_response_repeats_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "c0ffee00-dead-4bad-8f00-0123456789ab"
    echo = {"message": token, "authorization": {"scope": [token]}, "organizations": [{"id": 1, "name": token}]}
    bodies = {status: http_response(body=json.dumps(echo).encode(), status=status) for status in ("403 No", "200 OK")}

    def respond(script: Script, client: Any) -> None:
        client.sendall(bodies["403 No" if "/analytics/" in script.heads[-1] else "200 OK"])

    with Script(respond) as server:
        connection = {"conn_type": "make", "host": server.url, "password": token, "extra": {"organization_id": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        with pytest.raises(MakeAccessDeniedError, match=r"it has \*\*\*") as caught:
            pull()
        connection["extra"] = {}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        _, text = MakeHook().test_connection()
    assert text.endswith("The token's user is a member of: 1 (***).")
    assert token not in str(caught.value)


def test_a_hook_without_an_organization_shows_which_there_are(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    sandbox = start(organizations={7: 1})
    connection = {**json.loads(sandbox.connection_json), "extra": {}}
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
    succeeded, text = MakeHook().test_connection()
    assert not succeeded
    assert "without organization_id" in text
    assert text.endswith("is a member of: 1 (Sandbox organization 1), 7 (Sandbox organization 7).")
    with responding(http_response(body=b"error code: 1010", status="403 Forbidden")) as firewall:
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection | {"host": firewall.url}))
        assert "without organization_id" in MakeHook().test_connection()[1]
        assert "firewall" in MakeHook().test_connection()[1]

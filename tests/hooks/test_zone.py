"""The connection of the hook, and its requests sessions for ``HttpOperator``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_make import __version__
from airflow_provider_make.exceptions import MakeInputError, MakeRequestError, MakeResponseError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox

Connect = Callable[..., MakeHook]


def test_only_the_expected_headers_are_sent(connect: Connect, make_sandbox: Sandbox) -> None:
    extra = {"timeout": 5, "requests_per_minute": 60000, "auth_scheme": "Bearer", "X-Team": "data", "zone": None}
    connect(extra).get_analytics_page(limit=1)
    headers = {name.lower(): value for name, value in dict(make_sandbox.requests[0].headers).items()}
    assert headers["user-agent"] == f"airflow-provider-make/{__version__}"
    assert headers["authorization"] == f"Bearer {make_sandbox.token}"
    assert headers.keys() == {"host", "user-agent", "accept", "accept-encoding", "authorization"}


def test_netrc_does_not_replace_the_token(
    connect: Connect, make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    connect().get_analytics_page(limit=1)
    assert dict(make_sandbox.requests[0].headers)["Authorization"] == f"Token {make_sandbox.token}"


@pytest.mark.parametrize(
    ("fields", "extra", "named"),
    [
        ({"host": ""}, {}, "us2.make.com"),
        ({"host": "http://eu1.make.com"}, {}, "https"),
        ({"password": ""}, {}, "token"),
        ({}, {"organization_id": None}, "organization_id"),
        ({}, {"requests_per_minute": -1}, "requests_per_minute=-1"),
    ],
)
def test_error_for_an_invalid_connection_names_the_field_and_the_connection_id(
    fields: dict[str, Any], extra: dict[str, Any], named: str, connect: Connect, make_sandbox: Sandbox
) -> None:
    with pytest.raises(MakeInputError, match=named) as raised:
        connect(extra, **fields).get_analytics_page(limit=1)
    assert "make_default" in str(raised.value)
    assert make_sandbox.requests == []


def test_constructor_rejects_invalid_retry_arguments_and_auth_type() -> None:
    with pytest.raises(MakeInputError, match="api_retry_limit=0"):
        MakeHook(api_retry_limit=0)
    with pytest.raises(MakeInputError, match="api_retry_delay=-1"):
        MakeHook(api_retry_delay=-1)
    with pytest.raises(MakeInputError, match="auth_type"):
        MakeHook(auth_type=object)


def test_http_operator_can_call_other_endpoints(connect: Connect, make_sandbox: Sandbox) -> None:
    hook = connect({"organization_id": 1, "secret-extra": "x"})
    assert isinstance(hook, HttpHook)
    assert hook.base_url == f"{make_sandbox.host}/api/v2"

    def call(endpoint: str, **arguments: Any) -> Any:
        operator = HttpOperator(
            task_id="call", http_conn_id="make_default", method="GET", endpoint=endpoint, **arguments
        )
        return operator.execute({})

    assert json.loads(call("users/me"))["authUser"]
    assert json.loads(call("/analytics/1", data={"pg[limit]": 2}))["pg"]["limit"] == 2
    assert "secret-extra" not in dict(make_sandbox.requests[-1].headers)
    with pytest.raises(MakeRequestError, match="404"):
        call("nothing/here")
    make_sandbox.fail("redirect")
    with pytest.raises(MakeResponseError, match="redirect"):
        call("users/me")

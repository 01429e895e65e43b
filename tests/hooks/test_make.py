"""The hook: its connection, pages, lists and Test button, and its requests sessions for ``HttpOperator``."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_make import __version__
from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakeIncompleteResultError,
    MakeInputError,
    MakePageLimitError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox
from tests.support.client_threads import started_from_now_on, wait_for_the_end
from tests.support.sandbox_requests import analytics_requests
from tests.support.time_frames import LAST_WEEK, MIDNIGHT

Connect = Callable[..., MakeHook]


def test_all_scenarios_are_read_over_one_connection(connect: Connect, make_sandbox: Sandbox) -> None:
    pages = list(connect().iter_analytics_pages(page_size=100))
    assert [len(page.analytics) for page in pages] == [100, 99, 51]
    ids = [entry.scenario_id for page in pages for entry in page.analytics]
    assert ids == [entry["id"] for entry in make_sandbox.truth(sort_by="name", sort_dir="asc")]
    assert len(make_sandbox.requests) == 3
    assert make_sandbox.connections == 1


@pytest.mark.parametrize("begin", [{}, {"date_from": LAST_WEEK["date_from"]}])
def test_without_an_end_all_pages_end_now(begin: dict[str, Any], connect: Connect, make_sandbox: Sandbox) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    list(connect().iter_analytics_pages(page_size=100, **begin))
    first, *others = [dict(request.query)["timeframe[dateTo]"] for request in make_sandbox.requests]
    assert began <= datetime.fromisoformat(first) <= datetime.now(UTC)
    assert others == [first] * 2


def test_copies_have_neither_the_token_nor_the_connections(connect: Connect, make_sandbox: Sandbox) -> None:
    hook = connect()
    hook.get_analytics_page(limit=1)
    token = hook.settings.token
    for copied in (copy.copy(hook), copy.deepcopy(hook)):
        assert token not in repr(copied.__dict__)
        assert (copied.make_conn_id, copied.retry_rules, copied.method) == ("make_default", hook.retry_rules, "GET")
        with copied:
            assert len(copied.get_analytics_page(limit=1).analytics) == 1
        with copied.get_conn() as session:
            assert session.get_adapter("https://eu1.make.com") is hook.keep_alive_adapter
    assert make_sandbox.connections == 3


@pytest.mark.parametrize(
    ("scenarios", "page_size", "cap", "requests"),
    [
        (0, 10, None, 1),
        (1, 10, None, 1),
        (10, 10, None, 1),
        (11, 10, None, 2),
        (250, 1000, 100, 3),
        (199, 1000, 100, 2),
        (200, 1000, 100, 3),
    ],
)
def test_no_more_requests_are_sent_than_needed(
    scenarios: int,
    page_size: int,
    cap: int | None,
    requests: int,
    connect: Connect,
    make_sandbox_factory: Callable[..., Sandbox],
) -> None:
    sandbox = make_sandbox_factory(scenarios=scenarios, page_cap=cap)
    pages = list(connect(host=sandbox.host).iter_analytics_pages(page_size=page_size))
    assert sum(len(page.analytics) for page in pages) == scenarios
    assert len(sandbox.requests) == requests


def test_pages_that_make_refuses_as_too_large_are_smaller(connect: Connect, make_sandbox_factory: Any) -> None:
    sandbox = make_sandbox_factory(scenarios=250, max_limit=100)
    pages = list(connect(host=sandbox.host).iter_analytics_pages(sort_by="errors"))
    assert [len(page.analytics) for page in pages] == [100, 99, 51]
    sandbox = make_sandbox_factory(scenarios=250, max_limit=1)
    with pytest.raises(MakePageLimitError, match="lower page_size"):
        list(connect(host=sandbox.host).iter_analytics_pages(page_size=150))
    assert [dict(request.query)["pg[limit]"] for request in sandbox.requests] == ["150", "15", "10"]


def test_pages_are_fetched_lazily_but_arguments_are_validated_at_once(connect: Connect, make_sandbox: Sandbox) -> None:
    pages = connect().iter_analytics_pages(page_size=100)
    assert make_sandbox.requests == []
    next(pages)
    assert len(make_sandbox.requests) == 1
    with pytest.raises(MakeInputError, match="page_size=0"):
        connect().iter_analytics_pages(page_size=0)


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [("401", MakeAuthenticationError), ("403", MakeAccessDeniedError), ("redirect", MakeResponseError)],
)
def test_permanent_errors_are_not_retried(
    fault: str, error_class: type[MakeApiError], connect: Connect, make_sandbox: Sandbox
) -> None:
    make_sandbox.fail(fault)
    with pytest.raises(error_class) as raised:
        connect().get_analytics_page(limit=1)
    assert len(analytics_requests(make_sandbox)) == 1
    assert isinstance(raised.value, AirflowFailException) == (fault != "redirect")


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("500", MakeServerError),
        ("503", MakeServerError),
        ("reset", MakeConnectionError),
        ("truncate", MakeResponseError),
        ("html", MakeResponseError),
        ("empty", MakeResponseError),
        ("shape", MakeResponseError),
    ],
)
def test_transient_errors_are_retried_up_to_the_limit(
    fault: str, error_class: type[MakeApiError], connect: Connect, make_sandbox: Sandbox
) -> None:
    make_sandbox.fail(*[fault] * 4)
    assert len(connect().get_analytics_page(limit=3).analytics) == 3
    assert len(make_sandbox.requests) == 5
    make_sandbox.fail(*[fault] * 2)
    with pytest.raises(error_class, match=r"\[2 tries: all with this error\]") as raised:
        connect(retries=(2, 0.0)).get_analytics_page(limit=3)
    assert not isinstance(raised.value, AirflowFailException)


def test_stalled_response_times_out(connect: Connect, make_sandbox: Sandbox) -> None:
    make_sandbox.fail("stall:600")
    began = time.monotonic()
    with pytest.raises(MakeConnectionError, match=r"no response from 127.* within 0\.2 s"):
        connect({"timeout": 0.2}, retries=(1, 0.0)).get_analytics_page(limit=1)
    assert time.monotonic() - began < 100


def test_unreachable_host_raises_connection_error(connect: Connect) -> None:
    with pytest.raises(MakeConnectionError, match=r"127\.0\.0\.1:1 could not be reached: ConnectionRefusedError"):
        connect(host="http://127.0.0.1:1", retries=(1, 0.0)).get_analytics_page(limit=1)


def test_rate_limits_use_up_no_tries_but_are_not_waited_out_with_a_single_try(
    connect: Connect, make_sandbox: Sandbox
) -> None:
    make_sandbox.fail("429:0", "429-reset:1", None, "429:0")
    assert connect(retries=(2, 0.0)).get_analytics_page().analytics
    with pytest.raises(MakeRateLimitError) as caught:
        connect(retries=(1, 0.0)).get_analytics_page()
    assert len(caught.value.tries) == 1
    assert len(make_sandbox.requests) == 4


def test_retry_after_and_requests_per_minute_are_respected(connect: Connect, make_sandbox: Sandbox) -> None:
    make_sandbox.fail("429:1")
    hook = connect({"requests_per_minute": 300})
    for _ in range(2):
        hook.get_analytics_page(limit=1)
    first, second, third = (request.arrived_at for request in make_sandbox.requests)
    assert second - first >= 0.95
    assert third - second >= 0.18


def test_scenarios_deleted_between_pages_raise_incomplete_result_error(connect: Connect, make_sandbox: Sandbox) -> None:
    make_sandbox.at_request(2, lambda organization: organization.delete_scenarios([organization.scenarios[0].id]))
    with pytest.raises(MakeIncompleteResultError, match="the total changed from 250 to 249"):
        list(connect().iter_analytics_pages(page_size=100))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"organization_id": -1}, "organization_id=-1"),
        ({"organization_id": "one"}, "organization_id='one'"),
        ({"status": "paused"}, "status='paused'"),
        ({"sort_by": "centicredits"}, "sort_by='centicredits'"),
        ({"limit": 0}, "limit=0"),
        ({"offset": -1}, "offset=-1"),
        ({"offset": 1, "last": 2}, "last=2"),
        ({"date_from": "yesterday"}, "date_from='yesterday'"),
        ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, "date_from=2026-02-02"),
        ({"date_from": "2000-01-01"}, "date_from=2000-01-01"),
    ],
)
def test_invalid_arguments_raise_before_any_request(
    arguments: dict[str, Any], named: str, connect: Connect, make_sandbox: Sandbox
) -> None:
    with pytest.raises(MakeInputError, match=named):
        connect().get_analytics_page(**arguments)
    assert make_sandbox.requests == []


@pytest.mark.parametrize(
    ("fault", "extra", "fields", "expected", "message"),
    [
        (None, {}, {}, True, "250 scenarios"),
        (None, {"organization_id": None}, {}, False, "organization_id"),
        (None, {}, {"password": "another-token"}, False, "401"),
        (None, {}, {"host": "ftp://x"}, False, "host='ftp://x'"),
        ("503", {}, {}, False, "503"),
    ],
)
def test_test_connection_returns_success_and_message(
    fault: str | None,
    extra: dict[str, Any],
    fields: dict[str, Any],
    expected: bool,
    message: str,
    connect: Connect,
    make_sandbox: Sandbox,
) -> None:
    make_sandbox.fail(fault)
    threads = started_from_now_on()
    hook = connect(extra, **fields)
    succeeded, text = hook.test_connection()
    assert (succeeded, message in text) == (expected, True)
    # Airflow's web server keeps running, and closes no hook.
    wait_for_the_end(threads)
    assert len(analytics_requests(make_sandbox)) <= 1


def test_organizations_and_teams_are_listed_whole_and_in_order(
    connect: Connect, make_sandbox_factory: Callable[..., Sandbox]
) -> None:
    sandbox = make_sandbox_factory(organizations=dict.fromkeys(range(2, 26), 40), elsewhere=[30], page_cap=7)
    hook = connect(host=sandbox.host)
    organizations = hook.get_organizations()
    names = [each["name"] for each in organizations]
    assert names == sorted(names)
    assert sorted(each["organization_id"] for each in organizations) == [*range(1, 26), 30]
    first = {"timezone_id": 113, "is_paused": False, "analytics_access": True, "in_zone": True}
    assert organizations[0] == {
        "organization_id": 1,
        "name": "Sandbox organization 1",
        "zone": sandbox.host.removeprefix("http://"),
        **first,
    }
    assert [each["organization_id"] for each in organizations if not each["in_zone"]] == [30]
    for organization_id in (None, 2, "25"):
        teams = hook.get_teams(organization_id)
        organization = sandbox.organization(int(organization_id or 1))
        assert {(team["team_id"], team["name"]) for team in teams} == {
            (scenario.team_id, scenario.team_name) for scenario in organization.scenarios
        }
        assert {team["organization_id"] for team in teams} == {organization.organization_id}
    assert json.loads(json.dumps([organizations, teams])) == [organizations, teams]


@pytest.mark.parametrize("value_types", ["text", "float"])
def test_ids_of_organizations_and_teams_may_have_other_types(
    value_types: str, connect: Connect, make_sandbox: Sandbox, make_sandbox_factory: Callable[..., Sandbox]
) -> None:
    other = make_sandbox_factory(value_types=value_types)
    expected = connect().get_teams(), [each["organization_id"] for each in connect().get_organizations()]
    hook = connect(host=other.host)
    assert (hook.get_teams(), [each["organization_id"] for each in hook.get_organizations()]) == expected


def test_lists_are_retried_like_all_requests(connect: Connect, make_sandbox: Sandbox) -> None:
    make_sandbox.fail("503", "html", "429:0", None, "reset")
    assert [each["organization_id"] for each in connect().get_organizations()] == [1]
    make_sandbox.fail("empty", "empty")
    with pytest.raises(MakeResponseError, match=r"is empty\n\[2 tries"):
        connect(retries=(2, 0.0)).get_organizations()


def test_teams_need_an_organization(connect: Connect, make_sandbox: Sandbox) -> None:
    with pytest.raises(MakeInputError, match="No organization"):
        connect({"organization_id": None}).get_teams()
    with pytest.raises(MakeInputError, match="organization_id='x'"):
        connect().get_teams("x")
    assert make_sandbox.requests == []


ERROR = {"name": "DataError", "message": "Missing value", "causeModule": {"name": "addRow", "appName": "google-sheets"}}


@pytest.mark.parametrize("errors_in_log", [True, False])
@pytest.mark.parametrize("events_in_log", [True, False])
def test_failures_are_the_newest_failed_executions_of_a_scenario(
    errors_in_log: bool, events_in_log: bool, connect: Connect, make_sandbox_factory: Callable[..., Sandbox]
) -> None:
    sandbox = make_sandbox_factory(scenarios=3, errors_in_log=errors_in_log, events_in_log=events_in_log)
    scenario = sandbox.organization().scenarios[0]
    sandbox.organization().set_counts(200, 120, [scenario.id])
    sandbox.organization().set_errors(ERROR, ids=[scenario.id])
    hook = connect(host=sandbox.host)
    # The sandbox spreads these executions over the time frame, which has to be the same.
    end = datetime.now(UTC)
    failures = hook.get_failures(str(scenario.id), date_to=end, limit=70)
    assert len({failure["execution_id"] for failure in failures}) == len(failures) == 70
    times = [failure["failed_at"] for failure in failures]
    assert times == sorted(times, reverse=True)
    assert failures == hook.get_failures(scenario.id, date_to=end, limit=1000)[:70]
    newest = failures[0]
    zone = sandbox.host.removeprefix("http://")
    url = f"https://{zone}/{scenario.team_id}/scenarios/{scenario.id}/logs/{newest['execution_id']}"
    assert list(newest) == [
        "scenario_id", "execution_id", "failed_at", "duration", "operations", "centicredits", "type", "error_name",
        "error_message", "module", "url",
    ]  # fmt: skip
    assert (newest["scenario_id"], newest["url"]) == (scenario.id, url)
    for failure in failures:
        assert [failure[name] for name in ("error_name", "error_message", "module")] == [
            "DataError", "Missing value", "google-sheets addRow",
        ]  # fmt: skip
        assert {type(failure[name]) for name in ("duration", "operations")} == {int}
        assert failure["centicredits"].isdigit()
    assert json.loads(json.dumps(failures)) == failures


def test_failures_have_a_time_frame_of_thirty_days_or_their_own(connect: Connect, make_sandbox: Sandbox) -> None:
    hook, id_ = connect(), make_sandbox.organization().scenarios[0].id
    frames: tuple[dict[str, Any], ...] = (
        {},
        {"date_to": f"{MIDNIGHT:%Y-%m-%d}"},
        {"date_from": f"{MIDNIGHT - timedelta(days=1):%Y-%m-%d}", "date_to": f"{MIDNIGHT:%Y-%m-%d}T06:00:00Z"},
    )
    for arguments in frames:
        hook.get_failures(id_, **arguments)
    hour = 3_600_000
    sent = [dict(request.query) for request in make_sandbox.requests]
    assert [(int(query["to"]) - int(query["from"])) // hour for query in sent] == [720, 720, 30]
    assert all(query["pg[limit]"] == "50" for query in sent)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"scenario_id": 0}, "scenario_id"),
        ({"scenario_id": "x"}, "scenario_id"),
        ({"limit": 0}, "limit"),
        ({"limit": None}, "limit"),
        ({"date_from": "soon"}, "date_from"),
        ({"date_to": "0001-01-01"}, "lookback"),
        ({"date_from": "2026-11-24", "date_to": "2026-11-24"}, "date_from"),
    ],
)
def test_failures_with_invalid_arguments_raise_before_any_request(
    arguments: dict[str, Any], name: str, connect: Connect, make_sandbox: Sandbox
) -> None:
    with pytest.raises(MakeInputError, match=name):
        connect().get_failures(**{"scenario_id": 1, **arguments})
    assert make_sandbox.requests == []


def test_failures_of_a_scenario_that_does_not_exist_name_the_scope(connect: Connect, make_sandbox: Sandbox) -> None:
    with pytest.raises(MakeRequestError, match=r"still exists.*has the scope scenarios:read"):
        connect().get_failures(1)


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

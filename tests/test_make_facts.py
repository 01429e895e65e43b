"""What is publicly known of Make beyond its description of the endpoint: one test for each fact, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_make.api import retry
from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeAuthenticationError,
    MakeFilterError,
    MakePageLimitError,
    MakeRateLimitError,
    MakeRequestError,
)
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.loopback import http_response, responding
from tests.support.time_frames import MIDNIGHT

Start = Callable[..., Sandbox]


@pytest.fixture
def start(make_sandbox_factory: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that starts a sandbox, and sets the connection to it."""

    def started(**options: Any) -> Sandbox:
        sandbox = make_sandbox_factory(**options)
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
        return sandbox

    return started


def pull(**arguments: Any) -> dict[str, Any]:
    defaults = {"max_xcom_bytes": 50_000_000, "api_retry_delay": 0.0, "lookback": timedelta(days=7)}
    summary: dict[str, Any] = MakeAnalyticsOperator(task_id="pull", **{**defaults, **arguments}).execute({})
    return summary


def figures(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("scenario_id", "team_id", "executions", "operations", "centicredits", "errors", "error_rate")
    return [tuple(row[name] for name in names) for row in rows]


def truth(sandbox: Sandbox, summary: dict[str, Any], **filters: Any) -> list[tuple[Any, ...]]:
    frame: Any = {name: datetime.fromisoformat(summary[name]) for name in ("date_from", "date_to")}
    names = ("id", "teamId", "executions", "operations", "centicredits", "errors", "errorRate")
    entries = sandbox.truth(sort_by="name", sort_dir="asc", **frame, **filters)
    return [tuple(entry.get(name) for name in names) for entry in entries]


# Requests.


@pytest.mark.parametrize("misread_filters", [None, "last"])
def test_several_values_are_an_array_because_a_server_may_read_only_the_last_of_plain_ones(
    misread_filters: str | None, start: Start
) -> None:
    sandbox = start(misread_filters=misread_filters)
    teams = sorted({scenario.team_id for scenario in sandbox.organization().scenarios})[:2]
    summary = pull(team_id=teams)
    assert figures(summary["rows"]) == truth(sandbox, summary, team_id=teams)
    assert [pair for pair in sandbox.requests[0].query if "team" in pair[0]] == [
        ("teamId[]", str(team)) for team in teams
    ]


@pytest.mark.parametrize("name", ["team_id", "status"])
def test_rows_that_do_not_fit_the_filter_are_an_error(name: str, start: Start) -> None:
    sandbox = start(misread_filters="ignore")
    values = {"team_id": sandbox.organization().scenarios[0].team_id, "status": "invalid"}
    with pytest.raises(MakeFilterError, match=f"does not fit the filter {name}=.*\nUse one task for each value"):
        pull(**{name: [values[name]] * 2})
    # No retry can help.
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("scenarios", [1000, 1999, 2000, 3000])
def test_no_page_is_larger_than_page_size_because_a_server_may_refuse_it(scenarios: int, start: Start) -> None:
    sandbox = start(scenarios=scenarios, max_limit=1000)
    summary = pull()
    assert figures(summary["rows"]) == truth(sandbox, summary)
    assert summary["requests"] <= -(-scenarios // 1000) + 1


@pytest.mark.parametrize("max_limit", [10, 99, 100, 999])
def test_a_smaller_page_is_requested_where_the_server_refuses_one(max_limit: int, start: Start) -> None:
    sandbox = start(max_limit=max_limit)
    summary = pull()
    assert figures(summary["rows"]) == truth(sandbox, summary)


def test_a_page_size_that_is_still_refused_is_named(start: Start) -> None:
    sandbox = start(max_limit=9)
    with pytest.raises(MakePageLimitError, match=r"pg\[limit\].*lower page_size"):
        pull()
    assert [dict(request.query)["pg[limit]"] for request in sandbox.requests] == ["1000", "100", "10"]


def test_a_sensor_survives_a_server_that_refuses_its_pages(start: Start) -> None:
    sandbox = start(max_limit=100)
    sandbox.organization().set_counts(100, 50)
    result: Any = MakeErrorRateSensor(task_id="wait", threshold=20, scope="scenario").poke({}).xcom_value
    assert result["scenario_count"] == 250


@pytest.mark.parametrize("scenarios", [1, 100, 101, 199, 1000])
def test_a_server_may_return_fewer_entries_than_requested(scenarios: int, start: Start) -> None:
    sandbox = start(scenarios=scenarios, page_cap=100)
    summary = pull()
    assert figures(summary["rows"]) == truth(sandbox, summary)


def test_the_key_of_the_last_entry_may_be_text_and_is_sent_back_as_it_is(start: Start) -> None:
    entries = start(scenarios=30).truth(sort_by="name")
    with MakeHook() as hook:
        first = hook.get_analytics_page(limit=10, last=entries[0]["id"])
        second = hook.get_analytics_page(limit=10, last=first.pg.last)
    assert isinstance(first.pg.last, str)
    assert not first.pg.last.isdigit()
    ids = [entry.scenario_id for page in (first, second) for entry in page.analytics]
    assert ids == [entry["id"] for entry in entries[1:21]]


def test_times_are_sent_in_utc_with_z_and_in_whole_seconds(start: Start) -> None:
    sandbox = start()
    day = MIDNIGHT - timedelta(days=9)
    moment = day.replace(hour=12, minute=30, second=15, microsecond=999_999, tzinfo=timezone(timedelta(hours=2)))
    summary = pull(lookback=None, date_from=moment, date_to=moment + timedelta(days=1))
    sent = dict(sandbox.requests[0].query)
    assert sent["timeframe[dateFrom]"] == summary["date_from"] == f"{day:%Y-%m-%d}T10:30:15Z"
    assert sent["timeframe[dateTo]"] == summary["date_to"] == f"{day + timedelta(days=1):%Y-%m-%d}T10:30:15Z"


# Responses.


@pytest.mark.parametrize("value_types", ["documented", "text", "float", "number", "null"])
def test_values_may_have_other_types_than_documented(value_types: str, start: Start) -> None:
    sandbox = start(value_types=value_types)
    summary = pull(page_size=100)
    assert figures(summary["rows"]) == truth(sandbox, summary)


def test_an_error_rate_may_be_a_fraction_which_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    total = {"executions": 200, "errors": 10, "errorRate": 0.05}
    body = {"total": total, "analytics": [{"id": 1, **total}], "pg": {"totalCount": 1}}
    with responding(http_response(body=json.dumps(body).encode())) as server:
        connection = {"conn_type": "make", "host": server.url, "password": "token", "extra": {"organization_id": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        assert pull()["total"]["error_rate"] == 0.05
    # Airflow 2 writes it to the log and to stdout.
    warning = "errorRate=0.05 looks like a fraction: 10 errors in 200 executions are 5 %"
    assert max(text.count(warning) for text in (caplog.text, *capfd.readouterr())) == 1


def test_deleted_scenarios_vanish_from_the_past(start: Start) -> None:
    sandbox = start(scenarios=20)
    before = pull()
    sandbox.organization().delete_scenarios([before["rows"][3]["scenario_id"]])
    frame = {"date_from": before["date_from"], "date_to": before["date_to"], "lookback": None}
    rows = pull(**frame)["rows"]
    assert figures(rows) == figures(before["rows"][:3] + before["rows"][4:])


# Errors.


def test_a_detail_may_be_a_list_which_is_joined(start: Start) -> None:
    start().fail("400")
    with pytest.raises(MakeRequestError) as caught:
        pull()
    assert str(caught.value).startswith(
        "HTTP 400: Bad Request (SC400): Invalid value of parameter 'teamId'.; Invalid value of parameter 'status'."
    )


@pytest.mark.parametrize(("fault", "shortest"), [("429", 0.2), ("429:1", 1.0), ("429-reset:1", 0.9)])
def test_a_rate_limit_may_give_a_hint_or_none(
    fault: str, shortest: float, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RATE_LIMIT_WINDOW", 0.2)
    sandbox = start()
    sandbox.fail(fault, fault)
    assert pull(api_retry_limit=2)["row_count"] == 250
    first, second, third = (request.arrived_at for request in sandbox.requests)
    assert second - first >= shortest
    assert third - second >= shortest


def test_the_rate_limits_window_is_a_minute() -> None:
    assert retry.RATE_LIMIT_WINDOW == 60


@pytest.mark.parametrize("hint", [None, "retry-after", "x-ratelimit-reset", "text"])
def test_a_rate_limit_is_the_same_error_in_any_form(hint: str | None, start: Start) -> None:
    start(requests_per_minute=1, rate_limit_hint=hint)
    pull()
    with pytest.raises(MakeRateLimitError) as caught:
        pull(api_retry_limit=1)
    assert (caught.value.retry_after is None) == (hint in (None, "text"))
    assert 50 < (caught.value.retry_after or 60) <= 61


@pytest.mark.parametrize(
    ("fault", "error_class", "texts"),
    [
        ("401", MakeAuthenticationError, ["valid", "zone", "scope analytics:read"]),
        ("403", MakeAccessDeniedError, ["plan", "role Owner", "scope", "zone"]),
        ("404", MakeRequestError, ["may also hide a 403"]),
        ("firewall", MakeAccessDeniedError, ["error code: 1010", "firewall or a proxy"]),
    ],
)
def test_the_advice_names_every_likely_cause(
    fault: str, error_class: type[Exception], texts: list[str], start: Start
) -> None:
    start().fail(fault)
    with pytest.raises(error_class) as caught:
        pull()
    for text in texts:
        assert text in str(caught.value)
    assert fault != "firewall" or "Enterprise plan" not in str(caught.value)


def test_the_storage_of_analytics_may_be_down(start: Start) -> None:
    sandbox = start()
    sandbox.fail("503", "503")
    assert pull()["requests"] == len(sandbox.requests) == 3


# Places.


@pytest.mark.parametrize("host", ["we.make.com", "acme.make.celonis.com", "acme.onmake.com", "acme.make.cloud"])
def test_more_zones_exist_than_the_six(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", f"make://:token@{host}/?organization_id=1")
    assert MakeHook().base_url == f"https://{host}/api/v2"

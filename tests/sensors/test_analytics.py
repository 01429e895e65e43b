"""The sensor in all its modes, against the sandbox."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    TaskDeferred,
)

from airflow_provider_make.exceptions import MakeAccessDeniedError, MakeAuthenticationError, MakeInputError
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sensors import analytics
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.triggers.event_payload import timeout_payload
from tests.support.airflow_versions import VERSION, AirflowRescheduleException, find, run_dag
from tests.support.sandbox_requests import analytics_requests

Wait = Callable[..., dict[str, Any]]


class FakeTaskInstance:
    """A fake task instance, which only returns the time of the first reschedule."""

    # Airflow 2 finds the time by these.
    dag_id = run_id = task_id = "none"
    map_index, max_tries = -1, 0

    def __init__(self) -> None:
        self.first: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first

    @contextmanager
    def patched_into_airflow(self) -> Iterator[None]:
        with ExitStack() as patches:
            if VERSION < (3, 0):
                patches.enter_context(patch("airflow.sensors.base._orig_start_date", lambda **_: self.first))
            yield


def in_poke_mode(sensor: MakeAnalyticsSensor) -> dict[str, Any]:
    result: dict[str, Any] = sensor.execute({})
    return result


def in_reschedule_mode(sensor: MakeAnalyticsSensor) -> dict[str, Any]:
    sensor.mode = "reschedule"
    instance = FakeTaskInstance()
    with instance.patched_into_airflow():
        while True:
            # Each poke runs in a new process, without what the one before has cached.
            for name in ("hook", "check", "_began"):
                sensor.__dict__.pop(name, None)
            try:
                return sensor.execute({"ti": instance})  # type: ignore[typeddict-item, no-any-return]
            except AirflowRescheduleException:
                instance.first = instance.first or datetime.now(UTC)


def deferred(sensor: MakeAnalyticsSensor) -> dict[str, Any]:
    sensor.deferrable = True
    try:
        result: dict[str, Any] = sensor.execute({})
        return result
    except TaskDeferred as raised:
        deferral = raised
    path, arguments = deferral.trigger.serialize()
    trigger = type(deferral.trigger)(**arguments)
    assert f"{type(trigger).__module__}.{type(trigger).__qualname__}" == path

    async def first_event() -> Any:
        return await anext(trigger.run())

    event = json.loads(json.dumps(asyncio.run(first_event()).payload))
    result = sensor.resume_execution(deferral.method_name, {**(deferral.kwargs or {}), "event": event}, {})
    return result


MODES = pytest.mark.parametrize("wait", [in_poke_mode, in_reschedule_mode, deferred])


@pytest.fixture(autouse=True)
def short_deferrals(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scheduler has to see these deferrals."""
    monkeypatch.setattr(analytics, "SHORTEST_DEFERRAL", timedelta(0))


@pytest.fixture
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    return make_sandbox


def sensor(**arguments: Any) -> MakeAnalyticsSensor:
    defaults: dict[str, Any] = {
        "task_id": "wait",
        "threshold": 5,
        "metric": "error_rate",
        "poke_interval": 0.05,
        "timeout": 20,
    }
    return MakeAnalyticsSensor(**{**defaults, "api_retry_limit": 1, **arguments})


def set_timeout(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the connection's timeout of one request."""
    fields = json.loads(sandbox.connection_json)
    fields["extra"] = {**fields["extra"], "timeout": seconds}
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(fields))


def set_rates(sandbox: Sandbox, *rates: float | None) -> None:
    """Set the error rate of all scenarios at each of the next requests."""
    for number, rate in enumerate(rates, start=len(sandbox.requests) + 1):
        executions = 0 if rate is None else 1000

        def set_rate(organization: Organization, rate: float | None = rate, executions: int = executions) -> None:
            organization.set_counts(executions, round((rate or 0) * 10))

        sandbox.at_request(number, set_rate)


@MODES
def test_every_mode_waits_until_the_organizations_figures_cross(wait: Wait, connected: Sandbox) -> None:
    set_rates(connected, 1.0, None, 4.9, 5.0, 50.0)
    result = wait(sensor())
    assert len(connected.requests) == 4
    assert (result["value"], result["scenarios"], result["threshold"]) == (5.0, [], 5.0)
    assert result["total"]["executions"] == 250_000
    for request in connected.requests:
        assert ("pg[limit]", "1") in request.query


@MODES
def test_every_mode_waits_until_scenarios_cross(wait: Wait, connected: Sandbox) -> None:
    organization = connected.organization()
    ids = [scenario.id for scenario in organization.scenarios]
    organization.set_counts(1000, 10)
    connected.at_request(3, lambda organization: organization.set_counts(1000, 80, ids[7:8]))
    connected.at_request(3, lambda organization: organization.set_counts(1000, 90, ids[99:100]))
    connected.at_request(3, lambda organization: organization.set_counts(9, 9, ids[5:6]))
    result = wait(sensor(scope="scenario", min_executions=10, comparison=">"))
    assert len(connected.requests) == 3
    assert [row["scenario_id"] for row in result["scenarios"]] == [ids[99], ids[7]]
    assert [row["error_rate"] for row in result["scenarios"]] == [9.0, 8.0]
    assert (result["value"], result["scope"]) == (9.0, "scenario")
    query = dict(connected.requests[0].query)
    assert (query["pg[sortBy]"], query["pg[sortDir]"]) == ("errorRate", "desc")


@pytest.mark.parametrize("absent_first", [False, True])
def test_pages_are_read_only_until_no_further_scenario_can_cross(
    absent_first: bool, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(scenarios=5000, absent_first=absent_first, page_cap=500, shuffle_ties=True)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    ids = [scenario.id for scenario in sandbox.organization().scenarios]
    sandbox.organization().set_counts(1000, 10)
    for number, id_ in enumerate(ids[3000:3099]):
        sandbox.organization().set_counts(1000, 200 + number, [id_])
    sandbox.organization().set_counts(0, 0, ids[:700])
    result = in_poke_mode(sensor(scope="scenario"))
    assert [row["scenario_id"] for row in result["scenarios"]] == ids[3000:3099][::-1]
    if not absent_first:
        assert len(sandbox.requests) == 1


MODES_BUT_RESCHEDULE = pytest.mark.parametrize("wait", [in_poke_mode, deferred])
QUOTA = {
    "name": "RateLimitError",
    "message": "[429] Quota exceeded.",
    "causeModule": {"name": "addRow", "appName": "google-sheets"},
}
MAIL = {"name": "DataError", "message": "Missing value of required parameter 'mail'."}


def failing(sandbox: Sandbox, count: int) -> list[int]:
    """Let scenarios fail from the third request on, the first with 50 errors, each other one with one less."""
    organization = sandbox.organization()
    ids = [scenario.id for scenario in organization.scenarios][:count]
    organization.set_counts(1000, 0)
    organization.set_errors(QUOTA, MAIL, QUOTA)

    def fail(organization: Organization) -> None:
        for number, id_ in enumerate(ids):
            organization.set_counts(100, 50 - number, [id_])

    sandbox.at_request(len(sandbox.requests) + 3, fail)
    return ids


@MODES
def test_every_mode_asks_why_at_the_crossing_only(
    wait: Wait, connected: Sandbox, logged: pytest.LogCaptureFixture
) -> None:
    ids = failing(connected, 12)
    result = wait(sensor(scope="scenario", explain=True))
    # Two pokes without a crossing, and one of which each of ten scenarios costs a request more.
    assert [request.path.split("/")[3] for request in connected.requests] == ["analytics"] * 3 + ["scenarios"] * 10
    assert [failure["scenario_id"] for failure in result["failures"]] == ids[:10]
    first = result["failures"][0]
    # The other nine of 50 entries are events.
    assert (first["count"], [(group["count"], group["name"]) for group in first["errors"]]) == (
        41,
        [(27, "RateLimitError"), (14, "DataError")],
    )
    lines = result["message"].splitlines()
    assert lines[2].startswith("- ")
    assert lines[3].startswith("    27 x RateLimitError in google-sheets addRow: [429] Quota exceeded, last ")
    assert [line for line in lines if line not in logged.messages] == []
    assert json.loads(json.dumps(result)) == result
    assert connected.token not in json.dumps(result)


@MODES
def test_every_mode_names_the_scenarios_behind_an_organizations_figures(wait: Wait, connected: Sandbox) -> None:
    ids = failing(connected, 12)
    result = wait(sensor(explain=True, threshold=0.1))
    # One page of the scenarios with the most errors.
    assert len(connected.requests) == 3 + 1 + 10
    assert [failure["scenario_id"] for failure in result["failures"]] == ids[:10]
    assert (result["scenarios"], result["message"].count("\n- ")) == ([], 10)


@MODES_BUT_RESCHEDULE
def test_the_modes_agree_on_reasons_that_are_missing(
    wait: Wait, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(scopes=["analytics:read", "organizations:read", "user:read"])
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    failing(sandbox, 12)
    result = wait(sensor(scope="scenario", explain=True))
    assert len(sandbox.requests) == 3 + 1
    assert (result["failures"], result["scenario_count"]) == ([], 12)
    assert result["message"].splitlines()[-1] == (
        "Reasons are missing: the token needs the scope scenarios:read (HTTP 401: Unauthorized (SC401): Access denied.)"
    )


@MODES_BUT_RESCHEDULE
def test_an_alert_is_complete_without_its_reasons_while_make_limits_the_rate(wait: Wait, connected: Sandbox) -> None:
    failing(connected, 12)
    connected.fail(None, None, None, None, "429:60")
    result = wait(sensor(scope="scenario", explain=True, api_retry_limit=5))
    assert len(result["failures"]) == 3
    assert "Reasons are missing for 7 of 10 scenarios: HTTP 429" in result["message"].splitlines()[-1]


def test_an_alert_is_returned_before_the_task_would_time_out(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "TIME_TO_RETURN", timedelta(seconds=27))
    connected.organization().set_counts(100, 50)
    # The poke has two pages.
    connected.fail(None, None, "stall:60")
    result = in_poke_mode(sensor(scope="scenario", explain=True, execution_timeout=timedelta(seconds=30)))
    assert re.search(r"Reasons are missing: Make did not answer within [0-3]\S* s$", result["message"])
    assert len(connected.requests) == 3


def test_what_make_has_disabled_is_explained_by_the_last_month(connected: Sandbox) -> None:
    organization = connected.organization()
    ids = [scenario.id for scenario in organization.scenarios]
    organization.set_counts(0, 0)
    organization.set_status("active", ids)
    organization.set_status("invalid", ids[:1])
    organization.set_counts(3, 3, ids[:1])
    organization.set_errors(MAIL)
    arguments = {"metric": "executions", "threshold": 0, "status": "invalid", "scope": "scenario", "explain": True}
    result = in_poke_mode(sensor(**arguments))
    headline, _, _, reason = result["message"].splitlines()
    assert headline == "Make organization 1: 1 scenario is invalid: Make has disabled it because of errors"
    assert reason.startswith("    3 x DataError: Missing value")
    query = dict(connected.requests[-1].query)
    assert int(query["to"]) - int(query["from"]) == 30 * 86_400_000


@pytest.mark.parametrize("metric", ["credits", "operations", "executions_change", "credits_change"])
def test_failed_executions_explain_no_other_metric(metric: str, connected: Sandbox) -> None:
    with pytest.raises(MakeInputError, match=f"^explain=True is not valid: expected False for metric='{metric}'"):
        sensor(metric=metric, explain=True)
    templated = sensor(metric="{{ params.metric }}", explain=True)
    templated.metric = metric
    with pytest.raises(MakeInputError, match="^explain=True"):
        templated.execute({})
    assert connected.requests == []


@MODES
def test_transient_errors_do_not_fail_the_sensor(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    connected.fail("503", "reset", "html", "429:1", "truncate", None)
    assert wait(sensor())["value"] == 50.0
    assert len(connected.requests) == 6


@MODES
@pytest.mark.parametrize(("fault", "error_class"), [("401", MakeAuthenticationError), ("403", MakeAccessDeniedError)])
def test_permanent_errors_fail_at_once(
    wait: Wait, fault: str, error_class: type[Exception], connected: Sandbox
) -> None:
    connected.fail(None, fault)
    connected.organization().set_counts(100, 0)
    with pytest.raises(error_class) as caught:
        wait(sensor())
    assert isinstance(caught.value, AirflowFailException)
    assert connected.token not in str(caught.value)
    assert len(analytics_requests(connected)) == 2


@MODES
def test_sensor_times_out(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 0)
    with pytest.raises(AirflowSensorTimeout):
        wait(sensor(timeout=1.5))
    assert len(connected.requests) > 1


@MODES
def test_soft_fail_skips_after_the_timeout(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 0)
    with pytest.raises(AirflowSkipException):
        wait(sensor(timeout=0.3, soft_fail=True))


@MODES
def test_a_single_poke_may_take_longer_than_the_timeout(
    wait: Wait, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(scenarios=2500, latency=0.4)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    assert wait(sensor(metric="credits", threshold=0, scope="scenario", timeout=0))["scenario_count"] == 2500


INVALID: list[tuple[str, Any]] = [
    ("threshold", "5%"), ("threshold", None), ("metric", "rate"), ("comparison", "="), ("scope", "team"),
    ("min_executions", -1), ("lookback", None), ("lookback", "1 hour"), ("lookback", timedelta(0)), ("since", "year"),
    ("make_conn_id", ""), ("make_conn_id", None), ("api_retry_limit", 0), ("api_retry_delay", -1),
    ("threshold", b"5"), ("team_id", range(3)), ("organization_id", 0),
    ("team_id", "x"), ("team_id", []), ("folder_id", -1), ("status", "paused"),
    ("explain", "yes"), ("explain", 1), ("explain", None), ("explain", "{{ params.x }}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_invalid_arguments_are_errors_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=f"^{name}="):
        sensor(**{name: value})


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_invalid_arguments_from_templates_are_errors_before_any_request(
    name: str, value: Any, connected: Sandbox
) -> None:
    waiting = sensor(**({name: "{{ params.x }}"} if name in MakeAnalyticsSensor.template_fields else {}))
    setattr(waiting, name, value)
    with pytest.raises(MakeInputError, match=f"^{name}="):
        waiting.execute({})
    assert connected.requests == []


def test_templates_and_outputs_of_other_tasks_are_not_checked_when_the_dag_is_parsed() -> None:
    templated = {name: "{{ params.x }}" for name in MakeAnalyticsSensor.template_fields}
    sensor(since="{{ params.x }}", lookback=None)
    sensor(**templated)
    with DAG("templates", schedule=None):
        sensor(**{**templated, "team_id": ["{{ params.x }}", 7], "threshold": sensor(task_id="other").output})
    with pytest.raises(MakeInputError, match="^scope="):
        sensor(**{**templated, "scope": "team"})


def test_lookback_and_since_exclude_each_other() -> None:
    with pytest.raises(MakeInputError, match="^lookback=.* not both"):
        sensor(since="day", lookback=timedelta(days=2))
    sensor(since="day", lookback=None)


def test_filters_and_time_frame_are_sent(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    team = connected.organization().scenarios[0].team_id
    result = in_poke_mode(sensor(team_id=str(team), status=["active", "invalid"], lookback="P2D"))
    query = connected.requests[0].query
    assert ("teamId", str(team)) in query
    assert [value for name, value in query if name == "status[]"] == ["active", "invalid"]
    begin, end = (datetime.fromisoformat(result[name]) for name in ("date_from", "date_to"))
    assert end - begin == timedelta(days=2)
    assert datetime.now(UTC) - end < timedelta(minutes=1)
    assert result["checked_at"] == result["date_to"]


@MODES
def test_every_templated_argument_may_be_rendered_on_a_line_of_its_own(wait: Wait, connected: Sandbox) -> None:
    scenario = next(each for each in connected.organization().scenarios if each.folder_id and each.status == "active")
    arguments: dict[str, Any] = {
        "threshold": 5,
        "metric": "error_rate",
        "comparison": ">=",
        "scope": "organization",
        "min_executions": 3,
        "lookback": "PT2H",
        "since": None,
        "organization_id": 1,
        "team_id": scenario.team_id,
        "folder_id": scenario.folder_id,
        "status": "active",
        "make_conn_id": "make_default",
    }
    assert set(arguments) == set(MakeAnalyticsSensor.template_fields)
    set_rates(connected, 1.0, 7.0)
    on_lines = {name: f"\n  {value}\n" for name, value in arguments.items() if value is not None}
    assert wait(sensor(**on_lines))["value"] == pytest.approx(7)
    set_rates(connected, 7.0)
    wait(sensor(threshold=5, since=" day\n"))
    first, second, _ = (dict(request.query) for request in connected.requests)
    assert [first[name] for name in ("teamId", "folderId", "status")] == [
        str(scenario.team_id),
        str(scenario.folder_id),
        "active",
    ]
    assert [first[name] for name in ("teamId", "status")] == [second[name] for name in ("teamId", "status")]


@MODES
def test_filters_may_be_the_outputs_of_mapped_tasks(wait: Wait, connected: Sandbox) -> None:
    teams = sorted({scenario.team_id for scenario in connected.organization().scenarios})[:2]
    set_rates(connected, 1.0, 7.0)
    wait(sensor(team_id=deque(teams), min_executions=Decimal("3"), threshold=Decimal("5.5")))
    for request in connected.requests:
        assert [value for name, value in request.query if name == "teamId[]"] == [str(team) for team in teams]


def test_sensor_can_be_copied_after_it_ran(connected: Sandbox) -> None:
    set_rates(connected, 7.0, 7.0)
    ran = sensor()
    in_poke_mode(ran)
    assert in_poke_mode(copy.deepcopy(ran))["value"] == pytest.approx(7)


def test_lookback_of_a_year_is_as_long_as_it_says(connected: Sandbox) -> None:
    year = timedelta(days=365)
    assert sensor(lookback=year).check.identity()["lookback"] == year.total_seconds()
    set_rates(connected, 7.0)
    result = in_poke_mode(sensor(lookback=year))
    begin, end = (datetime.fromisoformat(result[name]) for name in ("date_from", "date_to"))
    assert timedelta(days=364) < end - begin <= year
    with pytest.raises(MakeInputError, match="more than a year ago"):
        sensor(lookback=timedelta(days=367))


def test_every_poke_writes_a_log_line(connected: Sandbox, logged: pytest.LogCaptureFixture) -> None:
    set_rates(connected, 1.0, 7.0)
    in_poke_mode(sensor())
    lines = [line for line in logged.messages if "(organization 1 at" in line]
    assert len(lines) == 2
    assert "error_rate is 1 %; >= 5 % is not crossed (organization " in lines[0]
    assert "error_rate is 7 %; >= 5 % is crossed (organization " in lines[1]


def test_a_class_beside_the_sensor_may_extend_execute(connected: Sandbox) -> None:
    class Beside(BaseSensorOperator):
        def execute(self, context: Any) -> Any:
            return {**super().execute(context), "is_extended": True}

    class Extended(MakeAnalyticsSensor, Beside):
        pass

    set_rates(connected, 7.0)
    result = Extended(task_id="wait", metric="error_rate", threshold=5).execute({})
    assert result["is_extended"]


@pytest.mark.skipif(VERSION >= (3, 0), reason="Airflow 3 knows that a subclass calls")
def test_a_poke_is_not_taken_for_a_call_outside_a_task(
    connected: Sandbox, airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    safeguard = find("ExecutorSafeguard", "airflow.models.baseoperator")
    monkeypatch.setattr(safeguard, "test_mode", False)
    set_rates(connected, 7.0)
    with DAG("poked", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        sensor(allow_nested_operators=False)
    assert str(run_dag(dag).state) == "success"


@MODES
@pytest.mark.parametrize("fault", ["429:60", "stall:60"])
def test_neither_a_rate_limit_nor_a_stalled_server_holds_a_sensor_beyond_its_timeout(
    wait: Wait, fault: str, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timeout(connected, monkeypatch, 0.2)
    connected.fail(*[fault] * 9)
    began = datetime.now(UTC)
    with pytest.raises(AirflowSensorTimeout):
        wait(sensor(timeout=0.5, api_retry_limit=5))
    assert datetime.now(UTC) - began < timedelta(seconds=50)


def test_a_deferrable_sensor_whose_condition_holds_does_not_defer(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert sensor(deferrable=True).execute({})["value"] == 50.0
    assert len(connected.requests) == 1


def test_the_first_poke_of_the_trigger_is_an_interval_after_that_of_the_worker(
    connected: Sandbox, logged: pytest.LogCaptureFixture
) -> None:
    connected.organization().set_counts(100, 1)
    before = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, poke_interval=60, timeout=600).execute({})
    _, arguments = caught.value.trigger.serialize()
    first_poke, deadline = (datetime.fromisoformat(arguments[name]) for name in ("first_poke", "deadline"))
    assert timedelta(seconds=60) <= first_poke - before < timedelta(seconds=90)
    assert timedelta(seconds=600) <= deadline - before < timedelta(seconds=630)
    assert len(connected.requests) == 1
    assert "Waiting in the triggerer until error_rate >= 5 %, for at most 600 s; next poke in 60 s." in logged.messages


@pytest.mark.parametrize("limit", [{"timeout": 4.9}, {"execution_timeout": timedelta(seconds=4)}])
def test_a_wait_too_short_for_a_deferral_stays_on_the_worker(
    limit: dict[str, Any], connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "SHORTEST_DEFERRAL", timedelta(seconds=5))
    set_rates(connected, 1.0, 2.0, 9.0)
    assert sensor(deferrable=True, **limit).execute({})["value"] == 9.0


def test_a_deferrable_sensor_without_time_to_wait_pokes_once(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "SHORTEST_DEFERRAL", timedelta(seconds=5))
    connected.organization().set_counts(100, 1)
    with pytest.raises(AirflowSensorTimeout):
        sensor(deferrable=True, timeout=0).execute({})
    assert len(connected.requests) == 1


def test_a_transient_error_at_the_first_poke_defers(connected: Sandbox) -> None:
    connected.fail("503")
    with pytest.raises(TaskDeferred):
        sensor(deferrable=True).execute({})


@pytest.mark.parametrize("timeout", [1e12, timedelta.max])
def test_a_timeout_beyond_any_date_is_ten_years(timeout: Any, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, timeout=timeout).execute({})
    deadline = datetime.fromisoformat(caught.value.trigger.serialize()[1]["deadline"])
    assert deadline > datetime.now(UTC) + timedelta(days=3600)
    assert not (caught.value.kwargs or {})["is_execution_timeout"]


@MODES
def test_an_error_of_no_known_class_fails_with_soft_fail_in_every_mode(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    connected.fail(None, "redirect")
    with pytest.raises(Exception, match="302") as caught:
        wait(sensor(soft_fail=True))
    assert not isinstance(caught.value, AirflowSkipException)


@MODES
def test_never_fail_waits_as_long_as_any_other_sensor(wait: Wait, connected: Sandbox) -> None:
    set_rates(connected, 1.0, 2.0, 9.0)
    assert wait(sensor(never_fail=True))["value"] == 9.0


def test_exponential_backoff_is_refused_for_a_deferrable_sensor() -> None:
    sensor(exponential_backoff=True, deferrable=False)
    with pytest.raises(MakeInputError, match="^exponential_backoff="):
        sensor(exponential_backoff=True, deferrable=True)


@pytest.mark.parametrize(("soft_fail", "raised"), [(False, AirflowTaskTimeout), (True, AirflowSkipException)])
def test_execution_timeout_of_a_deferred_sensor_is_kept_by_the_trigger(
    soft_fail: bool, raised: type[BaseException], connected: Sandbox
) -> None:
    connected.organization().set_counts(100, 1)
    waiting = sensor(deferrable=True, timeout=3600, execution_timeout=timedelta(minutes=1), soft_fail=soft_fail)
    before = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    deadline = datetime.fromisoformat(caught.value.trigger.serialize()[1]["deadline"])
    assert timedelta(seconds=60) <= deadline - before < timedelta(seconds=90)
    with pytest.raises(raised, match="execution_timeout of 0:01:00"):
        waiting.execute_complete({}, event=timeout_payload("not crossed"), **(caught.value.kwargs or {}))


@MODES
@pytest.mark.parametrize("fault", ["401", "403"])
def test_the_reason_of_a_skip_is_in_the_log_as_an_error(
    wait: Wait, fault: str, connected: Sandbox, logged: pytest.LogCaptureFixture
) -> None:
    connected.organization().set_counts(100, 1)
    connected.fail(None, fault)
    with pytest.raises(AirflowSkipException):
        wait(sensor(soft_fail=True))
    (record,) = (record for record in logged.records if "Skipped because of soft_fail" in record.getMessage())
    assert record.levelname == "ERROR"
    assert f"HTTP {fault}" in record.getMessage()


@MODES
def test_a_wrong_argument_skips_with_soft_fail(wait: Wait, connected: Sandbox) -> None:
    waiting = sensor(soft_fail=True, metric="{{ params.x }}")
    waiting.metric = "rate"
    with pytest.raises(AirflowSkipException, match="metric='rate'"):
        wait(waiting)


@MODES
@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_missing_connection_fails_also_with_soft_fail(wait: Wait, soft_fail: bool, airflow_database: None) -> None:
    with pytest.raises(Exception, match="nowhere") as caught:
        wait(sensor(soft_fail=soft_fail, make_conn_id="nowhere"))
    assert not isinstance(caught.value, AirflowSkipException | AirflowFailException)


@pytest.mark.parametrize(
    "event", [{"status": "new", "version": 1}, {"status": "error", "version": 1, "error": "KeyError", "message": "x"}]
)
def test_a_failure_of_the_trigger_fails_the_task_also_with_soft_fail(event: dict[str, Any], connected: Sandbox) -> None:
    with pytest.raises(RuntimeError):
        sensor(soft_fail=True).resume_execution("execute_complete", {"event": event}, {})


def test_a_trigger_that_could_not_run_fails_the_task_also_with_soft_fail(connected: Sandbox) -> None:
    exceptions = pytest.importorskip("airflow.sdk.exceptions")
    if not hasattr(exceptions, "TaskDeferralTimeout"):
        pytest.skip("before Airflow 3.3, a timeout has the same class")
    failed = {"error": "TriggerFailure", "traceback": ["no such class"]}
    with pytest.raises(exceptions.TaskDeferralError):
        sensor(soft_fail=True).resume_execution("__fail__", failed, {})
    with pytest.raises(AirflowSkipException):
        sensor(soft_fail=True).resume_execution("__fail__", {"error": "Trigger timeout", "traceback": None}, {})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_threshold_that_looks_like_a_fraction_warns_once(
    deferrable: bool, connected: Sandbox, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    set_rates(connected, 0.0, 0.1, 7.0)
    wait = deferred if deferrable else in_poke_mode
    assert wait(sensor(threshold=0.2))["value"] == pytest.approx(7.0)
    # Airflow 2 writes it to the log and to stdout.
    assert max(text.count("threshold=0.2 means 0.2 %") for text in (caplog.text, capsys.readouterr().out)) == 1


@MODES
def test_poke_interval_of_zero_pokes_again_at_once(wait: Wait, connected: Sandbox) -> None:
    set_rates(connected, 1.0, 2.0, 3.0, 9.0)
    assert wait(sensor(poke_interval=0))["value"] == 9.0
    assert len(connected.requests) == 4


def test_a_budget_of_credits_since_the_begin_of_the_month(connected: Sandbox) -> None:
    result = in_poke_mode(sensor(metric="credits", threshold=0, since="month"))
    total = int(result["total"]["centicredits"])
    assert result["value"] == total / 100
    begin = datetime.fromisoformat(result["date_from"])
    assert (begin.day, begin.hour, begin.minute, begin.second) == (1, 0, 0, 0)
    assert datetime.fromisoformat(result["date_to"]) > begin


def test_scenarios_are_found_by_credits_although_make_cannot_sort_by_them(
    make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some of its scenarios use 10**19 centicredits per execution.
    sandbox = make_sandbox_factory(scenarios=2500, huge_credits=True)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    result = in_poke_mode(sensor(metric="credits", threshold=1e16, scope="scenario", lookback="P30D"))
    frame = {name: datetime.fromisoformat(result[name]) for name in ("date_from", "date_to")}
    credits = {entry["id"]: int(entry["centicredits"]) / 100 for entry in sandbox.truth(**frame)}
    expected = sorted((value for value in credits.values() if value >= 1e16), reverse=True)
    assert len(expected) > 1
    assert [credits[row["scenario_id"]] for row in result["scenarios"]] == expected
    assert (result["value"], len(sandbox.requests)) == (expected[0], 3)


def test_what_has_stopped_running_is_found(connected: Sandbox) -> None:
    ids = [scenario.id for scenario in connected.organization().scenarios]
    connected.organization().set_counts(100, 1)
    connected.organization().set_counts(0, 0, ids[4:6])
    result = in_poke_mode(sensor(metric="executions", comparison="<", threshold=1, scope="scenario"))
    assert ({row["scenario_id"] for row in result["scenarios"]}, result["value"]) == (set(ids[4:6]), 0)
    assert "executions < 1 in 2 scenarios" in result["message"]

"""The sensor in all its modes, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_make.exceptions import MakeAccessDeniedError, MakeAuthenticationError, MakeInputError
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.airflow_versions import HAS_WATCHERS, VERSION, AirflowRescheduleException

Wait = Callable[..., dict[str, Any]]


class FakeTaskInstance:
    """A fake task instance, which only returns the time of the first reschedule."""

    # Airflow 2 looks up the time by these.
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


def in_poke_mode(sensor: MakeErrorRateSensor) -> dict[str, Any]:
    result: dict[str, Any] = sensor.execute({})
    return result


def in_reschedule_mode(sensor: MakeErrorRateSensor) -> dict[str, Any]:
    sensor.mode = "reschedule"
    instance = FakeTaskInstance()
    with instance.patched_into_airflow():
        while True:
            # Each poke runs in a new process, without the hook of the one before.
            sensor.__dict__.pop("hook", None)
            try:
                return sensor.execute({"ti": instance})  # type: ignore[typeddict-item, no-any-return]
            except AirflowRescheduleException:
                instance.first = instance.first or datetime.now(UTC)


def deferred(sensor: MakeErrorRateSensor) -> dict[str, Any]:
    sensor.deferrable = True
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    path, arguments = caught.value.trigger.serialize()
    trigger = type(caught.value.trigger)(**arguments)
    assert f"{type(trigger).__module__}.{type(trigger).__qualname__}" == path

    async def first_event() -> Any:
        return await anext(trigger.run())

    event = json.loads(json.dumps(asyncio.run(first_event()).payload))
    resume = getattr(sensor, caught.value.method_name)
    result: dict[str, Any] = resume({}, event=event)
    return result


MODES = pytest.mark.parametrize("wait", [in_poke_mode, in_reschedule_mode, deferred])


@pytest.fixture
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    return make_sandbox


def sensor(**arguments: Any) -> MakeErrorRateSensor:
    defaults: dict[str, Any] = {"task_id": "wait", "threshold": 5, "poke_interval": 0.05, "timeout": 20}
    return MakeErrorRateSensor(**{**defaults, "api_retry_limit": 1, **arguments})


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


@MODES
@pytest.mark.parametrize("absent_first", [False, True])
def test_pages_are_read_only_until_no_further_scenario_can_cross(
    wait: Wait, absent_first: bool, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(scenarios=5000, absent_first=absent_first, page_cap=500, shuffle_ties=True)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    ids = [scenario.id for scenario in sandbox.organization().scenarios]
    sandbox.organization().set_counts(1000, 10)
    for number, id_ in enumerate(ids[3000:3100]):
        sandbox.organization().set_counts(1000, 200 + number, [id_])
    sandbox.organization().set_counts(0, 0, ids[:700])
    result = wait(sensor(scope="scenario"))
    assert [row["scenario_id"] for row in result["scenarios"]] == ids[3000:3100][::-1]
    if not absent_first:
        assert len(sandbox.requests) == 1


@MODES
def test_comparison_below_finds_the_lowest_scenarios(wait: Wait, connected: Sandbox) -> None:
    ids = [scenario.id for scenario in connected.organization().scenarios]
    connected.organization().set_counts(1000, 100)
    connected.organization().set_counts(1000, 2, ids[3:4])
    result = wait(sensor(scope="scenario", metric="errors", comparison="<", threshold=3))
    assert [row["scenario_id"] for row in result["scenarios"]] == ids[3:4]
    assert result["value"] == 2


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
    assert len(connected.requests) == 2


@MODES
def test_sensor_times_out(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 0)
    with pytest.raises(AirflowSensorTimeout):
        wait(sensor(timeout=0.5))
    assert len(connected.requests) > 1


@MODES
def test_soft_fail_skips_after_the_timeout(wait: Wait, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 0)
    with pytest.raises(AirflowSkipException):
        wait(sensor(timeout=0.3, soft_fail=True))


@MODES
def test_soft_fail_skips_after_a_permanent_error(wait: Wait, connected: Sandbox) -> None:
    connected.fail("401")
    with pytest.raises(AirflowSkipException):
        wait(sensor(soft_fail=True))


def test_running_poll_is_cancelled_at_the_timeout(connected: Sandbox) -> None:
    connected.fail("stall:60")
    waiting = sensor(timeout=1)
    began = datetime.now(UTC)
    with pytest.raises(AirflowSensorTimeout):
        deferred(waiting)
    assert datetime.now(UTC) - began < timedelta(seconds=30)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "5%"), ("metric", "rate"), ("comparison", "="), ("scope", "team"), ("min_executions", -1),
        ("lookback", None), ("lookback", "1 hour"), ("lookback", timedelta(0)), ("organization_id", 0),
        ("team_id", "x"), ("status", "paused"),
    ],
)  # fmt: skip
def test_invalid_arguments_raise_before_any_request(
    name: str, value: Any, deferrable: bool, connected: Sandbox
) -> None:
    with pytest.raises(MakeInputError, match=name):
        sensor(deferrable=deferrable, **{name: value}).execute({})
    assert connected.requests == []


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


def test_every_poke_writes_a_log_line(connected: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    set_rates(connected, 1.0, 7.0)
    in_poke_mode(sensor())
    lines = [line for line in capsys.readouterr().out.splitlines() if "Organization 1 at" in line]
    assert len(lines) == 2
    assert "error_rate is 1; >= 5 is not crossed; next poke in 0.05 s." in lines[0]
    assert "error_rate is 7; >= 5 is crossed." in lines[1]


def test_default_of_deferrable_is_airflows_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor as Sensor;"
        "print('deferrable:', Sensor(task_id='x', threshold=1).deferrable)"
    )
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "deferrable: True" in done.stdout
    assert not sensor().deferrable


def test_parsing_a_dag_imports_no_heavy_library() -> None:
    watcher = "MakeErrorRateEventTrigger(threshold=1)" if HAS_WATCHERS else ""
    code = (
        "import sys, airflow.models.taskinstance, airflow.triggers.base, airflow.providers.common.compat.sdk as sdk\n"
        "sdk.BaseSensorOperator, sdk.dag, sdk.Asset, sdk.conf\n"
        "heavy = {'aiohttp', 'requests', 'pyarrow'}; before = heavy & set(sys.modules)\n"
        "from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor\n"
        "from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger\n"
        f"MakeErrorRateSensor(task_id='x', threshold=1); {watcher}\n"
        "assert heavy & set(sys.modules) == before, heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@MODES
def test_a_rate_limit_does_not_hold_a_sensor_beyond_its_timeout(
    wait: Wait, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_make.thresholds.poll_loop.LAST_POLL", 0.2)
    connected.fail(*["429:60"] * 9)
    with pytest.raises(AirflowSensorTimeout):
        wait(sensor(timeout=0.5, api_retry_limit=5))
    # The pause of a minute is not waited out.
    assert len(connected.requests) < 9

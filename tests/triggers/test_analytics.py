"""The triggers on an event loop, against the sandbox."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.thresholds.check import ThresholdCheck
from airflow_provider_make.thresholds.evaluation import NO_EXPLANATION, Snapshot
from airflow_provider_make.triggers import analytics
from airflow_provider_make.triggers.analytics import (
    SECONDS_TO_STORE_AN_EVENT,
    MakeAnalyticsEventTrigger,
    MakeAnalyticsTrigger,
)
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger
from tests.support.airflow_versions import HAS_WATCHERS, VERSION, decode_argument, encode_watcher
from tests.support.asset_state_store import Store, accessor
from tests.support.odd_rows import INVALID_ROWS, RULE, odd_row
from tests.support.sandbox_requests import analytics_requests
from tests.support.virtual_time import run_in_virtual_time

watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
TRIGGERS = pytest.mark.parametrize(
    "trigger_class", [MakeAnalyticsTrigger, pytest.param(MakeAnalyticsEventTrigger, marks=watchers_only)]
)
# A value for each argument, different from its default.
VALUES: dict[str, Any] = {
    "threshold": 7.5,
    "metric": "errors",
    "comparison": "<",
    "scope": "scenario",
    "min_executions": 3,
    "lookback": timedelta(minutes=90),
    "since": "week",
    "organization_id": 42,
    "team_id": [1, "2"],
    "folder_id": "3",
    "status": ["active"],
    "explain": True,
    "emit_metrics": "team",
    "make_conn_id": "other",
    "api_retry_limit": 2,
    "api_retry_delay": 0.5,
    "poke_interval": 12.5,
    "first_poke": datetime(2026, 1, 30, tzinfo=UTC),
    "deadline": datetime(2026, 1, 31, tzinfo=UTC),
    "hysteresis": 1.5,
    "stored_version": 4,
}


@pytest.fixture
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    return make_sandbox


def store(trigger: BaseTrigger) -> dict[str, Any]:
    """
    Return the arguments as the triggerer's constructor receives them.

    The Dag processor serializes those of a watcher with its Dag, and Airflow encrypts all.
    """
    path, arguments = trigger.serialize()
    assert json.loads(json.dumps(arguments)) == arguments
    if HAS_WATCHERS and isinstance(trigger, MakeAnalyticsEventTrigger):
        arguments = encode_watcher(path, arguments)
    encrypt = getattr(Trigger, "encrypt_kwargs", None) or Trigger._encrypt_kwargs
    decrypted = Trigger._decrypt_kwargs(encrypt(arguments))
    return {name: decode_argument(value) for name, value in decrypted.items()}


def parameters(trigger_class: type) -> list[str]:
    return [name for name in inspect.signature(trigger_class.__init__).parameters if name != "self"]  # type: ignore[misc]


@TRIGGERS
def test_every_argument_survives_what_airflow_does_to_it(trigger_class: type[Any]) -> None:
    values = {name: VALUES[name] for name in parameters(trigger_class)}
    # They exclude each other.
    values["lookback"] = None
    path, arguments = trigger_class(**values).serialize()
    assert path == f"{trigger_class.__module__}.{trigger_class.__qualname__}"
    assert arguments.keys() == values.keys()
    assert trigger_class(**store(trigger_class(**values))).serialize() == (path, arguments)


@TRIGGERS
def test_defaults_survive_what_airflow_does_to_them(trigger_class: type[Any]) -> None:
    arguments = trigger_class(threshold=5, metric="errors").serialize()[1]
    assert set(arguments) == set(parameters(trigger_class))
    assert arguments["lookback"] == "PT1H"
    assert store(trigger_class(threshold=5, metric="errors")) == arguments


@TRIGGERS
@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("lookback", timedelta(days=1, hours=2), "P1DT2H"),
        ("lookback", pendulum.duration(minutes=90), "PT1H30M"),
        ("lookback", timedelta(days=364, microseconds=5), "P364DT0.000005S"),
        ("lookback", timedelta(days=365), "P365DT0.000000S"),
        # With the default lookback.
        ("since", "day", "day"),
        ("status", frozenset({"invalid", "active"}), ["active", "invalid"]),
        ("status", ("active",), ["active"]),
        ("team_id", {2, 1}, [1, 2]),
        ("organization_id", 42, 42),
    ],
)
def test_only_the_types_of_json_are_stored(trigger_class: type[Any], name: str, value: Any, stored: Any) -> None:
    trigger = trigger_class(**{**RULE, name: value})
    assert trigger.serialize()[1][name] == stored
    restored = trigger_class(**store(trigger))
    assert ThresholdCheck.from_arguments(restored).identity() == ThresholdCheck.from_arguments(trigger).identity()


def test_triggers_have_the_arguments_of_the_sensor() -> None:
    from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor

    common = set(parameters(MakeAnalyticsSensor)) - {"kwargs", "deferrable"} | {"poke_interval", "stored_version"}
    assert set(parameters(MakeAnalyticsTrigger)) == common | {"first_poke", "deadline"}
    assert set(parameters(MakeAnalyticsEventTrigger)) == common | {"hysteresis"}


# Airflow 3.2 stores a timedelta so, and does not decode it; 3.3 does.
NOT_DECODED = ({"lookback": {"Encoding.VAR": 3600.0, "Encoding.TYPE": "timedelta"}}, "lookback=")


@pytest.mark.parametrize(("changes", "text"), [*INVALID_ROWS, NOT_DECODED])
def test_a_stored_trigger_that_is_not_valid_is_an_error_event(changes: dict[str, Any], text: str) -> None:
    trigger = MakeAnalyticsTrigger(**odd_row(store(MakeAnalyticsTrigger(**RULE)), changes))

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(asyncio.wait_for(run(), 30))
    assert payload["status"] == "error"
    assert text in payload["message"]


@pytest.mark.parametrize(("name", "value"), [("deadline", "2026-01-30"), ("first_poke", 7), ("deadline", "soon")])
def test_a_stored_time_that_is_not_valid_is_an_error_event(name: str, value: Any) -> None:
    assert f"{name}={value!r} is not valid" in wait_for_event(stored_version=3, **{name: value})["message"]


@pytest.mark.parametrize("version", [1, 3, 99])
def test_a_stored_trigger_of_another_version_runs_if_its_arguments_are_known(version: int, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert wait_for_event(stored_version=version)["status"] == "success"
    if HAS_WATCHERS:
        assert len(watch(connected, 3, stored_version=version)) == 1


@watchers_only
@pytest.mark.parametrize(
    ("changes", "text"), [row for row in [*INVALID_ROWS, NOT_DECODED] if "poke_interval" not in row[0]]
)
def test_a_stored_watcher_that_is_not_valid_says_so_at_each_interval(
    changes: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = store(MakeAnalyticsEventTrigger(**RULE, poke_interval=0.01))
    trigger = MakeAnalyticsEventTrigger(**odd_row(stored, changes))
    assert trigger.shared_stream_key() is None

    async def run() -> None:
        pending = asyncio.ensure_future(anext(aiter(trigger.run())))
        while sum(text in record.getMessage() for record in caplog.records) < 3:
            assert not pending.done()
            await asyncio.sleep(0.01)
        pending.cancel()

    asyncio.run(asyncio.wait_for(run(), 30))


@watchers_only
def test_rows_of_versions_that_stored_no_version_do_not_end_the_triggerer() -> None:
    # Airflow's triggerer survives only this error of a constructor.
    with pytest.raises(TypeError, match="metric='duration' is not valid"):
        MakeAnalyticsEventTrigger(threshold=5, metric="duration")


def wait_for_event(**arguments: Any) -> dict[str, Any]:
    async def run() -> Any:
        trigger = MakeAnalyticsTrigger(**{**RULE, "poke_interval": 0.05, "api_retry_limit": 1, **arguments})
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    payload: dict[str, Any] = json.loads(json.dumps(asyncio.run(asyncio.wait_for(run(), 30))))
    return payload


def test_one_connection_is_used_for_the_whole_wait(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    connected.at_request(6, lambda organization: organization.set_counts(100, 9))
    assert wait_for_event()["value"] == 9.0
    assert (len(connected.requests), connected.connections) == (6, 1)


def test_poke_interval_is_between_the_starts_of_polls(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    connected.at_request(4, lambda organization: organization.set_counts(100, 9))
    wait_for_event(poke_interval=0.4)
    times = [request.arrived_at for request in connected.requests]
    assert [later - earlier > 0.25 for earlier, later in zip(times, times[1:], strict=False)] == [True] * 3


def test_missing_connection_is_an_error_event(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    event = wait_for_event(make_conn_id="nowhere")
    assert event["status"] == "error"
    assert "nowhere" in event["message"]


def test_invalid_connection_is_an_error_event_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", "make://:secret-token@/")
    event = wait_for_event()
    assert (event["status"], event["error"]) == ("error", "MakeInputError")
    assert "zone" in event["message"]
    assert "secret-token" not in json.dumps(event)


def test_trigger_times_out_after_a_last_poll_at_the_deadline(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    began = datetime.now(UTC)
    event = wait_for_event(poke_interval=3600.0, deadline=began + timedelta(seconds=1))
    assert (event["status"], len(connected.requests)) == ("timeout", 1)
    assert "error_rate >= 5" in event["message"]


def test_first_poll_is_an_interval_after_the_start(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    began = datetime.now(UTC)
    wait_for_event(poke_interval=0.4)
    assert datetime.now(UTC) - began >= timedelta(seconds=0.4)


def test_the_last_poll_announces_no_further_one(
    connected: Sandbox, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    connected.organization().set_counts(100, 1)
    now = datetime.now(UTC)
    wait_for_event(poke_interval=0.5, first_poke=now, deadline=now + timedelta(seconds=1))
    # Airflow 2 writes to the log.
    written = caplog.text if VERSION < (3, 0) else capsys.readouterr().out
    lines = [line for line in written.splitlines() if "error_rate is 1" in line]
    *others, last = ["next poke" in line for line in lines]
    assert others
    assert (all(others), last) == (True, False)


@pytest.mark.parametrize("overdue", ["first_poke", "deadline"])
def test_trigger_polls_at_once_if_a_time_has_passed_before_it_starts(overdue: str, connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    past = datetime.now(UTC) - timedelta(minutes=1)
    assert wait_for_event(poke_interval=3600.0, **{overdue: past})["status"] == "success"


def set_outcomes(sandbox: Sandbox, *outcomes: float | str | None) -> None:
    """Set the error rate of all scenarios, or a fault, for each of the next requests."""
    first = len(sandbox.requests) + 1
    sandbox.fail(*(outcome if isinstance(outcome, str) else None for outcome in outcomes))
    for number, outcome in enumerate(outcomes, start=first):
        if isinstance(outcome, str):
            continue

        def set_rate(organization: Organization, rate: float | None = outcome) -> None:
            organization.set_counts(0 if rate is None else 1000, round((rate or 0) * 10))

        sandbox.at_request(number, set_rate)


def snapshot(rate: float) -> Snapshot:
    now = datetime.now(UTC)
    frame = TimeFrame(now - timedelta(hours=1), now)
    return Snapshot(1, "eu1.make.com", frame, now, Metrics(executions=10, error_rate=rate))


def watch(sandbox: Sandbox, requests: int, store: Any = None, **arguments: Any) -> list[dict[str, Any]]:
    """Return the payloads that a watcher emits for this many requests: until it has sent another one."""

    async def run() -> list[Any]:
        trigger = MakeAnalyticsEventTrigger(**{**RULE, "poke_interval": 0.05, **arguments})
        trigger.asset_state_store = store
        payloads: list[Any] = []

        async def collect() -> None:
            async for event in trigger.run():
                payloads.append(event.payload)

        watcher = asyncio.create_task(collect())
        while len(sandbox.requests) <= requests:
            await asyncio.sleep(0.01)
            if watcher.done():
                watcher.result()
        assert not watcher.done()
        watcher.cancel()
        return payloads

    return asyncio.run(asyncio.wait_for(run(), 60))


@watchers_only
def test_a_watcher_emits_one_event_per_crossing_despite_dips_and_faults(connected: Sandbox) -> None:
    set_outcomes(
        connected, 1.0, 6.0, "503", 7.0, 4.0, 6.0, "reset", 2.9, "429:1", "html", 5.0, None, 8.0, "500", "401", 1.0, 1.0
    )
    payloads = watch(connected, 17, hysteresis=2.0)
    # Without executions there is no error rate, so 8.0 is another crossing.
    assert [payload["value"] for payload in payloads] == [6.0, 5.0, 8.0]
    assert {payload["status"] for payload in payloads} == {"success"}
    assert json.loads(json.dumps(payloads)) == payloads


@watchers_only
def test_a_watcher_never_polls_faster_than_its_interval(connected: Sandbox) -> None:
    set_outcomes(connected, 1.0, "503", "reset", "empty", 9.0, 9.0, "401", 1.0)
    watch(connected, 11, poke_interval=0.3)
    times = [request.arrived_at for request in analytics_requests(connected)][:8]
    assert [later - earlier > 0.2 for earlier, later in zip(times, times[1:], strict=False)] == [True] * 7


@watchers_only
def test_a_watcher_emits_events_for_each_scenario_on_its_own(connected: Sandbox) -> None:
    ids = [scenario.id for scenario in connected.organization().scenarios]
    connected.organization().set_counts(1000, 0)

    def set_errors(number: int, **errors: int) -> None:
        def change(organization: Organization) -> None:
            for name, count in errors.items():
                organization.set_counts(1000, count, ids["abc".index(name) :][:1])

        connected.at_request(number, change)

    set_errors(2, a=500)
    # a is still firing, and b rises.
    set_errors(4, b=600)
    # Both dip: a into the band, b below it.
    set_errors(6, a=45, b=30)
    set_errors(8, a=500, b=70, c=80)
    payloads = watch(connected, 10, scope="scenario", hysteresis=1.0)
    assert [[row["scenario_id"] for row in payload["scenarios"]] for payload in payloads] == [
        [ids[0]], [ids[1]], [ids[2], ids[1]],
    ]  # fmt: skip
    assert [payload["scenario_count"] for payload in payloads] == [1, 1, 2]
    assert [payload["beyond_count"] for payload in payloads] == [1, 2, 3]


@watchers_only
def test_a_scenario_with_too_few_executions_is_read_however_far_back_it_is(
    make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(scenarios=2500)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    ids = [scenario.id for scenario in sandbox.organization().scenarios]
    sandbox.organization().set_counts(1000, 10)
    sandbox.organization().set_counts(1000, 900, ids[:1])
    # Too few, and without an error: the last one of four pages.
    sandbox.at_request(2, lambda organization: organization.set_counts(5, 0, ids[:1]))
    sandbox.at_request(6, lambda organization: organization.set_counts(1000, 900, ids[:1]))
    assert len(watch(sandbox, 7, scope="scenario", min_executions=10)) == 1
    offsets = [dict(request.query).get("pg[offset]") for request in sandbox.requests]
    assert offsets[:6] == ["0", "0", "99", "1098", "2097", "0"]


@watchers_only
def test_a_new_period_can_cross_again_after_a_while_without_polls(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "SECONDS_TO_STORE_AN_EVENT", 0.01)
    connected.organization().set_counts(100, 10)
    store = Store()
    # Midnight may be near, and seldom the end of a month.
    rule = {"metric": "errors", "threshold": 100, "since": "month"}
    assert len(watch(connected, 2, accessor(store), **rule)) == 1
    assert len(watch(connected, len(connected.requests) + 1, accessor(store), **rule)) == 0
    (value,) = store.values.values()
    assert value["period"].endswith("T00:00:00Z")
    value["period"] = "2026-01-01T00:00:00Z"
    assert len(watch(connected, len(connected.requests) + 1, accessor(store), **rule)) == 1


@watchers_only
def test_a_watcher_logs_changes_and_otherwise_a_line_every_ten_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    async def watch() -> None:
        trigger = MakeAnalyticsEventTrigger(**RULE, poke_interval=60.0, hysteresis=2.0)

        async def polls() -> AsyncIterator[Snapshot]:
            for rate in (*[1.0] * 61, 50.0, 50.0, 4.0, 4.0, 1.0, 1.0):
                yield snapshot(rate)
                await asyncio.sleep(60)

        async for _ in trigger.filter_shared_stream(polls()):
            pass

    run_in_virtual_time(watch())
    lines = capsys.readouterr().out.splitlines()
    counts = [sum(text in line for line in lines) for text in ("is not crossed", "is crossed", "not recovered yet")]
    # The last: an hour of calm, at once and every ten minutes; and the recovery.
    assert counts == [7 + 1, 1, 1]


@watchers_only
@given(
    interval=st.sampled_from([0.5, 1.0, 7.0, 60.0, 61.0, 3600.0]),
    lag=st.floats(0, 50),
    killed_after=st.floats(0, 200),
)
def test_a_crossing_has_one_event_or_two_whenever_the_triggerer_is_killed(
    interval: float, lag: float, killed_after: float
) -> None:
    # Airflow stores an event some time after it was emitted, and loses it if it is killed before.
    store = Store()
    crossing = snapshot(50.0)

    async def watch_until(killed_at: float) -> list[float]:
        """Return the times of the events that Airflow has stored."""
        trigger = MakeAnalyticsEventTrigger(**RULE, poke_interval=interval)
        trigger.asset_state_store = accessor(store)
        clock, stored = asyncio.get_running_loop().time, list[float]()

        async def polls() -> AsyncIterator[Snapshot]:
            while True:
                yield crossing
                await asyncio.sleep(interval)

        with suppress(TimeoutError):
            async with asyncio.timeout(killed_at):
                async for _ in trigger.filter_shared_stream(polls()):
                    if clock() + lag <= killed_at:
                        stored.append(clock())
        return stored

    first = run_in_virtual_time(watch_until(killed_after))
    assert len(first) <= 1
    assert 1 <= len(first) + len(run_in_virtual_time(watch_until(lag + 1.0))) <= 2
    # Then it is remembered, unless the watcher has not polled again since.
    if killed_after > SECONDS_TO_STORE_AN_EVENT + interval + lag:
        assert len(first) == 1


@watchers_only
def test_a_deleted_scenario_is_forgotten(connected: Sandbox) -> None:
    organization = connected.organization()
    ids = [scenario.id for scenario in organization.scenarios]
    organization.set_counts(1000, 0)
    organization.set_counts(1000, 500, ids[:1])
    connected.at_request(3, lambda organization: organization.delete_scenarios(ids[:1]))
    store = Store()
    assert len(watch(connected, 4, accessor(store), scope="scenario")) == 1
    assert list(store.values.values()) == [{"not_back": [], "period": None}]


@watchers_only
def test_state_survives_a_restart(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "SECONDS_TO_STORE_AN_EVENT", 0.01)
    store = Store()
    set_outcomes(connected, 1.0, 6.0, 6.0)
    assert len(watch(connected, 3, accessor(store))) == 1
    set_outcomes(connected, 6.0, 7.0, 1.0, 8.0)
    before = len(connected.requests)
    payloads = watch(connected, before + 4, accessor(store))
    assert [payload["value"] for payload in payloads] == [8.0]


@watchers_only
def test_without_a_store_the_event_is_emitted_again_after_a_restart(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert len(watch(connected, 2)) == 1
    assert len(watch(connected, len(connected.requests) + 2)) == 1


@watchers_only
@pytest.mark.parametrize("scope", ["organization", "scenario"])
def test_a_watcher_without_a_connection_picks_it_up_when_it_is_there(
    scope: str, make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    airflow_database: None,
) -> None:  # fmt: skip
    make_sandbox.organization().set_counts(1000, 500)
    monkeypatch.delenv("AIRFLOW_CONN_MAKE_DEFAULT", raising=False)

    async def run() -> Any:
        events = MakeAnalyticsEventTrigger(**RULE, scope=scope, poke_interval=0.2).run()
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.7)
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", "make://:secret-token@/")
        await asyncio.sleep(0.5)
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
        event = await first
        await events.aclose()  # type: ignore[attr-defined]
        return event

    assert asyncio.run(asyncio.wait_for(run(), 30)).payload["value"] == 50.0
    lines = [record.getMessage() for record in caplog.records if "could not be fetched" in record.getMessage()]
    # One line an interval, without a traceback.
    assert 2 <= len(lines) <= 8
    assert any("make_default" in line for line in lines)
    assert any("zone" in line for line in lines)
    assert "secret-token" not in caplog.text
    assert "Traceback" not in caplog.text


@watchers_only
def test_a_watcher_picks_up_a_replaced_token(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_sandbox.organization().set_counts(1000, 500)
    wrong = json.dumps({**json.loads(make_sandbox.connection_json), "password": "an-old-token"})
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", wrong)
    # The first refusal is explained with three requests, and the same one at the next poll with none.
    make_sandbox.at_request(5, lambda _: monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json))
    assert len(watch(make_sandbox, 7)) == 1
    assert ["/analytics/" in request.path for request in make_sandbox.requests][:6] == [True, *[False] * 3, True, True]
    refused = [record.getMessage() for record in caplog.records if "HTTP 401" in record.getMessage()]
    assert ["The token is probably invalid, or of another zone" in line for line in refused] == [True] * 2


@watchers_only
@pytest.mark.parametrize("outcome", ["503", "html", "shape", "reset", "401", "404"])
def test_a_watcher_reads_a_connection_again_whose_host_is_another(
    outcome: str, make_sandbox: Sandbox, make_sandbox_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_sandbox_factory(scenarios=1)
    other.fail(*[outcome] * 1000)
    other.at_request(2, lambda _: monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json))
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", other.connection_json)
    make_sandbox.organization().set_counts(1000, 500)
    assert len(watch(make_sandbox, 1)) == 1


@watchers_only
def test_a_watcher_keeps_its_client_and_the_rate_limit_while_make_is_down(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(make_sandbox.connection_json)
    connection["extra"]["requests_per_minute"] = 300
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
    make_sandbox.fail("503", "html", "500", "shape")
    watch(make_sandbox, 5, threshold=101, poke_interval=0.01)
    assert make_sandbox.connections == 1
    arrived = [request.arrived_at for request in make_sandbox.requests]
    assert arrived[5] - arrived[0] > 4 * 60 / 300


def test_a_deferred_sensor_survives_an_outage_of_make_and_of_what_keeps_the_connection(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected.connection_json
    connected.organization().set_counts(100, 50)
    connected.fail("503", "reset")
    connected.at_request(1, lambda _: monkeypatch.delenv("AIRFLOW_CONN_MAKE_DEFAULT"))
    connected.at_request(3, lambda _: monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", connection))
    trigger = MakeAnalyticsTrigger(**RULE, poke_interval=0.05)
    payload = asyncio.run(asyncio.wait_for(anext(trigger.run()), 60)).payload
    assert (payload["status"], len(connected.requests)) == ("success", 3)


@watchers_only
def test_a_watcher_warns_once_about_a_threshold_that_looks_like_a_fraction(
    connected: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    connected.organization().set_counts(100, 0)
    watch(connected, 4, threshold=0.2)
    assert capsys.readouterr().out.count("threshold=0.2 means 0.2 %") == 1


@watchers_only
def test_a_watcher_never_ends(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 0)
    connected.fail(*["503", "401", "html", "reset"] * 30)
    assert watch(connected, 120, poke_interval=0.001) == []


@watchers_only
def test_watchers_that_need_the_same_figures_share_a_poll() -> None:
    def key(**arguments: Any) -> Any:
        return MakeAnalyticsEventTrigger(**{**RULE, **arguments}).shared_stream_key()

    assert key() == key(threshold=9, metric="errors", comparison="<", min_executions=7, hysteresis=1.0)
    for name in ("organization_id", "team_id", "lookback", "since", "make_conn_id", "poke_interval"):
        assert key() != key(**{name: VALUES[name]})
    assert key(scope="scenario") is None
    assert hash(key(team_id=[1, 2])) == hash(key(team_id=["2", 1]))


@watchers_only
@pytest.mark.parametrize(
    ("arguments", "spelled_otherwise"),
    [
        ({"team_id": [1, 2]}, {"team_id": ("2", "1")}),
        ({"status": "active"}, {"status": ["active"]}),
        ({"lookback": "PT1H"}, {"lookback": timedelta(hours=1)}),
        ({"threshold": "5.0"}, {"threshold": 5}),
        ({"min_executions": None}, {"min_executions": "1"}),
        ({"organization_id": "42"}, {"organization_id": 42}),
        ({"poke_interval": 60}, {"poke_interval": 7, "api_retry_limit": 3}),
    ],
)
def test_the_state_is_found_however_the_arguments_are_spelled(
    arguments: dict[str, Any], spelled_otherwise: dict[str, Any], connected: Sandbox
) -> None:
    def saved(**arguments: Any) -> set[str]:
        store = Store()
        trigger = MakeAnalyticsEventTrigger(**{**RULE, **arguments})
        trigger.asset_state_store = accessor(store)
        state = trigger._state()
        state.update(frozenset({7}), 0.0)
        asyncio.run(state.save(0.0))
        return set(store.values)

    assert saved(**arguments) == saved(**spelled_otherwise)
    assert saved(**arguments) != saved(**{**arguments, "threshold": 6})


@watchers_only
def test_watchers_that_share_a_poll_detect_their_own_crossings(connected: Sandbox) -> None:
    set_outcomes(connected, 1.0, 6.0, 12.0, 12.0)
    watchers = [
        MakeAnalyticsEventTrigger(threshold=threshold, metric="error_rate", poke_interval=0.05)
        for threshold in (5, 10, 20)
    ]

    async def run() -> list[list[Any]]:
        arguments = watchers[0].serialize()[1]
        snapshots = []
        async for snapshot in MakeAnalyticsEventTrigger.open_shared_stream(arguments):
            snapshots.append(snapshot)
            if len(snapshots) == 4:
                break

        async def stream() -> AsyncIterator[Any]:
            for snapshot in snapshots:
                yield snapshot

        return [
            [event.payload["value"] async for event in watcher.filter_shared_stream(stream())] for watcher in watchers
        ]

    assert asyncio.run(run()) == [[6.0], [12.0], []]


@watchers_only
def test_a_watcher_asks_why_at_its_crossings_only(connected: Sandbox) -> None:
    organization = connected.organization()
    first, second = (scenario.id for scenario in organization.scenarios[:2])
    organization.set_counts(1000, 10)
    organization.set_errors({"name": "DataError", "message": f"Key {'0a' * 40}, token {connected.token}"})
    connected.at_request(3, lambda organization: organization.set_counts(1000, 500, [first]))
    connected.at_request(7, lambda organization: organization.set_counts(1000, 600, [second]))
    payloads = watch(connected, 12, scope="scenario", explain=True)
    kinds = [request.path.split("/")[3] for request in connected.requests[:12]]
    # The third poll and the sixth: one scenario each.
    assert kinds == [*["analytics"] * 3, "scenarios", *["analytics"] * 3, "scenarios", *["analytics"] * 4]
    assert [[failure["scenario_id"] for failure in payload["failures"]] for payload in payloads] == [[first], [second]]
    (group,) = payloads[0]["failures"][0]["errors"]
    assert (group["count"], group["message"]) == (41, "Key ***, token ***")


@watchers_only
def test_a_watcher_emits_its_event_also_if_nobody_says_why(connected: Sandbox) -> None:
    organization = connected.organization()
    organization.set_counts(100, 0)
    organization.set_counts(100, 50, [organization.scenarios[0].id])
    connected.fail(None, "401")
    (payload,) = watch(connected, 4, scope="scenario", explain=True)
    assert payload["failures"] == []
    assert "Reasons are missing: the token needs the scope scenarios:read" in payload["message"]


@watchers_only
def test_an_event_that_was_not_emitted_is_not_remembered(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    # While Make is asked why, the triggerer stops.
    connected.fail(None, "stall:20")
    store = Store()

    async def stop_while_asking() -> None:
        trigger = MakeAnalyticsEventTrigger(**{**RULE, "poke_interval": 0.05, "scope": "scenario", "explain": True})
        trigger.asset_state_store = accessor(store)
        task = asyncio.ensure_future(anext(aiter(trigger.run())))
        while len(connected.requests) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(stop_while_asking(), 30))
    assert store.values == {}
    assert len(watch(connected, 20, accessor(store), scope="scenario", explain=True)) == 1


@watchers_only
def test_what_an_event_says_is_stored_a_minute_after_the_event_however_long_the_reasons_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, emitted = Store(), list[float]()

    async def explain(*_: Any) -> Any:
        await asyncio.sleep(20)
        return NO_EXPLANATION

    monkeypatch.setattr(analytics, "_explain", explain)

    async def polls() -> AsyncIterator[Snapshot]:
        for _ in range(20):
            yield snapshot(50.0)
            if emitted and asyncio.get_running_loop().time() < emitted[0] + SECONDS_TO_STORE_AN_EVENT:
                assert not any(value["not_back"] for value in store.values.values())
            await asyncio.sleep(7)

    async def watch() -> None:
        trigger = MakeAnalyticsEventTrigger(**RULE, poke_interval=7.0, explain=True)
        trigger.asset_state_store = accessor(store)
        async for _ in trigger.filter_shared_stream(polls()):
            emitted.append(asyncio.get_running_loop().time())

    run_in_virtual_time(watch())
    assert emitted == [20.0]
    assert [value["not_back"] for value in store.values.values()] == [[1]]


@watchers_only
def test_watchers_that_share_a_poll_ask_why_once(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    watchers = [
        MakeAnalyticsEventTrigger(threshold=threshold, metric="error_rate", explain=True) for threshold in (5, 10, 20)
    ]
    quiet = MakeAnalyticsEventTrigger(threshold=5, metric="credits")
    assert {watcher.shared_stream_key() for watcher in (*watchers, quiet)} == {quiet.shared_stream_key()}

    async def run() -> list[Any]:
        async with aclosing(MakeAnalyticsEventTrigger.open_shared_stream(quiet.serialize()[1])) as snapshots:  # type: ignore[type-var]
            shared = await anext(snapshots)

        async def first(watcher: MakeAnalyticsEventTrigger) -> Any:
            async def stream() -> AsyncIterator[Any]:
                yield shared

            return (await anext(aiter(watcher.filter_shared_stream(stream())))).payload

        return await asyncio.gather(*map(first, watchers))

    payloads = asyncio.run(run())
    assert [len(payload["failures"]) for payload in payloads] == [10] * 3
    # A poll, the scenarios with the most errors, and their executions.
    assert len(connected.requests) == 1 + 1 + 10


@TRIGGERS
def test_what_an_earlier_version_stored_has_no_reasons_and_no_gauges(
    trigger_class: type[Any], connected: Sandbox
) -> None:
    stored = store(trigger_class(**RULE))
    del stored["explain"], stored["emit_metrics"]
    restored = trigger_class(**{**stored, "stored_version": 2})
    restored.check_stored()
    assert (restored.explain, restored.emit_metrics) == (False, None)
    if trigger_class is MakeAnalyticsEventTrigger:
        connected.organization().set_counts(100, 50)

        async def first() -> Any:
            async with aclosing(trigger_class.open_shared_stream(stored)) as snapshots:
                return await asyncio.wait_for(anext(snapshots), 30)

        assert asyncio.run(first()).total.errors


@watchers_only
@pytest.mark.parametrize("trigger_class", [MakeAnalyticsEventTrigger, MakeErrorRateEventTrigger])
def test_a_metric_that_failed_executions_do_not_explain_raises_when_the_dag_is_parsed(trigger_class: type[Any]) -> None:
    with pytest.raises(MakeInputError, match=r"explain=True is not valid: expected False for metric='credits'"):
        trigger_class(threshold=5, metric="credits", explain=True)


@watchers_only
def test_whether_reasons_are_asked_for_is_no_part_of_the_state(connected: Sandbox) -> None:
    identities = [
        ThresholdCheck.from_arguments(MakeAnalyticsEventTrigger(**RULE, explain=explain)).identity()
        for explain in (False, True)
    ]
    assert identities[0] == identities[1]


@watchers_only
@pytest.mark.parametrize(
    ("name", "value"), [("threshold", "x"), ("hysteresis", -1), ("poke_interval", 0), ("lookback", "x")]
)
def test_invalid_watcher_raises_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=name):
        MakeAnalyticsEventTrigger(**{**RULE, name: value})


def test_error_before_airflow_3_names_the_required_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "BaseEventTrigger", BaseTrigger)
    with pytest.raises(MakeInputError, match=r"Airflow 3\.0"):
        MakeAnalyticsEventTrigger(threshold=5, metric="errors")


@watchers_only
def test_poke_interval_may_be_text(connected: Sandbox) -> None:
    set_outcomes(connected, 9.0)
    assert len(watch(connected, 1, poke_interval="0.05")) == 1


@watchers_only
def test_subclass_may_have_another_signature(connected: Sandbox) -> None:
    class FivePercent(MakeAnalyticsEventTrigger):
        def __init__(self) -> None:
            super().__init__(threshold=5, metric="error_rate", poke_interval=0.05)

    connected.organization().set_counts(100, 50)

    async def first() -> Any:
        snapshots = FivePercent.open_shared_stream(FivePercent().serialize()[1])
        async with aclosing(snapshots):  # type: ignore[type-var]
            return await asyncio.wait_for(anext(snapshots), 30)

    assert asyncio.run(first()).total.error_rate == 50.0

"""The triggers on an event loop, against the sandbox."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import BaseTrigger

from airflow_provider_make.exceptions import MakeInputError, MakeServerError
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.triggers import error_rate
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger, MakeErrorRateTrigger
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.asset_state_store import Store, accessor

watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
TRIGGERS = pytest.mark.parametrize(
    "trigger_class", [MakeErrorRateTrigger, pytest.param(MakeErrorRateEventTrigger, marks=watchers_only)]
)
# A value for each argument, different from its default.
VALUES: dict[str, Any] = {
    "threshold": 7.5,
    "metric": "errors",
    "comparison": "<",
    "scope": "scenario",
    "min_executions": 3,
    "lookback": timedelta(minutes=90),
    "organization_id": 42,
    "team_id": [1, "2"],
    "folder_id": "3",
    "status": ["active"],
    "make_conn_id": "other",
    "api_retry_limit": 2,
    "api_retry_delay": 0.5,
    "poke_interval": 12.5,
    "deadline": datetime(2026, 1, 31, tzinfo=UTC),
    "hysteresis": 1.5,
}


@pytest.fixture
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    return make_sandbox


def parameters(trigger_class: type) -> list[str]:
    return [name for name in inspect.signature(trigger_class.__init__).parameters if name != "self"]  # type: ignore[misc]


@TRIGGERS
def test_every_argument_survives_serialization(trigger_class: type[Any]) -> None:
    values = {name: VALUES[name] for name in parameters(trigger_class)}
    path, arguments = trigger_class(**values).serialize()
    assert path == f"{trigger_class.__module__}.{trigger_class.__qualname__}"
    assert arguments == values
    stored = json.dumps(BaseSerialization.serialize(arguments))
    restored = BaseSerialization.deserialize(json.loads(stored))
    assert trigger_class(**restored).serialize()[1] == values


@TRIGGERS
def test_defaults_survive_serialization(trigger_class: type[Any]) -> None:
    arguments = trigger_class(threshold=5).serialize()[1]
    assert set(arguments) == set(parameters(trigger_class))
    assert trigger_class(**arguments).serialize() == trigger_class(threshold=5).serialize()


def test_triggers_have_the_arguments_of_the_sensor() -> None:
    from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor

    sensor_arguments = set(parameters(MakeErrorRateSensor)) - {"kwargs", "deferrable"}
    assert set(parameters(MakeErrorRateTrigger)) == sensor_arguments | {"poke_interval", "deadline"}
    assert set(parameters(MakeErrorRateEventTrigger)) == sensor_arguments | {"poke_interval", "hysteresis"}


def wait_for_event(**arguments: Any) -> dict[str, Any]:
    async def run() -> Any:
        trigger = MakeErrorRateTrigger(**{"threshold": 5, "poke_interval": 0.05, "api_retry_limit": 1, **arguments})
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
    assert [later - one > 0.35 for one, later in zip(times, times[1:], strict=False)] == [True] * 3


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
    assert (event["status"], len(connected.requests)) == ("timeout", 2)
    assert "error_rate >= 5" in event["message"]


def test_trigger_polls_once_even_after_the_deadline(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert wait_for_event(deadline=datetime(2020, 1, 1, tzinfo=UTC))["status"] == "success"


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


def watch(sandbox: Sandbox, requests: int, store: Any = None, **arguments: Any) -> list[dict[str, Any]]:
    """Return the payloads that a watcher emits until shortly after this many requests."""

    async def run() -> list[Any]:
        trigger = MakeErrorRateEventTrigger(**{"threshold": 5, "poke_interval": 0.05, **arguments})
        trigger.asset_state_store = store
        payloads: list[Any] = []

        async def collect() -> None:
            async for event in trigger.run():
                payloads.append(event.payload)

        watcher = asyncio.create_task(collect())
        while len(sandbox.requests) < requests:
            await asyncio.sleep(0.01)
            if watcher.done():
                watcher.result()
        await asyncio.sleep(0.02)
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
    assert [payload["value"] for payload in payloads] == [6.0, 5.0]
    assert {payload["status"] for payload in payloads} == {"success"}
    assert json.loads(json.dumps(payloads)) == payloads


@watchers_only
def test_a_watcher_never_polls_faster_than_its_interval(connected: Sandbox) -> None:
    set_outcomes(connected, 1.0, "503", "reset", "empty", 9.0, 9.0, "401", 1.0)
    watch(connected, 8, poke_interval=0.3)
    times = [request.arrived_at for request in connected.requests][:8]
    assert [later - one > 0.27 for one, later in zip(times, times[1:], strict=False)] == [True] * 7


@watchers_only
def test_a_watcher_of_scenarios_emits_no_further_event_until_all_are_back(connected: Sandbox) -> None:
    ids = [scenario.id for scenario in connected.organization().scenarios]
    connected.organization().set_counts(1000, 0)
    connected.at_request(2, lambda organization: organization.set_counts(1000, 100, ids[:1]))
    connected.at_request(4, lambda organization: organization.set_counts(1000, 200, ids[1:2]))
    connected.at_request(6, lambda organization: organization.set_counts(1000, 10, ids[:2]))
    connected.at_request(8, lambda organization: organization.set_counts(1000, 60, ids[2:3]))
    payloads = watch(connected, 10, scope="scenario", hysteresis=1.0)
    ids_by_event = [[row["scenario_id"] for row in payload["scenarios"]] for payload in payloads]
    assert ids_by_event == [ids[:1], ids[2:3]]


@watchers_only
def test_state_survives_a_restart(connected: Sandbox) -> None:
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
def test_a_watcher_raises_after_too_many_failures_in_a_row(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_make.thresholds.poll_loop.MAX_FAILURES", 3)
    connected.fail(*["503"] * 10)

    async def run() -> None:
        async for _ in MakeErrorRateEventTrigger(threshold=5, poke_interval=0.05).run():
            raise AssertionError("an event was emitted")

    with pytest.raises(MakeServerError):
        asyncio.run(asyncio.wait_for(run(), 30))
    assert len(connected.requests) == 3


@watchers_only
def test_watchers_that_need_the_same_figures_share_a_poll() -> None:
    def key(**arguments: Any) -> Any:
        return MakeErrorRateEventTrigger(**{"threshold": 5, **arguments}).shared_stream_key()

    assert key() == key(threshold=9, metric="errors", comparison="<", min_executions=7, hysteresis=1.0)
    for name in ("organization_id", "team_id", "lookback", "make_conn_id", "poke_interval", "scope"):
        assert key() != key(**{name: VALUES[name]})
    assert key(scope="scenario") != key(scope="scenario", threshold=6)
    assert hash(key(team_id=[1, 2])) == hash(key(team_id=[1, 2]))


@watchers_only
def test_watchers_that_share_a_poll_detect_their_own_crossings(connected: Sandbox) -> None:
    set_outcomes(connected, 1.0, 6.0, 12.0, 12.0)
    watchers = [MakeErrorRateEventTrigger(threshold=threshold, poke_interval=0.05) for threshold in (5, 10, 20)]

    async def run() -> list[list[Any]]:
        arguments = watchers[0].serialize()[1]
        snapshots = []
        async for snapshot in MakeErrorRateEventTrigger.open_shared_stream(arguments):
            snapshots.append(snapshot)
            if len(snapshots) == 4:
                break

        async def stream() -> AsyncIterator[Any]:
            for snapshot in snapshots:
                yield snapshot

        return [[event.payload["value"] async for event in one.filter_shared_stream(stream())] for one in watchers]

    assert asyncio.run(run()) == [[6.0], [12.0], []]


@watchers_only
@pytest.mark.parametrize(
    ("name", "value"), [("threshold", "x"), ("hysteresis", -1), ("poke_interval", 0), ("lookback", "x")]
)
def test_invalid_watcher_raises_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=name):
        MakeErrorRateEventTrigger(**{"threshold": 5, name: value})


def test_error_before_airflow_3_names_the_required_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_rate, "BaseEventTrigger", BaseTrigger)
    with pytest.raises(MakeInputError, match=r"Airflow 3\.0"):
        MakeErrorRateEventTrigger(threshold=5)


@watchers_only
def test_poke_interval_may_be_text(connected: Sandbox) -> None:
    set_outcomes(connected, 9.0)
    assert len(watch(connected, 1, poke_interval="0.05")) == 1


@watchers_only
def test_subclass_may_have_another_signature(connected: Sandbox) -> None:
    class FivePercent(MakeErrorRateEventTrigger):
        def __init__(self) -> None:
            super().__init__(threshold=5, poke_interval=0.05)

    connected.organization().set_counts(100, 50)

    async def first() -> Any:
        events = FivePercent().run()
        try:
            return await asyncio.wait_for(anext(events), 30)
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    assert asyncio.run(first()).payload["value"] == 50.0

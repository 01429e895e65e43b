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
from tests.support.asset_state_store import Store, of_assets

watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
TRIGGERS = pytest.mark.parametrize(
    "kind", [MakeErrorRateTrigger, pytest.param(MakeErrorRateEventTrigger, marks=watchers_only)]
)
# One value of its own for each argument, none of them the default.
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


def parameters(kind: type) -> list[str]:
    return [name for name in inspect.signature(kind.__init__).parameters if name != "self"]  # type: ignore[misc]


@TRIGGERS
def test_every_argument_survives_the_database(kind: type[Any]) -> None:
    given = {name: VALUES[name] for name in parameters(kind)}
    path, arguments = kind(**given).serialize()
    assert path == f"{kind.__module__}.{kind.__qualname__}"
    assert arguments == given
    stored = json.dumps(BaseSerialization.serialize(arguments))
    read = BaseSerialization.deserialize(json.loads(stored))
    assert kind(**read).serialize()[1] == given


@TRIGGERS
def test_defaults_survive_too(kind: type[Any]) -> None:
    arguments = kind(threshold=5).serialize()[1]
    assert set(arguments) == set(parameters(kind))
    assert kind(**arguments).serialize() == kind(threshold=5).serialize()


def test_the_sensors_arguments_are_the_triggers() -> None:
    from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor

    of_sensor = set(parameters(MakeErrorRateSensor)) - {"kwargs", "deferrable"}
    assert set(parameters(MakeErrorRateTrigger)) == of_sensor | {"poke_interval", "deadline"}
    assert set(parameters(MakeErrorRateEventTrigger)) == of_sensor | {"poke_interval", "hysteresis"}


def waited(**arguments: Any) -> dict[str, Any]:
    async def run() -> Any:
        trigger = MakeErrorRateTrigger(**{"threshold": 5, "poke_interval": 0.05, "api_retry_limit": 1, **arguments})
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    payload: dict[str, Any] = json.loads(json.dumps(asyncio.run(asyncio.wait_for(run(), 30))))
    return payload


def test_one_client_for_the_whole_wait(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    connected.at_request(6, lambda organization: organization.set_counts(100, 9))
    assert waited()["value"] == 9.0
    assert (len(connected.requests), connected.connections) == (6, 1)


def test_the_interval_is_between_the_begins_of_pokes(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    connected.at_request(4, lambda organization: organization.set_counts(100, 9))
    waited(poke_interval=0.4)
    times = [request.arrived_at for request in connected.requests]
    assert [later - one > 0.35 for one, later in zip(times, times[1:], strict=False)] == [True] * 3


def test_a_missing_connection_is_told(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    event = waited(make_conn_id="nowhere")
    assert event["status"] == "error"
    assert "nowhere" in event["message"]


def test_a_wrong_connection_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", "make://:secret-token@/")
    event = waited()
    assert (event["status"], event["error"]) == ("error", "MakeInputError")
    assert "zone" in event["message"]
    assert "secret-token" not in json.dumps(event)


def test_the_deadline_ends_it_after_a_last_look(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 1)
    began = datetime.now(UTC)
    event = waited(poke_interval=3600.0, deadline=began + timedelta(seconds=1))
    assert (event["status"], len(connected.requests)) == ("timeout", 2)
    assert "error_rate >= 5" in event["message"]


def test_a_deadline_long_past_still_has_one_look(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert waited(deadline=datetime(2020, 1, 1, tzinfo=UTC))["status"] == "success"


class Script:
    """Error rates by request; faults where there is text."""

    def __init__(self, sandbox: Sandbox, *steps: float | str | None) -> None:
        self.length = len(steps)
        first = len(sandbox.requests) + 1
        sandbox.fail(*(step if isinstance(step, str) else None for step in steps))
        for number, step in enumerate(steps):
            if not isinstance(step, str):
                sandbox.at_request(first + number, self.setting(step))

    def setting(self, rate: float | None) -> Any:
        def set_rate(organization: Organization) -> None:
            organization.set_counts(0 if rate is None else 1000, round((rate or 0) * 10))

        return set_rate


def watched(sandbox: Sandbox, requests: int, store: Any = None, **arguments: Any) -> list[dict[str, Any]]:
    """The payloads of a watcher up to so many requests, and a little longer."""

    async def run() -> list[Any]:
        trigger = MakeErrorRateEventTrigger(**{"threshold": 5, "poke_interval": 0.05, **arguments})
        trigger.asset_state_store = store
        payloads: list[Any] = []

        async def collect() -> None:
            async for event in trigger.run():
                payloads.append(event.payload)

        watching = asyncio.create_task(collect())
        while len(sandbox.requests) < requests:
            await asyncio.sleep(0.01)
            if watching.done():
                watching.result()
        await asyncio.sleep(0.02)
        assert not watching.done()
        watching.cancel()
        return payloads

    return asyncio.run(asyncio.wait_for(run(), 60))


@watchers_only
def test_a_watcher_tells_each_crossing_once_over_dips_and_faults(connected: Sandbox) -> None:
    Script(
        connected, 1.0, 6.0, "503", 7.0, 4.0, 6.0, "reset", 2.9, "429", "html", 5.0, None, 8.0, "500", "401", 1.0, 1.0
    )
    payloads = watched(connected, 17, hysteresis=2.0)
    assert [payload["value"] for payload in payloads] == [6.0, 5.0]
    assert {payload["status"] for payload in payloads} == {"success"}
    assert json.loads(json.dumps(payloads)) == payloads


@watchers_only
def test_a_watcher_never_polls_faster_than_its_interval(connected: Sandbox) -> None:
    Script(connected, 1.0, "503", "reset", "empty", 9.0, 9.0, "401", 1.0)
    watched(connected, 8, poke_interval=0.3)
    times = [request.arrived_at for request in connected.requests][:8]
    assert [later - one > 0.27 for one, later in zip(times, times[1:], strict=False)] == [True] * 7


@watchers_only
def test_a_watcher_of_scenarios_fires_for_any(connected: Sandbox) -> None:
    ids = [scenario.id for scenario in connected.organization().scenarios]
    connected.organization().set_counts(1000, 0)
    connected.at_request(2, lambda organization: organization.set_counts(1000, 100, ids[:1]))
    connected.at_request(4, lambda organization: organization.set_counts(1000, 200, ids[1:2]))
    connected.at_request(6, lambda organization: organization.set_counts(1000, 10, ids[:2]))
    connected.at_request(8, lambda organization: organization.set_counts(1000, 60, ids[2:3]))
    payloads = watched(connected, 10, scope="scenario", hysteresis=1.0)
    found = [[row["scenario_id"] for row in payload["scenarios"]] for payload in payloads]
    assert found == [ids[:1], ids[2:3]]


@watchers_only
def test_what_was_told_is_remembered_over_a_restart(connected: Sandbox) -> None:
    store = Store()
    Script(connected, 1.0, 6.0, 6.0)
    assert len(watched(connected, 3, of_assets(store))) == 1
    Script(connected, 6.0, 7.0, 1.0, 8.0)
    before = len(connected.requests)
    payloads = watched(connected, before + 4, of_assets(store))
    assert [payload["value"] for payload in payloads] == [8.0]


@watchers_only
def test_without_a_store_a_restart_tells_again(connected: Sandbox) -> None:
    connected.organization().set_counts(100, 50)
    assert len(watched(connected, 2)) == 1
    assert len(watched(connected, len(connected.requests) + 2)) == 1


@watchers_only
def test_a_hopeless_watcher_raises_after_its_interval(connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_make.thresholds.poll_loop.MAX_FAILURES", 3)
    connected.fail(*["503"] * 10)

    async def run() -> None:
        async for _ in MakeErrorRateEventTrigger(threshold=5, poke_interval=0.05).run():
            raise AssertionError("nothing to tell")

    with pytest.raises(MakeServerError):
        asyncio.run(asyncio.wait_for(run(), 30))
    assert len(connected.requests) == 3


@watchers_only
def test_who_shares_a_poll() -> None:
    def key(**arguments: Any) -> Any:
        return MakeErrorRateEventTrigger(**{"threshold": 5, **arguments}).shared_stream_key()

    assert key() == key(threshold=9, metric="errors", comparison="<", min_executions=7, hysteresis=1.0)
    for name in ("organization_id", "team_id", "lookback", "make_conn_id", "poke_interval", "scope"):
        assert key() != key(**{name: VALUES[name]})
    assert key(scope="scenario") != key(scope="scenario", threshold=6)
    assert hash(key(team_id=[1, 2])) == hash(key(team_id=[1, 2]))


@watchers_only
def test_sharing_watchers_each_find_their_own(connected: Sandbox) -> None:
    Script(connected, 1.0, 6.0, 12.0, 12.0)
    watchers = [MakeErrorRateEventTrigger(threshold=threshold, poke_interval=0.05) for threshold in (5, 10, 20)]

    async def run() -> list[list[Any]]:
        arguments = watchers[0].serialize()[1]
        readings = []
        async for reading in MakeErrorRateEventTrigger.open_shared_stream(arguments):
            readings.append(reading)
            if len(readings) == 4:
                break

        async def stream() -> AsyncIterator[Any]:
            for reading in readings:
                yield reading

        return [[event.payload["value"] async for event in one.filter_shared_stream(stream())] for one in watchers]

    assert asyncio.run(run()) == [[6.0], [12.0], []]


@watchers_only
@pytest.mark.parametrize(
    ("name", "value"), [("threshold", "x"), ("hysteresis", -1), ("poke_interval", 0), ("lookback", "x")]
)
def test_a_wrong_watcher_is_refused_where_it_is_written(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=name):
        MakeErrorRateEventTrigger(**{"threshold": 5, name: value})


def test_before_airflow_3_a_watcher_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_rate, "BaseEventTrigger", BaseTrigger)
    with pytest.raises(MakeInputError, match=r"Airflow 3\.0"):
        MakeErrorRateEventTrigger(threshold=5)

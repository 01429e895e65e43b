"""Sensors and watchers on a real Airflow: scheduler, triggerer and API server as separate processes."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rates import Rates
from tests.e2e.rest import Rest
from tests.e2e.stack import AirflowStack, blocked_seconds, wait_for

TOKEN = "a-very-secret-token-of-the-e2e-tests"
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(organizations=dict.fromkeys(range(2, 8), 20), scenarios=20, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox) -> Iterator[AirflowStack]:
    environment = {"AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json}
    with AirflowStack(Path(__file__).parent / "dags", environment) as running:
        yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    client.wait_for_dag("watched_badly")
    return client


def test_all_three_modes_return_the_same_result(sandbox: Sandbox, rest: Rest) -> None:
    script = [1.0, 4.9, 0.0, 5.0, 1.0]
    with Rates(sandbox, {1: script, 2: script, 3: script}) as rates:
        rest.pause("modes", False)
        run = rest.trigger("modes")
        rest.wait_for_run("modes", run, seconds=600)
        requests = [len(rates.arrivals(number)) for number in (1, 2, 3)]
    assert requests == [4, 4, 4]
    results = [rest.xcom("modes", run, task) for task in ("poke", "reschedule", "deferrable")]
    different = ("organization_id", "date_from", "date_to", "checked_at", "message")
    assert [result["organization_id"] for result in results] == [1, 2, 3]
    first, second, third = ({name: result[name] for name in result if name not in different} for result in results)
    # Operations and credits differ between organizations.
    for result in (first, second, third):
        assert result.pop("total")["error_rate"] == 5.0
    assert first == second == third
    assert first["value"] == 5.0
    assert all("error rate 5 % (>= 5 %), 1,000 errors in 20,000 executions" in each["message"] for each in results)
    log = rest.log("modes", run, "deferrable")
    assert re.search("Waiting in the triggerer until error_rate >= 5, for at most [0-9]+ s; next poke in 5 s", log)
    assert "error_rate is 4.9; >= 5 is not crossed; next poke in 5 s" in log


def test_deferred_sensor_survives_a_killed_triggerer(sandbox: Sandbox, stack: AirflowStack, rest: Rest) -> None:
    with Rates(sandbox, {4: [1.0]}) as rates:
        rest.pause("killed", False)
        run = rest.trigger("killed")
        wait_for("The trigger polls", lambda: len(rates.arrivals(4)) >= 3, 180)
        rest.wait_for_task("killed", run, "wait", "deferred")
        stack.kill("triggerer")
        before = len(rates.arrivals(4))
        rates.set(4, 50.0)
        time.sleep(5)
        assert len(rates.arrivals(4)) == before
        stack.start("triggerer")
        rest.wait_for_run("killed", run, seconds=240)
    assert rest.xcom("killed", run, "wait")["value"] == 50.0
    assert rest.tasks("killed", run)[0]["try_number"] == 1


def test_deferred_sensor_times_out(sandbox: Sandbox, rest: Rest) -> None:
    with Rates(sandbox, {7: [1.0]}):
        rest.pause("timeouts", False)
        run = rest.trigger("timeouts")
        rest.wait_for_run("timeouts", run, "failed")
    assert rest.states("timeouts", run) == {"fails": "failed", "skips": "skipped"}
    for task in ("fails", "skips"):
        assert "Waiting in the triggerer" in rest.log("timeouts", run, task)
    assert "AirflowSensorTimeout" in rest.log("timeouts", run, "fails")


def test_a_watcher_emits_one_event_per_crossing(sandbox: Sandbox, stack: AirflowStack, rest: Rest) -> None:
    def event_values(asset: str = "failing") -> list[float]:
        events = [event for event in rest.asset_events() if event["name"] == asset]
        return [round(event["extra"]["payload"]["value"], 6) for event in events]

    with Rates(sandbox, {5: [1.0]}) as rates:

        def rate(value: float, *faults: str) -> None:
            sandbox.fail(*faults)
            rates.set(5, value)
            # The second request from now on is sent after the change, the third after that response was evaluated.
            seen = len(rates.arrivals(5))
            wait_for("The watcher polls", lambda: len(rates.arrivals(5)) >= seen + 3 + len(faults), 120, 0.1)

        for dag in ("watched", "watched_too", "watched_badly"):
            rest.pause(dag, False)
        wait_for("The watcher polls", lambda: len(rates.arrivals(5)) >= 2, 180)
        for value in (6.0, 4.0, 6.0, 3.5):  # dips within the hysteresis
            rate(value)
        rate(2.0)
        rate(9.0, "503", "reset", "html", "429:1")
        wait_for("Two events", lambda: event_values() == [6.0, 9.0], 60)
        stack.kill("triggerer")
        before_restart = len(rates.arrivals(5))
        stack.start("triggerer")
        wait_for("The watcher polls again", lambda: len(rates.arrivals(5)) >= before_restart + 3, 240)
        rate(9.5)
        assert event_values() == [6.0, 9.0]
        rate(1.0, "500")
        rate(7.0)
        wait_for("The third event", lambda: event_values() == [6.0, 9.0, 7.0], 60)
        # While the Dag is paused, no run is created.
        states = ["success"] * 3
        wait_for("A run for each crossing", lambda: [run["state"] for run in rest.runs("watched")] == states, 120)
        for dag in ("watched", "watched_too", "watched_badly"):
            rest.pause(dag, True)
        arrivals = rates.arrivals(5)
    # One poll for three watchers, and not faster than their interval of a second. The first request after a start is
    # late, so that the next one follows sooner.
    assert statistics.median(later - earlier for earlier, later in itertools.pairwise(arrivals)) > 0.9
    assert event_values("failing-too") == [6.0, 9.0, 7.0]
    assert event_values("failing-badly") == [9.0]
    payloads = [rest.xcom("watched", run["dag_run_id"], "receive") for run in rest.runs("watched")]
    values = [round(extra["payload"]["value"], 6) for extras in payloads for extra in extras]
    assert values == [6.0, 9.0, 7.0]
    assert payloads[0][0]["from_trigger"]
    assert payloads[0][0]["payload"]["status"] == "success"


def test_sixty_four_deferred_sensors_in_one_triggerer(sandbox: Sandbox, stack: AirflowStack, rest: Rest) -> None:
    with Rates(sandbox, {6: [1.0]}) as rates:
        log_before = len(stack.log("triggerer"))
        rest.pause("many", False)
        run = rest.trigger("many")
        wait_for(
            "All are deferred",
            lambda: list(rest.states("many", run).values()) == ["deferred"] * 64,
            600,
            2,
        )
        since = time.monotonic()
        time.sleep(60)
        until = time.monotonic()
        by_client = defaultdict(list)
        for request in sandbox.requests:
            if request.path.endswith("/6") and since < request.arrived_at < until:
                by_client[request.peer_port].append(request.arrived_at)
        log = stack.log("triggerer")[log_before:]
        rates.set(6, 60.0)
        rest.wait_for_run("many", run, seconds=600)
    gaps = [later - earlier for times in by_client.values() for earlier, later in itertools.pairwise(times)]
    jitter = [abs(gap - 5.0) for gap in gaps]
    print(
        f"\n64 deferred sensors, {len(gaps)} pauses of 5 s: jitter {statistics.median(jitter) * 1000:.0f} ms at the "
        f"median, {max(jitter) * 1000:.0f} ms at most"
    )
    assert len(by_client) == 64
    assert len(gaps) >= 64 * 9
    assert max(blocked_seconds(log), default=0.0) < 2.0


def test_the_token_is_in_no_log_and_not_in_the_database(stack: AirflowStack, rest: Rest) -> None:
    logs = "".join(stack.log(name) for name in stack.commands) + stack.task_logs()
    assert "Organization 4 at" in logs
    assert TOKEN not in logs
    with sqlite3.connect(stack.home / "airflow.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        everything = {table: database.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}
    assert everything["trigger"] or everything["asset_event"]
    assert TOKEN not in json.dumps(everything, default=repr)

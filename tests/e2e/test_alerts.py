"""Alerts on a real Airflow with PostgreSQL: no race, the same end in all modes, exact events, and 400 triggers."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger
from tests.e2e.dags.alerts import CASES, MODES
from tests.e2e.metadata_database import defer_all, running_triggerers, states
from tests.e2e.rates import Rates
from tests.e2e.rest import FINAL, Rest
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import AirflowStack, blocked_seconds, free_port, wait_for

TOKEN = "a-very-secret-token-of-the-e2e-tests"
WRONG_TOKEN = "a-token-that-was-replaced-long-ago"
RUNS, SENSORS = 10, 30
TRIGGERS, INTERVAL = 400, 15.0
SCENARIOS = "ABC"
EXECUTIONS = 1000
pytestmark = pytest.mark.timeout(1200)


def connection(sandbox: Sandbox, **fields: object) -> dict[str, object]:
    return {**json.loads(sandbox.connection_json), **fields}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    organizations = {2: len(SCENARIOS), **dict.fromkeys([3, *range(10, 14)], 20)}
    with Sandbox(scenarios=20, organizations=organizations, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).parent / "dags" / "alerts.py", dags)
    with PostgreSQL() as database:
        environment = {
            **database.environment,
            "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
            "AIRFLOW_CONN_MAKE_REFUSED": json.dumps(connection(sandbox, password=WRONG_TOKEN)),
            "AIRFLOW_CONN_MAKE_DOWN": json.dumps(connection(sandbox, host=f"http://127.0.0.1:{free_port()}")),
            # Sensors in poke mode occupy a slot while they wait.
            "AIRFLOW__CORE__PARALLELISM": "8",
        }
        preloaded = ["airflow_provider_make.hooks.make", "airflow_provider_make.sensors.error_rate"]
        with AirflowStack(dags, environment, preloaded=preloaded) as running:
            yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    client.wait_for_dag("alerts_many")
    return client


@pytest.fixture(scope="module")
def database(stack: AirflowStack) -> Iterator[Engine]:
    engine = create_engine(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    yield engine
    engine.dispose()


def test_sensors_whose_condition_holds_succeed_without_a_deferral(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    with Rates(sandbox, {1: [50.0]}) as rates:
        rest.pause("alerts_hold", False)
        began = time.monotonic()
        runs = [rest.trigger("alerts_hold") for _ in range(RUNS)]
        wait_for(
            "All have ended",
            lambda: sum(states(database, "alerts_hold").get(state, 0) for state in FINAL) == RUNS * SENSORS,
            600,
            2,
        )
        requests = len(rates.arrivals(1))
    tasks = [task for run in runs for task in rest.tasks("alerts_hold", run)]
    print(
        f"\n{len(tasks)} mapped deferrable sensors whose condition holds, in {len(runs)} runs: "
        f"{dict(Counter(task['state'] for task in tasks))}, {time.monotonic() - began:.0f} s in all, "
        f"{statistics.median(task['duration'] for task in tasks):.1f} s each at the median"
    )
    assert Counter((task["state"], task["try_number"]) for task in tasks) == {("success", 1): RUNS * SENSORS}
    # One look of each sensor, on the worker.
    assert requests == RUNS * SENSORS
    logs = list((stack.home / "logs" / "dag_id=alerts_hold").rglob("*.log*"))
    assert len(logs) == RUNS * SENSORS
    assert not [path for path in logs if ".trigger." in path.name or "Waiting in the triggerer" in path.read_text()]


def test_all_three_modes_end_in_the_same_state(sandbox: Sandbox, rest: Rest) -> None:
    # The success is one of the second poke.
    scripts = {10: [1.0], **{number: [1.0, 5.0] for number in (11, 12, 13)}}
    with Rates(sandbox, scripts):
        rest.pause("alerts_modes", False)
        run = rest.trigger("alerts_modes")
        rest.wait_for_run("alerts_modes", run, "failed", seconds=400)
    tasks = {task["task_id"]: task for task in rest.tasks("alerts_modes", run)}
    table = {case: [tasks[f"{case}-{mode}"]["state"] for mode in MODES] for case in CASES}
    print("\n" + "".join(f"{name:20}" for name in ("case", *MODES)))
    for case, row in table.items():
        print("".join(f"{name:20}" for name in (case, *row)))
    assert table == {
        "success": ["success"] * 3,
        "timeout": ["failed"] * 3,
        "timeout_soft_fail": ["skipped"] * 3,
        "refused": ["failed"] * 3,
        "refused_soft_fail": ["skipped"] * 3,
        "down": ["failed"] * 3,
        "down_soft_fail": ["skipped"] * 3,
    }
    # A retry can mend none of them.
    assert {task_id: task["try_number"] for task_id, task in tasks.items() if task["try_number"] != 1} == {}
    for task_id in tasks:
        case, _, mode = task_id.partition("-")
        log = rest.log("alerts_modes", run, task_id)
        assert ("Skipped because of soft_fail" in log) == case.endswith("soft_fail"), task_id
        assert ("HTTP 401" in log) == case.startswith("refused"), task_id
        assert ("The figures could not be fetched" in log) == case.startswith("down"), task_id
        waits = not case.startswith("refused") and mode == "deferrable"
        assert ("Waiting in the triggerer" in log) == waits, task_id


def test_a_watcher_emits_one_event_per_crossing_despite_dips_kills_and_a_broken_connection(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    organization = sandbox.organization(2)
    names = {scenario.id: name for name, scenario in zip(SCENARIOS, organization.scenarios, strict=True)}
    expected: list[tuple[str, int]] = []

    def events() -> list[tuple[str, int]]:
        payloads = [event["extra"]["payload"] for event in rest.asset_events()]
        return [
            ("".join(names[row["scenario_id"]] for row in payload["scenarios"]), payload["beyond_count"])
            for payload in payloads
        ]

    def arrivals(token: str = TOKEN) -> list[float]:
        return [
            request.arrived_at
            for request in sandbox.requests
            if request.path.endswith("/2") and request.headers["Authorization"] == f"Token {token}"
        ]

    def wait_for_polls(token: str = TOKEN) -> None:
        # The second request from now on is sent after a change, the third after that response was evaluated.
        seen = len(arrivals(token))
        wait_for("The watcher polls", lambda: len(arrivals(token)) >= seen + 3, 120, 0.1)

    def set_rates(scenarios: str, percent: float, executions: int = EXECUTIONS) -> None:
        ids = [id_ for id_, name in names.items() if name in scenarios]
        organization.set_counts(executions, round(percent * executions / 100), ids)

    def expect(*further: tuple[str, int]) -> None:
        wait_for_polls()
        expected.extend(further)
        try:
            wait_for("The events", lambda: events() == expected, 30)
        except TimeoutError:
            assert events() == expected

    def set_token(token: str) -> None:
        body = connection(sandbox, connection_id="make_watched", password=token)
        mask = {"update_mask": ["password"]}
        rest.call("PATCH", "connections/make_watched", params=mask, json={**body, "extra": json.dumps(body["extra"])})

    body = connection(sandbox, connection_id="make_watched")
    rest.call("POST", "connections", json={**body, "extra": json.dumps(body["extra"])})
    set_rates("ABC", 1.0)
    rest.pause("alerts_watched", False)
    wait_for("The watcher polls", arrivals, 180)
    expect()
    set_rates("A", 25.0)
    expect(("A", 1))
    set_rates("A", 17.0)  # within the hysteresis
    expect()
    set_rates("A", 25.0)
    expect()
    set_rates("B", 30.0)  # while A is beyond
    expect(("B", 2))
    stack.commands["standby"] = stack.commands["triggerer"]
    stack.start("standby")
    wait_for("The standby runs", lambda: running_triggerers(database) == 2, 120)
    stack.kill("triggerer")
    set_rates("C", 50.0)  # while no triggerer polls
    expect(("C", 3))
    set_rates("A", 10.0)  # beyond the hysteresis
    expect()
    set_rates("A", 22.0)
    expect(("A", 3))
    set_rates("B", 0.0, executions=0)  # no error rate
    expect()
    set_rates("B", 30.0)
    expect(("B", 3))
    set_rates("C", 100.0, executions=5)  # too few
    expect()
    set_rates("C", 50.0)
    expect()
    set_rates("A", 1.0)
    expect()
    set_token(WRONG_TOKEN)
    sandbox.fail("401")  # the token of the open client is no longer accepted, and the connection is read again
    broken_log = len(stack.log("standby"))
    wait_for_polls(WRONG_TOKEN)
    set_rates("A", 60.0)
    stack.kill("standby")
    stack.start("triggerer")
    wait_for_polls(WRONG_TOKEN)
    refused = arrivals(WRONG_TOKEN)
    set_token(TOKEN)
    expect(("A", 3))
    set_rates("ABC", 1.0)
    expect()
    set_rates("AB", 40.0)
    expect(("AB", 2))
    # While the Dag is paused, no run is created.
    states_of_runs = ["success"] * len(expected)
    wait_for(
        "A run for each event", lambda: [run["state"] for run in rest.runs("alerts_watched")] == states_of_runs, 60
    )
    rest.pause("alerts_watched", True)
    print(f"\nThe watcher's events (scenarios, beyond_count): {expected}")
    # The first request after a start or with a new connection is late, so that the next one follows sooner.
    for polls in (arrivals(), refused):
        assert statistics.median(later - earlier for earlier, later in itertools.pairwise(polls)) > 0.9
    log = stack.log("standby")[broken_log:]
    assert re.search("could not be fetched; next poll in 1 s: .*401", log)
    # Not restarted: a line for each poll.
    assert log.count("could not be fetched") <= len(refused)
    assert "Traceback" not in log


def test_four_hundred_triggers_do_not_block_one_triggerer(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    def trigger(index: int) -> MakeErrorRateTrigger:
        # As sensors that deferred one after the other within an interval.
        return MakeErrorRateTrigger(
            threshold=5.0,
            organization_id=3,
            api_retry_limit=1,
            poke_interval=INTERVAL,
            first_poke=datetime.now(UTC) + timedelta(seconds=INTERVAL * (1 + index / TRIGGERS)),
            deadline=datetime.now(UTC) + timedelta(hours=1),
        )

    rest.call("POST", "pools", json={"name": "closed", "slots": 0})
    with Rates(sandbox, {3: [1.0]}) as rates:
        rest.pause("alerts_many", False)
        rest.trigger("alerts_many")
        wait_for("All are scheduled", lambda: states(database, "alerts_many") == {"scheduled": TRIGGERS}, 120)
        defer_all(database, "alerts_many", TRIGGERS, trigger)
        wait_for("Each trigger polls", lambda: len(rates.arrivals(3)) >= TRIGGERS, 180)
        log_before, since, seen = len(stack.log("triggerer")), time.monotonic(), len(rates.arrivals(3))
        time.sleep(2 * INTERVAL)
        polls, seconds = len(rates.arrivals(3)) - seen, time.monotonic() - since
        log = stack.log("triggerer")[log_before:]
        assert states(database, "alerts_many") == {"deferred": TRIGGERS}
        rates.set(3, 50.0)
        # The pool is closed: what has resumed stays scheduled.
        wait_for("All have resumed", lambda: states(database, "alerts_many") == {"scheduled": TRIGGERS}, 120)
    blocked = blocked_seconds(log)
    print(f"\n{TRIGGERS} triggers in one triggerer: {polls} polls in {seconds:.0f} s; blocked for {blocked} s")
    # Not at the start and the end: 400 at once keep Airflow's own part of the loop busy.
    assert max(blocked, default=0.0) < 2.0
    assert polls > 0.8 * TRIGGERS * seconds / INTERVAL


def test_no_token_is_in_a_log_or_an_event(stack: AirflowStack, rest: Rest) -> None:
    everything = "".join(stack.log(name) for name in stack.commands) + stack.task_logs() + str(rest.asset_events())
    assert "Organization 2 at" in everything
    assert TOKEN not in everything
    assert WRONG_TOKEN not in everything

"""Watchers and a deferred sensor on a real Airflow: exact events, whatever fails and whoever is killed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.metadata_database import running_triggerers
from tests.e2e.rates import EXECUTIONS, Rates
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, WRONG_TOKEN, AirflowStack, wait_for

SCENARIOS = "ABC"
DAGS = ("alerts_watched", "alerts_watched_too")
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(organization_id=2, scenarios=len(SCENARIOS), token=TOKEN) as running:
        rest.add_connection("make_watched", running)
        yield running


@pytest.fixture(scope="module")
def sandbox_of_sensor(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(organization_id=4, scenarios=20, token=TOKEN) as running:
        rest.add_connection("make_killed", running)
        yield running


def test_a_watcher_emits_one_event_per_crossing_despite_dips_faults_kills_and_a_broken_connection(
    sandbox: Sandbox, sandbox_of_sensor: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    organization = sandbox.organization(2)
    names = {scenario.id: name for name, scenario in zip(SCENARIOS, organization.scenarios, strict=True)}
    expected: list[tuple[str, int]] = []

    def events(asset: str = "failing-scenarios") -> list[tuple[str, int]]:
        payloads = [event["extra"]["payload"] for event in rest.asset_events(asset)]
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

    def wait_for_polls(token: str = TOKEN, faults: int = 0) -> None:
        # The second request from now on is sent after a change, the third after that response was evaluated.
        seen = len(arrivals(token))
        wait_for("The watcher polls", lambda: len(arrivals(token)) >= seen + 3 + faults, 120, 0.1)

    def set_rates(scenarios: str, percent: float, executions: int = EXECUTIONS) -> None:
        ids = [id_ for id_, name in names.items() if name in scenarios]
        organization.set_counts(executions, round(percent * executions / 100), ids)

    def expect(*further: tuple[str, int], faults: int = 0) -> None:
        wait_for_polls(faults=faults)
        expected.extend(further)
        try:
            wait_for("The events", lambda: events() == expected, 30, 0.2)
        except TimeoutError:
            assert events() == expected

    def wait_for_another_triggerer() -> None:
        wait_for("The other triggerer runs", lambda: running_triggerers(database) == 2, 120)

    stack.commands["standby"] = stack.commands["triggerer"]
    set_rates("ABC", 1.0)
    rest.start_watchers(*DAGS)
    with Rates(sandbox_of_sensor, {4: [1.0]}) as rates:
        rest.pause("alerts_killed", False)
        run = rest.trigger("alerts_killed")
        wait_for("The watcher polls", arrivals, 180)
        wait_for("The sensor's trigger polls", lambda: len(rates.arrivals(4)) >= 3, 180)
        # The first triggerer has both triggers, and keeps them.
        stack.start("standby")
        expect()
        set_rates("A", 25.0)
        expect(("A", 1))
        set_rates("A", 17.0)  # within the hysteresis
        expect()
        set_rates("A", 25.0)
        expect()
        set_rates("B", 30.0)  # while A is beyond
        expect(("B", 2))
        rest.wait_for_task("alerts_killed", run, "wait", "deferred")
        wait_for_another_triggerer()
        stack.kill("triggerer")
        set_rates("C", 50.0)  # while no triggerer polls
        rates.set(4, 50.0)
        expect(("C", 3))
        rest.wait_for_run("alerts_killed", run)
    assert rest.xcom("alerts_killed", run, "wait")["value"] == 50.0
    assert rest.tasks("alerts_killed", run)[0]["try_number"] == 1
    set_rates("A", 10.0)  # beyond the hysteresis
    expect()
    faults = ("503", "reset", "html", "429:1", "500")
    sandbox.fail(*faults)
    set_rates("A", 22.0)
    expect(("A", 3), faults=len(faults))
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
    rest.change_connection("make_watched", sandbox, password=WRONG_TOKEN)
    sandbox.fail("401")  # the token of the open client is no longer accepted, and the connection is read again
    broken_log = len(stack.log("standby"))
    wait_for_polls(WRONG_TOKEN)
    set_rates("A", 60.0)
    stack.kill("standby")
    stack.start("triggerer")
    wait_for_polls(WRONG_TOKEN)
    refused = arrivals(WRONG_TOKEN)
    rest.change_connection("make_watched", sandbox, password=TOKEN)
    expect(("A", 3))
    set_rates("ABC", 1.0)
    expect()
    set_rates("AB", 40.0)
    expect(("AB", 2))
    # While the Dag is paused, no run is created.
    states_of_runs = ["success"] * len(expected)
    wait_for(
        "A run for each event", lambda: [run["state"] for run in rest.runs("alerts_watched")] == states_of_runs, 120
    )
    wait_for("The same events of an equal trigger", lambda: events("failing-scenarios-too") == expected, 30)
    rest.stop_watchers(*DAGS)
    print(f"\nThe watcher's events (scenarios, beyond_count): {expected}")
    assert events("failing-badly") == [("C", 1), ("A", 2)]
    extras = [
        extra
        for run in rest.runs("alerts_watched")
        for extra in rest.xcom("alerts_watched", run["dag_run_id"], "receive")
    ]
    assert [extra["payload"]["beyond_count"] for extra in extras] == [count for _, count in expected]
    assert {(extra["from_trigger"], extra["payload"]["status"]) for extra in extras} == {(True, "success")}
    # One poll a second for all three watchers; starts, tries again and new connections add a few.
    for polls in (arrivals(), refused):
        assert len(polls) < 1.5 * (polls[-1] - polls[0])
    log = stack.log("standby")[broken_log:]
    assert re.search("could not be fetched; next poll in 1 s: .*401", log)
    # Not restarted: a line for each poll.
    assert log.count("could not be fetched") <= len(refused)
    assert "Traceback" not in log

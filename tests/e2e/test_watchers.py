"""Watchers and a deferred sensor on a real Airflow: exact events, whatever fails and whatever is killed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.metadata_database import running_triggerers, stored_as_firing
from tests.e2e.rates import EXECUTIONS, Rates
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, WRONG_TOKEN, AirflowStack, wait_for

SCENARIOS = "ABC"
DAGS = ("alerts_watched", "alerts_shared")
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(organization_id=2, scenarios=len(SCENARIOS), token=TOKEN) as running:
        rest.add_connection("make_watched", running)
        yield running


@pytest.fixture(scope="module")
def rates(rest: Rest) -> Iterator[Rates]:
    """Set the error rates of an organization for a sensor, and of one for watchers that share a poll."""
    with Sandbox(organization_id=4, scenarios=20, organizations={5: 20}, token=TOKEN) as sandbox:
        rest.add_connection("make_shared", sandbox)
        with Rates(sandbox, {4: [1.0], 5: [1.0]}) as running:
            yield running


def test_watchers_emit_one_event_per_crossing_despite_dips_faults_kills_and_a_broken_connection(
    sandbox: Sandbox, rates: Rates, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    organization = sandbox.organization(2)
    names = {scenario.id: name for name, scenario in zip(SCENARIOS, organization.scenarios, strict=True)}
    expected: list[tuple[str, int]] = []

    def events() -> list[tuple[str, int]]:
        payloads = [event["extra"]["payload"] for event in rest.asset_events("failing-scenarios")]
        return [
            ("".join(names[row["scenario_id"]] for row in payload["scenarios"]), payload["beyond_count"])
            for payload in payloads
        ]

    def values(asset: str) -> list[float]:
        return [round(event["extra"]["payload"]["value"], 6) for event in rest.asset_events(asset)]

    def arrivals(token: str = TOKEN) -> list[float]:
        return [
            request.arrived_at
            for request in sandbox.requests
            if request.path.endswith("/2") and request.headers["Authorization"] == f"Token {token}"
        ]

    def wait_for_polls(token: str = TOKEN, faults: int = 0) -> None:
        # The second request from now on is sent after a change, the third after that response was evaluated.
        seen, of_shared = len(arrivals(token)), len(rates.arrivals(5))
        wait_for("The watcher polls", lambda: len(arrivals(token)) >= seen + 3 + faults, 120, 0.1)
        wait_for("The others poll", lambda: len(rates.arrivals(5)) >= of_shared + 3, 120, 0.1)

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

    def wait_until_stored(scenarios: str, watched_organizations: int) -> None:
        def stored() -> tuple[set[str], int]:
            firing = stored_as_firing(database)
            return {names[id_] for id_ in firing.get("failing-scenarios", [])}, len(firing.get("failing", []))

        wait_for("What fires is stored", lambda: stored() == (set(scenarios), watched_organizations), 120, 0.2)

    stack.commands["standby"] = stack.commands["triggerer"]
    set_rates("ABC", 1.0)
    rest.start_watchers(*DAGS)
    rest.pause("alerts_killed", False)
    run = rest.trigger("alerts_killed")
    wait_for("The watcher polls", arrivals, 180)
    wait_for("The others poll", lambda: rates.arrivals(5), 180)
    wait_for("The sensor's trigger polls", lambda: len(rates.arrivals(4)) >= 3, 180)
    # The first triggerer has all triggers, and keeps them.
    stack.start("standby")
    expect()
    set_rates("A", 25.0)
    rates.set(5, 6.0)
    expect(("A", 1))
    set_rates("A", 17.0)  # within the hysteresis
    rates.set(5, 4.0)
    expect()
    set_rates("A", 25.0)
    rates.set(5, 6.0)
    expect()
    set_rates("B", 30.0)  # while A is beyond
    rates.set(5, 3.5)
    expect(("B", 2))
    rest.wait_for_task("alerts_killed", run, "wait", "deferred")
    wait_for("The standby runs", lambda: running_triggerers(database) == 2, 120)
    wait_until_stored("AB", 1)
    stack.kill("triggerer")
    # While no triggerer polls.
    set_rates("C", 50.0)
    rates.set(5, 9.0)
    rates.set(4, 50.0)
    expect(("C", 3))
    rest.wait_for_run("alerts_killed", run)
    assert rest.xcom("alerts_killed", run, "wait")["value"] == 50.0
    assert rest.tasks("alerts_killed", run)[0]["try_number"] == 1
    set_rates("A", 10.0)  # beyond the hysteresis
    rates.set(5, 1.0)
    expect()
    faults = ("503", "reset", "html", "429:1", "500")
    sandbox.fail(*faults)
    set_rates("A", 22.0)
    rates.set(5, 7.0)
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
    wait_until_stored("BC", 1)
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
    print(f"\nThe watcher's events (scenarios, beyond_count): {expected}")
    assert [values(asset) for asset in ("failing", "failing-too", "failing-badly")] == [[6.0, 7.0], [6.0, 7.0], [9.0]]
    rest.stop_watchers(*DAGS)
    extras = [
        extra
        for run in rest.runs("alerts_watched")
        for extra in rest.xcom("alerts_watched", run["dag_run_id"], "receive")
    ]
    assert [extra["payload"]["beyond_count"] for extra in extras] == [count for _, count in expected]
    assert {(extra["from_trigger"], extra["payload"]["status"]) for extra in extras} == {(True, "success")}
    # One poll a second, also for three watchers together; starts, tries again and new connections add a few.
    for polls in (arrivals(), refused, rates.arrivals(5)):
        assert len(polls) < 1.5 * (polls[-1] - polls[0])
    log = stack.log("standby")[broken_log:]
    assert re.search("could not be fetched; next poll in [0-9.]+ s: .*401", log)
    # Not restarted: a line for each poll.
    assert log.count("could not be fetched") <= len(refused)
    assert "Traceback" not in log

"""Triggerers that are killed at random moments, while figures cross a threshold: no crossing is without an event."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest
from sqlalchemy.engine import Engine

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.conftest import FORK, SECONDS_TO_STORE_AN_EVENT
from tests.e2e.dags.killed import ORGANIZATIONS
from tests.e2e.metadata_database import end_job, event_counts, stored_as_firing, watched_assets
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, AirflowStack, wait_for

KILLS = int(os.environ.get("KILLS", "3"))
# At the same time. None can take over from another one: each can run its share of the watchers, and no more.
TRIGGERERS = 4
SHARE = len(ORGANIZATIONS) // TRIGGERERS
# Of a watcher, on average, after its value has recovered.
SECONDS_BETWEEN_CROSSINGS = 3.0
pytestmark = pytest.mark.timeout(600 + 60 * KILLS)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    first, *others = ORGANIZATIONS.values()
    with Sandbox(organization_id=first, scenarios=1, organizations=dict.fromkeys(others, 1), token=TOKEN) as running:
        rest.add_connection("make_killed", running)
        yield running


class Triggerers:
    """Starts and kills triggerers."""

    def __init__(self, stack: AirflowStack, database: Engine) -> None:
        self._parent = psutil.Process(stack.processes["forks"].pid)
        self._database = database

    def start(self) -> psutil.Process:
        """Start one."""
        others = self._parent.children()
        self._parent.send_signal(signal.SIGUSR1)
        wait_for("A triggerer is forked", lambda: set(self._parent.children()) - {*others}, 60, 0.01)
        (triggerer,) = set(self._parent.children()) - {*others}
        return triggerer

    def kill(self, triggerer: psutil.Process) -> None:
        """Kill one, its processes in a random order."""
        family = [triggerer, *triggerer.children(recursive=True)]
        random.shuffle(family)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
            time.sleep(random.uniform(0.0, 0.1))
        # Airflow would find out when its heartbeat is old.
        end_job(self._database, triggerer.pid)

    def assets(self, triggerer: psutil.Process) -> list[str]:
        """Return those that one watches."""
        return watched_assets(self._database, triggerer.pid)


@pytest.fixture
def triggerers(stack: AirflowStack, database: Engine) -> Iterator[Triggerers]:
    """Replace the triggerer of the shared Airflow."""
    stack.kill("triggerer")
    stack.commands["forks"] = [*stack.commands["triggerer"], "--capacity", str(SHARE)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stack.environment, FORK, "1")
        stack.start("forks")
    wait_for("It can fork triggerers", lambda: "Ready to fork triggerers" in stack.log("forks"), 120, 0.1)
    yield Triggerers(stack, database)
    stack.kill("forks")
    stack.start("triggerer")


@dataclass
class Crossing:
    """A value that is beyond the threshold until its watcher has emitted an event, and stored that it is firing."""

    events_before: int
    kills: int = 0


class Crossings:
    """Lets values cross at random moments, and recover when the event is there and the state of the watcher stored."""

    def __init__(self, sandbox: Sandbox, database: Engine) -> None:
        self._sandbox = sandbox
        self._database = database
        # By asset.
        self.open: dict[str, Crossing] = {}
        # The kills that each met, and its events.
        self.ended: list[tuple[int, int]] = []
        self._now = time.monotonic()
        for asset in ORGANIZATIONS:
            self._set_rate(asset, 1.0)

    def go_on_until(self, what: str, condition: Callable[[], object]) -> None:
        """Let values cross and recover until a condition is true."""

        def is_true() -> object:
            self._go_on()
            return condition()

        try:
            wait_for(what, is_true, 200, 0.1)
        except TimeoutError as error:
            found = f"{self.open}, {stored_as_firing(self._database)}, {event_counts(self._database)}"
            raise AssertionError(found) from error

    def have_met_a_kill(self, assets: list[str]) -> bool:
        """Return whether any crossing of some assets has met a kill, and is not over."""
        return any(self.open[asset].kills for asset in assets if asset in self.open)

    def _go_on(self) -> None:
        # In this order: each event was stored before the state.
        firing, events = stored_as_firing(self._database), event_counts(self._database)
        before, self._now = self._now, time.monotonic()
        for asset in ORGANIZATIONS:
            crossing = self.open.get(asset)
            if crossing is not None:
                if firing.get(asset) and events[asset] > crossing.events_before:
                    self.ended.append((crossing.kills, events[asset] - crossing.events_before))
                    del self.open[asset]
                    self._set_rate(asset, 1.0)
            elif not firing.get(asset) and random.random() < (self._now - before) / SECONDS_BETWEEN_CROSSINGS:
                self.open[asset] = Crossing(events[asset])
                self._set_rate(asset, 50.0)

    def _set_rate(self, asset: str, percent: float) -> None:
        self._sandbox.organization(ORGANIZATIONS[asset]).set_counts(1000, round(percent * 10))


def test_each_crossing_has_one_or_two_events_however_triggerers_are_killed(
    sandbox: Sandbox, triggerers: Triggerers, rest: Rest, database: Engine
) -> None:
    crossings = Crossings(sandbox, database)
    rest.start_watchers("killed")
    began = time.monotonic()
    running = [triggerers.start() for _ in range(TRIGGERERS)]
    crossings.go_on_until("A first crossing is over", lambda: crossings.ended)
    for number in range(1, KILLS + 1):
        # Some have just crossed then, some have an event, some have just stored that they fire, some have recovered.
        moment = time.monotonic() + random.uniform(0.0, SECONDS_TO_STORE_AN_EVENT / TRIGGERERS)
        crossings.go_on_until("A random moment", lambda moment=moment: time.monotonic() >= moment)  # type: ignore[misc]

        def can_be_killed(triggerer: psutil.Process) -> bool:
            # Not again before that: after each kill, an event may come once more.
            assets = triggerers.assets(triggerer)
            return len(assets) == SHARE and not crossings.have_met_a_kill(assets)

        crossings.go_on_until("A crossing that met a kill is over", lambda: any(map(can_be_killed, running)))
        victim = random.choice([triggerer for triggerer in running if can_be_killed(triggerer)])
        met = [asset for asset in triggerers.assets(victim) if asset in crossings.open]
        triggerers.kill(victim)
        for asset in met:
            crossings.open[asset].kills += 1
        running[running.index(victim)] = triggerers.start()
        print(f"\nKill {number} met {len(met)} crossings", end="", flush=True)
    crossings.go_on_until("All that met a kill are over", lambda: not crossings.have_met_a_kill([*ORGANIZATIONS]))
    rest.stop_watchers("killed")
    counts = Counter(crossings.ended)
    print(
        f"\n{KILLS} kills in {time.monotonic() - began:.0f} s; crossings by the kills that they met, and their events: "
        f"{sorted(counts.items())}"
    )
    # None has no event: it would not be over.
    assert counts.keys() <= {(0, 1), (1, 1), (1, 2)}
    assert 1 in {kills for kills, _ in counts}

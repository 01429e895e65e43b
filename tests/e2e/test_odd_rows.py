"""Stored triggers of another version, or written by hand: a real triggerer goes on with the triggers of other Dags."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from sqlalchemy.engine import Engine

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger, MakeAnalyticsTrigger
from tests.e2e.dags.odd_rows import ROWS
from tests.e2e.metadata_database import add_watchers, defer_all, payloads, states
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, AirflowStack, wait_for
from tests.support.odd_rows import INVALID_ROWS, RULE, odd_row

# Their changes, as Airflow 3.3 stores and decodes what an earlier version of the provider gave it; and a newer version.
VALID_ROWS: list[dict[str, Any]] = [
    {"status": {"active"}, "stored_version": ...},
    {"lookback": timedelta(hours=1), "stored_version": ...},
    {"lookback": {"Encoding.VAR": 3600.0, "Encoding.TYPE": "timedelta"}},
    {"stored_version": 99},
]
INVALID = INVALID_ROWS[:6]
CHANGES = [changes for changes, _ in INVALID] + VALID_ROWS
assert len(CHANGES) == ROWS
TEXTS = [text for _, text in INVALID]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(scenarios=5, token=TOKEN) as running:
        running.organization().set_counts(1000, 10)
        rest.add_connection("make_odd_rows", running)
        yield running


def test_odd_rows_are_errors_of_their_own_dags_while_all_others_go_on(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    def rows(trigger_class: type[Any]) -> list[tuple[str, dict[str, Any]]]:
        path, arguments = trigger_class(**RULE, make_conn_id="make_odd_rows", poke_interval=1.0).serialize()
        return [(path, odd_row(arguments, changes)) for changes in CHANGES]

    def processes() -> set[int]:
        triggerer = psutil.Process(stack.processes["triggerer"].pid)
        return {triggerer.pid, *(child.pid for child in triggerer.children())}

    rest.call("POST", "pools", json={"name": "odd_rows", "slots": 0})
    rest.pause("odd_rows", False)
    run = rest.trigger("odd_rows")
    rest.start_watchers("beside_odd_rows")
    wait_for("All are scheduled", lambda: states(database, "odd_rows") == {"scheduled": ROWS}, 120)
    wait_for("The watcher polls", lambda: sandbox.requests, 120)
    before, log_before = processes(), len(stack.log("triggerer"))
    defer_all(database, "odd_rows", rows(MakeAnalyticsTrigger))
    add_watchers(database, {f"odd-row-{number}": row for number, row in enumerate(rows(MakeAnalyticsEventTrigger))})
    running = {"scheduled": ROWS - len(VALID_ROWS), "deferred": len(VALID_ROWS)}
    wait_for("What is not valid is an event", lambda: states(database, "odd_rows") == running, 120)
    wait_for(
        "The watchers say what is not valid, again and again",
        lambda: all(stack.log("triggerer")[log_before:].count(text) > 2 for text in TEXTS),
        120,
    )
    sandbox.organization().set_counts(1000, 250)
    fired = [f"odd-row-{number}" for number in range(len(INVALID), len(CHANGES))]
    for asset in ("beside-odd-rows", *fired):
        wait_for(f"The watcher of {asset} fires", lambda asset=asset: payloads(database, asset), 120)  # type: ignore[misc]
    assert processes() == before
    # Only now, so that all resume in the triggerer before the first has started again.
    rest.call("PATCH", "pools/odd_rows", json={"pool": "odd_rows", "slots": 8, "include_deferred": False})
    rest.wait_for_run("odd_rows", run, "failed")
    ended = rest.states("odd_rows", run)
    expected = ["failed"] * len(INVALID) + ["success"] * len(VALID_ROWS)
    assert ended == {f"wait[{index}]": state for index, state in enumerate(expected)}
    for index, text in enumerate(TEXTS):
        assert text in rest.log("odd_rows", run, "wait", index), text
    for number in range(len(INVALID)):
        assert payloads(database, f"odd-row-{number}") == []
    assert processes() == before
    rest.stop_watchers("beside_odd_rows", "odd_rows_watched")

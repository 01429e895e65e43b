"""Names that PostgreSQL can't store, or that terminals obey: all tasks succeed, and the triggerer goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.text import replace_unprintable
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, AirflowStack, wait_for

ODD_NAMES = ["NUL \x00", "half an emoji \ud83d", "red \x1b[31m", "reversed \u202e", "carriage\rreturn", "C1 \x9b"]
KEPT_NAMES = sorted(map(replace_unprintable, ODD_NAMES))
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(scenarios=len(ODD_NAMES), token=TOKEN) as running:
        organization = running.organization()
        for scenario, name in zip(organization.scenarios, ODD_NAMES, strict=True):
            organization.rename_scenario(scenario.id, name)
        organization.set_counts(100, 0)
        rest.add_connection("make_odd_names", running)
        yield running


def test_names_reach_xcom_without_control_characters(sandbox: Sandbox, rest: Rest) -> None:
    rest.pause("odd_names", False)
    run = rest.trigger("odd_names")
    # So that the names are in a trigger's event: a sensor whose condition holds at once does not defer.
    rest.wait_for_task("odd_names", run, "deferrable", "deferred")
    sandbox.organization().set_counts(100, 50)
    rest.wait_for_run("odd_names", run, seconds=300)
    assert sorted(row["name"] for row in rest.xcom("odd_names", run, "pull")["rows"]) == KEPT_NAMES
    for task in ("poke", "deferrable"):
        assert sorted(row["name"] for row in rest.xcom("odd_names", run, task)["scenarios"]) == KEPT_NAMES


def test_a_watcher_emits_its_event_and_the_triggerer_goes_on(sandbox: Sandbox, rest: Rest, stack: AirflowStack) -> None:
    sandbox.organization().set_counts(100, 50)
    log_before = len(stack.log("triggerer"))
    rest.start_watchers("odd_watched")
    wait_for("The watcher emits an event", lambda: rest.asset_events("odd"), 180)
    (event,) = rest.asset_events("odd")
    rest.stop_watchers("odd_watched")
    payload = event["extra"]["payload"]
    assert sorted(row["name"] for row in payload["scenarios"]) == KEPT_NAMES
    assert json.dumps(payload, ensure_ascii=False) == replace_unprintable(json.dumps(payload, ensure_ascii=False))
    assert stack.processes["triggerer"].poll() is None
    log = stack.log("triggerer")[log_before:]
    assert "Traceback" not in log
    assert "NUL" not in log.replace("NUL \ufffd", "")

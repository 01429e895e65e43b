"""Names that PostgreSQL can't store, or that terminals obey: all tasks succeed, and the triggerer goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.text import replace_unprintable
from tests.e2e.rest import Rest
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import AirflowStack, wait_for

ODD_NAMES = ["NUL \x00", "half an emoji \ud83d", "red \x1b[31m", "reversed \u202e", "carriage\rreturn", "C1 \x9b"]
KEPT_NAMES = sorted(map(replace_unprintable, ODD_NAMES))
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scenarios=len(ODD_NAMES)) as running:
        organization = running.organization()
        for scenario, name in zip(organization.scenarios, ODD_NAMES, strict=True):
            organization.rename_scenario(scenario.id, name)
        organization.set_counts(100, 0)
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).parent / "dags" / "odd_names.py", dags)
    with PostgreSQL() as database:
        environment = {**database.environment, "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json}
        with AirflowStack(dags, environment) as running:
            yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    client.wait_for_dag("odd_watched")
    return client


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


def test_a_watcher_emits_its_event_and_the_triggerer_goes_on(rest: Rest, stack: AirflowStack) -> None:
    rest.pause("odd_watched", False)
    wait_for("The watcher emits an event", rest.asset_events, 180)
    (event,) = rest.asset_events()
    payload = event["extra"]["payload"]
    assert sorted(row["name"] for row in payload["scenarios"]) == KEPT_NAMES
    assert json.dumps(payload, ensure_ascii=False) == replace_unprintable(json.dumps(payload, ensure_ascii=False))
    assert stack.processes["triggerer"].poll() is None
    log = stack.log("triggerer")
    assert "Traceback" not in log
    assert "NUL" not in log.replace("NUL \ufffd", "")

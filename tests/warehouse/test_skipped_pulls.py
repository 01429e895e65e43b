"""What is loaded if some of several mapped pulls fail, or are skipped because their objects exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import load_dag, run_dag
from tests.warehouse.recipes import MIDNIGHT

DAG = """
from datetime import UTC, datetime
from airflow.providers.common.compat.sdk import dag, task, task_group
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
)
def {how}_pulls():
    @task
    def load(summary):
        with open("{folder}/loaded", "a") as file:
            print(summary["organization_id"], file=file)

    PULL = {{"output_path": "{folder}/{{organization_id}}.csv", "if_exists": "skip"}}
    ORGANIZATIONS = [1, 2, 3]
    if "{how}" == "mapped":
        pull = MakeAnalyticsOperator.partial(task_id="pull", **PULL).expand(organization_id=ORGANIZATIONS)
        load.expand(summary=pull.output)
    else:
        @task_group
        def organization(organization_id):
            load(MakeAnalyticsOperator(task_id="pull", organization_id=organization_id, **PULL).output)

        organization.expand(organization_id=ORGANIZATIONS)

example = {how}_pulls()
"""


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize(("how", "expected"), [("mapped", ""), ("grouped", "2\n")])
@pytest.mark.parametrize(("organizations", "state"), [({2: 3, 3: 3}, "success"), ({2: 3}, "failed")])
def test_a_load_in_a_task_group_runs_beside_pulls_that_fail_or_are_skipped(
    organizations: dict[int, int],
    state: str,
    how: str,
    expected: str,
    make_sandbox_factory: Callable[..., Sandbox],
    dags: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Pulls of organization 1, and perhaps of 3, are skipped; that of an organization that does not exist fails.
    sandbox = make_sandbox_factory(scenarios=3, organizations=organizations)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    path = dags / "several_pulls.py"
    path.write_text(DAG.format(folder=tmp_path, how=how))
    for skipped in {1, *organizations} - {2}:
        (tmp_path / f"{skipped}.csv").write_text("pulled before")
    (tmp_path / "loaded").touch()
    assert str(run_dag(load_dag(path, "example"), MIDNIGHT).state) == state
    assert (tmp_path / "2.csv").exists()
    assert (tmp_path / "loaded").read_text() == expected

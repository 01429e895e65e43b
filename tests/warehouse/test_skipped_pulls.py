"""What is loaded if some of several mapped pulls are skipped, because their objects exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import load_dag, run_dag
from tests.warehouse.recipes import MIDNIGHT

DAG = """
from datetime import UTC, datetime
from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
)
def skipped_pulls_{trigger_rule}():
    pull = MakeAnalyticsOperator.partial(
        task_id="pull", output_path="{folder}/{{organization_id}}.csv", if_exists="skip"
    ).expand(organization_id=[1, 2])

    @task(trigger_rule="{trigger_rule}")
    def load(summary):
        with open("{folder}/loaded", "a") as file:
            print(summary["organization_id"], file=file)

    load.expand(summary=pull.output)

example = skipped_pulls_{trigger_rule}()
"""


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize(("trigger_rule", "expected"), [("all_success", ""), ("none_failed", "2\n")])
def test_a_mapped_load_needs_a_trigger_rule_beside_skipped_pulls(
    trigger_rule: str,
    expected: str,
    make_sandbox_factory: Callable[..., Sandbox],
    dags: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox = make_sandbox_factory(scenarios=3, organizations={2: 3})
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    path = dags / "skipped_pulls.py"
    path.write_text(DAG.format(folder=tmp_path, trigger_rule=trigger_rule))
    (tmp_path / "1.csv").write_text("pulled before")
    (tmp_path / "loaded").touch()
    assert str(run_dag(load_dag(path, "example"), MIDNIGHT).state) == "success"
    assert (tmp_path / "2.csv").exists()
    assert (tmp_path / "loaded").read_text() == expected

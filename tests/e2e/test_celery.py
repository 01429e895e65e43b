"""CeleryExecutor with Redis, PostgreSQL and two workers: one mapped task per organization, on both workers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.services import PostgreSQL, Redis
from tests.e2e.stack import TOKEN, AirflowStack

EXAMPLES = Path(__file__).parents[2] / "example_dags"
DAILY, ORGANIZATIONS = "make_analytics_daily", "make_analytics_organizations"
IDS = range(1, 13)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # Slow enough that one worker does not do it all.
    with Sandbox(scenarios=50, organizations=dict.fromkeys(IDS[1:], 50), latency=0.5, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("celery")


@pytest.fixture(scope="module")
def stack(
    sandbox: Sandbox, folder: Path, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    for name in (DAILY, ORGANIZATIONS):
        shutil.copy(EXAMPLES / f"{name}.py", dags)
    with Redis() as broker:
        environment = {
            **postgresql.copy("celery"),
            "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
            "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(folder / "daily"),
            "AIRFLOW_VAR_MAKE_ORGANIZATIONS_ROOT": str(folder),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"redis://127.0.0.1:{broker.port}/1",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        }
        worker = ["celery", "worker", "--concurrency", "2", "--skip-serve-logs", "--celery-hostname"]
        workers = {f"worker-{number}": [*worker, f"worker-{number}@localhost"] for number in (1, 2)}
        with AirflowStack(dags, environment, workers, without=["triggerer"]) as running:
            yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    client.wait_for_files(2)
    return client


@pytest.fixture(scope="module")
def runs(rest: Rest) -> dict[str, str]:
    """Run both examples at once, and return the ids of their runs."""
    # The scheduler creates the run of yesterday of a Dag that is unpaused.
    for dag_id in (DAILY, ORGANIZATIONS):
        rest.pause(dag_id, False)
    return {dag_id: rest.wait_for_only_run(dag_id) for dag_id in (DAILY, ORGANIZATIONS)}


def test_the_daily_example_succeeds(rest: Rest, runs: dict[str, str]) -> None:
    assert rest.states(DAILY, runs[DAILY]) == {"pull": "success", "worst": "success"}


def test_a_mapped_task_per_organization_runs_on_both_workers(
    rest: Rest, stack: AirflowStack, sandbox: Sandbox, folder: Path, runs: dict[str, str]
) -> None:
    run = runs[ORGANIZATIONS]
    pulls = {f"pull[{number}]": "success" for number in range(len(IDS))}
    assert rest.states(ORGANIZATIONS, run) == {"find_organizations": "success", **pulls, "add_up": "success"}
    begin = MIDNIGHT - timedelta(days=1)
    summaries = [rest.xcom(ORGANIZATIONS, run, "pull", number) for number in range(len(IDS))]
    assert {summary["organization_id"]: summary["row_count"] for summary in summaries} == dict.fromkeys(IDS, 50)
    for id_ in IDS:
        path = folder / f"organization_id={id_}" / f"date={begin:%Y-%m-%d}" / "analytics.parquet"
        truth = sandbox.truth(id_, sort_by="name", sort_dir="asc", date_from=begin, date_to=MIDNIGHT)
        assert [(row["scenario_id"], row["errors"]) for row in pq.read_table(path, partitioning=None).to_pylist()] == [
            (entry["id"], entry["errors"]) for entry in truth
        ]
    shares = [stack.log(f"worker-{number}").count("succeeded in") for number in (1, 2)]
    print(f"\nTasks by worker: {shares[0]} and {shares[1]}")
    assert min(shares) >= 3


def test_the_token_is_in_no_log(stack: AirflowStack, runs: dict[str, str]) -> None:
    logs = "".join(stack.log(name) for name in stack.commands) + stack.task_logs()
    assert "Pulled 50 scenarios" in logs
    assert TOKEN not in logs

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
from tests.e2e.stack import AirflowStack

EXAMPLES = Path(__file__).parents[2] / "example_dags"
HERE = Path(__file__).parent
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ORGANIZATIONS = range(1, 13)
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("analytics")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # Slow enough that one worker does not do it all.
    with Sandbox(scenarios=50, organizations=dict.fromkeys(ORGANIZATIONS[1:], 50), latency=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    dags = tmp_path_factory.mktemp("dags")
    for path in [*EXAMPLES.glob("make_analytics_*.py"), HERE / "dags" / "mapped.py"]:
        shutil.copy(path, dags)
    with PostgreSQL() as database, Redis() as broker:
        connections = {
            f"AIRFLOW_CONN_{name}": sandbox.connection_json for name in ("MAKE_DEFAULT", "MAKE_EU", "MAKE_US")
        }
        environment = {
            **database.environment,
            **connections,
            "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(root),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"redis://127.0.0.1:{broker.port}/1",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        }
        worker = ["celery", "worker", "--concurrency", "2", "--skip-serve-logs", "--celery-hostname"]
        workers = {f"worker-{number}": [*worker, f"worker-{number}@localhost"] for number in (1, 2)}
        with AirflowStack(dags, environment, workers) as running:
            yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    client = Rest(stack.url)
    for name in ("make_analytics_daily", "make_analytics_organizations", "mapped"):
        client.wait_for_dag(name)
    return client


@pytest.mark.parametrize("name", ["make_analytics_daily", "make_analytics_organizations"])
def test_example_dags_succeed(name: str, rest: Rest) -> None:
    rest.pause(name, False)
    run = rest.trigger(name, logical_date=MIDNIGHT.isoformat())
    rest.wait_for_run(name, run)
    assert set(rest.states(name, run).values()) == {"success"}


def test_a_mapped_task_per_organization_runs_on_both_workers(
    rest: Rest, stack: AirflowStack, sandbox: Sandbox, root: Path
) -> None:
    rest.pause("mapped", False)
    run = rest.trigger("mapped")
    rest.wait_for_run("mapped", run)
    assert rest.states("mapped", run) == {f"pull[{number}]": "success" for number in range(len(ORGANIZATIONS))}
    begin = MIDNIGHT - timedelta(days=1)
    for number, organization_id in enumerate(ORGANIZATIONS):
        summary = rest.xcom("mapped", run, "pull", number)
        assert (summary["organization_id"], summary["row_count"]) == (organization_id, 50)
        rows = pq.read_table(root / "mapped" / f"{organization_id}.parquet").to_pylist()
        truth = sandbox.truth(organization_id, sort_by="name", sort_dir="asc", date_from=begin, date_to=MIDNIGHT)
        assert [(row["scenario_id"], row["errors"]) for row in rows] == [
            (entry["id"], entry["errors"]) for entry in truth
        ]
    shares = [stack.log(f"worker-{number}").count("succeeded in") for number in (1, 2)]
    print(f"\nTasks by worker: {shares[0]} and {shares[1]}")
    assert min(shares) >= 3


def test_the_token_is_in_no_log(rest: Rest, stack: AirflowStack, sandbox: Sandbox) -> None:
    logs = "".join(stack.log(name) for name in stack.commands) + stack.task_logs()
    assert "Pulled 50 scenarios" in logs
    assert sandbox.token not in logs

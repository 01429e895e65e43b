"""Run the daily example against the sandbox, in a temporary Airflow. ``make demo`` runs this script."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_make.sandbox import Sandbox

HERE = Path(__file__).resolve().parent
SCENARIOS = 2500


def main() -> None:
    """Start a sandbox and an Airflow on SQLite, pull one day, print the results, and clean up."""
    # A folder of its own: the daily example's may have an organization's own figures.
    root = tempfile.mkdtemp(prefix="make_demo_")
    with (
        tempfile.TemporaryDirectory(prefix="airflow-home-") as airflow_home,
        Sandbox(scenarios=SCENARIOS, story=True) as sandbox,
    ):
        os.environ.update(
            AIRFLOW_HOME=airflow_home,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=airflow_home,
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
            AIRFLOW_CONN_MAKE_DEFAULT=sandbox.connection_json,
            AIRFLOW_VAR_MAKE_ANALYTICS_ROOT=root,
        )
        # Alone: other examples need further providers.
        dag_file = Path(shutil.copy(HERE / "make_analytics_daily.py", airflow_home))
        print(f"The sandbox with {SCENARIOS:,} scenarios is running at {sandbox.base_url}.")
        pull, worst = run_daily_dag(dag_file)

    total = pull["total"]
    print(f"\nOrganization {pull['organization_id']}, {pull['date_from']} to {pull['date_to']}:")
    print(f"  {pull['row_count']:,} scenarios in {pull['requests']} requests")
    print(f"  {total['executions']:,} executions, {total['operations']:,} operations, {total['errors']:,} errors")
    print(f"  error rate {total['error_rate']:.2f} %")
    print("\nThe worst five scenarios:")
    for row in worst:
        print(f"  {row['error_rate']:6.2f} %  {row['errors']:6,} errors of {row['executions']:7,}   {row['name']}")
    print(f"\nAll rows as Parquet ({pull['bytes']:,} bytes):\n  {pull['path']}")
    print(
        "\nFor your own organization, set the connection and copy example_dags/make_analytics_daily.py:\n"
        "  export AIRFLOW_CONN_MAKE_DEFAULT='make://:YOUR_API_TOKEN@eu1.make.com/?organization_id=YOUR_ID'"
    )


def run_daily_dag(dag_file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """
    Run the daily example for yesterday, as the scheduler would.

    :param dag_file: The file of the Dag.
    :return: The results of its two tasks: the summary of the pull, and the worst scenarios.
    """
    from airflow.utils.db import initdb

    # Hide the deprecation warnings of Airflow and its libraries.
    warnings.simplefilter("ignore")
    print("Setting up Airflow's database...")
    initdb()
    example = runpy.run_path(str(dag_file))["example"]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    run = example.test(logical_date=midnight)
    if run.state != "success":
        sys.exit(f"The Dag run ended with the state {run.state}; see its log above.")
    results = {task.task_id: task.xcom_pull(task_ids=task.task_id) for task in run.get_task_instances()}
    return results["pull"], results["worst"]


if __name__ == "__main__":
    main()

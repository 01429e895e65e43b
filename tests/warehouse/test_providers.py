"""The Dags of the recipes, run with the operators of each warehouse's provider; only the warehouse is a stand-in."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import dag_bag, load_dag, run_dag
from tests.warehouse.recipes import DAY, MIDNIGHT, Days, add_column, block, dag_source
from tests.warehouse.stand_in import StandIn

PROVIDERS = {"bigquery": "google", "snowflake": "snowflake", "redshift": "amazon", "databricks": "databricks"}
TABLES = {"bigquery": "analytics.make_analytics", "databricks": "make.make_analytics"}
# After the day on which summer time began in London, and after the next one.
SUMMER_TIME = [datetime(2026, 3, 30, 12, tzinfo=UTC), datetime(2026, 3, 31, 12, tzinfo=UTC)]
MISSING = [name for name in PROVIDERS.values() if find_spec(f"airflow.providers.{name}") is None]
pytestmark = [
    pytest.mark.skipif(
        MISSING != [], reason=f"make test-warehouse installs what these tests need; missing here: {', '.join(MISSING)}"
    ),
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.timeout(600),
]


@pytest.fixture(params=PROVIDERS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Return the stand-in that the provider's hook sends its statements to."""
    stand_in = StandIn(request.param, tmp_path / "bucket")
    if request.param == "bigquery":
        from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

        def insert_job(hook: Any, *, configuration: dict[str, Any], **options: Any) -> Any:
            load = configuration.get("load")
            if load:
                assert load["sourceFormat"] == "PARQUET"
                assert load["decimalTargetTypes"] == ["BIGNUMERIC"]
                assert load["writeDisposition"] == "WRITE_TRUNCATE"
                table = "{datasetId}.{tableId}".format(**load["destinationTable"])
                (source,) = load["sourceUris"]
                stand_in.load(table, source.removeprefix("gs://your-bucket/"), replace=True)
            else:
                stand_in.run(configuration["query"]["query"])
            return SimpleNamespace(
                job_id="job",
                error_result=None,
                errors=None,
                state="DONE",
                to_api_repr=lambda: {"configuration": configuration},
                result=lambda **_: None,
            )

        monkeypatch.setattr(BigQueryHook, "insert_job", insert_job)
        monkeypatch.setattr(BigQueryHook, "delete_table", lambda hook, table_id, **options: stand_in.drop(table_id))
        extra = {"is_anonymous": True, "project": "project"}
        connection = {"conn_type": "google_cloud_platform", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
        return stand_in
    if request.param == "snowflake":
        from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook as Hook
    elif request.param == "redshift":
        from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook as Hook

        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "not-a-key")
    else:
        from airflow.providers.databricks.hooks.databricks_sql import DatabricksSqlHook as Hook

    def run(hook: Any, sql: Any, **options: Any) -> None:
        # With autocommit, the two statements of a load would not be one transaction. COPY is one by itself.
        assert not options.get("autocommit") or "COPY" in sql
        hook.descriptions = [None]
        stand_in.run(sql)

    monkeypatch.setattr(Hook, "run", run)
    monkeypatch.setenv(f"AIRFLOW_CONN_{request.param.upper()}_DEFAULT", json.dumps({"conn_type": request.param}))
    return stand_in


@pytest.fixture
def dialect(warehouse: StandIn, request: pytest.FixtureRequest) -> str:
    """Return the warehouse's dialect; the stand-in has the recipe's table."""
    name: str = request.node.callspec.params["warehouse"]
    warehouse.run(block("sql", f"-- {name}").text.partition("\nCREATE STAGE")[0])
    return name


def load_recipe(dialect: str, dags: Path, tmp_path: Path, *, timezone: str = "UTC") -> Any:
    """Return the recipe's Dag, with the folder of the test as its bucket."""
    dag_id = f"make_analytics_to_{dialect}"
    path = dags / f"{dag_id}.py"
    source = dag_source(dag_id).replace('timezone="UTC"', f'timezone="{timezone}"')
    source = source.replace('task_id="pull",', f'task_id="pull", timezone="{timezone}",')
    # Only the pull writes to a folder; the operators name the bucket.
    scheme = "gs" if dialect == "bigquery" else "s3"
    local = f'"{tmp_path}/bucket/make_{dialect}/'
    assert source.count(f'"{scheme}://your-bucket/make_{dialect}/') == 1
    source = source.replace(f'"{scheme}://your-bucket/make_{dialect}/', local)
    source = source.replace(
        f"['path'].removeprefix('{scheme}://your-bucket/')", f"['path'].removeprefix('{tmp_path}/bucket/')"
    )
    source = source.replace(
        "{{ ti.xcom_pull(task_ids='pull')['path'] }}",
        f"{{{{ ti.xcom_pull(task_ids='pull')['path'].replace('{tmp_path}/bucket', 's3://your-bucket') }}}}",
    )
    path.write_text(source.replace(f"\n{dag_id}()\n", f"\nexample = {dag_id}()\n"))
    assert dag_bag(dags).import_errors == {}
    return load_dag(path, "example")


def test_rerun_and_backfill_leave_the_rows_of_each_days_last_pull(
    warehouse: StandIn, dialect: str, sandbox: Sandbox, dags: Path, tmp_path: Path
) -> None:
    days = Days(sandbox)
    days.rerun_and_backfill(load_recipe(dialect, dags, tmp_path))
    days.assert_loaded(warehouse.rows(TABLES.get(dialect, "make_analytics")))
    # The table of each run is gone.
    assert warehouse.tables() == {"make_analytics"}


def test_days_that_have_one_date_in_utc_are_loaded_through_tables_of_their_own(
    warehouse: StandIn, dialect: str, sandbox: Sandbox, dags: Path, tmp_path: Path
) -> None:
    dag = load_recipe(dialect, dags, tmp_path, timezone="Europe/London")
    for end in SUMMER_TIME:
        assert str(run_dag(dag, end).state) == "success"
    assert len(set(warehouse.loaded)) == len(SUMMER_TIME)
    rows = warehouse.rows(TABLES.get(dialect, "make_analytics"))
    assert Counter(row["date_from"].astimezone(UTC) for row in rows) == {
        datetime(2026, 3, 29, 0, tzinfo=UTC): 40,
        datetime(2026, 3, 29, 23, tzinfo=UTC): 40,
    }


def test_columns_are_loaded_by_name(
    warehouse: StandIn,
    dialect: str,
    sandbox: Sandbox,
    dags: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = TABLES.get(dialect, "make_analytics")
    warehouse.run(f"ALTER TABLE {table} ADD COLUMN loaded_by VARCHAR(9)")
    execute = MakeAnalyticsOperator.execute

    def execute_later_version(operator: Any, context: Any) -> Any:
        summary = execute(operator, context)
        add_column(Path(summary["path"]))
        return summary

    monkeypatch.setattr(MakeAnalyticsOperator, "execute", execute_later_version)
    days = Days(sandbox)
    days.run(load_recipe(dialect, dags, tmp_path), MIDNIGHT - DAY)
    days.assert_loaded(warehouse.rows(table))
    assert {row["loaded_by"] for row in warehouse.rows(table)} == {None}

"""Pull each day's analytics into a CSV file, and replace the day's rows in a PostgreSQL table.

Needs apache-airflow-providers-postgres, PostgreSQL 15 or later, and the connection make_warehouse to the database. The
Airflow variable ``make_csv_root`` sets the folder or bucket of the files. A retry, a re-run or a backfill replaces the
rows of its organization and day, in one transaction.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, dag, task
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

CREATE = """
CREATE TABLE IF NOT EXISTS make_analytics (
    zone text NOT NULL,
    organization_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    imt_id text,
    name text,
    status text,
    team_id bigint,
    team_name text,
    executions bigint,
    operations bigint,
    centicredits numeric(38, 0),
    errors bigint,
    error_rate double precision,
    executions_change double precision,
    operations_change double precision,
    centicredits_change double precision,
    errors_change double precision,
    error_rate_change double precision,
    date_from timestamptz NOT NULL,
    date_to timestamptz,
    extracted_at timestamptz NOT NULL,
    extra text,
    PRIMARY KEY (zone, organization_id, date_from, scenario_id)
)
"""
# Until the end of the transaction: two loads at once can't create the table, nor replace the same day. The number is
# arbitrary; nothing else in the database may lock it.
LOCK = "SELECT pg_advisory_xact_lock(6253)"
# The columns of the file: it has no zone. Columns that you add to the table are not in the way.
COLUMNS = """
    organization_id, scenario_id, imt_id, name, status, team_id, team_name, executions, operations,
    centicredits, errors, error_rate, executions_change, operations_change, centicredits_change,
    errors_change, error_rate_change, date_from, date_to, extracted_at, extra
"""
STAGE = f"CREATE TEMPORARY TABLE pulled ON COMMIT DROP AS SELECT {COLUMNS} FROM make_analytics WHERE FALSE"
# MATCH fails if a later version of the provider writes other columns.
COPY = "COPY pulled FROM STDIN (FORMAT csv, HEADER match, ENCODING 'UTF8')"
DELETE = """
DELETE FROM make_analytics
WHERE zone = %(zone)s AND organization_id = %(organization_id)s AND date_from = %(date_from)s
"""
INSERT = f"INSERT INTO make_analytics (zone, {COLUMNS}) SELECT %(zone)s, {COLUMNS} FROM pulled"


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # A backfill shares the organization's rate limit with its other API clients.
    max_active_runs=2,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["make", "example"],
)
def make_analytics_to_postgres() -> None:
    """Pull one day of the connection's organization, and load it."""
    pull = MakeAnalyticsOperator(
        task_id="pull",
        output_path=(
            "{{ var.value.get('make_csv_root', '/tmp/make_csv') }}"
            "/zone={zone}/organization_id={organization_id}/date={date_from:%Y-%m-%d}/analytics.csv"
        ),
    )

    @task
    def load(summary: dict[str, Any]) -> None:
        # Not from the rows: a pull without rows replaces those of an earlier one, too.
        key = {name: summary[name] for name in ("zone", "organization_id", "date_from")}
        with (
            ObjectStoragePath(summary["path"]).open("rb") as file,
            closing(PostgresHook("make_warehouse").get_conn()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(LOCK)
            cursor.execute(CREATE)
            cursor.execute(STAGE)
            if hasattr(cursor, "copy_expert"):
                # psycopg2, which the hook uses where Airflow has SQLAlchemy 1.
                cursor.copy_expert(COPY, file)
            else:
                with cursor.copy(COPY) as copy:
                    while chunk := file.read(65_536):
                        copy.write(chunk)
            cursor.execute(DELETE, key)
            cursor.execute(INSERT, key)
            connection.commit()

    load(pull.output)


example = make_analytics_to_postgres()

"""The SQL of every recipe: parsed in its dialect, and its tables compared with the files."""

from __future__ import annotations

import re
import uuid
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import sqlglot
import yaml
from airflow.models.connection import Connection
from jinja2 import Environment
from sqlglot import exp

from airflow_provider_make.output.rows import COLUMNS
from tests.support.documents import ROOT
from tests.warehouse.recipes import BLOCKS, arrow_types, block, constants, dag_source

# The type of each column of a table, by the type of the column in Parquet.
TYPES = {
    "bigquery": ("STRING", "INT64", "FLOAT64", "BIGNUMERIC(38, 0)", "TIMESTAMP"),
    "snowflake": ("VARCHAR", "NUMBER(19, 0)", "FLOAT", "NUMBER(38, 0)", "TIMESTAMP_TZ"),
    "redshift": (r"VARCHAR(1024)", "BIGINT", "DOUBLE PRECISION", "DECIMAL(38, 0)", "TIMESTAMPTZ"),
    "databricks": ("STRING", "BIGINT", "DOUBLE", "DECIMAL(38, 0)", "TIMESTAMP"),
}
PARQUET = ("string", "int64", "double", "decimal128(38, 0)", "timestamp[us, tz=UTC]")
SUMMARY = {"zone": "eu1.make.com", "organization_id": 42, "date_from": "2026-11-22T00:00:00Z"}
RUNS = [
    # Days in London that have one date in UTC; an hourly schedule; manual runs beside a scheduled one.
    "scheduled__2026-03-29T00:00:00+00:00",
    "scheduled__2026-03-29T23:00:00+00:00",
    "scheduled__2026-03-29T01:00:00+00:00",
    "manual__2026-03-29T00:00:00+00:00",
    "manual__2026-03-29T00:00:00+00:00_x8Zq",
    "by hand: 29/3; --",
]


def render(sql: str, run_id: str = RUNS[0]) -> str:
    """Render a template of a Dag as Airflow would."""

    class Task:
        dag_id = "dag"

        def xcom_pull(self, task_ids: str) -> dict[str, object]:
            assert task_ids == "pull"
            return SUMMARY

    macros = SimpleNamespace(uuid=uuid)
    return Environment().from_string(sql).render(ti=Task(), dag=Task(), run_id=run_id, macros=macros)


def parse(sql: str, dialect: str) -> list[exp.Expr]:
    """Parse statements, and fail for those that sqlglot only keeps as text."""
    statements = [statement for statement in sqlglot.parse(sql, read=dialect) if statement]
    assert statements
    assert [statement for statement in statements if statement.find(exp.Command)] == []
    return statements


@pytest.mark.parametrize("dialect", TYPES)
def test_table_has_the_columns_and_types_of_the_files(dialect: str) -> None:
    definition = block("sql", f"-- {dialect}").text
    parse(definition, dialect)
    columns = re.findall(r"^    (\w+) (.*?)( NOT NULL)?,?$", definition, re.MULTILINE)
    by_parquet = dict(zip(PARQUET, TYPES[dialect], strict=True))
    expected = {name: by_parquet[kind] for name, kind in arrow_types().items()}
    if dialect == "redshift":
        expected["extra"] = "VARCHAR(65535)"
    assert [(name, kind) for name, kind, _ in columns] == [*expected.items()]
    assert [name for name, _, required in columns if required] == [
        "zone", "organization_id", "scenario_id", "date_from", "extracted_at"
    ]  # fmt: skip


@pytest.mark.parametrize("dialect", TYPES)
def test_statements_of_the_dag_are_valid(dialect: str) -> None:
    texts = constants(dag_source(f"make_analytics_to_{dialect}"))
    names = {"PULLED", "COLUMNS"}
    statements = [
        statement for name, text in texts.items() if name not in names for statement in parse(render(text), dialect)
    ]
    pulled = parse(f"SELECT 1 FROM {render(texts['PULLED'])}", dialect)[0].find(exp.Table)
    assert pulled is not None
    assert {table.name for statement in statements for table in statement.find_all(exp.Table)} == {
        "make_analytics", pulled.name
    }  # fmt: skip
    assert not any(statement.find(exp.Star) for statement in statements)
    for statement in statements:
        if isinstance(statement, (exp.Delete, exp.Merge)) or statement.args.get("where"):
            literals = {str(literal.this) for literal in statement.find_all(exp.Literal)}
            assert {str(value) for value in SUMMARY.values()} <= literals


@pytest.mark.parametrize("dialect", TYPES)
def test_each_run_has_a_table_of_its_own(dialect: str) -> None:
    pulled = constants(dag_source(f"make_analytics_to_{dialect}"))["PULLED"]
    names = {render(pulled, run_id).rpartition(".")[2] for run_id in RUNS}
    assert len(names) == len(RUNS)
    assert all(re.fullmatch(r"dag_[0-9a-f]{32}", name) for name in names)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", *TYPES])
def test_columns_are_those_of_the_files(dialect: str) -> None:
    example = ROOT / "example_dags" / "make_analytics_to_postgres.py"
    source = example.read_text() if dialect == "postgres" else dag_source(f"make_analytics_to_{dialect}")
    assert constants(source)["COLUMNS"].replace(",", " ").split() == [*COLUMNS]


def test_dbt_files_are_valid() -> None:
    yaml_blocks = [yaml.safe_load(block.text) for block in BLOCKS if block.language == "yaml"]
    (source,) = yaml_blocks[0]["sources"]
    (model,) = yaml_blocks[1]["models"]
    (table,) = source["tables"]
    names = [*arrow_types()]
    assert [column["name"] for column in table["columns"]] == [name for name in names if name in KEY]
    assert table["config"]["loaded_at_field"] in names

    class Dbt:
        def type_string(self) -> str:
            return "varchar"

    def reference(*arguments: str) -> str:
        assert arguments in ((source["name"], table["name"]), (model["name"],))
        return arguments[-1]

    for beginning in ("-- models/", "-- tests/"):
        text = Environment().from_string(block("sql", beginning).text)
        for dialect in ("duckdb", "postgres", *TYPES):
            (select,) = parse(text.render(dbt=Dbt(), source=reference, ref=reference), dialect)
            assert isinstance(select, exp.Select)
            if beginning == "-- models/":
                assert {column.name for column in select.find_all(exp.Column)} <= {*names}
                assert model["columns"][0]["name"] in select.named_selects


KEY = {"zone", "organization_id", "scenario_id", "date_from"}


def test_commands_of_the_page_are_valid() -> None:
    for package in block("bash", "pip install duckdb").text.removeprefix("pip install ").split():
        assert version(package)
    install, export = block("bash", "pip install apache").text.splitlines()
    assert version(install.removeprefix("pip install "))
    name, _, uri = export.removeprefix("export ").partition("=")
    assert (
        f'"{name.removeprefix("AIRFLOW_CONN_").lower()}"'
        in (ROOT / "example_dags" / "make_analytics_to_postgres.py").read_text()
    )
    connection = Connection(uri=uri.strip("'"))
    fields = ("conn_type", "host", "port", "schema", "login", "password")
    assert [getattr(connection, field) for field in fields] == [
        "postgres", "localhost", 5432, "warehouse", "USER", "PASSWORD"
    ]  # fmt: skip


def test_every_block_of_the_page_is_tested() -> None:
    tested = [
        *(block("sql", f"-- {dialect}") for dialect in TYPES),
        *(block("python", f"def make_analytics_to_{name}(") for name in ("duckdb", *TYPES)),
        block("sql", "CREATE OR REPLACE VIEW"),
        block("sql", "CREATE TABLE IF NOT EXISTS make_analytics (\n    zone text"),
        block("sql", "-- failures"),
        block("sql", "-- models/"),
        block("sql", "-- tests/"),
        block("bash", "pip install duckdb"),
        block("bash", "pip install apache"),
        *(block for block in BLOCKS if block.language == "yaml"),
    ]
    assert sorted(block.line for block in BLOCKS) == sorted(block.line for block in tested)

"""Read rows back as users do, with Arrow's datasets and DuckDB; and the expected rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.storage.stores import Target

Rows = list[dict[str, Any]]
_TIMES = ("date_from", "date_to", "extracted_at")
# By the API's names, in the order of the columns.
_FIELDS = (
    "id", "imtId", "name", "status", "teamId", "teamName", "executions", "operations", "centicredits", "errors",
    "errorRate", "executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange",
)  # fmt: skip


def expected_rows(sandbox: Sandbox, date_from: datetime, date_to: datetime) -> Rows:
    """Return the expected rows, sorted by id, without the time of extraction."""
    entries = sandbox.truth(date_from=date_from, date_to=date_to)
    rows = [
        dict(zip(COLUMNS, (1, *map(entry.get, _FIELDS), date_from, date_to, None, None), strict=True))
        for entry in entries
    ]
    return _normalize(rows)


def read_with_arrow(target: Target, name: str) -> Rows:
    import pyarrow
    from pyarrow import csv, dataset, json

    path = f"{target.store.filesystem._strip_protocol(target.url)}/{name}"
    schema = parquet_schema()
    file_format: Any = "parquet"
    if ".csv" in name:
        # Text is always quoted: an empty cell without quotes is a missing value.
        convert = csv.ConvertOptions(
            column_types=schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        file_format = dataset.CsvFileFormat(convert_options=convert)
    elif ".jsonl" in name:
        text = schema.set(schema.get_field_index("centicredits"), pyarrow.field("centicredits", pyarrow.string()))
        file_format = dataset.JsonFileFormat(parse_options=json.ParseOptions(explicit_schema=text))
    table = dataset.dataset(path, filesystem=target.store.arrow(), format=file_format).to_table()
    assert tuple(table.column_names) == COLUMNS
    rows: Rows = table.to_pylist()
    return _normalize(rows)


def read_with_duckdb(target: Target, name: str) -> Rows:
    import duckdb

    types = {str(field.name): _DUCKDB_TYPES[str(field.type)] for field in parquet_schema()}
    url = f"{target.url}/{name}"
    # DuckDB downloads no extensions.
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.register_filesystem(target.store.filesystem)
        if ".csv" in name:
            relation = connection.read_csv(url, columns=types, header=True, allow_quoted_nulls=False)
        elif ".jsonl" in name:
            relation = connection.read_json(url, columns=types, format="newline_delimited")
        else:
            relation = connection.read_parquet(url)
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    return _normalize(rows)


_DUCKDB_TYPES = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "decimal128(38, 0)": "DECIMAL(38, 0)",
}
READERS: tuple[Callable[[Target, str], Rows], ...] = (read_with_arrow, read_with_duckdb)


def _normalize(rows: Rows) -> Rows:
    for row in rows:
        row["centicredits"] = Decimal(row["centicredits"])
        for column in _TIMES:
            row[column] = row[column] and row[column].astimezone(UTC)
    return sorted(rows, key=lambda row: int(row["scenario_id"]))

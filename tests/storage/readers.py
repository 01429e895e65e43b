"""Rows read back as users do, with Arrow's datasets and DuckDB, and the rows there should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.output.rows import COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.storage.stores import Place

Rows = list[dict[str, Any]]
_TIMES = ("date_from", "date_to", "extracted_at")
# As the API names them, in the order of the columns.
_FIELDS = (
    "id", "imtId", "name", "status", "teamId", "teamName", "executions", "operations", "centicredits", "errors",
    "errorRate", "executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange",
)  # fmt: skip


def true_rows(sandbox: Sandbox, date_from: datetime, date_to: datetime) -> Rows:
    """Give the rows there should be, by id, without the time of extraction."""
    entries = sandbox.truth(date_from=date_from, date_to=date_to)
    rows = [
        dict(zip(COLUMNS, (1, *map(entry.get, _FIELDS), date_from, date_to, None, None), strict=True))
        for entry in entries
    ]
    return _plain(rows)


def read_with_arrow(place: Place, name: str) -> Rows:
    import pyarrow
    from pyarrow import csv, dataset, json

    path = f"{place.store.filesystem._strip_protocol(place.url)}/{name}"
    schema = parquet_schema()
    kind: Any = "parquet"
    if ".csv" in name:
        # Text is quoted where there is some: what is empty and not quoted is missing.
        convert = csv.ConvertOptions(
            column_types=schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        kind = dataset.CsvFileFormat(convert_options=convert)
    elif ".jsonl" in name:
        text = schema.set(schema.get_field_index("centicredits"), pyarrow.field("centicredits", pyarrow.string()))
        kind = dataset.JsonFileFormat(parse_options=json.ParseOptions(explicit_schema=text))
    table = dataset.dataset(path, filesystem=place.store.arrow(), format=kind).to_table()
    assert tuple(table.column_names) == COLUMNS
    rows: Rows = table.to_pylist()
    return _plain(rows)


def read_with_duckdb(place: Place, name: str) -> Rows:
    import duckdb

    types = {str(field.name): _DUCKDB_TYPES[str(field.type)] for field in parquet_schema()}
    url = f"{place.url}/{name}"
    # Nothing is fetched from DuckDB's server of extensions.
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.register_filesystem(place.store.filesystem)
        if ".csv" in name:
            found = connection.read_csv(url, columns=types, header=True, allow_quoted_nulls=False)
        elif ".jsonl" in name:
            found = connection.read_json(url, columns=types, format="newline_delimited")
        else:
            found = connection.read_parquet(url)
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    return _plain(rows)


_DUCKDB_TYPES = {
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "decimal128(38, 0)": "DECIMAL(38, 0)",
}
READERS: tuple[Callable[[Place, str], Rows], ...] = (read_with_arrow, read_with_duckdb)


def _plain(rows: Rows) -> Rows:
    for row in rows:
        row["centicredits"] = Decimal(row["centicredits"])
        for column in _TIMES:
            row[column] = row[column] and row[column].astimezone(UTC)
    return sorted(rows, key=lambda row: int(row["scenario_id"]))

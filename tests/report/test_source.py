"""Test which files are accepted as the source of a report."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet as pq
import pytest

from airflow_provider_make import __version__
from airflow_provider_make.api.page import Metrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.content import COLUMNS, Summary, Totals
from airflow_provider_make.report.source import BATCH_SIZE, open_pull
from tests.support.entries import entry
from tests.support.pulled_files import EXTRACTED, FROM, TO, write_pull

TOTAL = Metrics(executions=7, centicredits=str(10**50), error_rate=0.5, errors_change=-3.0)


def read(data: bytes) -> tuple[Summary, list[pyarrow.RecordBatch]]:
    with open_pull(io.BytesIO(data), "s3://bucket/a.parquet") as pull:
        return pull.summary, list(pull.batches())


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    return write_pull(tmp_path / "a.parquet", [[entry(n, name=f"Scenario {n}") for n in range(3)]], TOTAL)


def rewritten(pulled: Path, table: pyarrow.Table | None = None, **metadata: Any) -> bytes:
    """Return the file with another table, or with other metadata; None removes a key."""
    table = pq.read_table(pulled) if table is None else table
    original = pq.ParquetFile(pulled).metadata.metadata[b"make_analytics"]
    changed = {b"make_analytics": original, **{name.encode(): text for name, text in metadata.items()}}
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({name: text for name, text in changed.items() if text}), out)
    return out.getvalue()


def test_summary_and_rows_of_a_pull(pulled: Path) -> None:
    summary, batches = read(pulled.read_bytes())
    totals = Totals(executions=7, centicredits=str(10**50), error_rate=0.5, errors_change=-3.0)
    assert summary == Summary(42, "eu1.make.com", totals, __version__, FROM, TO, "UTC")
    assert [batch.schema.names for batch in batches] == [list(COLUMNS)]
    assert batches[0]["name"].to_pylist() == ["Scenario 0", "Scenario 1", "Scenario 2"]
    assert batches[0]["extracted_at"].to_pylist() == [EXTRACTED] * 3


def test_pull_without_a_time_frame(tmp_path: Path) -> None:
    summary, batches = read(write_pull(tmp_path / "a.parquet", [], date_from=None, date_to=None).read_bytes())
    assert (summary.date_from, summary.date_to) == (None, None)
    assert sum(map(len, batches)) == 0


def test_times_with_a_fraction(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
    assert read(write_pull(tmp_path / "a.parquet", [], date_to=moment).read_bytes())[0].date_to == moment


def test_many_rows_are_read_in_batches(tmp_path: Path) -> None:
    pages = [[entry(n) for n in range(begin, begin + 1000)] for begin in range(0, 40_000, 1000)]
    batches = read(write_pull(tmp_path / "a.parquet", pages).read_bytes())[1]
    assert sum(map(len, batches)) == 40_000
    assert max(map(len, batches)) == BATCH_SIZE


def test_additions_of_later_versions_are_ignored(pulled: Path) -> None:
    table = pq.read_table(pulled).append_column("new", pyarrow.array([1, 2, 3]))
    metadata = msgspec.json.decode(pq.ParquetFile(pulled).metadata.metadata[b"make_analytics"])
    metadata |= {"new": 1, "total": {**metadata["total"], "new": 2}}
    data = rewritten(pulled, table, make_analytics=msgspec.json.encode(metadata))
    assert read(data)[0] == read(pulled.read_bytes())[0]


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b'{"organization_id": 42}\n', b"organization_id,name\r\n42,a\r\n", b"x" * 9999]
)
def test_other_files_are_rejected(data: bytes) -> None:
    with pytest.raises(
        MakeInputError, match=r"source='s3://bucket/a.parquet'.*expected a Parquet file that .*not a Parquet"
    ):
        read(data)


def test_truncated_file_is_rejected(pulled: Path) -> None:
    with pytest.raises(MakeInputError, match="this is not a Parquet file"):
        read(pulled.read_bytes()[:-5])


@pytest.mark.parametrize("begin", [4, 300])
def test_errors_of_damaged_rows_name_the_file(begin: int, pulled: Path) -> None:
    data = bytearray(pulled.read_bytes())
    data[begin : begin + 200] = b"\xff" * 200
    with pytest.raises((MakeInputError, OSError), match=r"s3://bucket/a.parquet"):
        read(bytes(data))


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_columns_are_rejected(column: str, pulled: Path) -> None:
    with pytest.raises(MakeInputError, match=f"source='s3://bucket/a.parquet'.*but this file has no column {column}"):
        read(rewritten(pulled, pq.read_table(pulled).drop_columns([column])))


def test_columns_of_another_type_are_rejected(pulled: Path) -> None:
    table = pq.read_table(pulled)
    at = table.schema.get_field_index("centicredits")
    table = table.set_column(at, "centicredits", pyarrow.array([0.5] * 3))
    with pytest.raises(MakeInputError, match=r"its column centicredits is double, not decimal128\(38, 0\)"):
        read(rewritten(pulled, table))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "its metadata has no make_analytics"),
        (b"{", "make_analytics is not valid"),
        (b"[]", "make_analytics is not valid"),
        (b'{"organization_id": 42}', "not valid .*missing required field `zone`"),
        (b'{"organization_id": 1, "zone": "z", "total": {"centicredits": "x"}}', "not valid .*centicredits"),
        (b'{"organization_id": "x", "zone": "z", "total": {}, "provider_version": "1"}', "not valid .*organization_id"),
    ],
)
def test_other_metadata_is_rejected(metadata: bytes | None, message: str, pulled: Path) -> None:
    with pytest.raises(MakeInputError, match=f"source='s3://bucket/a.parquet'.*{message}"):
        read(rewritten(pulled, make_analytics=metadata))

"""What a report is made of: a Parquet file that the operator wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import msgspec

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.report.content import COLUMNS, Summary

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

EXPECTED = "a Parquet file that MakeAnalyticsOperator wrote"
# Rows in memory; with fewer it takes longer.
BATCH = 16_384


@contextmanager
def read_pull(file: IO[bytes], source: str) -> Iterator[tuple[Summary, Iterator[pyarrow.RecordBatch]]]:
    """
    Read the Parquet file of a pull.

    :param file: The file, to be read at any place.
    :param source: Its URL or path, for errors.
    :return: A context manager that gives the summary, and the rows in batches of ``COLUMNS``, read when asked for.
    :raises MakeInputError: The file is not one that the operator wrote.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        parquet = ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise _wrong(source, f"it is no Parquet file ({error})") from None
    with parquet:
        _check_columns(parquet, source)
        # Threads would be no faster, and take more memory.
        yield _summary(parquet, source), parquet.iter_batches(BATCH, columns=list(COLUMNS), use_threads=False)


def _check_columns(parquet: ParquetFile, source: str) -> None:
    promised, found = parquet_schema(), parquet.schema_arrow
    for column in COLUMNS:
        if found.names.count(column) != 1:
            raise _wrong(source, f"it has no column {column}")
        if found.field(column).type != promised.field(column).type:
            kinds = f"{found.field(column).type}, not {promised.field(column).type}"
            raise _wrong(source, f"its column {column} is {kinds}")


def _summary(parquet: ParquetFile, source: str) -> Summary:
    kept = (parquet.metadata.metadata or {}).get(b"make_analytics")
    if kept is None:
        raise _wrong(source, "its metadata has no make_analytics")
    try:
        return msgspec.json.decode(kept, type=Summary)
    except msgspec.MsgspecError as error:
        raise _wrong(source, f"its metadata under make_analytics is another ({error})") from None


def _wrong(source: str, problem: str) -> MakeInputError:
    return MakeInputError.expected("source", source, f"{EXPECTED}, but {problem}")

"""Open a source of a report: a Parquet file that the operator wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.report.content import COLUMNS, Summary

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

EXPECTED = "a Parquet file that MakeAnalyticsOperator wrote"
# Rows in memory at a time; smaller batches are slower.
BATCH_SIZE = 16_384


@dataclass(frozen=True)
class Pull:
    """
    The open Parquet file of a pull.

    :param summary: The pull's summary.
    :param parquet: The file.
    """

    summary: Summary
    parquet: ParquetFile

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        """Read the rows in batches of ``COLUMNS``."""
        # Threads would not be faster, and would use more memory.
        batches: Iterator[pyarrow.RecordBatch] = self.parquet.iter_batches(
            BATCH_SIZE, columns=list(COLUMNS), use_threads=False
        )
        return batches

    def read(self, columns: Sequence[str]) -> pyarrow.Table:
        """Read some columns of all rows."""
        return self.parquet.read(list(columns), use_threads=False).select(list(columns))


@contextmanager
def open_pull(file: IO[bytes], source: str) -> Iterator[Pull]:
    """
    Open the Parquet file of a pull.

    :param file: The file, seekable.
    :param source: Its URL or path, for errors.
    :return: A context manager for the pull.
    :raises MakeInputError: The operator did not write the file.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        parquet = ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise _not_a_pull(source, f"this is not a Parquet file ({error})") from None
    with parquet:
        _check_columns(parquet, source)
        pull = Pull(_parse_summary(parquet, source), parquet)
        try:
            yield pull
        except pyarrow.ArrowException as error:
            raise _not_a_pull(source, f"its rows can't be read ({error})") from None
        except OSError as error:
            # pyarrow's errors about damaged data, for example, don't name the file.
            if error.filename is not None:
                raise
            raise OSError(f"{source!r} can't be read: {error}") from error


def _check_columns(parquet: ParquetFile, source: str) -> None:
    expected, actual = parquet_schema(), parquet.schema_arrow
    for column in COLUMNS:
        if actual.names.count(column) != 1:
            raise _not_a_pull(source, f"this file has no column {column}")
        if (actual_type := actual.field(column).type) != (expected_type := expected.field(column).type):
            raise _not_a_pull(source, f"its column {column} is {actual_type}, not {expected_type}")


def _parse_summary(parquet: ParquetFile, source: str) -> Summary:
    summary = (parquet.metadata.metadata or {}).get(b"make_analytics")
    if summary is None:
        raise _not_a_pull(source, "its metadata has no make_analytics")
    try:
        return msgspec.json.decode(summary, type=Summary)
    except msgspec.MsgspecError as error:
        raise _not_a_pull(source, f"its metadata make_analytics is not valid ({error})") from None


def _not_a_pull(source: str, problem: str) -> MakeInputError:
    return MakeInputError.expected("source", source, f"{EXPECTED}, but {problem}")

"""Write the entries of a pull to a file, as JSON Lines, CSV or Parquet."""

from __future__ import annotations

import gzip
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from itertools import starmap
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import msgspec

from airflow_provider_make import __version__
from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError, MakeResponseError
from airflow_provider_make.output.rows import COLUMN_TYPES, COLUMNS, TEXT_COLUMNS, RowBuilder

if TYPE_CHECKING:
    import pyarrow

_CONTENT_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
}
FORMATS = tuple(_CONTENT_TYPES)
# Rows in a row group of Parquet. In memory, each takes some hundred bytes.
ROW_GROUP = 65_536
MAX_BATCHES = 500
# The precision of a decimal128.
_MAX_DIGITS = 38
# A spreadsheet may run text that begins like this: with what OWASP lists (https://owasp.org/www-community/attacks/
# CSV_Injection, and NUL by ASVS 1.2.10), also after white space and invisible characters, which some
# spreadsheets remove.
_IGNORED = r"\s\0-\x1f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_FORMULA = re.compile(rf"[\t\r\n\0]|[{_IGNORED}]*[=+@\uff1d\uff0b\uff0d\uff20-]")
# msgspec encodes structs in half the time of dicts.
_Row = msgspec.defstruct("_Row", COLUMNS, gc=False)
_encode_lines = msgspec.json.Encoder().encode_lines


class Writer(Protocol):
    """Writes entries to a file."""

    def write(self, entries: Sequence[ScenarioMetrics]) -> None:
        """Write the entries of a page."""

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Write what is buffered, and the summary if the format stores it; None to discard. The file stays open."""


class JsonLinesWriter:
    """Write JSON Lines in UTF-8."""

    def __init__(self, file: IO[bytes], builder: RowBuilder) -> None:
        self._file = file
        self._builder = builder

    def write(self, entries: Sequence[ScenarioMetrics]) -> None:
        self._file.write(_encode_lines(starmap(_Row, self._builder.tuples(entries))))

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Do nothing: lines have no end to write."""


class CsvWriter:
    """
    Write CSV in UTF-8 with a header (RFC 4180).

    Text is always quoted, and an absent value is empty without quotes, so that it differs from empty text. Numbers
    and times are not quoted. If safe, text that a spreadsheet would run as a formula gets an apostrophe in front, and
    a byte order mark comes first, without which Excel does not read UTF-8.
    """

    def __init__(self, file: IO[bytes], builder: RowBuilder, safe: bool) -> None:
        self._file = file
        self._builder = builder
        self._safe = safe
        if safe:
            file.write(BOM_UTF8)
        self._write_lines([",".join(COLUMNS)])

    def write(self, entries: Sequence[ScenarioMetrics]) -> None:
        self._write_lines(",".join(map(self._cell, COLUMNS, row)) for row in self._builder.tuples(entries))

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Do nothing: lines have no end to write."""

    def _write_lines(self, lines: Iterable[str]) -> None:
        self._file.write("".join(f"{line}\r\n" for line in lines).encode())

    def _cell(self, column: str, value: Any) -> str:
        if value is None:
            return ""
        text = str(value)
        if column not in TEXT_COLUMNS:
            return text
        if self._safe and _FORMULA.match(text):
            text = f"'{text}"
        return '"' + text.replace('"', '""') + '"'


class GzipWriter:
    """Compress the output of another writer, which ``open_inner`` creates, with gzip."""

    def __init__(self, file: IO[bytes], open_inner: Callable[[IO[bytes]], Writer]) -> None:
        # Without a file name and a time in its header, the same rows produce the same bytes.
        self._file = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
        self._inner = open_inner(cast(IO[bytes], self._file))

    def write(self, entries: Sequence[ScenarioMetrics]) -> None:
        self._inner.write(entries)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        self._inner.close(summary)
        self._file.close()


class ParquetWriter:
    """
    Write Parquet, with the pull's summary as JSON in the file's metadata under ``make_analytics``.

    Row groups are written in a thread: compression would hold up the next responses. Only one group waits for it.
    """

    def __init__(self, file: IO[bytes], builder: RowBuilder) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter as Writer

        self._builder = builder
        self._schema = parquet_schema()
        self._types = dict(zip(self._schema.names, self._schema.types, strict=True))
        self._constants = {
            name: pyarrow.scalar(value, self._types[name]) for name, value in builder.constants().items()
        }
        self._batches: list[pyarrow.RecordBatch] = []
        self._buffered_rows = 0
        # Only for values that repeat: the dictionaries of names and ids would grow too large.
        repeating = ["status", "team_id", "team_name", *self._constants]
        self._writer = Writer(file, self._schema, compression="zstd", use_dictionary=repeating)
        self._thread = ThreadPoolExecutor(1, "make-parquet")
        self._group: Future[None] | None = None

    def write(self, entries: Sequence[ScenarioMetrics]) -> None:
        import pyarrow

        columns = self._builder.columns(entries)
        arrays = {name: pyarrow.repeat(value, len(entries)) for name, value in self._constants.items()}
        try:
            arrays["centicredits"] = _decimals(columns.pop("centicredits"), self._types["centicredits"])
            arrays |= {name: pyarrow.array(values, self._types[name]) for name, values in columns.items()}
        except pyarrow.ArrowInvalid as error:
            text = f"an amount of centicredits does not fit into Parquet, but would into jsonl or csv: {error}"
            raise MakeResponseError(text) from None
        self._batches.append(pyarrow.RecordBatch.from_arrays([arrays[name] for name in COLUMNS], schema=self._schema))
        self._buffered_rows += len(entries)
        if self._buffered_rows >= ROW_GROUP:
            self._write_group()
        elif len(self._batches) >= MAX_BATCHES:
            # As a separate batch, a tiny page would take a kilobyte for each row.
            self._batches = pyarrow.Table.from_batches(self._batches).combine_chunks().to_batches()

    def close(self, summary: Mapping[str, Any] | None) -> None:
        try:
            if summary is not None:
                self._write_group()
                self._wait_for_group()
                metadata = {**summary, "provider_version": __version__}
                self._writer.add_key_value_metadata({"make_analytics": msgspec.json.encode(metadata).decode()})
        finally:
            self._thread.shutdown()
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow

        self._wait_for_group()
        if self._buffered_rows:
            table = pyarrow.Table.from_batches(self._batches)
            self._group = self._thread.submit(self._writer.write_table, table, row_group_size=len(table))
        self._batches, self._buffered_rows = [], 0

    def _wait_for_group(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            group.result()


def _decimals(texts: Sequence[str | None], kind: pyarrow.DataType) -> pyarrow.Array:
    import pyarrow
    import pyarrow.compute

    as_text = pyarrow.array(texts, pyarrow.string())
    if (pyarrow.compute.max(pyarrow.compute.binary_length(as_text)).as_py() or 0) > _MAX_DIGITS:
        # Leading zeros are fine, and a number that is too large raises an error here; a cast would overflow.
        return pyarrow.array([text if text is None else int(text) for text in texts], kind)
    # A cast takes half the time.
    return as_text.cast(kind)


def parquet_schema() -> pyarrow.Schema:
    import pyarrow

    types = {
        "int64": pyarrow.int64(),
        "float64": pyarrow.float64(),
        "string": pyarrow.string(),
        "timestamp[us, UTC]": pyarrow.timestamp("us", tz="UTC"),
        "decimal128(38, 0)": pyarrow.decimal128(38, 0),
    }
    return pyarrow.schema([(column, types[kind]) for column, kind in COLUMN_TYPES.items()])


def choose_format(path: str, output_format: Any) -> tuple[str, bool]:
    """Choose the format, by the argument or else the path's suffix, and whether to compress it: a path with ``.gz``."""
    compressed = path.endswith(".gz")
    stem = path.removesuffix(".gz")
    chosen = output_format or next((name for name in FORMATS if stem.endswith(f".{name}")), None)
    if output_format is not None and output_format not in FORMATS:
        raise MakeInputError.expected("output_format", output_format, f"one of {', '.join(FORMATS)}")
    if chosen is None:
        suffixes = ".parquet, .jsonl, .csv, .jsonl.gz or .csv.gz"
        raise MakeInputError.expected("output_path", path, f"a name that ends in {suffixes}, or an output_format")
    if chosen == "parquet":
        if compressed:
            raise MakeInputError.expected("output_path", path, "a name without .gz: Parquet is compressed by itself")
        if find_spec("pyarrow") is None:
            raise MakeInputError("Parquet needs pyarrow. Install it: pip install pyarrow.")
    return chosen, compressed


def content_type(name: str, compressed: bool) -> str:
    return "application/gzip" if compressed else _CONTENT_TYPES[name]


def open_writer(name: str, file: IO[bytes], builder: RowBuilder, *, compressed: bool, csv_safe: bool) -> Writer:
    if compressed:
        return GzipWriter(file, lambda inner: open_writer(name, inner, builder, compressed=False, csv_safe=csv_safe))
    if name == "parquet":
        return ParquetWriter(file, builder)
    return CsvWriter(file, builder, csv_safe) if name == "csv" else JsonLinesWriter(file, builder)

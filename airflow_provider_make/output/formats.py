"""How the entries of a pull are written into a file: JSON Lines, CSV or Parquet."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import starmap
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import msgspec

from airflow_provider_make import __version__
from airflow_provider_make.api.response import ScenarioFigures
from airflow_provider_make.exceptions import MakeInputError, MakeResponseError
from airflow_provider_make.output.rows import COLUMN_TYPES, COLUMNS, TEXT_COLUMNS, RowMaker

if TYPE_CHECKING:
    import pyarrow

FORMATS = ("parquet", "jsonl", "csv")
# Rows that are gathered, as Arrow columns of some hundred bytes each, before they are written as one group.
ROW_GROUP = 65_536
MOST_BATCHES = 500
# What a decimal128 holds.
_MOST_DIGITS = 38
# Structs are encoded in half the time of dicts.
_Row = msgspec.defstruct("_Row", COLUMNS, gc=False)
_encode_lines = msgspec.json.Encoder().encode_lines


class Writer(Protocol):
    """Writes entries into a file."""

    def write(self, entries: Sequence[ScenarioFigures]) -> None:
        """Write the entries of a page."""

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Write what is left, and what the format keeps of the summary; None: nothing counts. The file stays open."""


class JsonLinesWriter:
    """
    A line of JSON for each row, in UTF-8.

    :param file: Where to write.
    :param maker: Makes the rows.
    """

    def __init__(self, file: IO[bytes], maker: RowMaker) -> None:
        self._file = file
        self._maker = maker

    def write(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Write the entries of a page.

        :param entries: The entries.
        """
        self._file.write(_encode_lines(starmap(_Row, self._maker.tuples(entries))))

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Do nothing: lines have no end to write."""


class CsvWriter:
    """
    Comma-separated values in UTF-8, with a header, as of RFC 4180.

    Text is always quoted, and what is missing is empty and not quoted: so the two can be told apart. Numbers and
    times are not quoted.

    :param file: Where to write.
    :param maker: Makes the rows.
    :param safe: Whether text that a spreadsheet would run as a formula gets an apostrophe in front.
    """

    def __init__(self, file: IO[bytes], maker: RowMaker, safe: bool = False) -> None:
        self._file = file
        self._maker = maker
        self._safe = safe
        self._write_lines([",".join(COLUMNS)])

    def write(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Write the entries of a page.

        :param entries: The entries.
        """
        self._write_lines(",".join(map(self._cell, COLUMNS, row)) for row in self._maker.tuples(entries))

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
        if self._safe and text.startswith(("=", "+", "-", "@", "\t", "\r")):
            text = f"'{text}"
        return '"' + text.replace('"', '""') + '"'


class GzipWriter:
    """
    Another format, compressed by gzip.

    :param file: Where to write.
    :param open_inner: Opens the writer of the other format.
    """

    def __init__(self, file: IO[bytes], open_inner: Callable[[IO[bytes]], Writer]) -> None:
        # Without a time and a name inside, the same rows make the same bytes.
        self._file = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
        self._inner = open_inner(cast(IO[bytes], self._file))

    def write(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Write the entries of a page.

        :param entries: The entries.
        """
        self._inner.write(entries)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """
        Write what is left.

        :param summary: What the pull's summary says; None to end a file that does not count.
        """
        self._inner.close(summary)
        self._file.close()


class ParquetWriter:
    """
    Parquet, with the pull's summary as JSON in the file's metadata, under ``make_analytics``.

    :param file: Where to write.
    :param maker: Makes the columns.
    """

    def __init__(self, file: IO[bytes], maker: RowMaker) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter as Writer

        self._maker = maker
        self._schema = parquet_schema()
        self._types = dict(zip(self._schema.names, self._schema.types, strict=True))
        self._constants = {name: pyarrow.scalar(value, self._types[name]) for name, value in maker.constants().items()}
        self._waiting: list[pyarrow.RecordBatch] = []
        self._rows_waiting = 0
        # A dictionary for what repeats; names and ids would only outgrow theirs.
        repeating = ["status", "team_id", "team_name", *self._constants]
        self._writer = Writer(file, self._schema, compression="zstd", use_dictionary=repeating)

    def write(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Write the entries of a page.

        :param entries: The entries.
        :raises MakeResponseError: An amount of centicredits has more than 38 digits.
        """
        import pyarrow

        columns = self._maker.columns(entries)
        arrays = {name: pyarrow.repeat(value, len(entries)) for name, value in self._constants.items()}
        try:
            arrays["centicredits"] = _decimals(columns.pop("centicredits"), self._types["centicredits"])
            arrays |= {name: pyarrow.array(values, self._types[name]) for name, values in columns.items()}
        except pyarrow.ArrowInvalid as error:
            text = f"an amount of centicredits does not fit into Parquet, but would into jsonl or csv: {error}"
            raise MakeResponseError(text) from None
        self._waiting.append(pyarrow.RecordBatch.from_arrays([arrays[name] for name in COLUMNS], schema=self._schema))
        self._rows_waiting += len(entries)
        if self._rows_waiting >= ROW_GROUP:
            self._write_group()
        elif len(self._waiting) >= MOST_BATCHES:
            # Tiny pages would take a kilobyte for each row.
            self._waiting = pyarrow.Table.from_batches(self._waiting).combine_chunks().to_batches()

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """
        Write what is left, and the summary.

        :param summary: What the pull's summary says; None to end a file that does not count.
        """
        if summary is not None:
            self._write_group()
            kept = {**summary, "provider_version": __version__}
            self._writer.add_key_value_metadata({"make_analytics": msgspec.json.encode(kept).decode()})
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow

        if self._rows_waiting:
            table = pyarrow.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=len(table))
        self._waiting, self._rows_waiting = [], 0


def _decimals(texts: Sequence[str | None], kind: pyarrow.DataType) -> pyarrow.Array:
    import pyarrow
    import pyarrow.compute

    as_text = pyarrow.array(texts, pyarrow.string())
    if (pyarrow.compute.max(pyarrow.compute.binary_length(as_text)).as_py() or 0) > _MOST_DIGITS:
        # Zeros in front do no harm, and too large a number is an error here; a cast would let it overflow.
        return pyarrow.array([text if text is None else int(text) for text in texts], kind)
    # Twice as fast.
    return as_text.cast(kind)


def parquet_schema() -> pyarrow.Schema:
    """
    Give the schema of Parquet files, which stays as it is.

    :return: ``COLUMNS`` with their types.
    """
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
    """
    Choose the format of an object.

    :param path: Path or URL of the object; its suffix stands for the format, with ``.gz`` behind it for
        a compressed one.
    :param output_format: One of ``FORMATS``, whatever the suffix says; None to go by the suffix.
    :return: The format, and whether it is compressed by gzip.
    :raises MakeInputError: There is no such format, or it can't be written here.
    """
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
            raise MakeInputError("Parquet needs pyarrow, expected: pip install 'airflow-provider-make[parquet]'.")
    return chosen, compressed


def open_writer(name: str, file: IO[bytes], maker: RowMaker, *, compressed: bool, csv_safe: bool) -> Writer:
    """
    Begin to write.

    :param name: One of ``FORMATS``.
    :param file: Where to write.
    :param maker: Makes the rows.
    :param compressed: Whether it is compressed by gzip.
    :param csv_safe: Whether CSV cells that a spreadsheet would run as formulas are escaped.
    :return: The writer.
    """
    if compressed:
        return GzipWriter(file, lambda inner: open_writer(name, inner, maker, compressed=False, csv_safe=csv_safe))
    if name == "parquet":
        return ParquetWriter(file, maker)
    return CsvWriter(file, maker, csv_safe) if name == "csv" else JsonLinesWriter(file, maker)

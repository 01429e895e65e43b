"""Where the rows of a pull go: into XCom, or whole into one object of a storage."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, Self

import msgspec

from airflow_provider_make.api.query import positive_integer
from airflow_provider_make.api.response import ScenarioFigures
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.atomic_write import publish_file
from airflow_provider_make.output.formats import Writer, choose_format, open_writer
from airflow_provider_make.output.object_path import find_object, read_location
from airflow_provider_make.output.rows import RowMaker


class Destination(Protocol):
    """A place that takes entries, and shows their rows only when all are there."""

    def __enter__(self) -> Self:
        """Get ready."""

    def __exit__(self, *exception: object) -> None:
        """Clean up; what was not published is gone."""

    def begin(self, maker: RowMaker) -> None:
        """Begin, or begin again: forget the entries taken so far."""

    def add(self, entries: Sequence[ScenarioFigures]) -> None:
        """Take the entries of a page."""

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Show the rows; return the summary with the part about them."""


def open_destination(
    *,
    output_path: Any,
    output_format: Any,
    storage_conn_id: str | None,
    max_xcom_bytes: Any,
    csv_safe: bool = False,
) -> Destination:
    """
    Choose the destination, and refuse what can't work before any request is sent.

    :param output_path: Path or URL of the object to write, as ``ObjectStoragePath`` reads it; None for XCom.
    :param output_format: ``parquet``, ``jsonl`` or ``csv``; None to go by the path's suffix.
    :param storage_conn_id: Airflow connection of the storage; None for the storage's own default.
    :param max_xcom_bytes: The most bytes of JSON that XCom may get.
    :param csv_safe: Whether CSV cells that a spreadsheet would run as formulas are escaped.
    :return: The destination, to be used in a ``with`` block.
    :raises MakeInputError: The format is unknown, or no number of bytes was given.
    """
    if output_path is None:
        for name, value in (("output_format", output_format), ("storage_conn_id", storage_conn_id)):
            if value is not None:
                raise MakeInputError(f"{name}={value!r} has no effect without output_path: expected both, or neither.")
        return XComRows(positive_integer("max_xcom_bytes", max_xcom_bytes))
    path = read_location("output_path", output_path, "a whole path or URL, or None for XCom")
    return StoredObject(path, *choose_format(path, output_format), storage_conn_id, csv_safe)


class XComRows:
    """
    Rows for XCom, as long as they are few.

    :param max_bytes: The most bytes that the summary with them may have as JSON.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._rows = []

    def begin(self, maker: RowMaker) -> None:
        """
        Begin, or begin again: forget the entries taken so far.

        :param maker: Makes the rows.
        """
        self._maker = maker
        self._rows, self._bytes = [], 0

    def add(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Take the entries of a page.

        :param entries: The entries.
        :raises MakeInputError: They are too many for XCom. Said at once, before more pages are fetched.
        """
        for row in self._maker.rows(entries):
            self._bytes += len(msgspec.json.encode(row))
            self._rows.append(row)
            self._check(self._bytes, f"its first {len(self._rows)} rows alone")

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """
        Hand the rows on.

        :param summary: What else the summary says.
        :return: The summary, with the rows.
        :raises MakeInputError: It is too large for XCom.
        """
        result = {**summary, "path": None, "format": None, "bytes": None, "rows": self._rows}
        # As Airflow writes it: with spaces, and other characters than ASCII escaped.
        self._check(len(json.dumps(result)), "it")
        return result

    def _check(self, size: int, what: str) -> None:
        if size > self._max_bytes:
            raise MakeInputError(
                f"The result is too large for XCom: {what} would take {size} bytes, and "
                f"max_xcom_bytes={self._max_bytes}. Set output_path to write the rows to object storage."
            )


class StoredObject:
    """
    One object of a storage, which appears whole or not at all.

    Rows are spooled to a local file, and copied to the storage when the pull is exact.

    :param path: Path or URL of the object.
    :param format_name: ``parquet``, ``jsonl`` or ``csv``.
    :param compressed: Whether it is compressed by gzip.
    :param storage_conn_id: Airflow connection of the storage; None for the storage's own default.
    :param csv_safe: Whether CSV cells that a spreadsheet would run as formulas are escaped.
    """

    def __init__(
        self, path: str, format_name: str, compressed: bool, storage_conn_id: str | None, csv_safe: bool
    ) -> None:
        self._path = path
        self._format = format_name
        self._compressed = compressed
        self._storage_conn_id = storage_conn_id
        self._csv_safe = csv_safe
        self._writer: Writer | None = None

    def __enter__(self) -> Self:
        # Looked up now: a storage that is unknown, or whose connection is, is to fail before the pull.
        self._target = find_object("output_path", self._path, self._storage_conn_id)
        self._filesystem = self._target.fs
        # It has no name: nothing is left of it, whatever happens to the worker.
        self._spool = tempfile.TemporaryFile(prefix="make-analytics-")
        return self

    def __exit__(self, *exception: object) -> None:
        self._abandon()
        self._spool.close()

    def begin(self, maker: RowMaker) -> None:
        """
        Begin, or begin again: forget the entries taken so far.

        :param maker: Makes the rows.
        """
        self._abandon()
        self._spool.seek(0)
        self._spool.truncate()
        self._writer = open_writer(
            self._format, self._spool, maker, compressed=self._compressed, csv_safe=self._csv_safe
        )

    def add(self, entries: Sequence[ScenarioFigures]) -> None:
        """
        Spool the entries of a page.

        :param entries: The entries.
        """
        if self._writer is None:
            raise RuntimeError("begin() comes before add()")
        self._writer.write(entries)

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """
        Copy the spool to the storage, over what was there; missing local folders are made.

        :param summary: What else the summary says.
        :return: The summary, with where the object is.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            raise RuntimeError("begin() comes before publish()")
        writer.close(summary)
        size = self._spool.seek(0, os.SEEK_END)
        publish_file(self._spool, self._filesystem, self._target.path)
        return {**summary, "path": str(self._target), "format": self._format, "bytes": size}

    def _abandon(self) -> None:
        if self._writer is not None:
            # Writers write to the last; what they can't write any more, on a full disk say, does not count.
            with suppress(Exception):
                self._writer.close(None)
            self._writer = None

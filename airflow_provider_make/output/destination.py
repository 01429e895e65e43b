"""The destination of a pull's rows: XCom, or one object in a storage."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, Self

import msgspec

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.arguments import parse_positive_integer
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.atomic_write import errors_naming, write_atomically
from airflow_provider_make.output.formats import Writer, choose_format, open_writer
from airflow_provider_make.output.object_path import parse_object_path, resolve_object
from airflow_provider_make.output.preflight import check_existing, check_writable, describe_replacement, parse_if_exists
from airflow_provider_make.output.rows import RowBuilder


class Destination(Protocol):
    """
    A destination that receives entries, and publishes their rows only when the pull is complete.

    ``path`` is the path or URL of the object, or None for XCom.
    """

    path: str | None

    def __enter__(self) -> Self:
        """Prepare for entries."""

    def __exit__(self, *exception: object) -> None:
        """Clean up, and discard what is not published."""

    def begin(self, builder: RowBuilder) -> None:
        """Start, or start again: discard the entries added so far."""

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        """Add the entries of a page."""

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Publish the rows, and return the summary completed with the result."""


def open_destination(
    *,
    output_path: Any,
    output_format: Any,
    storage_conn_id: str | None,
    max_xcom_bytes: Any,
    csv_safe: Any = False,
    if_exists: Any = "replace",
    timezone: str = "UTC",
    log: Any = None,
) -> Destination:
    """
    Choose the destination, and validate its arguments before any request is sent.

    :param output_path: Path or URL of the object to write, as ``ObjectStoragePath`` reads it; None for XCom.
    :param output_format: ``parquet``, ``jsonl`` or ``csv``; None to use the path's suffix.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :param max_xcom_bytes: Maximum size of the result as JSON.
    :param csv_safe: Whether CSV cells that a spreadsheet would run as formulas are escaped.
    :param if_exists: ``replace``, ``skip`` or ``fail``: what happens if the object exists.
    :param timezone: The time zone of the pull's days, which Parquet's metadata gets.
    :param log: Logger for a warning about the replaced object; None for the module's.
    :return: The destination, to use in ``with``.
    :raises MakeInputError: An argument is not valid.
    """
    if not isinstance(csv_safe, bool):
        raise MakeInputError.expected("csv_safe", csv_safe, "True or False")
    if_exists = parse_if_exists(if_exists)
    if output_path is None:
        options = {
            "output_format": output_format,
            "storage_conn_id": storage_conn_id,
            "csv_safe": csv_safe or None,
            "if_exists": None if if_exists == "replace" else if_exists,
        }
        for name, value in options.items():
            if value is not None:
                raise MakeInputError(f"{name}={value!r} has no effect without output_path: expected both, or neither.")
        return XComDestination(parse_positive_integer("max_xcom_bytes", max_xcom_bytes))
    path = parse_object_path("output_path", output_path, "a whole path or URL, or None for XCom")
    format_name, compressed = choose_format(path, output_format)
    return ObjectDestination(
        path,
        format_name,
        compressed,
        storage_conn_id,
        csv_safe,
        if_exists,
        timezone,
        log or logging.getLogger(__name__),
    )


class XComDestination:
    """
    Return the rows in the summary, for XCom.

    :param max_bytes: The most bytes that the summary may have as JSON, rows included.
    """

    path: str | None = None

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._rows = []

    def begin(self, builder: RowBuilder) -> None:
        """Start, or start again: discard the entries added so far."""
        self._builder = builder
        self._rows, self._bytes = [], 0

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        """
        Add the entries of a page.

        :param entries: The entries.
        :raises MakeInputError: The rows so far are too large for XCom; no more pages are fetched.
        """
        for row in self._builder.rows(entries):
            self._bytes += len(msgspec.json.encode(row))
            self._rows.append(row)
            self._check_size(self._bytes, f"its first {len(self._rows)} rows alone")

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """
        Add the rows to the summary.

        :param summary: The summary without the rows.
        :return: The summary with the rows.
        :raises MakeInputError: The summary is too large for XCom.
        """
        result = {**summary, "path": None, "format": None, "bytes": None, "rows": self._rows}
        # As Airflow serialises it: with spaces, and non-ASCII characters escaped.
        self._check_size(len(json.dumps(result)), "it")
        return result

    def _check_size(self, size: int, what: str) -> None:
        if size > self._max_bytes:
            raise MakeInputError(
                f"The result is too large for XCom: {what} would take {size} bytes, and "
                f"max_xcom_bytes={self._max_bytes}. Set output_path to write the rows to object storage."
            )


class ObjectDestination:
    """
    Write the rows to one object in a storage, whole or not at all.

    Rows are spooled to a local file, and copied to the storage when the pull is complete.

    :param path: Path or URL of the object.
    :param format_name: ``parquet``, ``jsonl`` or ``csv``.
    :param compressed: Whether to compress with gzip.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :param csv_safe: Whether CSV cells that a spreadsheet would run as formulas are escaped.
    :param if_exists: ``replace``, ``skip`` or ``fail``: what happens if the object exists.
    :param timezone: The time zone of the pull's days, which Parquet's metadata gets.
    :param log: Logger for a warning about the replaced object.
    """

    def __init__(
        self,
        path: str,
        format_name: str,
        compressed: bool,
        storage_conn_id: str | None,
        csv_safe: bool,
        if_exists: str,
        timezone: str,
        log: Any,
    ) -> None:
        self.path: str | None = path
        self._location = path
        self._format = format_name
        self._compressed = compressed
        self._storage_conn_id = storage_conn_id
        self._csv_safe = csv_safe
        self._if_exists = if_exists
        self._timezone = timezone
        self._log = log
        self._writer: Writer | None = None

    def __enter__(self) -> Self:
        # What can't be written fails here, before the first request.
        self._target = resolve_object("output_path", self._location, self._storage_conn_id)
        check_writable("output_path", self._location, self._target)
        check_existing(self._target, self._if_exists)
        # A file without a name: nothing is left of it if the worker is killed.
        self._spool = tempfile.TemporaryFile(prefix="make-analytics-")
        return self

    def __exit__(self, *exception: object) -> None:
        self._discard()
        self._spool.close()

    def begin(self, builder: RowBuilder) -> None:
        """Start, or start again: discard the entries added so far."""
        self._discard()
        with self._spool_errors():
            self._spool.seek(0)
            self._spool.truncate()
            self._writer = open_writer(
                self._format, self._spool, builder, compressed=self._compressed, csv_safe=self._csv_safe
            )

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        """Add the entries of a page."""
        if self._writer is None:
            raise RuntimeError("begin() comes before add()")
        with self._spool_errors():
            self._writer.write(entries)

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """
        Copy the spooled file to the storage. Missing local folders are created.

        :param summary: The summary without the object.
        :return: The summary with ``path``, ``format`` and ``bytes``.
        :raises AirflowSkipException: Another task has created the object meanwhile, and it is to be kept.
        :raises MakeInputError: Another task has created the object meanwhile, and that is an error.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            raise RuntimeError("begin() comes before publish()")
        with self._spool_errors():
            writer.close({**summary, "timezone": self._timezone})
            size = self._spool.seek(0, os.SEEK_END)
            self._spool.flush()
        check_existing(self._target, self._if_exists)
        warning = describe_replacement(self._target, summary) if self._format == "parquet" else None
        write_atomically(self._spool, self._target.fs, self._target.path)
        if warning:
            self._log.warning(warning)
        return {**summary, "path": str(self._target), "format": self._format, "bytes": size}

    def _spool_errors(self) -> AbstractContextManager[None]:
        # The spool has no name.
        return errors_naming(tempfile.gettempdir())

    def _discard(self) -> None:
        if self._writer is not None:
            # Writers write when they are closed; that may fail, on a full disk for example, and does not matter here.
            with suppress(Exception):
                self._writer.close(None)
            self._writer = None

"""The destination of a pull's rows: XCom, or one object in a storage."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import msgspec
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.arguments import parse_positive_integer
from airflow_provider_make.exceptions import MakeInputError, temporary_file_errors
from airflow_provider_make.output.atomic_write import write_atomically
from airflow_provider_make.output.formats import Writer, choose_format, content_type, open_writer
from airflow_provider_make.output.object_path import parse_object_path, resolve_object
from airflow_provider_make.output.preflight import check_existing, check_writable, parse_if_exists
from airflow_provider_make.output.rows import RowBuilder


class Destination(Protocol):
    """A destination that receives entries, and publishes their rows only when the pull is complete."""

    @property
    def path(self) -> str | None:
        """Path or URL of the object; None for XCom."""

    def __enter__(self) -> Self:
        """Check what can be checked, and prepare for entries."""

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
    csv_safe: Any,
    if_exists: Any,
    identity: Mapping[str, Any],
    timezone: str,
    log: Any,
) -> Destination:
    """
    Choose the destination, to use in ``with``.

    The arguments are the operator's, the path with its fields filled; and what identifies the pull, as in its summary.
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
                raise MakeInputError.expected(name, value, "an output_path with it: it has no effect without")
        return XComDestination(parse_positive_integer("max_xcom_bytes", max_xcom_bytes))
    path = parse_object_path("output_path", output_path, "a whole path or URL, or None for XCom")
    format_name, compressed = choose_format(path, output_format)
    return ObjectDestination(
        path, format_name, compressed, storage_conn_id, csv_safe, if_exists, identity, timezone, log
    )


class XComDestination:
    """Return the rows in the summary, which may have this many bytes as JSON, for XCom."""

    path = None

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._rows = []

    def begin(self, builder: RowBuilder) -> None:
        self._builder = builder
        self._rows, self._bytes = [], 0

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        for row in self._builder.rows(entries):
            self._bytes += len(msgspec.json.encode(row))
            self._rows.append(row)
            # No more pages are fetched then.
            self._check_size(self._bytes, f"its first {len(self._rows)} rows alone")

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
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


@dataclass(eq=False)
class ObjectDestination:
    """
    Write the rows to one object in a storage, whole or not at all.

    Rows are spooled to a local file, and copied to the storage when the pull is complete.
    """

    path: str
    format_name: str
    compressed: bool
    storage_conn_id: str | None
    csv_safe: bool
    if_exists: str
    identity: Mapping[str, Any]
    # Of the pull's days; Parquet's metadata gets it.
    timezone: str
    log: Any
    _writer: Writer | None = field(default=None, init=False)
    # What was logged about the object in the path.
    _warning: str | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        # What can't be written fails here, before the first request.
        self._target = resolve_object("output_path", self.path, self.storage_conn_id)
        check_writable("output_path", self.path, self._target)
        self._warning = self._check_existing(self.identity)
        if self._warning:
            self.log.warning(self._warning)
        # A file without a name: nothing is left of it if the worker is killed.
        self._spool = tempfile.TemporaryFile(prefix="make-analytics-")
        return self

    def __exit__(self, *exception: object) -> None:
        self._discard()
        # Python writes what it has buffered, which fails again on a full disk.
        with suppress(OSError):
            self._spool.close()

    def begin(self, builder: RowBuilder) -> None:
        self._discard()
        with temporary_file_errors():
            self._spool.seek(0)
            self._spool.truncate()
            self._writer = open_writer(
                self.format_name, self._spool, builder, compressed=self.compressed, csv_safe=self.csv_safe
            )

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        if self._writer is None:
            raise RuntimeError("begin() comes before add()")
        with temporary_file_errors():
            self._writer.write(entries)

    def publish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        if self._writer is None:
            raise RuntimeError("begin() comes before publish()")
        with temporary_file_errors():
            # If a signal handler interrupts it, the writer is closed again at the end, before its file.
            self._writer.close({**summary, "timezone": self.timezone})
            size = self._spool.seek(0, os.SEEK_END)
            self._spool.flush()
        self._writer = None
        # Another task may have created the object meanwhile.
        warning = self._check_existing({**self.identity, **summary})
        kind = content_type(self.format_name, self.compressed)
        with self._target.errors_named("written to"):
            write_atomically(self._spool, self._target.fs, self._target.path, kind)
        if warning and warning != self._warning:
            self.log.warning(warning)
        return {**summary, "path": str(self._target), "format": self.format_name, "bytes": size}

    def _check_existing(self, pull: Mapping[str, Any]) -> str | None:
        try:
            return check_existing(self._target, self.if_exists, pull)
        except AirflowSkipException as skip:
            # From Airflow 3.2 on, the log view hides Airflow's own line.
            self.log.info("Skipped: %s", skip)
            raise

    def _discard(self) -> None:
        if self._writer is not None:
            # Writers write when they are closed; that may fail, on a full disk for example, and does not matter here.
            with suppress(Exception):
                self._writer.close(None)
            self._writer = None

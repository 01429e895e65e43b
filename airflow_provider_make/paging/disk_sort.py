"""Sort entries on disk, with only their sort keys in memory."""

from __future__ import annotations

import sys
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Self

import msgspec

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import temporary_file_errors

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ScenarioMetrics).decode


class DiskSort:
    """
    Sorts entries by a column of ours. Used in ``with``.

    The sort is stable, text is sorted by code points, and entries without a value are first or last.
    """

    def __init__(self, column: str, sort_dir: str, absent_first: bool) -> None:
        self._column = column
        self._descending = sort_dir == "desc"
        self._absent_first = absent_first
        self._keys: list[Any] = []
        self._offsets = array("q", [0])

    def __enter__(self) -> Self:
        self._spool = tempfile.TemporaryFile(prefix="make-analytics-")
        return self

    def __exit__(self, *exception: object) -> None:
        # Python writes what it has buffered, which fails again on a full disk, and does not matter any more.
        with suppress(OSError):
            self._spool.close()

    def add(self, entries: Iterable[ScenarioMetrics]) -> None:
        """Add entries."""
        with temporary_file_errors():
            for entry in entries:
                key = getattr(entry, self._column)
                # Scenarios of a team, or with a status, share its text.
                self._keys.append(sys.intern(key) if isinstance(key, str) else key)
                self._offsets.append(self._offsets[-1] + self._spool.write(_encode(entry)))

    def batches(self, size: int) -> Iterator[list[ScenarioMetrics]]:
        """Yield the entries, sorted, in batches of at most this size."""
        order = self._order()
        while True:
            with temporary_file_errors():
                batch = [self._read(index) for index in islice(order, size)]
            if not batch:
                return
            yield batch

    def _order(self) -> Iterator[int]:
        keys = self._keys
        absent = [index for index, key in enumerate(keys) if key is None]
        present = [index for index, key in enumerate(keys) if key is not None]
        present.sort(key=keys.__getitem__, reverse=self._descending)
        return iter([*absent, *present] if self._absent_first else [*present, *absent])

    def _read(self, index: int) -> ScenarioMetrics:
        begin, end = self._offsets[index], self._offsets[index + 1]
        self._spool.seek(begin)
        return _decode(self._spool.read(end - begin))

"""Entries that were read in one order, put into another one: on disk, with some bytes of memory for each."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Self

import msgspec

from airflow_provider_make.api.response import ScenarioFigures

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ScenarioFigures).decode


class Reordering:
    """
    Takes entries in any order and gives them back sorted. Used in ``with``.

    Entries with equal sort keys stay in the order in which they came. Text is sorted by code points.

    :param column: The sort key, by our column's name.
    :param sort_dir: ``asc`` or ``desc``.
    :param absent_first: Whether entries without a value come before the others, or behind them.
    """

    def __init__(self, column: str, sort_dir: str, absent_first: bool) -> None:
        self._column = column
        self._descending = sort_dir == "desc"
        self._absent_first = absent_first
        self._keys: list[Any] = []
        self._offsets = array("q", [0])

    def __enter__(self) -> Self:
        self._spool = tempfile.TemporaryFile(prefix="make-analytics-")  # __exit__ closes it
        return self

    def __exit__(self, *exception: object) -> None:
        self._spool.close()

    def add(self, entries: Iterable[ScenarioFigures]) -> None:
        """
        Take entries.

        :param entries: The entries.
        """
        for entry in entries:
            self._keys.append(getattr(entry, self._column))
            self._offsets.append(self._offsets[-1] + self._spool.write(_encode(entry)))

    def batches(self, size: int) -> Iterator[list[ScenarioFigures]]:
        """
        Give the entries back, sorted.

        :param size: The most entries in each batch.
        :return: An iterator over batches.
        """
        order = self._order()
        while batch := [self._read(index) for index in islice(order, size)]:
            yield batch

    def _order(self) -> Iterator[int]:
        keys = self._keys
        absent = [index for index, key in enumerate(keys) if key is None]
        present = [index for index, key in enumerate(keys) if key is not None]
        present.sort(key=keys.__getitem__, reverse=self._descending)
        return iter([*absent, *present] if self._absent_first else [*present, *absent])

    def _read(self, index: int) -> ScenarioFigures:
        begin, end = self._offsets[index], self._offsets[index + 1]
        self._spool.seek(begin)
        return _decode(self._spool.read(end - begin))

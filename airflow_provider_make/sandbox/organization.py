"""An organization of the sandbox: its scenarios, which come and go, and their figures in any order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from airflow_provider_make.sandbox.data import (
    NOTHING,
    Counts,
    Figures,
    Scenario,
    compare,
    count_runs,
    generate_scenarios,
    hours_until,
)
from airflow_provider_make.sandbox.query import Selection

_REMEMBERED_RESULTS = 8


class Row(NamedTuple):
    """A scenario with its figures in the time frame asked for."""

    scenario: Scenario
    figures: Figures


class Result(NamedTuple):
    """What a selection finds: rows in order, their total, and the ranges of rows with equal sort keys."""

    rows: list[Row]
    total: Figures
    ties: list[tuple[int, int]]


class Organization:
    """
    An organization and its scenarios. Safe to use from several threads.

    :param organization_id: Its id, a positive integer.
    :param scenarios: How many scenarios it begins with, at least 0.
    :param seed: Any integer, 0 by default; the same one gives the same scenarios.
    :param absent_first: Whether rows without a value for the sort key come first instead of last (default).
    """

    def __init__(
        self,
        organization_id: int,
        scenarios: int,
        *,
        seed: int = 0,
        absent_first: bool = False,
    ) -> None:
        """Generate the scenarios."""
        if organization_id < 1:
            raise ValueError(f"organization_id must be positive, not {organization_id}")
        if scenarios < 0:
            raise ValueError(f"scenarios must not be negative, not {scenarios}")
        self.organization_id = organization_id
        self._absent_first = absent_first
        self._lock = threading.RLock()
        self._further = generate_scenarios(organization_id, seed)
        self._scenarios = list(islice(self._further, scenarios))
        self._set_counts: dict[int, tuple[int, int]] = {}
        self._results: OrderedDict[Selection, Result] = OrderedDict()
        self._revision = 0

    @property
    def revision(self) -> int:
        """How often scenarios came or went: two answers to one query are alike as long as this is."""
        with self._lock:
            return self._revision

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios of the moment in the order of their ids, as a list of the caller's own."""
        with self._lock:
            return list(self._scenarios)

    def add_scenarios(self, count: int) -> list[Scenario]:
        """
        Create scenarios.

        :param count: How many, at least 0.
        :return: The new ones; their ids are larger than all before.
        """
        with self._lock:
            new = list(islice(self._further, count))
            self._scenarios.extend(new)
            self._changed()
            return new

    def delete_scenarios(self, ids: Iterable[int]) -> None:
        """
        Delete scenarios.

        :param ids: Ids of the scenarios to delete.
        :raises ValueError: If one of them does not exist; none is deleted then.
        """
        with self._lock:
            doomed = set(ids)
            unknown = doomed.difference(scenario.id for scenario in self._scenarios)
            if unknown:
                raise ValueError(f"organization {self.organization_id} has no scenario {sorted(unknown)}")
            self._scenarios = [scenario for scenario in self._scenarios if scenario.id not in doomed]
            self._changed()

    def set_counts(self, executions: int, errors: int, ids: Iterable[int] | None = None) -> None:
        """
        Say how many executions and errors scenarios have from now on, in any time frame; rates follow from them.

        :param executions: Executions of each, at least 0; with 0 there is no error rate.
        :param errors: Errors of each, 0 to ``executions``.
        :param ids: Ids of the scenarios; ``None`` (default) for all.
        :raises ValueError: If a number is out of its range.
        """
        if not 0 <= errors <= executions:
            raise ValueError(f"errors must be between 0 and executions={executions}, not {errors}")
        with self._lock:
            chosen = [scenario.id for scenario in self._scenarios] if ids is None else ids
            self._set_counts.update(dict.fromkeys(chosen, (executions, errors)))
            self._changed()

    def select(self, selection: Selection) -> Result:
        """
        Find the entries of a selection.

        :param selection: Filters, time frame and order.
        :return: The result, shared with later callers: not to be changed.
        """
        with self._lock:
            if selection not in self._results:
                self._results[selection] = _select(self._scenarios, selection, self._absent_first, self._set_counts)
                if len(self._results) > _REMEMBERED_RESULTS:
                    self._results.popitem(last=False)
            self._results.move_to_end(selection)
            return self._results[selection]

    def _changed(self) -> None:
        self._results.clear()
        self._revision += 1


_KEYS: Mapping[str, Callable[[Row], str | float | None]] = {
    "name": lambda row: row.scenario.name,
    "teamName": lambda row: row.scenario.team_name,
    "status": lambda row: row.scenario.status,
    "operations": lambda row: row.figures.operations,
    "executions": lambda row: row.figures.executions,
    "errors": lambda row: row.figures.errors,
    "errorRate": lambda row: row.figures.error_rate,
    "executionsChange": lambda row: row.figures.executions_change,
    "operationsChange": lambda row: row.figures.operations_change,
    "errorsChange": lambda row: row.figures.errors_change,
    "errorRateChange": lambda row: row.figures.error_rate_change,
}


def _select(
    scenarios: Iterable[Scenario],
    selection: Selection,
    absent_first: bool,
    set_counts: Mapping[int, tuple[int, int]],
) -> Result:
    start, end = hours_until(selection.date_from), hours_until(selection.date_to)
    rows: list[Row] = []
    counts: list[Counts] = []
    preceding: list[Counts] = []
    for scenario in scenarios:
        if (
            (selection.team_ids and scenario.team_id not in selection.team_ids)
            or (selection.folder_ids and scenario.folder_id not in selection.folder_ids)
            or (selection.statuses and scenario.status not in selection.statuses)
        ):
            continue
        frame, frame_before = count_runs(scenario, start, end)
        if scenario.id in set_counts:
            executions, errors = set_counts[scenario.id]
            frame = frame._replace(executions=executions, errors=errors)
        counts.append(frame)
        preceding.append(frame_before)
        rows.append(Row(scenario, compare(frame, frame_before)))
    rows = _sort(rows, selection, absent_first)
    return Result(rows, compare(_sum(counts), _sum(preceding)), _ties(rows, _KEYS[selection.sort_by]))


def _sort(rows: list[Row], selection: Selection, absent_first: bool) -> list[Row]:
    key = _KEYS[selection.sort_by]
    absent = [row for row in rows if key(row) is None]
    present = [row for row in rows if key(row) is not None] if absent else rows
    # Scenarios come in the order of their ids, and sorting is stable in both directions: ids break ties.
    present.sort(key=key, reverse=selection.sort_dir == "desc")  # type: ignore[arg-type]
    return absent + present if absent_first else present + absent


def _ties(rows: list[Row], key: Callable[[Row], str | float | None]) -> list[tuple[int, int]]:
    values = [key(row) for row in rows]
    starts = [at for at in range(len(values)) if at == 0 or values[at] != values[at - 1]]
    ends = [*starts[1:], len(values)]
    return [(start, end) for start, end in zip(starts, ends, strict=False) if end - start > 1]


def _sum(counts: list[Counts]) -> Counts:
    return Counts(*map(sum, zip(*counts, strict=True))) if counts else NOTHING

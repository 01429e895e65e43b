"""An organization of the sandbox: create and delete its scenarios, and select them with their statistics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, get_args

from airflow_provider_make.sandbox.query import Criteria, Status
from airflow_provider_make.sandbox.scenarios import (
    ZERO_COUNTS,
    Counts,
    Scenario,
    Statistics,
    compare,
    generate_scenarios,
    hours_since_2020,
)
from airflow_provider_make.sandbox.story import Story, Trouble, tell_story

_CACHED_RESULTS = 8


class Row(NamedTuple):
    """A scenario and its statistics in a time frame."""

    scenario: Scenario
    statistics: Statistics


class Result(NamedTuple):
    """What criteria select: the sorted rows, their total, and the ranges of rows with equal sort keys."""

    rows: list[Row]
    total: Statistics
    ties: list[tuple[int, int]]


@dataclass(frozen=True)
class Course:
    """What happens to a scenario over time."""

    organization_id: int
    scenario: Scenario
    story: Story
    # Its executions and errors, where they were set for every time frame.
    fixed: tuple[int, int] | None
    # The errors of its failed executions, where they were set.
    errors: Sequence[Mapping[str, object] | None]

    def seen_at(self, end: float) -> Scenario | None:
        """Return the scenario as it is at a time, in hours since 2020, or ``None`` if it does not exist then."""
        return self.story.seen_at(self.scenario, end)

    def count(self, start: float, end: float) -> Counts:
        """Count what it does between two times, whatever was set for every time frame."""
        return self.story.count(self.scenario, start, end)

    def trouble_at(self, moment: float) -> Trouble | None:
        """Return why it fails at a time, if the story says so."""
        return self.story.trouble_at(self.scenario, moment)


class Organization:
    """
    An organization and its scenarios. Thread-safe.

    :param organization_id: Its id, a positive integer.
    :param scenarios: The initial number of scenarios, at least 0.
    :param seed: Any integer, 0 by default; the same seed generates the same scenarios.
    :param absent_first: Whether rows without a value for the sort key are first instead of last (default).
    :param huge_credits: Whether one scenario in a hundred uses more centicredits than fit into 64 bits, no by default.
    :param ids_after: The ids of its scenarios are larger than this, 0 by default.
    :param story: Whether every month a scenario begins to fail, one turns invalid, one is disabled, one created and one
        deleted, no by default.
    :raises ValueError: If a number is out of range.
    """

    def __init__(
        self,
        organization_id: int,
        scenarios: int,
        *,
        seed: int = 0,
        absent_first: bool = False,
        huge_credits: bool = False,
        ids_after: int = 0,
        story: bool = False,
    ) -> None:
        if organization_id < 1:
            raise ValueError(f"organization_id must be positive, not {organization_id}")
        if scenarios < 0:
            raise ValueError(f"scenarios must not be negative, not {scenarios}")
        self.organization_id = organization_id
        self._absent_first = absent_first
        self._lock = threading.RLock()
        self._generator = generate_scenarios(organization_id, seed, huge_credits=huge_credits, ids_after=ids_after)
        # With a story, also the scenarios of the past and the future.
        self._scenarios = list(islice(self._generator, scenarios))
        self._story = Story({})
        if story:
            self._scenarios, self._story = tell_story(self._scenarios, self._generator)
        self._fixed_counts: dict[int, tuple[int, int]] = {}
        self._errors: dict[int, tuple[Mapping[str, object] | None, ...]] = {}
        self._results = lru_cache(_CACHED_RESULTS)(self._select)
        self._revision = 0

    @property
    def revision(self) -> int:
        """The number of changes so far. While it stays the same, a query always gets the same response."""
        with self._lock:
            return self._revision

    @property
    def scenarios(self) -> list[Scenario]:
        """A copy of the list of current scenarios, in the order of their ids."""
        now = hours_since_2020(datetime.now(UTC))
        with self._lock:
            return [seen for scenario in self._scenarios if (seen := self._story.seen_at(scenario, now))]

    def add_scenarios(self, count: int) -> list[Scenario]:
        """
        Create scenarios.

        :param count: How many, at least 0.
        :return: The new scenarios; their ids are larger than all previous ones.
        """
        with self._lock:
            new = list(islice(self._generator, count))
            self._scenarios.extend(new)
            self._invalidate()
            return new

    def delete_scenarios(self, ids: Iterable[int]) -> None:
        """
        Delete scenarios.

        :param ids: Ids of the scenarios to delete.
        :raises ValueError: If an id does not exist; nothing is deleted then.
        """
        with self._lock:
            doomed = set(ids)
            self._require(doomed)
            self._scenarios = [scenario for scenario in self._scenarios if scenario.id not in doomed]
            self._invalidate()

    def rename_scenario(self, scenario_id: int, name: str) -> None:
        r"""
        Rename a scenario.

        :param scenario_id: Id of the scenario.
        :param name: Any text. It may be empty, belong to another scenario, and contain control characters and unpaired
            surrogates: responses then have the escapes that ``JSON.stringify`` prints, such as ``\ud83d``.
        :raises ValueError: If the id does not exist.
        """
        self._change({scenario_id}, name=name)

    def set_status(self, status: Status, ids: Iterable[int]) -> None:
        """
        Set the status of scenarios, from now on in any time frame; what they do stays as it is.

        :param status: ``active``, ``inactive`` or ``invalid``.
        :param ids: Ids of the scenarios.
        :raises ValueError: If an id does not exist, or there is no such status; nothing is set then.
        """
        if status not in get_args(Status):
            raise ValueError(f"status must be one of {', '.join(get_args(Status))}, not {status!r}")
        self._change(set(ids), status=status)

    def set_counts(self, executions: int, errors: int, ids: Iterable[int] | None = None) -> None:
        """
        Set the executions and errors of scenarios, from now on in any time frame; rates are calculated from them.

        :param executions: Executions per scenario, at least 0; with 0 there is no error rate.
        :param errors: Errors per scenario, 0 to ``executions``.
        :param ids: Ids of the scenarios; ``None`` (default) for all.
        :raises ValueError: If ``errors`` is not between 0 and ``executions``.
        """
        if not 0 <= errors <= executions:
            raise ValueError(f"errors must be between 0 and executions={executions}, not {errors}")
        with self._lock:
            chosen = [scenario.id for scenario in self._scenarios] if ids is None else ids
            self._fixed_counts.update(dict.fromkeys(chosen, (executions, errors)))
            self._invalidate()

    def set_errors(self, *errors: Mapping[str, object] | None, ids: Iterable[int] | None = None) -> None:
        """
        Set the errors that the failed executions of scenarios have in turn, from the newest on with :meth:`set_counts`.

        :param errors: Errors as Make sends them, such as ``{"name": "DataError", "message": "Missing value",
            "causeModule": {"name": "addRow", "appName": "google-sheets"}}``; ``None`` for an execution without any.
            Without arguments, the errors are generated again.
        :param ids: Ids of the scenarios; ``None`` (default) for all.
        """
        with self._lock:
            chosen = [scenario.id for scenario in self._scenarios] if ids is None else ids
            self._errors.update(dict.fromkeys(chosen, errors))
            self._invalidate()

    def course(self, scenario_id: int) -> Course | None:
        """
        Return what happens to a scenario over time.

        :param scenario_id: Its id.
        :return: Its course, as it is set now; ``None`` if the id does not exist.
        """
        with self._lock:
            for scenario in self._scenarios:
                if scenario.id == scenario_id:
                    fixed, errors = self._fixed_counts.get(scenario_id), self._errors.get(scenario_id, ())
                    return Course(self.organization_id, scenario, self._story, fixed, errors)
            return None

    def select(self, criteria: Criteria) -> Result:
        """
        Filter and sort the scenarios, and calculate their statistics.

        :param criteria: Filters, time frame and order.
        :return: The result, shared with later callers: do not change it.
        """
        with self._lock:
            return self._results(criteria)

    def _select(self, criteria: Criteria) -> Result:
        start, end = hours_since_2020(criteria.date_from), hours_since_2020(criteria.date_to)
        rows: list[Row] = []
        counts: list[Counts] = []
        preceding: list[Counts] = []
        for any_scenario in self._scenarios:
            scenario = self._story.seen_at(any_scenario, end)
            if (
                scenario is None
                or (criteria.team_ids and scenario.team_id not in criteria.team_ids)
                or (criteria.folder_ids and scenario.folder_id not in criteria.folder_ids)
                or (criteria.statuses and scenario.status not in criteria.statuses)
            ):
                continue
            frame, frame_before = self._story.count_in_frame(scenario, start, end)
            if scenario.id in self._fixed_counts:
                executions, errors = self._fixed_counts[scenario.id]
                frame = frame._replace(executions=executions, errors=errors)
            counts.append(frame)
            preceding.append(frame_before)
            rows.append(Row(scenario, compare(frame, frame_before)))
        rows = _sort(rows, criteria, self._absent_first)
        return Result(rows, compare(_sum(counts), _sum(preceding)), _ties(rows, _KEYS[criteria.sort_by]))

    def _require(self, ids: Iterable[int]) -> None:
        unknown = set(ids).difference(scenario.id for scenario in self._scenarios)
        if unknown:
            raise ValueError(f"organization {self.organization_id} has no scenario {sorted(unknown)}")

    def _change(self, ids: Set[int], **fields: Any) -> None:
        with self._lock:
            self._require(ids)
            self._scenarios = [
                replace(scenario, **fields) if scenario.id in ids else scenario for scenario in self._scenarios
            ]
            self._invalidate()

    def _invalidate(self) -> None:
        self._results.cache_clear()
        self._revision += 1


_KEYS: Mapping[str, Callable[[Row], str | float | None]] = {
    "name": lambda row: row.scenario.name,
    "teamName": lambda row: row.scenario.team_name,
    "status": lambda row: row.scenario.status,
    "operations": lambda row: row.statistics.operations,
    "executions": lambda row: row.statistics.executions,
    "errors": lambda row: row.statistics.errors,
    "errorRate": lambda row: row.statistics.error_rate,
    "executionsChange": lambda row: row.statistics.executions_change,
    "operationsChange": lambda row: row.statistics.operations_change,
    "errorsChange": lambda row: row.statistics.errors_change,
    "errorRateChange": lambda row: row.statistics.error_rate_change,
}


def _sort(rows: list[Row], criteria: Criteria, absent_first: bool) -> list[Row]:
    key = _KEYS[criteria.sort_by]
    absent = [row for row in rows if key(row) is None]
    present = [row for row in rows if key(row) is not None] if absent else rows
    # The rows are in the order of their ids, and the sort is stable in both directions: ids break ties.
    present.sort(key=key, reverse=criteria.sort_dir == "desc")  # type: ignore[arg-type]
    return absent + present if absent_first else present + absent


def _ties(rows: list[Row], key: Callable[[Row], str | float | None]) -> list[tuple[int, int]]:
    values = [key(row) for row in rows]
    starts = [at for at in range(len(values)) if at == 0 or values[at] != values[at - 1]]
    ends = [*starts[1:], len(values)]
    return [(start, end) for start, end in zip(starts, ends, strict=False) if end - start > 1]


def _sum(counts: list[Counts]) -> Counts:
    return Counts(*map(sum, zip(*counts, strict=True))) if counts else ZERO_COUNTS

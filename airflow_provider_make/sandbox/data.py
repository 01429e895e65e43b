"""Deterministic scenarios of an organization, and their figures in any time frame."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import cos, floor, pi, sin
from typing import NamedTuple

# More than two years, the oldest frame a client may ask for and its preceding one, before any present.
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)

_ACTIVITIES = (
    "Sync orders",
    "Send invoices",
    "Import leads",
    "Archive e-mails",
    "Update stock",
    'Route "urgent" tickets',
    "Export contacts, companies, deals",
    "Rückerstattungen prüfen",
    "請求書を送信する",
    "Notify #sales 🚀",
)
_ACTIVITY_WEIGHTS = (20, 16, 16, 14, 14, 6, 6, 4, 2, 2)
_TEAMS = ("Sales", "Finance", "Support", "Marketing", "Logistics", "Équipe Données", 'Labs, "EMEA"', "IT")
_TEAM_WEIGHTS = (24, 20, 16, 12, 10, 8, 6, 4)
_STATUSES = ("active", "inactive", "invalid")
_STATUS_WEIGHTS = (80, 14, 6)
_FOLDERS_PER_TEAM = 4


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A scenario of an organization, and how it runs.

    :param id: Unique in the organization, positive.
    :param imt_id: The ``imtId`` of an answer.
    :param name: Unique in the organization; some hold quotes, commas or characters beyond ASCII.
    :param status: ``active``, ``inactive`` or ``invalid``.
    :param team_id: The team it belongs to.
    :param team_name: The name of that team.
    :param folder_id: The folder it lies in, ``None`` outside any folder. An answer does not show it.
    :param executions_per_hour: Mean number of executions an hour, 0.0 for a scenario that never runs.
    :param operations_per_execution: Mean number of operations of an execution, at least 1.25.
    :param centicredits_per_execution: Mean number of centicredits of an execution.
    :param error_share: Mean share of executions that fail, 0.0 to 0.75.
    :param busiest_hour: Hour of the day (UTC, 0 to 23) with the most executions.
    """

    id: int
    imt_id: str
    name: str
    status: str
    team_id: int
    team_name: str
    folder_id: int | None
    executions_per_hour: float
    operations_per_execution: float
    centicredits_per_execution: int
    error_share: float
    busiest_hour: int


class Counts(NamedTuple):
    """What scenarios did in a time frame."""

    executions: int
    operations: int
    centicredits: int
    errors: int


NOTHING = Counts(0, 0, 0, 0)


class Figures(NamedTuple):
    """Counts with the rates and changes made of them, in percent; ``None`` where not calculable."""

    executions: int
    operations: int
    centicredits: int
    errors: int
    error_rate: float | None
    executions_change: float | None
    operations_change: float | None
    centicredits_change: float | None
    errors_change: float | None
    error_rate_change: float | None


def generate_scenarios(organization_id: int, seed: int) -> Iterator[Scenario]:
    """
    Yield the scenarios of an organization without end, so that a larger organization begins like a smaller.

    :param organization_id: The organization; each has scenarios of its own.
    :param seed: Any integer; the same one gives the same scenarios on every machine.
    :return: Scenarios in the order of their ids.
    """
    choice = random.Random(f"scenarios/{organization_id}/{seed}")
    uniform = choice.random
    # A weighted choice() for each scenario would take half of the time to generate 100,000 of them.
    activities = choice.choices(_ACTIVITIES, _ACTIVITY_WEIGHTS, k=1009)
    teams = choice.choices(range(len(_TEAMS)), _TEAM_WEIGHTS, k=1013)
    statuses = choice.choices(_STATUSES, _STATUS_WEIGHTS, k=1019)
    scenario_id = 1000 + floor(uniform() * 9000)
    position = 0
    while True:
        scenario_id += 1 + floor(uniform() * 9)
        team = teams[position % len(teams)]
        team_id = organization_id * 100 + team + 1
        folder = floor(uniform() * (_FOLDERS_PER_TEAM + 1))
        status = statuses[position % len(statuses)]
        # Rare kinds stand at fixed positions: so a sandbox of forty scenarios has one of each.
        idle = position % 33 == 7
        huge = position % 100 == 11
        operations = 1.25 + 25 * uniform() ** 3
        error_share = 0.75 * uniform() ** (2 if status == "invalid" else 8)
        yield Scenario(
            id=scenario_id,
            imt_id=f"{floor(uniform() * 2**52):013x}",
            name=f"{activities[position % len(activities)]} {position + 1:05d}",
            status=status,
            team_id=team_id,
            team_name=_TEAMS[team],
            folder_id=team_id * 10 + folder if folder else None,
            executions_per_hour=0.0 if idle else 10 ** (-1.7 + 3.4 * uniform()),
            operations_per_execution=operations,
            # Beyond 64 bits from the second execution on, and still far from 38 digits after a year.
            centicredits_per_execution=10**19 + scenario_id if huge else floor(operations * 100),
            error_share=0.0 if error_share < 0.0005 else error_share,
            busiest_hour=floor(uniform() * 24),
        )
        position += 1


def hours_until(moment: datetime) -> float:
    """
    Give a moment as hours since the beginning of 2020.

    :param moment: Any moment, with a zone.
    :return: The hours, 0.0 for earlier moments.
    """
    return max(0.0, (moment - _BEGINNING) / timedelta(hours=1))


def count_runs(scenario: Scenario, start: float, end: float) -> tuple[Counts, Counts]:
    """
    Count what a scenario did in a time frame and in the preceding frame of equal length.

    A frame holds exactly what its parts hold, and operations >= executions >= errors in each. Nothing
    happened before 2020. The future counts like the past, so the same frame has the same counts always.

    :param scenario: The scenario.
    :param start: Beginning of the frame, in hours as :func:`hours_until` gives them.
    :param end: End of the frame, later than ``start``.
    :return: The counts of the frame, and those of the preceding frame.
    """
    if not scenario.executions_per_hour:
        return NOTHING, NOTHING
    at_end = _count_until(scenario, end)
    at_start = _count_until(scenario, start)
    before = _count_until(scenario, max(0.0, start - (end - start)))
    return _between(at_start, at_end), _between(before, at_start)


def compare(counts: Counts, preceding: Counts) -> Figures:
    """
    Make the figures of an answer from the counts of a frame and of the preceding frame.

    :param counts: The counts of the frame.
    :param preceding: The counts of the preceding frame of equal length.
    :return: The figures; changes are rounded to two decimals.
    """
    error_rate = _error_rate(counts)
    return Figures(
        *counts,
        error_rate,
        _change(counts.executions, preceding.executions),
        _change(counts.operations, preceding.operations),
        _change(counts.centicredits, preceding.centicredits),
        _change(counts.errors, preceding.errors),
        _change(error_rate, _error_rate(preceding)),
    )


def figures(scenario: Scenario, date_from: datetime, date_to: datetime) -> Figures:
    """
    Give the figures of a scenario in a time frame.

    :param scenario: The scenario.
    :param date_from: First moment of the frame, with a zone.
    :param date_to: First moment after the frame, with a zone, later than ``date_from``.
    :return: The figures, the same ones for the same frame.
    """
    return compare(*count_runs(scenario, hours_until(date_from), hours_until(date_to)))


def _between(early: Counts, late: Counts) -> Counts:
    return Counts(late[0] - early[0], late[1] - early[1], late[2] - early[2], late[3] - early[3])


@lru_cache(maxsize=4096)
def _busy_hours(busiest_hour: int, hours: float) -> float:
    # The integral of 1 + 0.5 cos(day) + 0.3 cos(week) + 0.15 cos(15,000 hours), which never falls: so
    # hours, days and years all differ from the preceding ones.
    return (
        hours
        + 0.5 * 24 / (2 * pi) * sin(2 * pi * (hours - busiest_hour) / 24)
        + 0.3 * 168 / (2 * pi) * sin(2 * pi * hours / 168)
        + 0.15 * 15_000 / (2 * pi) * (1 - cos(2 * pi * hours / 15_000))
    )


def _count_until(scenario: Scenario, hours: float) -> Counts:
    rate = scenario.executions_per_hour
    executions = floor(rate * _busy_hours(scenario.busiest_hour, hours))
    # Over ten weeks an execution takes now more and now fewer operations, credits and errors than its mean.
    # Were they proportional, all changes would be alike, and a client that mixes them up would pass.
    period = rate * 1680
    swing = period / (2 * pi) * sin(2 * pi * executions / period)
    return Counts(
        executions,
        floor(scenario.operations_per_execution * (executions + 0.2 * swing)),
        floor(executions + 0.5 * swing) * scenario.centicredits_per_execution,
        floor(scenario.error_share * (executions - 0.3 * swing)),
    )


def _error_rate(counts: Counts) -> float | None:
    return counts.errors / counts.executions * 100 if counts.executions else None


def _change(value: float | None, preceding: float | None) -> float | None:
    if value is None or not preceding:
        return None
    # Adding zero turns -0.0 into 0.0.
    return round((value - preceding) / preceding * 100, 2) + 0.0

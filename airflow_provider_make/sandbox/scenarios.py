"""The scenarios of an organization: a trading company's, and their statistics in any time frame, always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import accumulate, count
from math import floor, sin, tau
from typing import NamedTuple

# More than two years ago: early enough for the oldest frame that a client may request, and for the one before it.
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)

# Some names have quotes, commas or non-ASCII characters, which clients must store as they are.
TEAMS = ("Sales", "Finance", "Support", "Marketing", "Logistics", "Équipe Données", 'Labs, "EMEA"', "IT")
_ACTIVITIES = (
    ("Leads to CRM", "Quotes for approval", "Contacts, companies, deals", "Daily sales figures", "Notify #sales 🚀"),
    ("Invoice mails", "Payment reminders", "Bank statements", "Expense approvals", "請求書を送信する"),
    ('Route "urgent" tickets', "Tickets to chat", "Returns", "Customer reviews", "Rückerstattungen prüfen"),
    ("Newsletter sign-ups", "Campaign costs", "Social media posts", "Webinar registrations", "Product feed"),
    ("Orders to ERP", "Stock levels", "Shipping labels", "Delivery tracking", "Supplier price lists"),
    ("Exports to warehouse", "Données des ventes", "Currency rates", "Form answers to sheets"),
    ("Meeting notes to wiki", "Document summaries", "Chat assistant", "Sensor readings"),
    ("Employee onboarding", "Access requests", "Backups of drives", "Alerts to on-call", "License renewals"),
)
_MARKETS = (
    *("Australia", "Austria", "Benelux", "Brazil", "Canada", "France", "Germany", "Ireland", "Italy", "Japan"),
    *("Korea", "Mexico", "Nordics", "Poland", "Portugal", "Spain", "Switzerland", "Türkiye", "UK", "US"),
    *("marketplace", "stores", "web shop", "wholesale"),
)
_TEAM_WEIGHTS = (24, 20, 16, 12, 10, 8, 6, 4)
_STATUSES = ("active", "inactive", "invalid")
_STATUS_WEIGHTS = (80, 14, 6)
_FOLDERS_PER_TEAM = 4
# By hour, UTC: most scenarios are busiest during office hours.
_BUSIEST_HOUR_WEIGHTS = (2, 3, 3, 2, 1, 1, 3, 6, 9, 10, 9, 7, 6, 8, 9, 8, 6, 4, 4, 5, 4, 3, 2, 2)
# Whole weeks, so that the days repeat on the same weekdays; more than two years, so that no two years are alike.
_CYCLE = 143 * 7
_OFFICE_HOURS = range(7, 18)
# 1 January 2020 was a Wednesday.
_SATURDAY, _SUNDAY = 3, 4


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A scenario of an organization, and how it runs.

    :param id: Unique in the organization, positive.
    :param imt_id: The ``imtId`` in responses.
    :param name: Unique in the organization until one is renamed; some contain quotes, commas or non-ASCII characters.
    :param status: ``active``, ``inactive`` or ``invalid``.
    :param team_id: The team it belongs to.
    :param team_name: The name of that team.
    :param folder_id: The folder it is in, ``None`` for no folder. Responses do not contain it.
    :param executions_per_hour: Mean number of executions per hour, 0.0 for a scenario that never runs.
    :param operations_per_execution: Mean number of operations per execution, at least 1.25.
    :param centicredits_per_execution: Mean number of centicredits per execution.
    :param error_share: Mean share of executions that fail, 0.0 to 0.5.
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
    """Counts of a scenario, or of several, in a time frame."""

    executions: int
    operations: int
    centicredits: int
    errors: int


ZERO_COUNTS = Counts(0, 0, 0, 0)


class Statistics(NamedTuple):
    """Counts, and the rates and changes calculated from them, in percent; ``None`` if not calculable."""

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


def name_scenarios(choice: random.Random) -> list[Iterator[str]]:
    """Name the scenarios of each team, each name once, in an order that ``choice`` shuffles."""
    orders = [[f"{name} ({market})" for name in activities for market in _MARKETS] for activities in _ACTIVITIES]
    for names in orders:
        choice.shuffle(names)
    return [_names(names) for names in orders]


def _names(names: list[str]) -> Iterator[str]:
    yield from names
    for number in count(2):
        for name in names:
            yield f"{name} {number}"


def generate_scenarios(
    organization_id: int, seed: int, *, huge_credits: bool = False, ids_after: int = 0
) -> Iterator[Scenario]:
    """Yield an organization's scenarios without end, so that a larger one begins with those of a smaller one."""
    choice = random.Random(f"scenarios/{organization_id}/{seed}")
    uniform = choice.random
    # A weighted choice() for each scenario would double the time to generate 100,000 of them.
    teams = choice.choices(range(len(TEAMS)), _TEAM_WEIGHTS, k=1013)
    statuses = choice.choices(_STATUSES, _STATUS_WEIGHTS, k=1019)
    busiest_hours = choice.choices(range(24), _BUSIEST_HOUR_WEIGHTS, k=1021)
    names = name_scenarios(choice)
    scenario_id = ids_after + 1000 + floor(uniform() * 9000)
    position = 0
    while True:
        scenario_id += 1 + floor(uniform() * 9)
        team = teams[position % len(teams)]
        team_id = organization_id * 100 + team + 1
        folder = floor(uniform() * (_FOLDERS_PER_TEAM + 1))
        status = statuses[position % len(statuses)]
        # At fixed positions, so that a sandbox of forty scenarios has an idle and a huge one.
        idle = position % 33 == 7
        huge = huge_credits and position % 100 == 11
        operations = 1.25 + 25 * uniform() ** 3
        error_share = 0.5 * uniform() ** 2 if status == "invalid" else 0.25 * uniform() ** 8
        # The golden ratio spreads them evenly, so that a sandbox of a few scenarios has a busy one.
        busyness = (0.9 + 0.618 * position + 0.1 * uniform()) % 1
        executions = 0.0 if idle else 10 ** (-1.7 + 3.4 * busyness)
        yield Scenario(
            id=scenario_id,
            imt_id=f"{floor(uniform() * 2**52):013x}",
            name=next(names[team]),
            status=status,
            team_id=team_id,
            team_name=TEAMS[team],
            folder_id=team_id * 10 + folder if folder else None,
            # A scenario that is switched off is only executed by hand.
            executions_per_hour=executions if status == "active" else executions / 50,
            operations_per_execution=operations,
            # More than 64 bits from the second execution on, and still far from 38 digits after a year.
            centicredits_per_execution=10**19 + scenario_id if huge else floor(operations * 100),
            error_share=0.0 if error_share < 0.0005 else error_share,
            busiest_hour=busiest_hours[position % len(busiest_hours)],
        )
        position += 1


def hours_since_2020(moment: datetime) -> float:
    """Convert a time to hours since the beginning of 2020; 0.0 for earlier times."""
    return max(0.0, (moment - _BEGINNING) / timedelta(hours=1))


@lru_cache(maxsize=4096)
def busy_hours(busiest_hour: int, hours: float) -> float:
    """Convert hours since 2020 to mean hours: a busy hour counts as more than one, a quiet one as less."""
    until_hour, until_day = _hours_of_day(busiest_hour), _days_of_cycle(busiest_hour)
    cycle, hour_of_cycle = divmod(hours, _CYCLE * 24)
    day, hour_of_day = divmod(hour_of_cycle, 24)
    hour, fraction = int(hour_of_day), hour_of_day % 1
    # min(), because a rounded sum may exceed the next value of the table by a trifle.
    share = min(until_hour[hour] + fraction * (until_hour[hour + 1] - until_hour[hour]), until_hour[hour + 1])
    begin, end = until_day[int(day)], until_day[int(day) + 1]
    return cycle * until_day[-1] + min(begin + share * (end - begin), end)


@cache
def _hours_of_day(busiest_hour: int) -> list[float]:
    # The share of a day's executions until each hour.
    distances = [min((hour - busiest_hour) % 24, (busiest_hour - hour) % 24) for hour in range(24)]
    weights = [max(0.12, 1 - distance / 9) for distance in distances]
    return [0.0, *(until / sum(weights) for until in accumulate(weights))][:24] + [1.0]


@cache
def _days_of_cycle(busiest_hour: int) -> list[float]:
    # The mean hours until each day. What runs in the evening or at night also runs at weekends.
    weekend = 0.3 if busiest_hour in _OFFICE_HOURS else 1.0
    for_all, for_hour = random.Random("days"), random.Random(f"days/{busiest_hour}")
    weights = []
    for day in range(_CYCLE):
        season = 0.85 + 0.3 * abs(1 - 2 * day / _CYCLE)
        chance = (0.92 + 0.16 * for_all.random()) * (0.92 + 0.16 * for_hour.random())
        weights.append(season * chance * (weekend if day % 7 in (_SATURDAY, _SUNDAY) else 1.0))
    mean = sum(weights) / _CYCLE / 24
    return [0.0, *(until / mean for until in accumulate(weights))]


def count_until(scenario: Scenario, hours: float) -> Counts:
    """Count what a scenario did since 2020; no count falls from one time to a later one."""
    rate = scenario.executions_per_hour
    executions = floor(rate * busy_hours(scenario.busiest_hour, hours))
    # Operations, credits and errors per execution vary around their means, over some weeks. If they were proportional,
    # all changes would be equal, and a client that confuses them would pass. Each scenario has its own period, so that
    # they do not all swing together. Errors also vary by day.
    swing = _swing(executions, rate * (1200 + scenario.id % 997))
    charged, per_execution = executions + 0.3 * swing, scenario.centicredits_per_execution
    failing = executions - 0.3 * swing - 0.4 * _swing(executions, rate * 31)
    return Counts(
        executions,
        floor(scenario.operations_per_execution * (executions + 0.2 * swing)),
        # A float would not hold huge credits exactly.
        floor(charged * per_execution) if per_execution < 2**32 else floor(charged) * per_execution,
        floor(scenario.error_share * failing),
    )


def subtract(counts: Counts, others: Counts) -> Counts:
    return Counts(counts[0] - others[0], counts[1] - others[1], counts[2] - others[2], counts[3] - others[3])


def count_in_frame(scenario: Scenario, start: float, end: float) -> tuple[Counts, Counts]:
    """
    Count what a scenario did in a time frame (in hours since 2020), and in the frame of equal length before it.

    The counts of a frame are the sums of the counts of its parts, and operations >= executions >= errors in each.
    Counts are zero before 2020. They do not depend on the present time, so the same frame always has the same counts.
    """
    if not scenario.executions_per_hour:
        return ZERO_COUNTS, ZERO_COUNTS
    at_end = count_until(scenario, end)
    at_start = count_until(scenario, start)
    before = count_until(scenario, max(0.0, start - (end - start)))
    return subtract(at_end, at_start), subtract(at_start, before)


def compare(counts: Counts, preceding: Counts) -> Statistics:
    """Calculate the rates and changes of a frame from its counts and those of the preceding frame."""
    error_rate = _error_rate(counts)
    return Statistics(
        *counts,
        error_rate,
        _change(counts.executions, preceding.executions),
        _change(counts.operations, preceding.operations),
        _change(counts.centicredits, preceding.centicredits),
        _change(counts.errors, preceding.errors),
        _change(error_rate, _error_rate(preceding)),
    )


def _swing(executions: int, period: float) -> float:
    radians = tau / period
    return sin(radians * executions) / radians


def _error_rate(counts: Counts) -> float | None:
    return counts.errors / counts.executions * 100 if counts.executions else None


def _change(value: float | None, preceding: float | None) -> float | None:
    if value is None or not preceding:
        return None
    # Adding zero turns -0.0 into 0.0.
    return round((value - preceding) / preceding * 100, 2) + 0.0

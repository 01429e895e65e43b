"""The story of an organization: which of its scenarios fail and why, are disabled, created and deleted, and when."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import floor
from typing import Literal, NamedTuple

from airflow_provider_make.sandbox.scenarios import (
    ZERO_COUNTS,
    Counts,
    Scenario,
    count_in_frame,
    count_until,
    hours_since_2020,
    subtract,
)

# Days of the month. The story goes by the calendar instead of the present day, so that a time frame has the same
# figures whenever it is requested; and each month has all of it, so that any recent month shows it.
REPLACED_ON = 5
FAILS_FROM, FAILS_UNTIL = 12, 19
DISABLED_ON = 23
EXPIRES_ON, RENEWED_ON = 25, 28
_YEARS = range(2020, 2100)
_FAILING_SHARE = 0.4
# More scenarios fail in a large organization: a single one would not show in its total.
_SCENARIOS_PER_FAILURE, _MOST_FAILURES = 500, 6
# Busy enough to be noticed, and with few errors before.
_FEWEST_EXECUTIONS_PER_HOUR, _LARGEST_ERROR_SHARE = 2.0, 0.02
# Thirteen scenarios per event: after a year, another one has its turn.
_TURNS = 13
# Executions have their times in milliseconds.
_PER_HOUR = 3_600_000

# A quota that is used up, or an account whose access has expired.
Trouble = Literal["quota", "account"]


class Span(NamedTuple):
    """A part of time, in hours since 2020."""

    start: float
    end: float


class Expiry(NamedTuple):
    """An account expires: the next execution, in this millisecond, fails, and Make disables the scenario."""

    failure: Span
    pause: Span


@dataclass
class Fate:
    """When a scenario exists, when it is disabled, by people or by Make, and when it fails."""

    life: Span = Span(0.0, float("inf"))
    pauses: list[Span] = field(default_factory=list)
    failures: list[Span] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)


class Story:
    """What happens to scenarios, by their ids; nothing happens to all others."""

    def __init__(self, fates: Mapping[int, Fate]) -> None:
        self._fates = fates

    def seen_at(self, scenario: Scenario, end: float) -> Scenario | None:
        """Return a scenario as it is at the end of a frame, or ``None`` if it does not exist then."""
        fate = self._fates.get(scenario.id)
        if fate is None:
            return scenario
        if not fate.life.start < end <= fate.life.end:
            return None
        if any(span.start < end <= span.end for span in fate.pauses):
            return replace(scenario, status="inactive")
        # At the end of the frame, Make has seen the execution that failed.
        if any(expiry.failure.start < end <= expiry.pause.end for expiry in fate.expiries):
            return replace(scenario, status="invalid")
        return scenario

    def count(self, scenario: Scenario, start: float, end: float) -> Counts:
        """Count what happened to a scenario in a frame."""
        fate = self._fates.get(scenario.id)
        if fate is None:
            return count_in_frame(scenario, start, end)[0]
        return _count(scenario, fate, start, end)

    def count_in_frame(self, scenario: Scenario, start: float, end: float) -> tuple[Counts, Counts]:
        """Count like the function of this name, with what happened to the scenario."""
        fate = self._fates.get(scenario.id)
        if fate is None:
            return count_in_frame(scenario, start, end)
        return _count(scenario, fate, start, end), _count(scenario, fate, max(0.0, start - (end - start)), start)

    def trouble_at(self, scenario: Scenario, moment: float) -> Trouble | None:
        """Return why a scenario fails just before a time, if the story says so."""
        fate = self._fates.get(scenario.id, Fate())
        if any(span.start < moment <= span.end for span in fate.failures):
            return "quota"
        return "account" if any(expiry.failure.end == moment for expiry in fate.expiries) else None


def tell_story(scenarios: Sequence[Scenario], more: Iterator[Scenario]) -> tuple[list[Scenario], Story]:
    """
    Choose what happens to scenarios in each month; very small organizations have less of it.

    ``more`` yields those that are created later. Return the scenarios of all times, and their story. At any time, as
    many of them exist as at the beginning.
    """
    candidates = [
        scenario
        for scenario in scenarios
        if scenario.status == "active"
        and scenario.executions_per_hour >= _FEWEST_EXECUTIONS_PER_HOUR
        and scenario.error_share <= _LARGEST_ERROR_SHARE
    ]
    candidates.sort(key=lambda scenario: -scenario.executions_per_hour)
    failing, disabled, replaced = (candidates[number : 3 * _TURNS : 3] for number in range(3))
    at_once = min(1 + len(scenarios) // _SCENARIOS_PER_FAILURE, _MOST_FAILURES, len(failing))
    everything = list(scenarios)
    fates = defaultdict[int, Fate](Fate)
    existing = deque(replaced)
    for month in range(12 * len(_YEARS)):
        for turn in range(month * at_once, (month + 1) * at_once):
            failure = Span(_day(month, FAILS_FROM), _day(month, FAILS_UNTIL))
            fates[failing[turn % len(failing)].id].failures.append(failure)
        # A single one would never be enabled.
        if len(disabled) > 1:
            pause = Span(_day(month, DISABLED_ON), _day(month + 1, DISABLED_ON))
            fates[disabled[month % len(disabled)].id].pauses.append(pause)
        # Two may be disabled by people at that time.
        if len(disabled) > 2:
            unlucky = disabled[(month + 1) % len(disabled)]
            failure = _next_execution(unlucky, _day(month, EXPIRES_ON))
            fates[unlucky.id].expiries.append(Expiry(failure, Span(failure.end, _day(month, RENEWED_ON))))
        if existing:
            moment = _day(month, REPLACED_ON)
            deleted = fates[existing.popleft().id]
            deleted.life = deleted.life._replace(end=moment)
            created = _make_noticeable(next(more))
            fates[created.id].life = Span(moment, float("inf"))
            existing.append(created)
            everything.append(created)
    return everything, Story(dict(fates))


def _make_noticeable(scenario: Scenario) -> Scenario:
    return replace(
        scenario,
        status="active",
        executions_per_hour=max(scenario.executions_per_hour, _FEWEST_EXECUTIONS_PER_HOUR),
        error_share=min(scenario.error_share, _LARGEST_ERROR_SHARE),
    )


def _day(month: int, day: int) -> float:
    # The month is counted from January 2020.
    return hours_since_2020(datetime(_YEARS.start + month // 12, month % 12 + 1, day, tzinfo=UTC))


def _next_execution(scenario: Scenario, moment: float) -> Span:
    """Return the millisecond of the first execution of the day that begins at a time."""
    begin = round(moment * _PER_HOUR)
    times = range(begin + 1, begin + 24 * _PER_HOUR)
    executions = count_until(scenario, moment).executions
    later = bisect_left(times, executions + 1, key=lambda at: count_until(scenario, at / _PER_HOUR).executions)
    return Span((begin + later) / _PER_HOUR, (begin + later + 1) / _PER_HOUR)


def _count(scenario: Scenario, fate: Fate, start: float, end: float) -> Counts:
    counts = ZERO_COUNTS
    for span in _overlaps([fate.life], start, end):
        counts = _count_in_span(scenario, span)
    for span in _overlaps([*fate.pauses, *(expiry.pause for expiry in fate.expiries)], start, end):
        counts = subtract(counts, _count_in_span(scenario, span))
    for span in _overlaps([expiry.failure for expiry in fate.expiries], start, end):
        last = _count_in_span(scenario, span)
        counts = counts._replace(errors=counts.errors + last.executions - last.errors)
    for span in _overlaps(fate.failures, start, end):
        counts = counts._replace(errors=counts.errors + _additional_errors(scenario, span))
    return counts


def _overlaps(spans: Sequence[Span], start: float, end: float) -> Iterator[Span]:
    for span in spans:
        if span.start < end and start < span.end:
            yield Span(max(start, span.start), min(end, span.end))


def _count_in_span(scenario: Scenario, span: Span) -> Counts:
    return subtract(count_until(scenario, span.end), count_until(scenario, span.start))


def _additional_errors(scenario: Scenario, span: Span) -> int:
    # From the successes until a time instead of those of a frame: so the errors of a frame are the sum of its parts'.
    before, after = (count_until(scenario, moment) for moment in span)
    until_start = floor(_FAILING_SHARE * (before.executions - before.errors))
    return floor(_FAILING_SHARE * (after.executions - after.errors)) - until_start

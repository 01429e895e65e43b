"""When figures are alarming: the rule that a sensor or a trigger watches for, and what it finds in a reading."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_make.api.response import Figures, ScenarioFigures
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.rows import RowMaker, to_total

METRICS = ("error_rate", "errors", "error_rate_change", "errors_change")
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}
SCOPES = ("organization", "scenario")


@dataclass(frozen=True)
class Reading:
    """
    What Make told at one time.

    :param organization_id: The organization.
    :param zone: The host that answered.
    :param time_frame: The time that figures are counted in.
    :param checked_at: When Make was asked.
    :param total: The organization's figures.
    :param entries: The scenarios read, the most extreme first; none where the rule is about the organization.
    """

    organization_id: int
    zone: str
    time_frame: TimeFrame
    checked_at: datetime
    total: Figures
    entries: Sequence[ScenarioFigures] = ()


@dataclass(frozen=True)
class ErrorRateRule:
    """
    A threshold, and what is held against it.

    :param threshold: Percent, or a number of errors, as the metric has it.
    :param metric: One of ``METRICS``.
    :param comparison: One of ``COMPARISONS``: how a value that crosses stands to the threshold.
    :param scope: One of ``SCOPES``: whose figures.
    :param min_executions: The fewest executions for figures to count, zero or more.
    :param hysteresis: How far behind the threshold, zero or more, a value has come back for good.
    """

    threshold: float
    metric: str = "error_rate"
    comparison: str = ">="
    scope: str = "organization"
    min_executions: int = 1
    hysteresis: float = 0.0

    @classmethod
    def read(
        cls, *, threshold: Any, metric: Any, comparison: Any, scope: Any, min_executions: Any, hysteresis: Any = 0.0
    ) -> ErrorRateRule:
        """
        Check what the user gave; numbers may be text, as templates render them.

        :return: The rule.
        :raises MakeInputError: The first argument that is wrong, its value, and what would be right.
        """
        for name, value, choices in (
            ("metric", metric, METRICS),
            ("comparison", comparison, COMPARISONS),
            ("scope", scope, SCOPES),
        ):
            if not isinstance(value, str) or value not in choices:
                raise MakeInputError.expected(name, value, f"one of {', '.join(choices)}")
        executions = _number("min_executions", min_executions, "a whole number, zero or more")
        if executions < 0 or not executions.is_integer():
            raise MakeInputError.expected("min_executions", min_executions, "a whole number, zero or more")
        width = _number("hysteresis", hysteresis, "a number, zero or more")
        if width < 0:
            raise MakeInputError.expected("hysteresis", hysteresis, "a number, zero or more")
        limit = _number("threshold", threshold, "a number")
        return cls(limit, metric, comparison, scope, int(executions), width)

    @property
    def sort_dir(self) -> str:
        """The order in which scenarios that cross come first."""
        return "desc" if self.comparison in (">", ">=") else "asc"

    def value(self, figures: Figures) -> float | None:
        """
        Give the figure that the rule is about.

        :param figures: A scenario's or an organization's.
        :return: The value; None where it can't be calculated.
        """
        value: float | None = getattr(figures, self.metric)
        return value

    def counts(self, figures: Figures) -> bool:
        """
        Tell whether figures rest on enough executions, and have the value.

        :param figures: A scenario's or an organization's.
        :return: Whether they may cross.
        """
        return self.value(figures) is not None and (figures.executions or 0) >= self.min_executions

    def is_beyond(self, value: float) -> bool:
        """
        Hold a value against the threshold.

        :param value: The value.
        :return: Whether it crosses.
        """
        return COMPARISONS[self.comparison](value, self.threshold)

    def is_back(self, value: float) -> bool:
        """
        Tell whether a value is behind the threshold for good.

        :param value: The value.
        :return: Whether it is below ``threshold - hysteresis``, or above ``threshold + hysteresis`` for a rule
            about low values.
        """
        if self.sort_dir == "desc":
            return value < self.threshold - self.hysteresis
        return value > self.threshold + self.hysteresis

    def settles(self, entry: ScenarioFigures) -> bool:
        """
        Tell whether no scenario behind this one can matter any more.

        Entries without a value tell nothing: servers may put them first or last.

        :param entry: One of the entries that come sorted by the metric, the most extreme first.
        :return: Whether it has come back, and so have all behind it.
        """
        value = self.value(entry)
        return value is not None and not self.is_beyond(value) and (not self.hysteresis or self.is_back(value))

    def judge(self, reading: Reading) -> Finding:
        """
        Hold a reading against the rule.

        :param reading: What Make told.
        :return: What is to be said about it.
        """
        looked_at = [reading.total] if self.scope == "organization" else reading.entries
        counting = [figures for figures in looked_at if self.counts(figures)]
        crossed = [figures for figures in counting if self.is_beyond(self._sure(figures))]
        # Of scenarios, the last that was read settles the others; whether it counts itself does not matter.
        deciding = counting or [figures for figures in looked_at[-1:] if self.scope == "scenario"]
        values = [value for figures in deciding if (value := self.value(figures)) is not None]
        return Finding(
            rule=self,
            reading=reading,
            value=self._sure(counting[0]) if counting else None,
            crossed=bool(crossed),
            back=bool(values) and all(map(self.is_back, values)),
            scenarios=tuple(figures for figures in crossed if isinstance(figures, ScenarioFigures)),
        )

    def _sure(self, figures: Figures) -> float:
        value = self.value(figures)
        assert value is not None, "asked only of figures that count"
        return value

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.threshold:g}"


@dataclass(frozen=True)
class Finding:
    """
    A reading, held against a rule.

    :param rule: The rule.
    :param reading: The reading.
    :param value: The organization's value, or the most extreme of its scenarios'; None where there is none that counts.
    :param crossed: Whether the threshold is crossed.
    :param back: Whether everything has come back behind the threshold for good; neither where that can't be told.
    :param scenarios: The scenarios that crossed, the most extreme first.
    """

    rule: ErrorRateRule
    reading: Reading
    value: float | None
    crossed: bool
    back: bool
    scenarios: tuple[ScenarioFigures, ...] = field(repr=False)

    def result(self) -> dict[str, Any]:
        """
        Give what users get.

        :return: A JSON-serialisable dict: ``organization_id``, ``scope``, ``metric``, ``threshold``, ``comparison``,
            ``value``, ``scenarios`` (rows), ``total``, ``date_from``, ``date_to``, ``checked_at``.
        """
        rule, reading, frame = self.rule, self.reading, self.reading.time_frame
        maker = RowMaker(reading.organization_id, frame.date_from, frame.date_to, reading.checked_at)
        return {
            "organization_id": reading.organization_id,
            "scope": rule.scope,
            "metric": rule.metric,
            "threshold": rule.threshold,
            "comparison": rule.comparison,
            "value": self.value,
            "scenarios": list(maker.rows(self.scenarios)),
            "total": to_total(reading.total),
            "date_from": iso(frame.date_from),
            "date_to": iso(frame.date_to),
            "checked_at": iso(reading.checked_at),
        }

    def __str__(self) -> str:
        rule, reading, frame = self.rule, self.reading, self.reading.time_frame
        whose = "" if rule.scope == "organization" else ", at its most extreme scenario,"
        value = "can't be calculated" if self.value is None else f"is {self.value:g}"
        by_how_many = f" by {len(self.scenarios)} scenarios" if self.scenarios else ""
        return (
            f"Organization {reading.organization_id} at {reading.zone}, {iso(frame.date_from)} to {iso(frame.date_to)}:"
            f" {rule.metric}{whose} {value}; {rule.comparison} {rule.threshold:g} is {'' if self.crossed else 'not '}"
            f"crossed{by_how_many}"
        )


@dataclass
class Crossings:
    """
    Tells crossings from what stays beyond the threshold.

    :param beyond: Whether a crossing was told, and the value has not come back since.
    """

    beyond: bool = False

    def is_new(self, finding: Finding) -> bool:
        """
        Take the next finding.

        :param finding: The finding.
        :return: Whether it is a crossing that was not told yet.
        """
        if finding.crossed:
            new, self.beyond = not self.beyond, True
            return new
        if finding.back:
            self.beyond = False
        return False


def _number(name: str, value: Any, expectation: str) -> float:
    try:
        if (
            isinstance(value, (int, float, str))
            and not isinstance(value, bool)
            and math.isfinite(number := float(value))
        ):
            return number
    except (ValueError, OverflowError):
        pass
    raise MakeInputError.expected(name, value, expectation)

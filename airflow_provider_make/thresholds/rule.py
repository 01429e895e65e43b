"""The rule: a metric, a threshold, and which values count, breach it or have recovered."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_make.api.page import Metrics, to_credits
from airflow_provider_make.api.query import SORT_KEYS
from airflow_provider_make.arguments import parse_number
from airflow_provider_make.exceptions import MakeInputError

_AMOUNTS = ("errors", "executions", "operations", "credits")
METRICS = ("error_rate", *_AMOUNTS, *(f"{name}_change" for name in ("error_rate", *_AMOUNTS)))
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}
SCOPES = ("organization", "scenario")
# Failed executions are a reason for these.
EXPLAINED = ("error_rate", "errors", "error_rate_change", "errors_change", "executions")


@dataclass(frozen=True)
class Metric:
    """One of ``METRICS``: an amount, or a percentage. A change is in percent, as Make calculates it."""

    name: str

    @property
    def column(self) -> str:
        """The column of rows that it is calculated from."""
        return self.name.replace("credits", "centicredits")

    @property
    def is_percentage(self) -> bool:
        return self.name not in _AMOUNTS

    @property
    def is_sortable(self) -> bool:
        """Whether Make can sort by it."""
        return self.column in SORT_KEYS

    def value(self, figures: Metrics) -> float | None:
        """Return its value; None where it can't be calculated, such as an error rate without executions."""
        if self.name == "error_rate" and figures.executions == 0:
            return None
        value: float | str | None = getattr(figures, self.column)
        return to_credits(value) if isinstance(value, str) else value

    def describe(self, value: float, apart_from: float | None = None) -> str:
        """
        Format a value with its unit, such as ``+30 %``.

        Next to ``apart_from``, which is shown with all of its digits, a value that differs also reads so.
        """
        decimals = 2
        if apart_from not in (None, value):
            while decimals < 20 and _format(value, decimals) == _format(apart_from or 0, decimals):
                decimals += 1
        text = f"{value:,.15g}" if value == apart_from else _format(value, decimals)
        if not self.is_percentage:
            return text
        sign = "+" if value > 0 and self.name.endswith("_change") else ""
        return f"{sign}{text} %"


@dataclass(frozen=True)
class ThresholdRule:
    """A threshold, and which figures are compared with it."""

    # In percent, or an amount, depending on the metric.
    threshold: float
    metric: Metric = Metric("error_rate")
    # How a value that breaches the threshold compares to it.
    comparison: str = ">="
    scope: str = "organization"
    # Figures based on fewer executions than this don't count.
    min_executions: int = 1
    # How far beyond the threshold a value has to return until it has recovered; zero or more.
    hysteresis: float = 0.0

    @classmethod
    def from_arguments(
        cls, *, threshold: Any, metric: Any, comparison: Any, scope: Any, min_executions: Any, hysteresis: Any = 0.0
    ) -> ThresholdRule:
        """Validate the arguments of a sensor or trigger; numbers may be text. An error names the first wrong one."""
        for name, value, choices in (
            ("metric", metric, METRICS),
            ("comparison", comparison, COMPARISONS),
            ("scope", scope, SCOPES),
        ):
            if not isinstance(value, str) or value not in choices:
                raise MakeInputError.expected(name, value, f"one of {', '.join(choices)}")
        of_metric = Metric(metric)
        if min_executions is None:
            min_executions = 1 if of_metric.is_percentage else 0
        return cls(
            min_executions=int(
                parse_number(
                    "min_executions",
                    min_executions,
                    "a whole number, zero or more",
                    lambda number: number >= 0 and number.is_integer(),
                )
            ),
            hysteresis=parse_number("hysteresis", hysteresis, "a number, zero or more", lambda number: number >= 0),
            threshold=parse_number("threshold", threshold, _expected_threshold(threshold)),
            metric=of_metric,
            comparison=comparison,
            scope=scope,
        )

    @property
    def limit(self) -> str:
        """How a value that breaches the threshold compares to it, such as ``>= 20 %``."""
        return f"{self.comparison} {self.metric.describe(self.threshold, self.threshold)}"

    @property
    def is_about_high_values(self) -> bool:
        """Whether high values breach the threshold, rather than low ones."""
        return self.comparison in (">", ">=")

    @property
    def is_breached_by_all(self) -> bool:
        """Whether all figures breach the threshold: amounts are never below zero."""
        is_amount = not self.metric.is_percentage and self.min_executions == 0
        return is_amount and self.is_about_high_values and self.breaches(0.0)

    @property
    def warning(self) -> str | None:
        """The text of a warning about a rule that is valid, but hardly what was meant; None for any other."""
        name, high = self.metric.name, self.is_about_high_values
        if self.metric.is_percentage and 0 < self.threshold < 1:
            percent = self.metric.describe(self.threshold, apart_from=0)
            return f"threshold={self.threshold:g} means {percent}: {name} is in percent, such as 20 for 20 %."
        if name == "error_rate" and not 0 <= self.threshold <= 100:
            return f"threshold={self.threshold:g}: an error_rate is 0 to 100 %."
        # Of the metrics, only changes can be below zero.
        never_low = high and not name.endswith("_change") and self.threshold - self.hysteresis <= 0
        never_high = not high and name == "error_rate" and self.threshold + self.hysteresis >= 100
        if self.hysteresis and (never_low or never_high):
            return (
                f"hysteresis={self.hysteresis:g} is so large that {name} can never recover: there is at most one event."
            )
        return None

    def counted_value(self, figures: Metrics) -> float | None:
        """Return the value of the metric; None where it can't be calculated, or executions are too few."""
        return None if self.has_too_few_executions(figures) else self.metric.value(figures)

    def has_too_few_executions(self, figures: Metrics) -> bool:
        """Decide whether executions are too few for the figures to count."""
        return (figures.executions or 0) < self.min_executions

    def breaches(self, value: float) -> bool:
        """Decide whether a value breaches the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def has_recovered(self, value: float) -> bool:
        """
        Decide whether a value would not breach a threshold that is lower, or for low values higher, by the hysteresis.

        So without a hysteresis, each value breaches or has recovered: 1 has recovered for ``executions < 1``.
        """
        shift = -self.hysteresis if self.is_about_high_values else self.hysteresis
        return not COMPARISONS[self.comparison](value, self.threshold + shift)

    def severity(self, value: float) -> float:
        """Return a number that is the higher, the further a value is on the side of the threshold that breaches it."""
        return value if self.is_about_high_values else -value

    def __str__(self) -> str:
        return f"{self.metric.name} {self.limit}"


def _format(value: float, decimals: int) -> str:
    if abs(value) >= 1e15:
        return f"{value:.{decimals}g}" if decimals > 2 else f"{value:g}"
    text = f"{value:,.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _expected_threshold(threshold: Any) -> str:
    if isinstance(threshold, str) and threshold.strip().endswith("%"):
        number = threshold.strip().removesuffix("%").strip()
        return f"a number without a percent sign: {number} for {number} %"
    return "a number"

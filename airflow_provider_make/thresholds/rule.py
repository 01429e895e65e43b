"""The threshold rule: which figures cross it, which are back, and whether a crossing is new."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_make.api.response import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.arguments import parse_number
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.rows import MAX_EXTRA_LENGTH, TEXT_COLUMNS, RowBuilder, to_total

METRICS = ("error_rate", "errors", "error_rate_change", "errors_change")
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}
SCOPES = ("organization", "scenario")
# What a result, and so an event, may contain: Airflow keeps both in its database.
MAX_SCENARIOS = 100
MAX_TEXT_LENGTH = 250


@dataclass(frozen=True)
class Snapshot:
    """
    The figures that one check fetched.

    :param organization_id: The organization.
    :param zone: The host of the API.
    :param time_frame: The time frame that the figures are counted in.
    :param checked_at: The time of the check.
    :param total: The organization's figures.
    :param entries: The scenarios fetched, the most extreme first; none where the rule is about the organization.
    """

    organization_id: int
    zone: str
    time_frame: TimeFrame
    checked_at: datetime
    total: Metrics
    entries: Sequence[ScenarioMetrics] = ()


@dataclass(frozen=True)
class ThresholdRule:
    """
    A threshold, and which figures are compared with it.

    :param threshold: Percent, or a number of errors, depending on the metric.
    :param metric: One of ``METRICS``.
    :param comparison: One of ``COMPARISONS``: how a value that crosses compares to the threshold.
    :param scope: One of ``SCOPES``: whose figures are compared.
    :param min_executions: Figures based on fewer executions than this are ignored; zero or more.
    :param hysteresis: The distance from the threshold beyond which a value is back to normal, zero or more.
    """

    threshold: float
    metric: str = "error_rate"
    comparison: str = ">="
    scope: str = "organization"
    min_executions: int = 1
    hysteresis: float = 0.0

    @classmethod
    def from_arguments(
        cls, *, threshold: Any, metric: Any, comparison: Any, scope: Any, min_executions: Any, hysteresis: Any = 0.0
    ) -> ThresholdRule:
        """Validate the arguments of a sensor or trigger; numbers may be text, as templates render them."""
        for name, value, choices in (
            ("metric", metric, METRICS),
            ("comparison", comparison, COMPARISONS),
            ("scope", scope, SCOPES),
        ):
            if not isinstance(value, str) or value not in choices:
                raise MakeInputError.expected(name, value, f"one of {', '.join(choices)}")
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
            threshold=parse_number("threshold", threshold, "a number"),
            metric=metric,
            comparison=comparison,
            scope=scope,
        )

    @property
    def sort_dir(self) -> str:
        """The sort order that puts scenarios that cross first."""
        return "desc" if self.comparison in (">", ">=") else "asc"

    def value(self, figures: Metrics) -> float | None:
        """Return the value of the metric; None where it can't be calculated."""
        value: float | None = getattr(figures, self.metric)
        return value

    def counted_value(self, figures: Metrics) -> float | None:
        """Return the value of the metric; None where it can't be calculated, or executions are too few."""
        return self.value(figures) if (figures.executions or 0) >= self.min_executions else None

    def is_beyond(self, value: float) -> bool:
        """Decide whether a value crosses the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def is_back(self, value: float) -> bool:
        """
        Decide whether a value is back to normal.

        :param value: The value.
        :return: Whether it is below ``threshold - hysteresis``, or above ``threshold + hysteresis`` for a rule
            about low values.
        """
        if self.sort_dir == "desc":
            return value < self.threshold - self.hysteresis
        return value > self.threshold + self.hysteresis

    def rules_out_all_after(self, entry: ScenarioMetrics) -> bool:
        """
        Decide whether no scenario after this one can matter, in the order of the metric.

        An entry without a value decides nothing: servers may sort it first or last.

        :param entry: One of the entries, which are sorted by the metric, the most extreme first.
        :return: Whether it does not cross, and is back if there is a hysteresis.
        """
        value = self.value(entry)
        return value is not None and not self.is_beyond(value) and (not self.hysteresis or self.is_back(value))

    def evaluate(self, snapshot: Snapshot) -> Verdict:
        """Compare the figures of a snapshot with the threshold."""
        per_scenario = self.scope == "scenario"
        candidates: Sequence[Metrics] = snapshot.entries if per_scenario else [snapshot.total]
        counted = [(figures, value) for figures in candidates if (value := self.counted_value(figures)) is not None]
        crossed = [figures for figures, value in counted if self.is_beyond(value)]
        values = [value for _, value in counted]
        if not values and per_scenario and snapshot.entries:
            # The last scenario read bounds all unread ones, even below min_executions.
            last = self.value(snapshot.entries[-1])
            back = last is not None and self.is_back(last)
        else:
            back = bool(values) and all(map(self.is_back, values))
        return Verdict(
            rule=self,
            snapshot=snapshot,
            value=values[0] if values else None,
            crossed=bool(crossed),
            back=back,
            scenarios=tuple(figures for figures in crossed if isinstance(figures, ScenarioMetrics)),
        )

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.threshold:g}"


@dataclass(frozen=True)
class Verdict:
    """
    The result of comparing a snapshot with a rule.

    :param rule: The rule.
    :param snapshot: The snapshot.
    :param value: The organization's value, or that of the most extreme scenario; None where no value counts.
    :param crossed: Whether the threshold is crossed.
    :param back: Whether all values are back. Both are False where no value counts.
    :param scenarios: The scenarios that crossed, the most extreme first.
    """

    rule: ThresholdRule
    snapshot: Snapshot
    value: float | None
    crossed: bool
    back: bool
    scenarios: tuple[ScenarioMetrics, ...] = field(repr=False)

    def result(self) -> dict[str, Any]:
        """
        Return the result of a sensor, or the payload of an event.

        :return: A JSON-serialisable dict: ``organization_id``, ``scope``, ``metric``, ``threshold``, ``comparison``,
            ``value``, ``scenarios`` (rows, the first ``MAX_SCENARIOS``), ``scenario_count``, ``total``, ``date_from``,
            ``date_to``, ``checked_at``. Its size is bounded: long text is cut, and a long ``extra`` is left out.
        """
        rule, snapshot, frame = self.rule, self.snapshot, self.snapshot.time_frame
        builder = RowBuilder(snapshot.organization_id, frame.date_from, frame.date_to, snapshot.checked_at)
        return {
            "organization_id": snapshot.organization_id,
            "scope": rule.scope,
            "metric": rule.metric,
            "threshold": rule.threshold,
            "comparison": rule.comparison,
            "value": self.value,
            "scenarios": [_bounded(row) for row in builder.rows(self.scenarios[:MAX_SCENARIOS])],
            "scenario_count": len(self.scenarios),
            "total": to_total(snapshot.total),
            "date_from": iso(frame.date_from),
            "date_to": iso(frame.date_to),
            "checked_at": iso(snapshot.checked_at),
        }

    def __str__(self) -> str:
        snapshot, frame = self.snapshot, self.snapshot.time_frame
        return (
            f"Organization {snapshot.organization_id} at {snapshot.zone}, {iso(frame.date_from)} to "
            f"{iso(frame.date_to)}: {self._describe()}"
        )

    def _describe(self) -> str:
        rule = self.rule
        if rule.scope == "scenario" and self.value is None and self.snapshot.entries:
            # Reading stopped at the first scenario that rules out all others.
            return f"no scenario with at least {rule.min_executions} executions crosses {rule}"
        of_scenario = "" if rule.scope == "organization" else ", at its most extreme scenario,"
        value = "can't be calculated" if self.value is None else f"is {self.value:g}"
        count = len(self.scenarios)
        by_scenarios = f" by {count} scenario{'' if count == 1 else 's'}" if count else ""
        return (
            f"{rule.metric}{of_scenario} {value}; {rule.comparison} {rule.threshold:g} is "
            f"{'' if self.crossed else 'not '}crossed{by_scenarios}"
        )


def _bounded(row: dict[str, Any]) -> dict[str, Any]:
    cut = {column: row[column] and row[column][:MAX_TEXT_LENGTH] for column in TEXT_COLUMNS - {"extra"}}
    return {**row, **cut, "extra": row["extra"] if len(row["extra"] or "") <= MAX_EXTRA_LENGTH else None}


@dataclass
class CrossingDetector:
    """
    Detects new crossings among the verdicts of a watcher.

    :param beyond: Whether a crossing was detected, and the value has not come back since.
    """

    beyond: bool = False

    def is_new(self, verdict: Verdict) -> bool:
        """
        Update the state with the next verdict.

        :param verdict: The verdict.
        :return: Whether it is a new crossing.
        """
        if verdict.crossed:
            new, self.beyond = not self.beyond, True
            return new
        if verdict.back:
            self.beyond = False
        return False

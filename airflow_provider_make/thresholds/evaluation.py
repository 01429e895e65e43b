"""What crossed a threshold: the figures compared with the rule, the result, and its message for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from airflow_provider_make.api.access import list_some
from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.query import ScenarioFilters
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.links import scenario_url
from airflow_provider_make.output.rows import MAX_EXTRA_LENGTH, TEXT_COLUMNS, RowBuilder, to_total
from airflow_provider_make.text import plural, to_plain_line
from airflow_provider_make.thresholds.rule import ThresholdRule

# What a result, and so an event, may contain: Airflow keeps both in its database.
MAX_SCENARIOS = 100
MAX_TEXT_LENGTH = 250
# Slack accepts 3,000 characters in a block of text.
MAX_MESSAGE_LENGTH = 3_000
MAX_MESSAGE_SCENARIOS = 10
_MAX_NAME_LENGTH = 80
# How many reasons of a scenario a message has, how much of their text, and whether their links: what fits first.
_REASONS = ((3, 300, True), (3, 120, True), (2, 120, True), (1, 120, True), (1, 120, False), (1, 60, False))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The figures that one check fetched."""

    organization_id: int
    # The host of the API.
    zone: str
    time_frame: TimeFrame
    checked_at: datetime
    total: Metrics
    # The scenarios that may matter; none where the rule is about the organization.
    entries: Sequence[ScenarioMetrics] = ()
    filters: ScenarioFilters = ScenarioFilters()
    # The figures of the teams whose scenarios were all read.
    teams: Mapping[int, Metrics] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Why scenarios fail, as ``thresholds.reasons`` finds it out."""

    # For each scenario with known reasons, the most frequent ones; JSON-serialisable.
    failures: Sequence[dict[str, Any]] = ()
    # Where the rule is about the organization, the scenarios that the message names: those with the most errors.
    scenarios: Sequence[ScenarioMetrics] = ()
    # Which reasons are missing, and why; None if none are.
    missing: str | None = None


NO_EXPLANATION = Explanation()


@dataclass(frozen=True)
class Evaluation:
    """A snapshot, compared with a rule and with what crossed before."""

    rule: ThresholdRule
    snapshot: Snapshot
    # The organization's, or that of the most severe scenario: of those that crossed, if any did. None if none counts.
    value: float | None
    # The figures that breach the threshold and were not firing before, the most severe first.
    crossed: tuple[Metrics, ...] = field(repr=False)
    # How many breach the threshold now.
    beyond_count: int
    # The ids, of scenarios or of the organization, that have to recover before they can cross again.
    firing: frozenset[int] = field(repr=False)

    @property
    def scenarios(self) -> tuple[ScenarioMetrics, ...]:
        """The scenarios that crossed, the most severe first; none where the rule is about the organization."""
        return tuple(figures for figures in self.crossed if isinstance(figures, ScenarioMetrics))

    def result(self, explanation: Explanation = NO_EXPLANATION) -> dict[str, Any]:
        """Return the result of a sensor, JSON-serialisable and bounded: long text is cut, a long ``extra`` left out."""
        rule, snapshot, frame = self.rule, self.snapshot, self.snapshot.time_frame
        builder = RowBuilder(snapshot.organization_id, frame.date_from, frame.date_to, snapshot.checked_at)
        rows = [_bounded(row) for row in builder.rows(self.scenarios[:MAX_SCENARIOS])]
        result = {
            "organization_id": snapshot.organization_id,
            "scope": rule.scope,
            "metric": rule.metric.name,
            "threshold": rule.threshold,
            "comparison": rule.comparison,
            "value": self.value,
            "scenarios": rows,
            "scenario_count": len(self.scenarios),
            "total": to_total(snapshot.total),
            "date_from": iso(frame.date_from),
            "date_to": iso(frame.date_to),
            "checked_at": iso(snapshot.checked_at),
        }
        named = explanation.scenarios if rule.scope == "organization" else self.scenarios
        message = compose_message(rule, snapshot, result, named, explanation)
        return {**result, "failures": list(explanation.failures), "message": message}

    def event(self, explanation: Explanation = NO_EXPLANATION) -> dict[str, Any]:
        """Return the payload of a watcher's event: the result, and ``beyond_count``."""
        return {**self.result(explanation), "beyond_count": self.beyond_count}

    def __str__(self) -> str:
        snapshot, frame = self.snapshot, self.snapshot.time_frame
        # The value first: the log view of Airflow's UI cuts long lines.
        return (
            f"{self._describe()} (organization {snapshot.organization_id} at {snapshot.zone}, "
            f"{iso(frame.date_from)} to {iso(frame.date_to)})"
        )

    def _describe_value(self) -> str:
        rule, total = self.rule, self.snapshot.total
        if self.value is not None:
            return f"is {rule.metric.describe(self.value, rule.threshold)}"
        if rule.metric.value(total) is not None:
            return f"does not count, with {total.executions or 0:,} of {rule.min_executions:,} executions"
        return "can't be calculated"

    def _describe(self) -> str:
        rule, breaching, crossed = self.rule, self.beyond_count, len(self.scenarios)
        per_scenario = rule.scope == "scenario"
        if per_scenario and self.value is None:
            enough = f" with at least {rule.min_executions} executions" if rule.min_executions > 1 else ""
            return f"no scenario{enough} has {rule}"
        value = self._describe_value()
        text = f"{rule.metric.name}{' of the most extreme scenario' if per_scenario else ''} {value}; "
        text += f"{rule.limit} is "
        if self.crossed:
            by_scenarios = f" by {_count(crossed)}" if per_scenario else ""
            before = f", and {breaching - crossed} crossed before" if per_scenario and breaching > crossed else ""
            return f"{text}crossed{by_scenarios}{before}"
        if breaching:
            by_scenarios = f" by {_count(breaching)}" if per_scenario else ""
            recovered = "they have recovered" if breaching > 1 else "it has recovered"
            return f"{text}still crossed{by_scenarios}: no further event until {recovered}"
        if self.firing:
            return f"{text}no longer crossed, but not recovered yet"
        return f"{text}not crossed"


def evaluate(rule: ThresholdRule, snapshot: Snapshot, firing: Set[int] = frozenset()) -> Evaluation:
    """
    Compare the figures of a snapshot with a rule, and with the ids that were ``firing`` at the last evaluation.

    What can't be calculated, or is not in the snapshot, has recovered; too few executions change nothing.
    """
    candidates: list[tuple[int, Metrics]] = [(snapshot.organization_id, snapshot.total)]
    if rule.scope == "scenario":
        candidates = [(entry.scenario_id, entry) for entry in snapshot.entries]
    counted: list[tuple[float, int, Metrics]] = []
    still_firing: set[int] = set()
    for key, figures in candidates:
        value = rule.metric.value(figures)
        if value is None:
            continue
        if rule.has_too_few_executions(figures):
            still_firing |= firing & {key}
            continue
        counted.append((value, key, figures))
        if rule.breaches(value):
            still_firing.add(key)
        elif not rule.has_recovered(value):
            still_firing |= firing & {key}
    counted.sort(key=lambda candidate: rule.severity(candidate[0]), reverse=True)
    breaching = [candidate for candidate in counted if rule.breaches(candidate[0])]
    crossed = [candidate for candidate in breaching if candidate[1] not in firing]
    values = [value for value, _, _ in crossed or counted]
    return Evaluation(
        rule=rule,
        snapshot=snapshot,
        value=values[0] if values else None,
        crossed=tuple(figures for _, _, figures in crossed),
        beyond_count=len(breaching),
        firing=frozenset(still_firing),
    )


def compose_message(
    rule: ThresholdRule,
    snapshot: Snapshot,
    result: Mapping[str, Any],
    named: Sequence[ScenarioMetrics],
    explanation: Explanation,
) -> str:
    """
    Compose the message of a result, which names these scenarios.

    It has a line for the organization, one for the time frame, one for each of the first ``MAX_MESSAGE_SCENARIOS``,
    each followed by its reasons, and at most ``MAX_MESSAGE_LENGTH`` characters.
    """
    head = [_headline(rule, snapshot, result), f"{_frame(result)} ({snapshot.zone})"]
    missing = [explanation.missing] if explanation.missing else []
    scenarios: list[str] = []
    for figures in named[:MAX_MESSAGE_SCENARIOS]:
        line = _scenario(rule, snapshot.zone, figures)
        if _length([*head, *scenarios, line, *missing]) > MAX_MESSAGE_LENGTH - 50:
            break
        scenarios.append(line)
    more = result["scenario_count"] - len(scenarios)
    tail = [f"… and {more:,} more {plural(more, 'scenario')}", *missing] if more > 0 else missing
    by_scenario = {failure["scenario_id"]: failure["errors"] for failure in explanation.failures}
    reasons = [by_scenario.get(figures.scenario_id, []) for figures in named[: len(scenarios)]]
    blocks = [[line] for line in scenarios]
    for most, length, has_links in _REASONS if explanation.failures else ():
        blocks = [
            [line, *(_reason(error, result["date_to"], length, has_links) for error in errors[:most])]
            for line, errors in zip(scenarios, reasons, strict=True)
        ]
        if _length([*head, *chain(*blocks), *tail]) <= MAX_MESSAGE_LENGTH:
            break
    # Those of the least severe scenarios go first.
    for block in reversed(blocks):
        while len(block) > 1 and _length([*head, *chain(*blocks), *tail]) > MAX_MESSAGE_LENGTH:
            block.pop()
    return "\n".join([*head, *chain(*blocks), *tail])[:MAX_MESSAGE_LENGTH]


def _length(lines: Sequence[str]) -> int:
    return sum(map(len, lines)) + len(lines) - 1


def _headline(rule: ThresholdRule, snapshot: Snapshot, result: Mapping[str, Any]) -> str:
    filters, count, total = snapshot.filters.filters, result["scenario_count"], result["total"]
    name = rule.metric.name.replace("_", " ")
    scenarios = f"{count:,} {plural(count, 'scenario')}"
    if rule.scope == "scenario" and rule.is_breached_by_all and (statuses := filters.get("status")):
        # Then the status is what the alert is about.
        are, them = ("is", "it") if count == 1 else ("are", "them")
        what = f"{scenarios} {are} {' or '.join(statuses)}"
        why = f": Make has disabled {them} because of errors" if statuses == ["invalid"] else ""
        return f"{_organization(snapshot, {**filters, 'status': []})}: {what}{why}"
    organization = _organization(snapshot, filters)
    if rule.scope == "scenario":
        return f"{organization}: {name} {rule.limit} in {scenarios}"
    value = "unknown" if result["value"] is None else rule.metric.describe(result["value"], rule.threshold)
    figures = _figures(total["executions"], total["errors"], apart_from=name)
    return f"{organization}: {name} {value} ({rule.limit}){figures and f', {figures}'}"


def _organization(snapshot: Snapshot, filters: Mapping[str, Sequence[Any]]) -> str:
    named = [f"{name.removesuffix('_id')} {list_some(map(str, values))}" for name, values in filters.items() if values]
    organization = f"Make organization {snapshot.organization_id}"
    return f"{organization} ({', '.join(named)})" if named else organization


def _scenario(rule: ThresholdRule, zone: str, figures: ScenarioMetrics) -> str:
    name = _clean(figures.name) or f"Scenario {figures.scenario_id}"
    team = f" ({_clean(figures.team_name)})" if figures.team_name else ""
    parts = [_value(rule, figures), _figures(figures.executions, figures.errors)]
    if rule.is_breached_by_all and not figures.executions:
        # A scenario that Make has disabled: zeros would say nothing.
        parts = []
    text = ", ".join(part for part in parts if part)
    url = scenario_url(zone, figures.team_id, figures.scenario_id)
    return f"- {name}{team}{text and f': {text}'}{f' {url}' if url else ''}"


def _value(rule: ThresholdRule, figures: ScenarioMetrics) -> str | None:
    """Describe the value of the metric; None where it is among the figures anyway, or not about the scenario."""
    if rule.scope == "organization" or rule.metric.name in ("errors", "executions"):
        return None
    value = rule.metric.value(figures)
    return "unknown" if value is None else rule.metric.describe(value, rule.threshold)


def _figures(executions: int | None, errors: int | None, apart_from: str | None = None) -> str:
    """Describe the counts, but not the one that is the metric itself."""
    # Without executions, "0 errors" would say that all is well.
    parts = {"errors": (errors or None) if executions == 0 else errors, "executions": executions}
    shown = [(count, name[:-1]) for name, count in parts.items() if count is not None and name != apart_from]
    return " in ".join(f"{count:,} {plural(count, noun)}" for count, noun in shown)


def _reason(error: Mapping[str, Any], date_to: str, length: int, has_link: bool) -> str:
    text = f"    {error['count']} x {error['name'] or 'Error'}"
    text += f" in {error['module']}" if error["module"] else ""
    message = error["message"] or ("" if error["name"] or error["module"] else "Make gives no reason")
    text += f": {message if len(message) <= length else f'{message[: length - 1]}…'}".rstrip(" .:")
    if error["last_at"]:
        last = datetime.fromisoformat(error["last_at"])
        is_same_day = last.date() == datetime.fromisoformat(date_to).date()
        text += f", last {last:{'%H:%M' if is_same_day else '%Y-%m-%d %H:%M'}}"
    return f"{text} {error['url']}" if has_link and error["url"] else text


def _frame(result: Mapping[str, Any]) -> str:
    begin, end = (datetime.fromisoformat(result[name]) for name in ("date_from", "date_to"))
    same_day = begin.date() == end.date()
    return f"{begin:%Y-%m-%d %H:%M} to {end:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}} UTC"


def _clean(text: str | None) -> str:
    return to_plain_line(text or "", _MAX_NAME_LENGTH)


def _count(scenarios: int) -> str:
    return f"{scenarios} {plural(scenarios, 'scenario')}"


def _bounded(row: dict[str, Any]) -> dict[str, Any]:
    cut = {column: row[column] and row[column][:MAX_TEXT_LENGTH] for column in TEXT_COLUMNS - {"extra"}}
    return {**row, **cut, "extra": row["extra"] if len(row["extra"] or "") <= MAX_EXTRA_LENGTH else None}

"""What crossed a threshold: the figures compared with the rule, the result, and its message for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.links import scenario_url
from airflow_provider_make.output.rows import MAX_EXTRA_LENGTH, TEXT_COLUMNS, RowBuilder, to_total
from airflow_provider_make.text import plural, replace_unprintable
from airflow_provider_make.thresholds.rule import ThresholdRule

# What a result, and so an event, may contain: Airflow keeps both in its database.
MAX_SCENARIOS = 100
MAX_TEXT_LENGTH = 250
# Slack accepts 3,000 characters in a block of text.
MAX_MESSAGE_LENGTH = 3_000
MAX_MESSAGE_SCENARIOS = 10
_MAX_NAME_LENGTH = 80
# Slack and others read <!channel> and <https://…|text> as markup.
_WITHOUT_MARKUP = str.maketrans("<>", "‹›")


@dataclass(frozen=True)
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

    def result(self) -> dict[str, Any]:
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
        values = [rule.metric.value(figures) for figures in self.scenarios[:MAX_SCENARIOS]]
        return {**result, "message": compose_message(rule, snapshot.zone, result, values)}

    def event(self) -> dict[str, Any]:
        """Return the payload of a watcher's event: the result, and ``beyond_count``."""
        return {**self.result(), "beyond_count": self.beyond_count}

    def __str__(self) -> str:
        snapshot, frame = self.snapshot, self.snapshot.time_frame
        return (
            f"Organization {snapshot.organization_id} at {snapshot.zone}, {iso(frame.date_from)} to "
            f"{iso(frame.date_to)}: {self._describe()}"
        )

    def _describe(self) -> str:
        rule, breaching, crossed = self.rule, self.beyond_count, len(self.scenarios)
        per_scenario = rule.scope == "scenario"
        if per_scenario and self.value is None:
            enough = f" with at least {rule.min_executions} executions" if rule.min_executions > 1 else ""
            return f"no scenario{enough} has {rule}"
        value = "can't be calculated" if self.value is None else f"is {self.value:.15g}"
        text = f"{rule.metric.name}{' of the most extreme scenario' if per_scenario else ''} {value}; "
        text += f"{rule.comparison} {rule.threshold:.15g} is "
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


def compose_message(rule: ThresholdRule, zone: str, result: Mapping[str, Any], values: Sequence[float | None]) -> str:
    """
    Compose the message of a result, whose rows have these values of the metric.

    It has a line for the organization, one for the time frame, and one for each of the worst
    ``MAX_MESSAGE_SCENARIOS``, and at most ``MAX_MESSAGE_LENGTH`` characters.
    """
    lines = [_headline(rule, result), f"{_frame(result)} ({zone})"]
    count = result["scenario_count"]
    for row, value in list(zip(result["scenarios"], values, strict=True))[:MAX_MESSAGE_SCENARIOS]:
        line = _scenario(rule, zone, row, value)
        if sum(map(len, lines)) + len(line) + len(lines) > MAX_MESSAGE_LENGTH - 50:
            break
        lines.append(line)
    if more := count - (len(lines) - 2) if count else 0:
        lines.append(f"… and {more:,} more {plural(more, 'scenario')}")
    return "\n".join(lines)[:MAX_MESSAGE_LENGTH]


def _headline(rule: ThresholdRule, result: Mapping[str, Any]) -> str:
    name, limit = rule.metric.name.replace("_", " "), f"{rule.comparison} {rule.metric.describe(rule.threshold)}"
    organization = f"Make organization {result['organization_id']}"
    count, total = result["scenario_count"], result["total"]
    if rule.scope == "scenario":
        return f"{organization}: {name} {limit} in {count:,} {plural(count, 'scenario')}"
    value = "unknown" if result["value"] is None else rule.metric.describe(result["value"], rule.threshold)
    return f"{organization}: {name} {value} ({limit}){_executions(total['executions'], total['errors'])}"


def _scenario(rule: ThresholdRule, zone: str, row: Mapping[str, Any], value: float | None) -> str:
    name = _clean(row["name"]) or f"Scenario {row['scenario_id']}"
    team = f" ({_clean(row['team_name'])})" if row["team_name"] else ""
    text = f"- {name}{team}: {'unknown' if value is None else rule.metric.describe(value, rule.threshold)}"
    text += _executions(row["executions"], row["errors"])
    url = scenario_url(zone, row["team_id"], row["scenario_id"])
    return f"{text} {url}" if url else text


def _executions(executions: int | None, errors: int | None) -> str:
    if executions is None:
        return ""
    of = "" if errors is None else f"{errors:,} {plural(errors, 'error')} in "
    return f", {of}{executions:,} {plural(executions, 'execution')}"


def _frame(result: Mapping[str, Any]) -> str:
    begin, end = (datetime.fromisoformat(result[name]) for name in ("date_from", "date_to"))
    same_day = begin.date() == end.date()
    return f"{begin:%Y-%m-%d %H:%M} to {end:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}} UTC"


def _clean(text: str | None) -> str:
    one_line = " ".join(replace_unprintable(text or "").translate(_WITHOUT_MARKUP).split())
    return one_line if len(one_line) <= _MAX_NAME_LENGTH else f"{one_line[: _MAX_NAME_LENGTH - 1]}…"


def _count(scenarios: int) -> str:
    return f"{scenarios} {plural(scenarios, 'scenario')}"


def _bounded(row: dict[str, Any]) -> dict[str, Any]:
    cut = {column: row[column] and row[column][:MAX_TEXT_LENGTH] for column in TEXT_COLUMNS - {"extra"}}
    return {**row, **cut, "extra": row["extra"] if len(row["extra"] or "") <= MAX_EXTRA_LENGTH else None}

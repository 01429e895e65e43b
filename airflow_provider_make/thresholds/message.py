"""The message of a crossing: plain text for people, by mail or chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_make.text import plural, replace_unprintable
from airflow_provider_make.thresholds.rule import ThresholdRule
from airflow_provider_make.web_pages import scenario_url

# Slack accepts 3,000 characters in a block of text.
MAX_LENGTH = 3_000
MAX_LINES = 10
_MAX_NAME_LENGTH = 80
# Slack and others read <!channel> and <https://…|text> as markup.
_WITHOUT_MARKUP = str.maketrans("<>", "‹›")


def compose_message(rule: ThresholdRule, zone: str, result: Mapping[str, Any], values: Sequence[float | None]) -> str:
    """
    Compose the message of a crossing.

    :param rule: The rule.
    :param zone: The host of the API, for links.
    :param result: The result of the check; names and times are from it.
    :param values: The metric's value of each row in ``scenarios``.
    :return: A line for the organization, one for the time frame, and one for each of the worst ``MAX_LINES``
        scenarios with value, executions and link; at most ``MAX_LENGTH`` characters.
    """
    lines = [_headline(rule, result), f"{_frame(result)} ({zone})"]
    count = result["scenario_count"]
    for row, value in list(zip(result["scenarios"], values, strict=True))[:MAX_LINES]:
        line = _scenario(rule, zone, row, value)
        if sum(map(len, lines)) + len(line) + len(lines) > MAX_LENGTH - 50:
            break
        lines.append(line)
    if more := count - (len(lines) - 2) if count else 0:
        lines.append(f"… and {more:,} more {plural(more, 'scenario')}")
    return "\n".join(lines)[:MAX_LENGTH]


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

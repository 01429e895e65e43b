"""Render the report of one pull as a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_make.report.charts import Bar, draw_bars
from airflow_provider_make.report.content import Content, Scenario
from airflow_provider_make.report.formatting import (
    change,
    compact,
    compact_credits,
    count_of,
    credits,
    percent,
    scenario_name,
    status_name,
    team_name,
    whole,
)
from airflow_provider_make.report.frames import time_zone
from airflow_provider_make.report.template import Chart, LinksToMake, Total, render, to_markup

if TYPE_CHECKING:
    from markupsafe import Markup


def render_pull(content: Content, title: str | None = None) -> str:
    """
    Render the page.

    :param content: The content of the report.
    :param title: The heading; None for the organization.
    :return: HTML without scripts; the same content always results in the same text.
    """
    scenarios = {scenario.scenario_id: scenario for scenario in (*content.by_error_rate, *content.by_errors)}
    return render(
        "pull.html",
        title=title,
        content=content,
        summary=content.summary,
        zone=time_zone(content.summary),
        links=LinksToMake(content.summary),
        totals=_totals(content),
        charts=_charts(content),
        scenarios=sorted(scenarios.values(), key=lambda one: (-(one.errors or 0), -(one.error_rate or 0))),
        statuses=[status for status, _ in content.statuses],
    )


def _totals(content: Content) -> list[Total]:
    total = content.summary.total
    centicredits = None if total.centicredits is None else int(total.centicredits)
    count = sum(number for _, number in content.statuses)
    statuses = ", ".join(f"{number:,}\N{NO-BREAK SPACE}{status_name(status)}" for status, number in content.statuses)
    rate_note = "no executions" if total.executions == 0 else change(total.error_rate_change)
    return [
        _count("Executions", total.executions, total.executions_change),
        _count("Operations", total.operations, total.operations_change),
        Total("Credits", compact_credits(centicredits), credits(centicredits), change(total.centicredits_change)),
        _count("Errors", total.errors, total.errors_change, _trend(total.errors_change)),
        Total("Error rate", percent(total.error_rate), "", rate_note, _trend(total.error_rate_change)),
        Total("Scenarios", compact(count), whole(count), statuses or "none"),
    ]


def _count(label: str, value: int | None, rate: float | None, trend: str = "") -> Total:
    return Total(label, compact(value), whole(value), change(rate), trend)


def _trend(rate: float | None) -> str:
    return {"+": "worse", "−": "better"}.get(change(rate)[0], "")


def _charts(content: Content) -> list[Chart]:
    rates = [Bar(_name(one), one.error_rate or 0.0, percent(one.error_rate)) for one in content.by_error_rate]
    errors = [Bar(_name(one), one.errors or 0, compact(one.errors)) for one in content.by_errors]
    minimum = count_of(content.min_executions, "execution")
    teams = "The largest, and all others together." if content.other_teams else "Of all teams."
    return [
        Chart(
            "Worst scenarios by error rate",
            (f"Of those with at least {minimum}.",),
            _draw(rates),
            _without_errors(content, f"No scenario with at least {minimum} had errors."),
        ),
        Chart(
            "Worst scenarios by errors",
            ("Of all scenarios.",),
            _draw(errors),
            _without_errors(content, "No scenario had errors."),
        ),
        Chart("Credits by team", (teams,), _draw(_team_bars(content)), "No team used any credits."),
    ]


def _without_errors(content: Content, text: str) -> str:
    if not content.statuses:
        return "There are no scenarios."
    return "No scenario was executed." if content.summary.total.executions == 0 else text


def _name(scenario: Scenario) -> str:
    return scenario_name(scenario.scenario_id, scenario.name)


def _team_bars(content: Content) -> list[Bar]:
    bars = [
        Bar(team_name(team.team_id, team.name), team.centicredits, compact_credits(team.centicredits))
        for team in content.teams
    ]
    if content.other_teams:
        name = count_of(content.other_teams, "other team")
        bars.append(Bar(name, content.other_centicredits, compact_credits(content.other_centicredits), muted=True))
    return bars


def _draw(bars: Sequence[Bar]) -> Markup | None:
    return to_markup(draw_bars(bars)) if bars else None

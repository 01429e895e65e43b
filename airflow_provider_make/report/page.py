"""Render a report as a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.report.charts import Bar, draw_bars
from airflow_provider_make.report.content import Content, Totals
from airflow_provider_make.report.formatting import (
    change,
    credits,
    moment,
    percent,
    scenario_name,
    short_credits,
    status_name,
    team_name,
    whole,
)

if TYPE_CHECKING:
    from markupsafe import Markup


def render_page(content: Content) -> str:
    """
    Render the page.

    :param content: The content of the report.
    :return: HTML without scripts and without links; the same content always results in the same text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        whole=whole, credits=credits, percent=percent, moment=moment, iso=iso, status=status_name
    )
    environment.globals.update(scenario_name=scenario_name, team_name=team_name)
    scenarios = {scenario.scenario_id: scenario for scenario in (*content.by_error_rate, *content.by_errors)}
    return environment.get_template("page.html").render(
        content=content,
        summary=content.summary,
        totals=_totals(content.summary.total),
        charts=_charts(content),
        scenarios=sorted(scenarios.values(), key=lambda one: (-(one.errors or 0), -(one.error_rate or 0))),
        statuses=[status for status, _ in content.statuses],
    )


@dataclass(frozen=True)
class _Total:
    label: str
    value: str
    change: str
    # The CSS class of the change: worse, better or empty.
    trend: str


def _totals(total: Totals) -> list[_Total]:
    centicredits = None if total.centicredits is None else int(total.centicredits)
    return [
        _total("Executions", whole(total.executions), total.executions_change),
        _total("Operations", whole(total.operations), total.operations_change),
        _total("Credits", credits(centicredits), total.centicredits_change),
        _total("Errors", whole(total.errors), total.errors_change, more_is_worse=True),
        _total("Error rate", percent(total.error_rate), total.error_rate_change, more_is_worse=True),
    ]


def _total(label: str, value: str, rate: float | None, more_is_worse: bool = False) -> _Total:
    text = change(rate)
    trend = {"+": "worse", "−": "better"}.get(text[0], "") if more_is_worse else ""
    return _Total(label, value, text, trend)


@dataclass(frozen=True)
class _Chart:
    title: str
    note: str
    svg: Markup | None
    # The text if there is nothing to draw.
    placeholder: str


def _charts(content: Content) -> list[_Chart]:
    rates = [Bar(scenario_name(one), one.error_rate or 0.0, percent(one.error_rate)) for one in content.by_error_rate]
    errors = [Bar(scenario_name(one), one.errors or 0, whole(one.errors)) for one in content.by_errors]
    minimum = "1 execution" if content.min_executions == 1 else f"{content.min_executions:,} executions"
    teams = "The largest, and all others together." if content.other_teams else "Of all teams."
    without = "None of them had errors."
    return [
        _Chart("Worst scenarios by error rate", f"Of those with at least {minimum}.", _draw(rates), without),
        _Chart("Worst scenarios by errors", "Of all scenarios.", _draw(errors), without),
        _Chart("Credits by team", teams, _draw(_team_bars(content)), "No team used any credits."),
    ]


def _team_bars(content: Content) -> list[Bar]:
    bars = [
        Bar(team_name(team.team_id, team.name), team.centicredits, short_credits(team.centicredits))
        for team in content.teams
    ]
    if content.other_teams:
        name = "1 other team" if content.other_teams == 1 else f"{content.other_teams:,} other teams"
        bars.append(Bar(name, content.other_centicredits, short_credits(content.other_centicredits), muted=True))
    return bars


def _draw(bars: Sequence[Bar]) -> Markup | None:
    from markupsafe import Markup

    return Markup(draw_bars(bars)) if bars else None

"""The report as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.report.charts import Bar, draw_bars
from airflow_provider_make.report.content import Report, Totals
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


def write_page(report: Report) -> str:
    """
    Write the page.

    :param report: What it says.
    :return: HTML without scripts and without references; the same report gives the same text.
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
    scenarios = {scenario.scenario_id: scenario for scenario in (*report.by_error_rate, *report.by_errors)}
    return environment.get_template("page.html").render(
        report=report,
        summary=report.summary,
        totals=_totals(report.summary.total),
        charts=_charts(report),
        scenarios=sorted(scenarios.values(), key=lambda one: (-(one.errors or 0), -(one.error_rate or 0))),
        statuses=[status for status, _ in report.statuses],
    )


@dataclass(frozen=True)
class _Total:
    label: str
    value: str
    change: str
    # Of the change: worse, better or neither.
    judgement: str


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
    told = change(rate)
    judgement = {"+": "worse", "−": "better"}.get(told[0], "") if more_is_worse else ""
    return _Total(label, value, told, judgement)


@dataclass(frozen=True)
class _Chart:
    title: str
    note: str
    svg: Markup | None
    # What is said where there is nothing to draw.
    without: str


def _charts(report: Report) -> list[_Chart]:
    rates = [Bar(scenario_name(one), one.error_rate or 0.0, percent(one.error_rate)) for one in report.by_error_rate]
    errors = [Bar(scenario_name(one), one.errors or 0, whole(one.errors)) for one in report.by_errors]
    least = "1 execution" if report.min_executions == 1 else f"{report.min_executions:,} executions"
    teams = "The largest, and all others together." if report.further_teams else "Of all teams."
    return [
        _Chart(
            "Worst scenarios by error rate",
            f"Of those with at least {least}.",
            _draw(rates),
            "None of them had errors.",
        ),
        _Chart(
            "Worst scenarios by errors",
            "Of all scenarios.",
            _draw(errors),
            "None of them had errors.",
        ),
        _Chart("Credits by team", teams, _draw(_team_bars(report)), "No team took any."),
    ]


def _team_bars(report: Report) -> list[Bar]:
    bars = [
        Bar(team_name(team.team_id, team.name), team.centicredits, short_credits(team.centicredits))
        for team in report.teams
    ]
    if report.further_teams:
        name = "1 other team" if report.further_teams == 1 else f"{report.further_teams:,} other teams"
        together = report.further_centicredits
        bars.append(Bar(name, together, short_credits(together), aside=True))
    return bars


def _draw(bars: Sequence[Bar]) -> Markup | None:
    from markupsafe import Markup

    return Markup(draw_bars(bars)) if bars else None

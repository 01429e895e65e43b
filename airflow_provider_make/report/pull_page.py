"""The report of one pull: its content, from one pass over the rows, and its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_make.report.comparison import Team, TeamCredits, top_rows
from airflow_provider_make.report.formatting import (
    change,
    compact,
    compact_credits,
    count_of,
    describe_filters,
    moment,
    percent,
    scenario_name,
    single_line,
    status_name,
)
from airflow_provider_make.report.headlines import pull_headlines
from airflow_provider_make.report.pull_files import SCENARIO_COLUMNS, Scenario, SourceFile, Summary, open_pull
from airflow_provider_make.report.template import Bar, Chart, Page, Tile, count, figures, render

if TYPE_CHECKING:
    import pyarrow

# Teams in a chart.
MAX_TEAMS = 10


@dataclass(frozen=True)
class PullContent:
    """The content of a report of one pull."""

    summary: Summary
    # When the pull began; None if it found no scenario.
    extracted_at: datetime | None
    # Scenarios with fewer executions are not in by_error_rate.
    min_executions: int
    # The number of scenarios by status, the most frequent first; None is an absent status.
    statuses: tuple[tuple[str | None, int], ...]
    # The worst first.
    by_error_rate: tuple[Scenario, ...]
    by_errors: tuple[Scenario, ...]
    # At most MAX_TEAMS that used credits, the most first, and all others as one.
    teams: tuple[Team, ...]


def read_pull(file: SourceFile, min_executions: int) -> PullContent:
    """Read the content of a report from a file."""
    with open_pull(file) as pull:
        return summarize(pull.summary, pull.batches(), min_executions)


def summarize(summary: Summary, batches: Iterable[pyarrow.RecordBatch], min_executions: int) -> PullContent:
    """Calculate the content from the rows of a pull; one batch at a time is in memory."""
    import pyarrow
    import pyarrow.compute as pc

    has_errors = pc.field("errors") > 0
    has_error_rate = (pc.field("error_rate") > 0) & (pc.field("executions") >= min_executions)
    # The worst of the batches so far: a table each, or none.
    by_error_rate: list[pyarrow.Table] = []
    by_errors: list[pyarrow.Table] = []
    teams = TeamCredits()
    statuses: Counter[str | None] = Counter()
    extracted_at: datetime | None = None
    for batch in batches:
        rows = pyarrow.Table.from_batches([batch])
        candidates = pyarrow.concat_tables([*by_error_rate, rows.filter(has_error_rate)])
        by_error_rate = [top_rows(candidates, ("error_rate", "errors"))]
        candidates = pyarrow.concat_tables([*by_errors, rows.filter(has_errors)])
        by_errors = [top_rows(candidates, ("errors", "error_rate"))]
        teams.add(rows, 0)
        for status in pc.value_counts(batch["status"]).to_pylist():
            statuses[status["values"]] += status["counts"]
        if extracted_at is None and len(batch):
            extracted_at = batch["extracted_at"][0].as_py()
    return PullContent(
        summary=summary,
        extracted_at=extracted_at,
        min_executions=min_executions,
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0] or ""))),
        by_error_rate=_to_scenarios(by_error_rate),
        by_errors=_to_scenarios(by_errors),
        teams=tuple(teams.largest(MAX_TEAMS, 1)),
    )


def _to_scenarios(tables: Iterable[pyarrow.Table]) -> tuple[Scenario, ...]:
    rows = [row for table in tables for row in table.select(SCENARIO_COLUMNS).to_pylist()]
    for row in rows:
        row["centicredits"] = None if row["centicredits"] is None else int(row["centicredits"])
    return tuple(Scenario(**row) for row in rows)


def render_pull(content: PullContent, title: str | None = None) -> str:
    """Render the page; its heading is the title, or the organization."""
    summary = content.summary
    shown = {scenario.scenario_id: scenario for scenario in (*content.by_error_rate, *content.by_errors)}
    scenarios = sorted(shown.values(), key=lambda scenario: (-(scenario.errors or 0), -(scenario.error_rate or 0)))
    pulled = f"Pulled {moment(content.extracted_at)} UTC" if content.extracted_at else "Pulled"
    invalid = " Invalid scenarios are those that Make has disabled due to errors."
    has_invalid = "invalid" in dict(content.statuses)
    return render(
        Page(
            title=title,
            summary=summary,
            filters=describe_filters(summary.filters),
            until=moment(summary.date_to, summary.time_zone) if summary.date_to else "",
            time_frame=_describe_time_frame(summary),
            headlines=pull_headlines(summary.total, _compared_with(summary)),
            tiles=_tiles(content),
            note=f"Changes: compared with {_compared_with(summary)}, as Make calculates them.",
            charts=_charts(content),
            scenarios=[(scenario, figures(scenario)) for scenario in scenarios],
            order="The most errors first.",
            footer=f"{pulled} by airflow-provider-make {single_line(summary.provider_version)}.{invalid * has_invalid}",
        )
    )


def _describe_time_frame(summary: Summary) -> str:
    zone = summary.time_zone
    begin = summary.date_from and moment(summary.date_from, zone)
    end = summary.date_to and moment(summary.date_to, zone)
    if begin:
        return f"{begin} to {end} {zone}" if end else f"{begin} {zone} until the pull"
    return f"the year until {f'{end} {zone}' if end else 'the pull'}"


def _compared_with(summary: Summary) -> str:
    if summary.date_from is None or summary.date_to is None:
        return "the time frame before"
    # A day has an hour more or less when daylight saving time changes.
    days = round((summary.date_to - summary.date_from) / timedelta(days=1), 1)
    known = {1.0: "the day before", 7.0: "the week before"}
    return known.get(days, f"the {days:.0f} days before" if days > 1 and days == int(days) else "the time frame before")


def _tiles(content: PullContent) -> list[Tile]:
    total = content.summary.total
    executions, errors, rate, operations, credits = figures(total)
    scenarios = sum(number for _, number in content.statuses)
    statuses = ", ".join(f"{number:,}\N{NO-BREAK SPACE}{status_name(status)}" for status, number in content.statuses)
    rate_note = "no executions" if total.executions == 0 else change(total.error_rate_change)
    return [
        Tile(executions, change(total.executions_change)),
        Tile(operations, change(total.operations_change)),
        Tile(credits, change(total.centicredits_change)),
        Tile(errors, change(total.errors_change), _trend(total.errors_change)),
        Tile(rate, rate_note, _trend(total.error_rate_change)),
        Tile(count("Scenarios", scenarios), statuses or "none"),
    ]


def _trend(rate: float | None) -> str:
    return {"+": "worse", "−": "better"}.get(change(rate)[0], "")


def _charts(content: PullContent) -> list[Chart]:
    minimum = count_of(content.min_executions, "execution")
    others = any(team.are_others for team in content.teams)
    return [
        Chart(
            "Worst scenarios by error rate",
            [f"Of those with at least {minimum}."],
            _without_errors(content, f"No scenario with at least {minimum} had errors."),
            [Bar(_name(worst), worst.error_rate or 0.0, percent(worst.error_rate)) for worst in content.by_error_rate],
            in_table=True,
        ),
        Chart(
            "Worst scenarios by errors",
            ["Of all scenarios."],
            _without_errors(content, "No scenario had errors."),
            [Bar(_name(worst), worst.errors or 0, compact(worst.errors)) for worst in content.by_errors],
            in_table=True,
        ),
        Chart(
            "Credits by team",
            ["The largest, and all others together." if others else "Of all teams."],
            "No team used any credits.",
            [Bar(team.name, team.total, compact_credits(team.total), team.are_others) for team in content.teams],
        ),
    ]


def _without_errors(content: PullContent, text: str) -> str:
    if not content.statuses:
        return "There are no scenarios."
    return "No scenario was executed." if content.summary.total.executions == 0 else text


def _name(scenario: Scenario) -> str:
    return scenario_name(scenario.scenario_id, scenario.name)

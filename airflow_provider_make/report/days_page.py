"""Render the report over several days as a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from airflow_provider_make.report.changes import FACTOR, FAILING
from airflow_provider_make.report.charts import Bar, draw_bars
from airflow_provider_make.report.course import Course, course_of, overall_error_rate, sum_known, usual_range
from airflow_provider_make.report.course_charts import course_charts, error_rate_chart, month_chart, team_chart
from airflow_provider_make.report.formatting import (
    compact,
    compact_credits,
    count_of,
    credits,
    percent,
    scenario_name,
    share,
    whole,
)
from airflow_provider_make.report.frames import Frame, describe_time_zones
from airflow_provider_make.report.history import History, ScenarioHistory, Scenarios
from airflow_provider_make.report.month import round_half_up
from airflow_provider_make.report.template import Chart, LinksToMake, Total, render, to_markup
from airflow_provider_make.text import plural

# Missing days that are listed by name.
_MAX_MISSING = 5


def render_history(history: History, title: str | None = None, monthly_centicredits: int | None = None) -> str:
    """
    Render the page.

    :param history: The content of the report.
    :param title: The heading; None for the organization.
    :param monthly_centicredits: Hundredths of credits for a month; None if not known.
    :return: HTML without scripts; the same content always results in the same text.
    """
    frames = history.frames
    course = course_of(frames)
    unit = unit_of(frames)
    shown = {one.scenario_id: one for one in (*history.consumers.shown, *history.worst.shown)}
    return render(
        "days.html",
        title=title,
        summary=frames[-1].summary,
        links=LinksToMake(frames[-1].summary),
        history=history,
        unit=unit,
        time_zones=describe_time_zones(frames),
        missing=describe_missing(frames),
        totals=_totals(history, course, unit),
        first_charts=[
            error_rate_chart(frames, course, history.recent, unit),
            month_chart(frames, course, monthly_centicredits),
            team_chart(history, unit),
        ],
        comparison=_comparison(history),
        lists=_lists(history),
        charts=[*course_charts(frames, course, unit), _consumers_chart(history), _worst_chart(history)],
        scenarios=[
            (one, share(one.centicredits, history.centicredits), _rate(one.errors, one.executions))
            for one in sorted(shown.values(), key=lambda one: (-one.centicredits, -one.errors, one.scenario_id))
        ],
        days=list(zip(frames, *vars(course).values(), strict=True))[::-1],
    )


def unit_of(frames: Sequence[Frame]) -> str:
    """Return the word for a frame: day, week or period."""
    return {1: "day", 7: "week"}.get(frames[0].length, "period")


def describe_missing(frames: Sequence[Frame]) -> str:
    """Describe the days without a file between the first and the last; empty if there are none."""
    missing = [
        before.last_day + timedelta(days=number)
        for before, after in pairwise(frames)
        for number in range(1, (after.day - before.last_day).days)
    ]
    if not missing:
        return ""
    verb = "has" if len(missing) == 1 else "have"
    more = f" and {len(missing) - _MAX_MISSING:,} more" if len(missing) > _MAX_MISSING else ""
    days = ", ".join(map(str, missing[:_MAX_MISSING]))
    return f"{count_of(len(missing), 'day')} {verb} no file (grey): {days}{more}."


def _totals(history: History, course: Course, unit: str) -> list[Total]:
    executions, operations, errors = map(sum_known, (course.executions, course.operations, course.errors))
    used = sum_known(course.centicredits)
    usual = usual_range(course.error_rate[: -history.recent])
    rate_note = f"usually {percent(usual[0])} to {percent(usual[1])}" if usual else f"of all {unit}s"
    average = None if used is None else round_half_up(used, _known(course.centicredits))
    changes = [
        f"{len_text}\N{NO-BREAK SPACE}{word}"
        for word, number in (("new", history.new.count), ("gone", history.gone.count))
        if (len_text := f"{number:,}") != "0"
    ]
    return [
        _count("Executions", executions, course.executions, unit),
        _count("Operations", operations, course.operations, unit),
        Total("Credits", compact_credits(used), credits(used), f"{compact_credits(average)} a {unit}"),
        _count("Errors", errors, course.errors, unit),
        Total("Error rate", percent(overall_error_rate(course)), "", rate_note if executions else "no executions"),
        Total(
            "Scenarios",
            compact(history.scenarios),
            whole(history.scenarios),
            ", ".join(changes) or "none new, none gone",
        ),
    ]


def _count(label: str, value: int | None, values: Sequence[int | None], unit: str) -> Total:
    average = None if value is None else round_half_up(value, _known(values))
    return Total(label, compact(value), whole(value), f"{compact(average)} a {unit}")


def _known(values: Sequence[int | None]) -> int:
    return sum(value is not None for value in values)


def _comparison(history: History) -> tuple[str, ...]:
    before = history.frames[: -history.recent][-history.before :]
    later = history.frames[-history.recent :]
    minimum = count_of(history.min_executions, "execution")
    return (
        f"{_span(later)} compared with {_span(before)}.",
        f"A scenario fails if {FAILING:g}\N{NO-BREAK SPACE}% or more of its executions have errors.",
        f"It began to fail if it fails in the later days, with more than {FACTOR:g} times the error rate of the days "
        "before, and ceased to fail if it is the other way round.",
        f"Scenarios with fewer than {minimum} in one of the two are ignored.",
    )


def _span(frames: Sequence[Frame]) -> str:
    first, last = frames[0].day, frames[-1].last_day
    return str(first) if first == last else f"{first} to {last}"


def _lists(history: History) -> list[tuple[str, Scenarios, list[str]]]:
    new = [f"since {one.first}: {_executions(one.executions)}" for one in history.new.shown]
    gone = [f"last on {one.last}: {_executions(one.executions)}" for one in history.gone.shown]
    return [
        ("Began to fail", history.began, [_turn(one) for one in history.began.shown]),
        ("Ceased to fail", history.ceased, [_turn(one) for one in history.ceased.shown]),
        ("New", history.new, new),
        ("Gone", history.gone, gone),
    ]


def _turn(one: ScenarioHistory) -> str:
    before = _rate(one.before_errors, one.before_executions)
    return f"{_recent_rate(one)} of {_executions(one.recent_executions)}, before {before}"


def _recent_rate(one: ScenarioHistory) -> str:
    return _rate(one.recent_errors, one.recent_executions)


def _executions(number: int) -> str:
    return f"{compact(number)}\N{NO-BREAK SPACE}{plural(number, 'execution')}"


def _rate(errors: int, executions: int) -> str:
    return percent(100 * errors / executions if executions else None)


def _consumers_chart(history: History) -> Chart:
    bars = [
        Bar(
            scenario_name(one.scenario_id, one.name),
            one.centicredits,
            f"{compact_credits(one.centicredits)}, {share(one.centicredits, history.centicredits)}",
        )
        for one in history.consumers.shown
    ]
    top = sum(one.centicredits for one in history.consumers.shown)
    notes = (f"The credits of scenarios, and their share of all. Together {share(top, history.centicredits)}.",)
    svg = to_markup(draw_bars(bars)) if bars else None
    return Chart("Top consumers of credits", notes if bars else (), svg, "No scenario used any credits.")


def _worst_chart(history: History) -> Chart:
    bars = [
        Bar(
            scenario_name(one.scenario_id, one.name),
            one.recent_errors / one.recent_executions,
            f"{_recent_rate(one)}, {compact(one.recent_errors)} errors",
        )
        for one in history.worst.shown
    ]
    minimum = count_of(history.min_executions, "execution")
    notes = (f"In {_span(history.frames[-history.recent :])}, of those with at least {minimum}.",)
    svg = to_markup(draw_bars(bars)) if bars else None
    return Chart("Worst scenarios by error rate", notes, svg, "None of them had errors.")

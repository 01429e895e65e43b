"""The charts of a report over several days, with their captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from airflow_provider_make.report.course import MIN_USUAL, SPREAD, Course, usual_range
from airflow_provider_make.report.day_charts import Days, draw_course, draw_stack, draw_sum
from airflow_provider_make.report.formatting import (
    axis_count,
    axis_credits,
    axis_percent,
    compact,
    compact_credits,
    count_of,
    month_name,
    percent,
    share,
    team_name,
)
from airflow_provider_make.report.frames import Frame
from airflow_provider_make.report.history import History
from airflow_provider_make.report.month import MIN_DAYS, Month, forecast_month, round_half_up
from airflow_provider_make.report.template import Chart, to_markup


def course_charts(frames: Sequence[Frame], course: Course, unit: str) -> list[Chart]:
    """Return the charts of executions, operations, credits and errors."""
    return [
        _course_chart("Executions", frames, course.executions, compact, axis_count, unit),
        _course_chart("Operations", frames, course.operations, compact, axis_count, unit),
        _course_chart("Credits", frames, course.centicredits, compact_credits, axis_credits, unit),
        _course_chart("Errors", frames, course.errors, compact, axis_count, unit),
    ]


def error_rate_chart(frames: Sequence[Frame], course: Course, recent: int, unit: str) -> Chart:
    """Return the chart of the error rate, with the range that was usual before the recent frames."""
    first = frames[-recent].day
    usual = usual_range(course.error_rate[:-recent])
    note = f"A usual range needs {MIN_USUAL} {unit}s with executions before {first}."
    if usual:
        low, high = map(percent, usual)
        note = (
            f"Shaded: usual before {first}, from {low} to {high}. That is the median of the {unit}s, "
            f"and {SPREAD} times the median distance from it."
        )
    chart = _course_chart("Error rate", frames, course.error_rate, percent, axis_percent, unit, usual)
    notes = (f"Executions with errors, by {unit}.", *chart.notes, note)
    return replace(chart, notes=notes, placeholder="Nothing was executed.")


def _course_chart(
    title: str,
    frames: Sequence[Frame],
    values: Sequence[Any],
    show: Callable[[Any], str],
    label: Callable[[Decimal], str],
    unit: str,
    usual: tuple[float, float] | None = None,
) -> Chart:
    known = [(value, -number) for number, value in enumerate(values) if value is not None]
    if not known:
        return Chart(title, (), None, "There are no figures.")
    # Of equal values, the first.
    highest, number = max(known)
    notes = (f"{frames[-1].day}: {show(values[-1])}. Highest: {show(highest)} on {frames[-number].day}.",)
    return Chart(title, notes, to_markup(draw_course(_days(frames), values, label, usual)))


def team_chart(history: History, unit: str) -> Chart:
    """Return the chart of the credits by team."""
    has_other = history.other_teams > 0
    teams = [*history.teams, *[history.others] * has_other]
    if not teams:
        return Chart("Credits by team", (), None, "No team used any credits.")
    names = [team_name(team.team_id, team.name) for team in history.teams]
    names += [count_of(history.other_teams, "other team")] * has_other
    classes = [f"series-{number}" for number in range(1, len(history.teams) + 1)] + ["other"] * has_other
    layers = [team.centicredits for team in teams]
    figures = [f"{compact_credits(team.total)}, {share(team.total, history.centicredits)}" for team in teams]
    return Chart(
        "Credits by team",
        (f"By {unit}, and in all.",),
        to_markup(draw_stack(_days(history.frames), layers, axis_credits, has_other)),
        # In the order of the layers: the lowest, which is the largest, is the first.
        legend=tuple(zip(classes, names, figures, strict=True)),
    )


def month_chart(frames: Sequence[Frame], course: Course, limit: int | None) -> Chart:
    """Return the chart of the month's credits, their forecast, and the limit."""
    if frames[0].length != 1:
        return Chart("Credits of the month", (), None, "A month's credits need files of one day each.")
    by_day = {frame.day: used for frame, used in zip(frames, course.centicredits, strict=True)}
    month = forecast_month(by_day, limit)
    title = f"Credits in {month_name(month.first)}"
    if not month.covered:
        return Chart(title, (), None, "There are no figures.")
    of_month = [(day, used) for day, used in by_day.items() if day >= month.first]
    end = month.first.replace(day=month.days)
    days = Days(tuple(day for day, _ in of_month), 1, begin=month.first, end=end)
    forecast = None
    if month.forecast is not None:
        # The line of an average day, from zero at the start of the month.
        forecast = round_half_up(month.used * month.elapsed, month.covered), month.forecast
    svg = draw_sum(days, [used for _, used in of_month], axis_credits, limit, forecast)
    return Chart(title, describe_month(month), to_markup(svg))


def describe_month(month: Month) -> tuple[str, ...]:
    """Describe a month's credits, their forecast and the limit in sentences."""
    of_limit = f", {share(month.used, month.limit)} of {compact_credits(month.limit)} (red line)" if month.limit else ""
    sentences = [f"Until {month.until}: {compact_credits(month.used)} credits{of_limit}."]
    if month.missing:
        sentences.append(f"{count_of(month.missing, 'day')} until then without figures: the sum is incomplete.")
    is_complete = month.elapsed == month.days and not month.missing
    if month.forecast is None:
        sentences.append(f"A forecast needs figures of {MIN_DAYS} days, and of half of the days so far.")
    elif not is_complete:
        of_limit = f", {share(month.forecast, month.limit)} of the limit" if month.limit else ""
        sentences.append(
            f"Dashed: {compact_credits(month.forecast)} at the end of the month{of_limit}, "
            "if the other days are as the average of those with figures."
        )
    if month.reached is not None:
        verb = "Limit reached" if month.reached <= month.until else "Limit reached by that line"
        sentences.append(f"{verb} on {month.reached}.")
    return tuple(sentences)


def _days(frames: Sequence[Frame]) -> Days:
    return Days(tuple(frame.day for frame in frames), frames[0].length)

"""The page over several days: what it says about their content, and its charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

from airflow_provider_make.report.charts import DayAxis, draw_line, draw_stack, draw_sum
from airflow_provider_make.report.comparison import FACTOR, FAILING, MIN_ERRORS
from airflow_provider_make.report.days import (
    MIN_USUAL,
    SPREAD,
    DayFile,
    Days,
    DaysScenario,
    Scenarios,
    describe_time_zones,
    usual_range,
)
from airflow_provider_make.report.forecast import MIN_DAYS, Month, forecast_month
from airflow_provider_make.report.formatting import (
    axis_count,
    axis_credits,
    axis_percent,
    change,
    compact,
    compact_credits,
    count_of,
    describe_filters,
    divide_rounded,
    moment,
    month_name,
    percent,
    percentage,
    scenario_name,
    share,
    single_line,
)
from airflow_provider_make.report.headlines import days_headlines
from airflow_provider_make.report.template import (
    Bar,
    Chart,
    Figure,
    Page,
    ScenarioList,
    Tile,
    count,
    credit_figure,
    figures,
    render,
)
from airflow_provider_make.text import plural

# Missing days that are listed by name.
_MAX_MISSING = 5


def render_days(days: Days, title: str | None = None, monthly_centicredits: int | None = None) -> str:
    """Render the page; its heading is the title, or the organization. The credits are the limit for a month."""
    files, last = days.files, days.files[-1]
    month = _month(days, monthly_centicredits)
    pulled = f", the last pulled {moment(days.extracted_at)} UTC" if days.extracted_at else ""
    return render(
        Page(
            title=title,
            summary=last.summary,
            filters=_describe_filters(files),
            until=str(last.last),
            time_frame=f"{files[0].first} to {last.last}: {count_of(len(files), days.unit)} "
            f"({describe_time_zones(files)})",
            missing=describe_missing(files),
            headlines=days_headlines(days, month),
            tiles=_tiles(days),
            note=f"Last 7 days: {_describe_spans(days)}" if _has_week(days) else "",
            first_charts=[
                error_rate_chart(days),
                month_chart(days, monthly_centicredits),
                _team_chart(days),
            ],
            comparison=_describe_spans(days),
            changes=_changes(days),
            charts=[*course_charts(days), _consumers_chart(days), _worst_chart(days)],
            scenarios=_scenarios(days),
            order=f"Of all {days.unit}s, the most credits first.",
            days=[(str(file.first), figures(file.summary.total)) for file in reversed(files)],
            unit=days.unit,
            explanations=[
                _describe_comparison(days),
                _describe_usual_range(days),
                *([" ".join(describe_month(month))] if month and month.covered else []),
            ],
            footer=f"From {count_of(len(files), 'file')}{pulled} by airflow-provider-make "
            f"{single_line(last.summary.provider_version)}. Months are calendar months. "
            "Invalid scenarios are those that Make has disabled due to errors.",
        )
    )


def _describe_filters(files: Sequence[DayFile]) -> str:
    unknown = sum(file.summary.filters is None for file in files)
    filters = describe_filters(next((file.summary.filters for file in files if file.summary.filters), None))
    note = f" ({count_of(unknown, 'file')} of an older version may have others)"
    return filters + note * bool(filters and unknown)


def describe_missing(files: Sequence[DayFile]) -> str:
    """Describe the days without a file between the first and the last; empty if there are none."""
    missing = [
        before.last + timedelta(days=number)
        for before, after in pairwise(files)
        for number in range(1, (after.first - before.last).days)
    ]
    if not missing:
        return ""
    verb = "has" if len(missing) == 1 else "have"
    more = f" and {len(missing) - _MAX_MISSING:,} more" if len(missing) > _MAX_MISSING else ""
    return (
        f"{count_of(len(missing), 'day')} {verb} no file (grey): {', '.join(map(str, missing[:_MAX_MISSING]))}{more}."
    )


def _tiles(days: Days) -> list[Tile]:
    rates = days.figures("error_rate")
    usual = usual_range(rates[: -days.recent])
    rate_note = f"last {days.unit} {percent(rates[-1])}"
    is_worse = usual is not None and rates[-1] is not None and rates[-1] > usual[1]
    changes = ((days.new.count, "new"), (days.gone.count, "gone"))
    changed = [f"{number:,}\N{NO-BREAK SPACE}{word}" for number, word in changes if number]
    both = [
        (executions, errors)
        for executions, errors in zip(days.figures("executions"), days.figures("errors"), strict=True)
        if executions is not None and errors is not None
    ]
    rate = percentage(sum(errors for _, errors in both), sum(executions for executions, _ in both))
    is_executed = any(days.figures("executions"))
    return [
        _sum_tile(days, "executions", partial(count, "Executions")),
        _sum_tile(days, "operations", partial(count, "Operations")),
        _sum_tile(days, "centicredits", credit_figure),
        _sum_tile(days, "errors", partial(count, "Errors")),
        Tile(
            Figure("Error rate", percent(rate)),
            *((rate_note, "worse" * is_worse) if is_executed else ("no executions",)),
        ),
        Tile(count("Scenarios", days.scenarios), ", ".join(changed) or "none new, none gone"),
    ]


def _sum_tile(days: Days, name: str, figure: Callable[[int | None], Figure]) -> Tile:
    known = [value for value in days.figures(name) if value is not None]
    total, average = (sum(known), divide_rounded(sum(known), len(known))) if known else (None, None)
    rate = trend(days.figures(name), days)
    note = f"{figure(average).text} a {days.unit}"
    if rate is not None:
        # A narrow card breaks before the change, not in it.
        note += f", last\N{NO-BREAK SPACE}7\N{NO-BREAK SPACE}days {change(rate)}"
    return Tile(figure(total), note)


def trend(values: Sequence[int | None], days: Days) -> float | None:
    """
    Return the change of the average of the last week from that of the weeks before, as a percentage.

    None where other days of the week are compared, or nothing is known.
    """
    if not _has_week(days):
        return None
    recent = [value for value in values[-days.recent :] if value is not None]
    before = [value for value in values[: -days.recent][-days.before :] if value is not None]
    if not recent or not sum(before):
        return None
    # Of integers, whose quotient is exact whatever their size; one beyond a float's limits is no trend.
    try:
        return 100 * (sum(recent) * len(before) / (sum(before) * len(recent)) - 1)
    except OverflowError:
        return None


def _has_week(days: Days) -> bool:
    """Return whether a week is compared with at least another one."""
    return days.recent * days.files[0].length == 7 and days.before >= days.recent


def _describe_spans(days: Days) -> str:
    recent, before = days.files[-days.recent :], days.files[: -days.recent][-days.before :]
    return f"{_span(recent)} compared with {_span(before)}."


def _describe_comparison(days: Days) -> str:
    return (
        f"What changed: a scenario fails if {FAILING:g}\N{NO-BREAK SPACE}% or more of its executions have errors, "
        f"{MIN_ERRORS} or more. "
        f"It began to fail if it fails in the later days, with more than {FACTOR:g} times the error rate of the days "
        "before, and recovered if it is the other way round. "
        f"Scenarios with fewer than {count_of(days.min_executions, 'execution')} in one of the two are ignored. "
        "New scenarios are missing in the first file, gone ones in the last; files without any scenario don't count."
    )


def _span(files: Sequence[DayFile]) -> str:
    first, last = files[0].first, files[-1].last
    return str(first) if first == last else f"{first} to {last}"


def _changes(days: Days) -> list[ScenarioList]:
    def listed(heading: str, scenarios: Scenarios, describe: Callable[[DaysScenario], str]) -> ScenarioList:
        return ScenarioList(heading, [(shown, describe(shown)) for shown in scenarios.shown], scenarios.count)

    return [
        listed("Began to fail", days.began, _describe_rates),
        listed("Recovered", days.recovered, _describe_rates),
        listed("New", days.new, lambda new: f"since {new.first}: {_executions(new.executions)}"),
        listed("Gone", days.gone, lambda gone: f"last on {gone.last}: {_executions(gone.executions)}"),
    ]


def _describe_rates(scenario: DaysScenario) -> str:
    before = percent(percentage(scenario.before_errors, scenario.before_executions))
    return f"{_recent_rate(scenario)} of {_executions(scenario.recent_executions)}, before {before}"


def _recent_rate(scenario: DaysScenario) -> str:
    return percent(percentage(scenario.recent_errors, scenario.recent_executions))


def _executions(number: int) -> str:
    return f"{compact(number)}\N{NO-BREAK SPACE}{plural(number, 'execution')}"


def _scenarios(days: Days) -> list[tuple[DaysScenario, list[Figure]]]:
    shown = {scenario.scenario_id: scenario for scenario in (*days.consumers.shown, *days.worst.shown)}
    return [
        (scenario, [*figures(scenario), Figure("Share", share(scenario.centicredits, days.centicredits))])
        for scenario in sorted(shown.values(), key=lambda one: (-one.centicredits, -one.errors, one.scenario_id))
    ]


def course_charts(days: Days) -> list[Chart]:
    return [
        _line_chart("Executions", days, "executions", compact, axis_count),
        _line_chart("Operations", days, "operations", compact, axis_count),
        _line_chart("Credits", days, "centicredits", compact_credits, axis_credits),
        _line_chart("Errors", days, "errors", compact, axis_count),
    ]


def error_rate_chart(days: Days) -> Chart:
    """Return the chart of the error rate, with the range that was usual before the recent files."""
    rates = days.figures("error_rate")
    usual = usual_range(rates[: -days.recent])
    chart = _line_chart("Error rate", days, "error_rate", percent, axis_percent, usual)
    if usual and chart.notes:
        low, high = map(percent, usual)
        chart = replace(chart, notes=[f"Last {days.unit} {percent(rates[-1])}, usually {low} to {high}."])
    return replace(chart, placeholder="Nothing was executed.")


def _describe_usual_range(days: Days) -> str:
    first = days.files[-days.recent].first
    return (
        f"Usual range of the error rate (shaded): the median of the {days.unit}s before {first}, plus and minus "
        f"{SPREAD} times the median distance from it. It needs {MIN_USUAL} {days.unit}s with executions."
    )


def _line_chart(
    title: str,
    days: Days,
    name: str,
    show: Callable[[Any], str],
    label: Callable[[Decimal], str],
    usual: tuple[float, float] | None = None,
) -> Chart:
    values, files = days.figures(name), days.files
    known = [(value, -number) for number, value in enumerate(values) if value is not None]
    if not known:
        return Chart(title, (), "There are no figures.")
    # Of equal values, the first.
    highest, number = max(known)
    note = f"Last {days.unit} {show(values[-1])}, highest {show(highest)} on {files[-number].first}."
    return Chart(title, [note], svg=draw_line(_axis(days), values, label, usual))


def _axis(days: Days) -> DayAxis:
    return DayAxis(tuple(file.first for file in days.files), days.files[0].length)


def _team_chart(days: Days) -> Chart:
    title = "Credits by team"
    if not days.teams:
        return Chart(title, (), "No team used any credits.")
    colors = ["other" if team.are_others else f"series-{number}" for number, team in enumerate(days.teams, 1)]
    layers = [(color, team.centicredits) for color, team in zip(colors, days.teams, strict=True)]
    amounts = [f"{compact_credits(team.total)}, {share(team.total, days.centicredits)}" for team in days.teams]
    legend = list(zip(colors, (team.name for team in days.teams), amounts, strict=True))
    return Chart(
        title,
        [f"By {days.unit}, and all {days.unit}s together."],
        svg=draw_stack(_axis(days), layers, axis_credits),
        legend=legend,
    )


def month_chart(days: Days, limit: int | None) -> Chart:
    """Return the chart of the month's credits, their forecast, and the limit."""
    month, by_day = _month(days, limit), _credits_by_day(days)
    if month is None:
        return Chart("Credits of the month", (), "A month's credits need files of one day each.")
    title = f"Credits in {month_name(month.first)}"
    if not month.covered:
        return Chart(title, (), "There are no figures.")
    of_month = {day: used for day, used in by_day.items() if day >= month.first}
    axis = DayAxis(tuple(of_month), 1, begin=month.first, end=month.first.replace(day=month.days))
    forecast = None
    if month.forecast is not None:
        # The line of an average day, from zero at the start of the month.
        forecast = divide_rounded(month.used * month.until.day, month.covered), month.forecast
    svg = draw_sum(axis, list(of_month.values()), axis_credits, limit, forecast)
    used = (
        f"{share(month.used, limit)} of {compact_credits(limit)} (red)" if limit else f"{compact_credits(month.used)}"
    )
    missing = f", without figures of {count_of(month.missing, 'day')}" if month.missing else ""
    return Chart(title, [f"{used} until {month.until}{missing}."], svg=svg)


def _month(days: Days, limit: int | None) -> Month | None:
    return forecast_month(_credits_by_day(days), limit) if days.files[0].length == 1 else None


def _credits_by_day(days: Days) -> dict[date, int | None]:
    return {file.first: used for file, used in zip(days.files, days.figures("centicredits"), strict=True)}


def describe_month(month: Month) -> list[str]:
    """Describe a month's credits, their forecast and the limit in sentences."""
    of_limit = f", {share(month.used, month.limit)} of {compact_credits(month.limit)} (red line)" if month.limit else ""
    sentences = [f"Credits until {month.until}: {compact_credits(month.used)} credits{of_limit}."]
    if month.missing:
        sentences.append(f"{count_of(month.missing, 'day')} until then without figures: the sum is incomplete.")
    is_complete = month.until.day == month.days and not month.missing
    if month.forecast is None:
        sentences.append(f"A forecast needs figures of {MIN_DAYS} days, and of half of the days so far.")
    elif not is_complete:
        of_limit = f", {share(month.forecast, month.limit)} of the limit" if month.limit else ""
        sentences.append(
            f"Forecast (dashed line): {compact_credits(month.forecast)} at the end of the month{of_limit}, "
            "if the other days are as the average of those with figures."
        )
    if month.reached is not None:
        verb = "Limit reached" if month.reached <= month.until else "Limit reached by that line"
        sentences.append(f"{verb} on {month.reached}.")
    return sentences


def _consumers_chart(days: Days) -> Chart:
    consumers = days.consumers.shown
    shares = [
        f"{compact_credits(scenario.centicredits)}, {share(scenario.centicredits, days.centicredits)}"
        for scenario in consumers
    ]
    bars = [
        Bar(scenario_name(scenario.scenario_id, scenario.name), scenario.centicredits, label)
        for scenario, label in zip(consumers, shares, strict=True)
    ]
    top = share(sum(scenario.centicredits for scenario in consumers), days.centicredits)
    notes = [f"Together {top} of all credits."]
    return Chart(
        "Top consumers of credits", notes if bars else (), "No scenario used any credits.", bars, in_table=True
    )


def _worst_chart(days: Days) -> Chart:
    bars = [
        Bar(
            scenario_name(scenario.scenario_id, scenario.name),
            scenario.recent_errors / scenario.recent_executions,
            f"{_recent_rate(scenario)}, {compact(scenario.recent_errors)} errors",
        )
        for scenario in days.worst.shown
    ]
    minimum = count_of(days.min_executions, "execution")
    notes = [f"Since {days.files[-days.recent].first}, of {minimum} or more."]
    return Chart("Worst scenarios by error rate", notes, "None of them had errors.", bars, in_table=True)

"""The headlines of a report: what is unusual, in at most three sentences made from the figures."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_make.report.days import Days, usual_range
from airflow_provider_make.report.forecast import Month
from airflow_provider_make.report.formatting import percent, percentage, scenario_name, share, spoken_day
from airflow_provider_make.report.pull_files import Totals

MAX_HEADLINES = 3
# Of one pull, no usual range is known: a rate of this many percent, which rose by this many, is unusual.
MIN_RATE, MIN_RISE = 1.0, 50.0
# A name in another script doesn't change the order of the sentence.
_ISOLATED = "\N{FIRST STRONG ISOLATE}{}\N{POP DIRECTIONAL ISOLATE}"


def days_headlines(days: Days, month: Month | None) -> list[str]:
    """Return the headlines about several days, the most urgent first; of weekly files there is no month."""
    return _first([_stopped(days), _limit(month), _error_rate(days), _began_to_fail(days)])


def pull_headlines(total: Totals, compared_with: str) -> list[str]:
    """Return the headlines about one pull, whose changes are compared with this time frame."""
    rate, rise = total.error_rate, total.error_rate_change
    is_unusual = rate is not None and rise is not None and rate >= MIN_RATE and rise >= MIN_RISE
    return _first(
        [
            "Nothing was executed." if total.executions == 0 else None,
            f"The error rate is {percent(rate)}: it rose by {percent(rise)} compared with {compared_with}."
            if is_unusual
            else None,
        ]
    )


def _first(sentences: Iterable[str | None]) -> list[str]:
    return [sentence for sentence in sentences if sentence][:MAX_HEADLINES]


def _stopped(days: Days) -> str | None:
    executions = days.figures("executions")
    if executions[-1] != 0 or not any(executions):
        return None
    first = len(executions) - 1
    while executions[first - 1] == 0:
        first -= 1
    return f"Nothing was executed since {spoken_day(days.files[first].first)}."


def _limit(month: Month | None) -> str | None:
    if month is None or month.limit is None or month.reached is None:
        return None
    day = spoken_day(month.reached)
    if month.reached <= month.until:
        return f"{share(month.used, month.limit)} of the month's credits are used: the limit was reached on {day}."
    end = f", and {share(month.forecast, month.limit)} of it at the end" if month.forecast is not None else ""
    return f"At this rate, credits reach the month's limit on {day}{end}."


def _error_rate(days: Days) -> str | None:
    rates = days.figures("error_rate")
    usual = usual_range(rates[: -days.recent])
    if usual is None:
        return None
    low, high = map(percent, usual)
    first = len(rates)
    # A difference that the page does not show is none.
    while first and (rate := rates[first - 1]) is not None and rate > usual[1] and percent(rate) != high:
        first -= 1
    if first == len(rates):
        return None
    since = spoken_day(days.files[first].first)
    return f"The error rate is above its usual range since {since}: {percent(rates[-1])}, usually {low} to {high}."


def _began_to_fail(days: Days) -> str | None:
    if not days.began.shown:
        return None
    worst = days.began.shown[0]
    name = _ISOLATED.format(scenario_name(worst.scenario_id, worst.name))
    rate = percent(percentage(worst.recent_errors, worst.recent_executions))
    if days.began.count == 1:
        return f"{name} began to fail: {rate} of its executions have errors."
    return f"{days.began.count:,} scenarios began to fail, {name} with the most errors: {rate} of its executions."

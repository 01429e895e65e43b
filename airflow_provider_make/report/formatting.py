"""Format numbers, times and names for a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Context, Decimal

from airflow_provider_make.text import plural

_ABSENT = "–"
# A browser breaks no line between a number and its unit.
_SPACE = "\N{NO-BREAK SPACE}"
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = {6: "M", 9: "B", 12: "T"}
_THREE_DIGITS = Context(prec=3)
# Not of the machine's locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Characters, other than spaces, that HTML does not allow, not even escaped, and lone surrogates, which UTF-8 does not
# encode.
_NOT_IN_HTML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def whole(value: int | None) -> str:
    """Format a count, with digits in groups of three."""
    return _ABSENT if value is None else f"{value:,}"


def compact(value: int | None) -> str:
    """Format a count to fit into a narrow place: from a million on with three digits, such as "28.0 M"."""
    return whole(value) if value is None or value < 10**6 else _three_digits(Decimal(value))


def credits(centicredits: int | None) -> str:
    """Format hundredths of credits as credits, with every digit: groups of three, and two decimals."""
    return _ABSENT if centicredits is None else f"{centicredits // 100:,}.{centicredits % 100:02}"


def compact_credits(centicredits: int | None) -> str:
    """Format hundredths of credits as credits, like ``compact``, and from 100 on without decimals."""
    if centicredits is None or centicredits < 10**4:
        return credits(centicredits)
    if centicredits < 10**8 - 50:
        return whole((centicredits + 50) // 100)
    return _three_digits(Decimal(centicredits).scaleb(-2))


def _three_digits(value: Decimal) -> str:
    rounded = _THREE_DIGITS.plus(value)
    return _with_unit(rounded, lambda number: f"{number:.{2 - number.adjusted()}f}")


def axis_amount(amount: Decimal) -> str:
    """Format a round amount for an axis, with as few digits as it has: "250,000", "2.5 M"."""
    return (
        f"{amount.normalize():,f}" if amount < 10**6 else _with_unit(amount, lambda number: f"{number.normalize():f}")
    )


def _with_unit(value: Decimal, show: Callable[[Decimal], str]) -> str:
    exponent = value.adjusted()
    unit = exponent - exponent % 3
    if name := _UNITS.get(unit):
        return f"{show(value.scaleb(-unit))}{_SPACE}{name}"
    return f"{show(value.scaleb(-exponent))}{_SPACE}×{_SPACE}10{str(exponent).translate(_SUPERSCRIPTS)}"


def axis_count(amount: Decimal) -> str:
    """Format a count for an axis; empty if it is not a whole number."""
    return axis_amount(amount) if amount == amount.to_integral_value() else ""


def axis_credits(centicredits: Decimal) -> str:
    return axis_amount(centicredits.scaleb(-2))


def axis_percent(rate: Decimal) -> str:
    return f"{axis_amount(rate)}{_SPACE}%"


def percent(rate: float | None) -> str:
    """Format a percentage with two decimals; "< 0.01 %" if it would be rounded to zero."""
    if rate is None:
        return _ABSENT
    if 0 < rate < 0.005:
        return f"<{_SPACE}0.01{_SPACE}%"
    return f"{rate:,.2f}{_SPACE}%" if abs(rate) < 1e9 else f"{rate:.2e}{_SPACE}%"


def share(part: int, total: int) -> str:
    """Format a part of a total as a percentage with one decimal."""
    if not total:
        return _ABSENT
    rate = 100 * part / total
    return f"{rate:,.1f}{_SPACE}%" if abs(rate) < 1e9 else f"{rate:.1e}{_SPACE}%"


def change(rate: float | None) -> str:
    """Format the change of a figure, a percentage with its sign."""
    if rate is None:
        return "no earlier figures"
    if abs(rate) < 0.005:
        return "unchanged"
    return f"{'+' if rate > 0 else '−'}{percent(abs(rate))}"


def percentage(part: int, total: int) -> float | None:
    """Return a part of a total as a percentage; None if the total is zero."""
    return 100 * part / total if total else None


def divide_rounded(dividend: int, divisor: int) -> int:
    """Divide integers, and round; a float would lose digits."""
    return (2 * dividend + divisor) // (2 * divisor)


def moment(time: datetime, zone: tzinfo = UTC) -> str:
    """Format a time for people: date and time of day in a time zone, to the minute."""
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M}"


def month_name(day: date) -> str:
    """Return the month of a day, such as "March 2026"."""
    return f"{_MONTHS[day.month - 1]} {day.year}"


def spoken_day(day: date) -> str:
    """Return a day for a sentence, such as "Tuesday, 12 May"."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day}{_SPACE}{_MONTHS[day.month - 1]}"


def short_month(day: date) -> str:
    return _MONTHS[day.month - 1][:3]


def count_of(number: int, noun: str) -> str:
    """Return a number and its noun, such as "1 day" and "1,200 days"."""
    return f"{number:,}{_SPACE}{plural(number, noun)}"


def enumerate_words(words: Iterable[str]) -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def describe_filters(filters: Mapping[str, Iterable[int | str]] | None) -> str:
    """Describe the filters of a pull: "team 100", "teams 100 and 101, status active"; empty text for all scenarios."""
    nouns = {"team_id": ("team", "teams"), "folder_id": ("folder", "folders"), "status": ("status", "status")}
    texts = []
    for name, values in (filters or {}).items():
        if words := [single_line(str(value)) for value in values]:
            one, several = nouns.get(name, (name, name))
            texts.append(f"{several if len(words) > 1 else one} {enumerate_words(words)}")
    return ", ".join(texts)


def single_line(text: str) -> str:
    """Convert text to one line that is valid in HTML and SVG, without control characters."""
    return _NOT_IN_HTML.sub("\ufffd", " ".join(text.split()))


def scenario_name(scenario_id: int, name: str | None) -> str:
    """Return the name of a scenario in one line; if it has none, its id."""
    return single_line(name or "") or f"Scenario {scenario_id}"


def team_name(team_id: int | None, name: str | None) -> str:
    return single_line(name or "") or ("no team" if team_id is None else f"Team {team_id}")


def status_name(status: str | None) -> str:
    return single_line(status or "") or "without a status"

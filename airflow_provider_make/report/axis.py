"""Choose the ticks of a chart's axes: days from left to right, amounts from zero upwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from airflow_provider_make.report.formatting import short_month

# More labels don't fit side by side on a phone.
MAX_LABELS = 5
_DAY = timedelta(days=1)
# The tops of axes, whose halves are round, too.
_TOPS = tuple(map(Decimal, ("1", "2", "3", "4", "5", "6", "8", "10")))


@dataclass(frozen=True)
class DayTick:
    """A label of a day, or of the month or year that begins with it."""

    day: date
    text: str
    is_period: bool


def day_ticks(first: date, last: date) -> list[DayTick]:
    """
    Choose the labels of days.

    :param first: The first day.
    :param last: The last day.
    :return: At most ``MAX_LABELS`` labels: days, or Mondays, or the first days of months or years.
    """
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    for choose in _candidates():
        ticks = [tick for day in days if (tick := choose(day, (day - first).days))]
        if len(ticks) <= MAX_LABELS:
            return ticks
    return []


def _candidates() -> Iterator[Callable[[date, int], DayTick | None]]:
    yield lambda day, number: _day_tick(day, True)
    yield lambda day, number: _day_tick(day, number % 2 == 0)
    yield lambda day, number: _day_tick(day, day.weekday() == 0)
    yield lambda day, number: _day_tick(day, day.weekday() == 0 and day.toordinal() // 7 % 2 == 0)
    for months in (1, 2, 3, 6, 12, 24, 60, 120, 240):
        # A loop's variable would be the last one's when it is called.
        yield lambda day, number, months=months: _month_tick(day, months)  # type: ignore[misc]


def _day_tick(day: date, is_chosen: bool) -> DayTick | None:
    return DayTick(day, f"{day.day} {short_month(day)}", False) if is_chosen else None


def _month_tick(day: date, months: int) -> DayTick | None:
    if day.day != 1 or (12 * day.year + day.month - 1) % months:
        return None
    return DayTick(day, str(day.year) if day.month == 1 else short_month(day), True)


def top_of_axis(largest: float | Decimal) -> Decimal:
    """
    Choose the top of an axis that begins at zero.

    :param largest: The largest amount.
    :return: A round number that is as large or larger; one if the largest amount is zero.
    """
    exact = Decimal(largest)
    if exact <= 0:
        return Decimal(1)
    scale = exact.adjusted()
    return next(top.scaleb(scale) for top in _TOPS if top.scaleb(scale) >= exact)

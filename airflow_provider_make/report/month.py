"""The credits of the current month, and where they lead."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

# Fewer days say little about a month, and so do fewer than half of those that have passed.
MIN_DAYS = 3


@dataclass(frozen=True)
class Month:
    """
    The credits of a month.

    :param first: The first day of the month.
    :param days: The number of its days.
    :param until: The last day with a file.
    :param used: Hundredths of credits used on the days with a figure.
    :param covered: The number of those days.
    :param forecast: The sum at the end of the month if all other days are as the average of those days; None if fewer
        than ``MIN_DAYS`` days have a figure, or fewer than half of the days until the last one.
    :param limit: Hundredths of credits for a month; None if it is not known.
    :param reached: The first day on which the sum reaches the limit, as known or as forecast; None if none does, or if
        it may have been a day without a figure.
    """

    first: date
    days: int
    until: date
    used: int
    covered: int
    forecast: int | None
    limit: int | None
    reached: date | None

    @property
    def elapsed(self) -> int:
        """The number of the month's days until the last one with a file."""
        return self.until.day

    @property
    def missing(self) -> int:
        """The number of those days without a figure."""
        return self.elapsed - self.covered


def forecast_month(credits: Mapping[date, int | None], limit: int | None) -> Month:
    """
    Calculate the credits of the month of the last day, with a straight line to its end.

    :param credits: Hundredths of credits by day, in order, at least one; None if there is no figure.
    :param limit: Hundredths of credits for a month; None if it is not known.
    :return: The month.
    """
    until = max(credits)
    first = until.replace(day=1)
    days = calendar.monthrange(first.year, first.month)[1]
    known = {day: used for day, used in credits.items() if day >= first and used is not None}
    used, covered = sum(known.values()), len(known)
    forecast = round_half_up(used * days, covered) if covered >= max(MIN_DAYS, until.day / 2) else None
    reached = None
    if limit is not None:
        reached = _reached(known, limit)
        if reached is None and forecast is not None and used and used * days >= limit * covered:
            # The day on which the average day's line reaches the limit, but not a day whose sum is known.
            number = -(-limit * covered // used)
            if number > until.day or covered == until.day:
                reached = first + timedelta(days=max(number, min(until.day + 1, days)) - 1)
    return Month(first, days, until, used, covered, forecast, limit, reached)


def _reached(known: Mapping[date, int], limit: int) -> date | None:
    total = 0
    for day, used in known.items():
        total += used
        if total >= limit:
            return day
    return None


def round_half_up(dividend: int, divisor: int) -> int:
    """Divide integers, and round; a float would lose digits."""
    return (2 * dividend + divisor) // (2 * divisor)

"""The credits of the current month, and their forecast: a straight line to its end."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

from airflow_provider_make.report.formatting import divide_rounded

# Fewer days say little about a month, and so do fewer than half of those that have passed.
MIN_DAYS = 3


@dataclass(frozen=True)
class Month:
    """The credits of a month, in hundredths, until the last day with a file."""

    first: date
    # The number of the month's days.
    days: int
    until: date
    used: int
    # The number of days with a figure.
    covered: int
    # The sum at the end of the month if all other days are as the average of those with a figure; None if those are
    # too few.
    forecast: int | None
    # The limit of a month; None if it is not known.
    limit: int | None
    # The first day on which the sum reaches the limit, as known or as forecast; None if none does, or if it may have
    # been a day without a figure.
    reached: date | None

    @property
    def missing(self) -> int:
        """The number of days without a figure so far."""
        return self.until.day - self.covered


def forecast_month(credits: Mapping[date, int | None], limit: int | None) -> Month:
    """Calculate the month of the last day from the credits of days, in order, at least one; None has no figure."""
    until = max(credits)
    first = until.replace(day=1)
    days = calendar.monthrange(first.year, first.month)[1]
    known = {day: used for day, used in credits.items() if day >= first and used is not None}
    used, covered = sum(known.values()), len(known)
    forecast = divide_rounded(used * days, covered) if covered >= max(MIN_DAYS, until.day / 2) else None
    reached = None
    if limit is not None:
        sums = zip(known, accumulate(known.values()), strict=True)
        reached = next((day for day, total in sums if total >= limit), None)
        if reached is None and forecast is not None and used and used * days >= limit * covered:
            # The day on which the average day's line reaches the limit, but not a day whose sum is known.
            number = -(-limit * covered // used)
            if number > until.day or covered == until.day:
                reached = first + timedelta(days=max(number, min(until.day + 1, days)) - 1)
    return Month(first, days, until, used, covered, forecast, limit, reached)

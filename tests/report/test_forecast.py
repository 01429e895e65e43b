"""Test the credits of a month and their forecast."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from airflow_provider_make.report.forecast import Month, forecast_month

FIRST = date(2026, 3, 1)


def month(*credits: int | None, first: date = FIRST, limit: int | None = None) -> Month:
    """Return the month of the last of some days; "…" days are missing."""
    return forecast_month({first + timedelta(days=n): used for n, used in enumerate(credits) if used != -1}, limit)


@pytest.mark.parametrize(
    ("found", "used", "covered", "missing", "forecast", "reached"),
    [
        (month(100), 100, 1, 0, None, None),
        (month(100, 100), 200, 2, 0, None, None),
        (month(100, 100, 100), 300, 3, 0, 3100, None),
        (month(100, 100, 100, limit=3100), 300, 3, 0, 3100, date(2026, 3, 31)),
        (month(100, 100, 100, limit=3101), 300, 3, 0, 3100, None),
        (month(100, 100, 100, limit=3000), 300, 3, 0, 3100, date(2026, 3, 30)),
        (month(100, 100, 100, limit=301), 300, 3, 0, 3100, date(2026, 3, 4)),
        (month(100, 100, 100, limit=150), 300, 3, 0, 3100, date(2026, 3, 2)),
        (month(100, 100, limit=150), 200, 2, 0, None, date(2026, 3, 2)),
        # Missing days, and days without a figure, count as average ones.
        (month(-1, 100, None, 100, 100), 300, 3, 2, 3100, None),
        (month(-1, 100, None, 100, 100, limit=700), 300, 3, 2, 3100, date(2026, 3, 7)),
        # On which of the days it was is not known.
        (month(-1, 100, None, 100, 100, limit=400), 300, 3, 2, 3100, None),
        (month(*[100] * 31, limit=3100), 3100, 31, 0, 3100, date(2026, 3, 31)),
        (month(*[-1] * 28, 100, 100, 100, limit=3100), 300, 3, 28, None, None),
        (month(*[-1] * 3, 100, 100, 100), 300, 3, 3, 3100, None),
        (month(*[-1] * 4, 100, 100, 100), 300, 3, 4, None, None),
        (month(0, 0, 0, limit=1), 0, 3, 0, 0, None),
        (month(None), 0, 0, 1, None, None),
        # Only the last month counts.
        (month(900, 900, 1, 2, 3, first=date(2026, 2, 27)), 6, 3, 0, 62, None),
        # More than a float can hold.
        (month(10**38, 10**38, 10**38), 3 * 10**38, 3, 0, 31 * 10**38, None),
    ],
)
def test_months(
    found: Month, used: int, covered: int, missing: int, forecast: int | None, reached: date | None
) -> None:
    assert (found.first, found.days) == (FIRST, 31)
    assert (found.used, found.covered, found.missing, found.forecast, found.reached) == (
        used,
        covered,
        missing,
        forecast,
        reached,
    )

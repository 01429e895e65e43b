"""Test the ticks of axes."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.report.axis import MAX_LABELS, day_ticks, top_of_axis


@pytest.mark.parametrize(
    ("first", "last", "texts"),
    [
        (date(2026, 3, 30), date(2026, 4, 2), ["30 Mar", "31 Mar", "1 Apr", "2 Apr"]),
        (date(2026, 3, 2), date(2026, 3, 8), ["2 Mar", "4 Mar", "6 Mar", "8 Mar"]),
        (date(2026, 3, 1), date(2026, 3, 31), ["2 Mar", "9 Mar", "16 Mar", "23 Mar", "30 Mar"]),
        (date(2026, 1, 15), date(2026, 5, 31), ["Feb", "Mar", "Apr", "May"]),
        (date(2025, 6, 21), date(2026, 6, 20), ["Jul", "Oct", "2026", "Apr"]),
        (date(2016, 6, 21), date(2026, 6, 20), ["2018", "2020", "2022", "2024", "2026"]),
    ],
)
def test_days(first: date, last: date, texts: list[str]) -> None:
    assert [tick.text for tick in day_ticks(first, last)] == texts


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.integers(0, 5000))
def test_ticks_fit_and_are_within_the_axis(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    ticks = day_ticks(first, last)
    assert 1 <= len(ticks) <= MAX_LABELS
    assert all(first <= tick.day <= last for tick in ticks)


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, "1"), (1, "1"), (1.01, "2"), (7, "8"), (8.5, "10"), (12_345, "20000"), (0.03, "0.03"), (0.031, "0.04")],
)
def test_tops(largest: float, top: str) -> None:
    assert top_of_axis(Decimal(str(largest))) == Decimal(top)


@given(st.integers(1, 10**60) | st.floats(5e-324, 1e300))
def test_the_largest_amount_fills_half_of_the_axis_or_more(largest: float) -> None:
    assert Decimal(largest) <= top_of_axis(largest) <= 2 * Decimal(largest)

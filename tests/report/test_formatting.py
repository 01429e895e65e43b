"""Test how numbers, times and names are formatted."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.report.formatting import (
    axis_count,
    axis_credits,
    axis_percent,
    change,
    compact,
    compact_credits,
    count_of,
    credits,
    divide_rounded,
    enumerate_words,
    moment,
    month_name,
    percent,
    percentage,
    scenario_name,
    share,
    short_month,
    single_line,
    status_name,
    team_name,
    whole,
)

NO_BREAK = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("format_value", "value", "text"),
    [
        (whole, None, "–"),
        (whole, 0, "0"),
        (whole, 1234567, "1,234,567"),
        (credits, None, "–"),
        (credits, 0, "0.00"),
        (credits, 7, "0.07"),
        (credits, 123456789, "1,234,567.89"),
        (credits, 10**40 + 1, "100," + "000," * 11 + "000.01"),
        (compact, None, "–"),
        (compact, 999_999, "999,999"),
        (compact, 1_000_000, "1.00 M"),
        (compact, 28_012_345, "28.0 M"),
        (compact, 999_499_999, "999 M"),
        (compact, 999_500_000, "1.00 B"),
        (compact, 2**63 - 1, "9.22 × 10¹⁸"),
        (compact_credits, None, "–"),
        (compact_credits, 9_999, "99.99"),
        (compact_credits, 10_049, "100"),
        (compact_credits, 99_999_949, "999,999"),
        (compact_credits, 99_999_950, "1.00 M"),
        (compact_credits, 123456789, "1.23 M"),
        (compact_credits, 10**17 - 1, "1.00 × 10¹⁵"),
        (compact_credits, 98765 * 10**36, "9.88 × 10³⁸"),
        (axis_count, Decimal("2500"), "2,500"),
        (axis_count, Decimal("2.5E+6"), "2.5 M"),
        (axis_count, Decimal("4E+15"), "4 × 10¹⁵"),
        (axis_count, Decimal("0.5"), ""),
        (axis_count, Decimal("0"), "0"),
        (axis_credits, Decimal("50"), "0.5"),
        (axis_credits, Decimal("1E+11"), "1 B"),
        (axis_percent, Decimal("2.5"), "2.5 %"),
        (month_name, date(2026, 3, 31), "March 2026"),
        (short_month, date(2026, 9, 1), "Sep"),
        (percent, None, "–"),
        (percent, 0.0, "0.00 %"),
        (percent, 0.0049, "< 0.01 %"),
        (percent, 0.005, "0.01 %"),
        (percent, 6.3899, "6.39 %"),
        (percent, 1234.5, "1,234.50 %"),
        (percent, 1e300, "1.00e+300 %"),
        (change, None, "no earlier figures"),
        (change, 0.0, "unchanged"),
        (change, -0.0, "unchanged"),
        (change, -0.001, "unchanged"),
        (change, 3.214, "+3.21 %"),
        (change, -100.0, "−100.00 %"),
        (moment, datetime(2026, 1, 31, 6, 5, 59, tzinfo=UTC), "2026-01-31 06:05"),
        (moment, datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))), "2026-01-30 23:00"),
        (status_name, "active", "active"),
        (status_name, None, "without a status"),
        (single_line, " a \n\t b\u2028c ", "a b c"),
        (single_line, "a\x00\x1b[1m\x85b\ufffe", "a\ufffd\ufffd[1m b\ufffd"),
        (single_line, "a\ud83d", "a\ufffd"),
        (single_line, "👩‍👩‍👧‍👦 é", "👩‍👩‍👧‍👦 é"),
    ],
)
def test_values_are_formatted(format_value: Any, value: Any, text: str) -> None:
    assert format_value(value).replace(NO_BREAK, " ") == text


@pytest.mark.parametrize("format_value", [compact, compact_credits, percent])
@pytest.mark.parametrize("value", [0.001, 1, 10**9, 10**20, 10**40])
def test_numbers_and_their_units_are_not_broken_into_lines(format_value: Any, value: Any) -> None:
    assert not re.search(r"[^\S\u00a0]", format_value(value if format_value is percent else int(value)))


@pytest.mark.parametrize(
    ("part", "total", "text"),
    [
        (1, 3, "33.3 %"),
        (0, 5, "0.0 %"),
        (0, 0, "–"),
        (10**40, 10**40, "100.0 %"),
        (50, 1, "5,000.0 %"),
        (6 * 10**38, 100, "6.0e+38 %"),
    ],
)
def test_shares(part: int, total: int, text: str) -> None:
    assert share(part, total) == text.replace(" ", NO_BREAK)


@given(st.integers(0, 10**40), st.integers(1, 10**40))
def test_rounding_is_exact(dividend: int, divisor: int) -> None:
    rounded = divide_rounded(dividend, divisor)
    assert Fraction(-1, 2) < rounded - Fraction(dividend, divisor) <= Fraction(1, 2)


def test_a_percentage_of_nothing_is_not_known() -> None:
    assert (percentage(1, 4), percentage(0, 0)) == (25.0, None)


def test_words_and_numbers_of_sentences() -> None:
    assert [enumerate_words(words) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert count_of(1, "day") == f"1{NO_BREAK}day"
    assert count_of(1200, "day") == f"1,200{NO_BREAK}days"


@given(st.integers(0, 10**60))
def test_credits_keep_every_digit(centicredits: int) -> None:
    assert int(re.sub("[,.]", "", credits(centicredits))) == centicredits


@given(st.integers(0, 10**60))
def test_compact_credits_are_short_and_close(centicredits: int) -> None:
    text = compact_credits(centicredits)
    assert len(text) <= 14
    number = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", f",{NO_BREAK}")).replace("×10", "e")
    for unit, exponent in (("M", "e6"), ("B", "e9"), ("T", "e12")):
        number = number.replace(unit, exponent)
    assert abs(Decimal(number) * 100 - centicredits) <= Decimal(centicredits) / 100


@given(st.text())
def test_single_lines_are_valid_in_html(text: str) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", single_line(text))


@pytest.mark.parametrize(
    ("name", "shown"), [("Sync", "Sync"), (None, "Scenario 7"), ("", "Scenario 7"), (" ", "Scenario 7")]
)
def test_scenario_names(name: str | None, shown: str) -> None:
    assert scenario_name(7, name) == shown


@pytest.mark.parametrize(
    ("team_id", "name", "shown"),
    [(7, "Sales", "Sales"), (7, None, "Team 7"), (None, None, "no team"), (None, "IT", "IT")],
)
def test_team_names(team_id: int | None, name: str | None, shown: str) -> None:
    assert team_name(team_id, name) == shown

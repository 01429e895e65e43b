"""Test how numbers, times and names are formatted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.report.content import Scenario
from airflow_provider_make.report.formatting import (
    change,
    credits,
    moment,
    percent,
    scenario_name,
    short_credits,
    single_line,
    status_name,
    team_name,
    whole,
)


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
        (short_credits, 123456789, "1,234,567.89"),
        (short_credits, 10**17 - 1, "999,999,999,999,999.99"),
        (short_credits, 10**17, "1.00 × 10¹⁵"),
        (short_credits, 98765 * 10**36, "9.88 × 10³⁸"),
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
        (single_line, "👩‍👩‍👧‍👦 é", "👩‍👩‍👧‍👦 é"),
    ],
)
def test_values_are_formatted(format_value: Any, value: Any, text: str) -> None:
    assert format_value(value) == text


@given(st.integers(0, 10**60))
def test_credits_keep_every_digit(centicredits: int) -> None:
    assert int(re.sub("[,.]", "", credits(centicredits))) == centicredits


@given(st.integers(0, 10**60))
def test_short_credits_are_short_and_close(centicredits: int) -> None:
    text = short_credits(centicredits)
    assert len(text) <= 22
    number = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", ",")).replace(" × 10", "e")
    assert abs(Decimal(number) * 100 - centicredits) <= Decimal(centicredits) / 100


@given(st.text())
def test_single_lines_are_valid_in_html(text: str) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", single_line(text))


@pytest.mark.parametrize(
    ("name", "shown"), [("Sync", "Sync"), (None, "Scenario 7"), ("", "Scenario 7"), (" ", "Scenario 7")]
)
def test_scenario_names(name: str | None, shown: str) -> None:
    assert scenario_name(Scenario(7, name, None, None, None, None, None, None, None, None)) == shown


@pytest.mark.parametrize(
    ("team_id", "name", "shown"),
    [(7, "Sales", "Sales"), (7, None, "Team 7"), (None, None, "no team"), (None, "IT", "IT")],
)
def test_team_names(team_id: int | None, name: str | None, shown: str) -> None:
    assert team_name(team_id, name) == shown

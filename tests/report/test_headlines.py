"""Headlines: what is unusual is said first, in at most three sentences, and nothing where all is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.report.days import DayFile, Days, Scenarios
from airflow_provider_make.report.days_page import render_days, trend
from airflow_provider_make.report.forecast import forecast_month
from airflow_provider_make.report.headlines import MAX_HEADLINES, days_headlines, pull_headlines
from airflow_provider_make.report.pull_files import SourceFile, Summary, Totals
from tests.report.test_days_page import HOSTILE, ONE
from tests.support.parsed_report import Page
from tests.support.pulled_files import FROM, TO, totals

# A Sunday.
FIRST = date(2026, 11, 1)
USUAL = [3.0, 3.1, 2.9, 3.0, 3.2, 2.8, 3.0, 3.1, 2.9, 3.0, 3.1, 2.9]


def days_of(figures: Sequence[Totals], **arguments: Any) -> Days:
    path: Any = None
    files = tuple(
        DayFile(SourceFile("", path), Summary(42, "z", total, "1", FROM, TO), FIRST + timedelta(days=number), 1)
        for number, total in enumerate(figures)
    )
    return Days(files, min(7, len(files) // 2), len(files) - min(7, len(files) // 2), 20, **arguments)


def with_rates(*rates: float | None) -> Days:
    return days_of([totals(executions=100, error_rate=rate) for rate in rates])


def plain(sentences: Sequence[str]) -> list[str]:
    return [sentence.replace("\xa0", " ").replace("\u2068", "").replace("\u2069", "") for sentence in sentences]


@pytest.mark.parametrize("count", [2, 12, 60])
def test_nothing_is_said_where_all_is_usual(count: int) -> None:
    days = with_rates(*(USUAL * 5)[:count])
    assert days_headlines(days, forecast_month({FIRST: 5}, None)) == []
    assert "headlines" not in [element.attributes.get("class") for element in Page(render_days(days)).elements]


@pytest.mark.parametrize(
    ("last", "since"),
    [
        ([6.1], "Friday, 20 November"),
        ([3.0, 6.1, 5.0, 6.1], "Wednesday, 18 November"),
        ([5.0, 6.1, 3.0], None),
        # Days without figures say nothing about those before.
        ([6.1, None, 6.1], "Friday, 20 November"),
        ([6.1, None], None),
        # As shown, it is the end of the range.
        ([3.3001], None),
        ([0.1], None),
    ],
)
def test_an_error_rate_above_its_usual_range_is_said_since_its_day(last: list[float | None], since: str | None) -> None:
    days = with_rates(*[*USUAL, *USUAL][: 20 - len(last)], *last)
    expected = f"The error rate is above its usual range since {since}: 6.10 %, usually 2.70 % to 3.30 %."
    assert plain(days_headlines(days, None)) == ([expected] if since else [])


@pytest.mark.parametrize(
    ("credits", "text"),
    [
        ([50, 50, 50], "150.0 % of the month's credits are used: the limit was reached on Monday, 2 November."),
        (
            [4, 4, 4],
            "At this rate, credits reach the month's limit on Wednesday, 25 November, and 120.0 % of it at the end.",
        ),
        ([1, 1, 1], None),
        ([0, 0, 0], None),
    ],
)
def test_credits_beyond_the_limit_are_said_with_the_day(credits: list[int], text: str | None) -> None:
    month = forecast_month({FIRST + timedelta(days=number): used for number, used in enumerate(credits)}, 100)
    days = days_of([totals(executions=1)] * 3)
    assert plain(days_headlines(days, month)) == ([text] if text else [])
    assert days_headlines(days, replace(month, limit=None, reached=None)) == []


def test_nothing_executed_any_more_is_said() -> None:
    running, stopped = totals(executions=5), totals(executions=0)
    assert plain(days_headlines(days_of([running, running, stopped]), None)) == [
        "Nothing was executed since Tuesday, 3 November."
    ]
    # From the first day of several on.
    assert "since Monday, 2 November" in plain(days_headlines(days_of([running, stopped, stopped]), None))[0]
    for usual in ([stopped, stopped], [stopped, running], [running, totals()]):
        assert days_headlines(days_of(usual), None) == []


def test_scenarios_that_began_to_fail_are_said_with_the_one_with_most_errors() -> None:
    one = replace(with_rates(3.0, 3.0), began=Scenarios((ONE,), 1))
    assert plain(days_headlines(one, None)) == ["Sync orders began to fail: 30.00 % of its executions have errors."]
    more = replace(one, began=Scenarios((ONE, ONE), 12))
    text = "12 scenarios began to fail, Sync orders with the most errors: 30.00 % of its executions."
    assert plain(days_headlines(more, None)) == [text]


def test_names_in_headlines_never_become_markup() -> None:
    days = replace(with_rates(3.0, 3.0), began=Scenarios((replace(ONE, name=HOSTILE),), 1))
    (headline,) = Page(render_days(days)).all("li", "ul")[:1]
    assert plain([headline.words])[0].startswith(f"{HOSTILE} began to fail: ")


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.none() | st.floats(0, 100)), min_size=2, max_size=40))
def test_any_figures_have_at_most_three_sentences(figures: list[tuple[int | None, float | None]]) -> None:
    days = days_of([totals(executions=number, error_rate=rate) for number, rate in figures])
    days = replace(days, began=Scenarios((ONE,), 1))
    month = forecast_month({file.first: 10 for file in days.files}, 15)
    headlines = days_headlines(days, month)
    assert 1 <= len(headlines) <= MAX_HEADLINES
    assert all(headline.endswith(".") for headline in headlines)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"executions": 0}, ["Nothing was executed."]),
        (
            {"executions": 9, "error_rate": 6.4, "error_rate_change": 62.0},
            ["The error rate is 6.40 %: it rose by 62.00 % compared with the day before."],
        ),
        ({"executions": 9, "error_rate": 0.9, "error_rate_change": 62.0}, []),
        ({"executions": 9, "error_rate": 6.4, "error_rate_change": 49.0}, []),
        ({"executions": 9, "error_rate": 6.4}, []),
        ({}, []),
    ],
)
def test_one_pull_is_compared_with_the_time_frame_before(figures: dict[str, Any], expected: list[str]) -> None:
    assert plain(pull_headlines(totals(**figures), "the day before")) == expected


def test_the_trend_compares_a_week_with_the_weeks_before() -> None:
    weeks = [totals(executions=1)] * 14
    huge = 10**400
    assert trend([1] * 7 + [2] * 7, days_of(weeks)) == pytest.approx(100)
    assert trend([huge] * 7 + [huge] * 6 + [None], days_of(weeks)) == pytest.approx(0)
    assert trend([None] * 7 + [2] * 7, days_of(weeks)) is None
    assert trend([0] * 7 + [2] * 7, days_of(weeks)) is None
    # Three weekdays against a weekend.
    assert trend([1] * 3 + [2] * 3, days_of(weeks[:6])) is None

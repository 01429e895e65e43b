"""Test that the page over several days shows its content, is self-contained, and escapes names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import structs

from airflow_provider_make.report.comparison import Team
from airflow_provider_make.report.days import DayFile, Days, DaysScenario, Scenarios
from airflow_provider_make.report.days_page import (
    course_charts,
    describe_missing,
    describe_month,
    error_rate_chart,
    month_chart,
    render_days,
)
from airflow_provider_make.report.forecast import forecast_month
from airflow_provider_make.report.formatting import single_line
from airflow_provider_make.report.pull_files import SourceFile, Summary, Totals
from tests.support.entries import texts
from tests.support.parsed_report import Page, assert_accessible, assert_self_contained
from tests.support.pulled_files import EXTRACTED, FROM, TO, totals

HOSTILE = "<script src='//x.example/a.js'>alert(1)</script> & \"</td>\" {{ 7 * 7 }} $x$"
FIRST = date(2026, 3, 1)


def file(number: int, total: Totals, length: int = 1) -> DayFile:
    summary = Summary(42, "eu1.make.com", total, "0.1.0", FROM, TO)
    path: Any = None
    return DayFile(SourceFile("", path), summary, FIRST + timedelta(days=number * length), length)


FILES = tuple(
    file(number, totals(executions=1000, operations=28_000_000, centicredits=10**10, errors=25, error_rate=2.5))
    for number in (0, 1, 2, 5, *range(6, 20))
)
LAST = FILES[-1].first
ONE = DaysScenario(
    scenario_id=7,
    name="Sync orders",
    status="invalid",
    team_id=1,
    team_name="Sales",
    first=FIRST,
    last=LAST,
    executions=1000,
    operations=25000,
    errors=250,
    error_rate=25.0,
    centicredits=1234567,
    recent_executions=100,
    recent_errors=30,
    before_executions=900,
    before_errors=220,
)
TWO = DaysScenario(
    scenario_id=8,
    name=None,
    status=None,
    team_id=None,
    team_name=None,
    first=FIRST,
    last=FIRST,
    executions=1,
    operations=5,
    errors=0,
    error_rate=0.0,
    centicredits=10**20,
    recent_executions=0,
    recent_errors=0,
    before_executions=0,
    before_errors=0,
)
CONTENT = Days(
    files=FILES,
    recent=7,
    before=11,
    min_executions=20,
    extracted_at=EXTRACTED,
    scenarios=59,
    teams=(Team("no team", (10**20,) + (0,) * 17), Team("Sales", (1234567,) + (0,) * 17)),
    consumers=Scenarios((TWO, ONE), 2),
    worst=Scenarios((ONE,), 1),
    began=Scenarios((ONE,), 12),
    gone=Scenarios((TWO,), 1),
)
NOTHING = totals(executions=0, operations=0, centicredits=0, errors=0)
EMPTY = Days(tuple(file(number, NOTHING) for number in range(3)), 1, 2, 20)


def words(page: Page, name: str = "main") -> str:
    return page.all(name)[0].words


def test_totals_have_averages_and_usual_values() -> None:
    assert Page(render_days(CONTENT)).totals() == {
        "Executions": ("18,000", "1,000 a day, last 7 days unchanged"),
        "Operations": ("504 M", "28.0 M a day, last 7 days unchanged"),
        "Credits": ("1.80 B", "100 M a day, last 7 days unchanged"),
        "Errors": ("450", "25 a day, last 7 days unchanged"),
        "Error rate": ("2.50 %", "last day 2.50 %"),
        "Scenarios": ("59", "1 gone"),
    }


def test_heading_has_the_days_and_those_without_a_file() -> None:
    header = words(Page(render_days(CONTENT)), "header")
    assert "Organization 42 eu1.make.com, 2026-03-01 to 2026-03-20: 18 days (UTC)" in header
    assert "2 days have no file (grey): 2026-03-04, 2026-03-05." in header


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ((None, None), ""),
        (({}, {}), ""),
        ((None, {}), ""),
        (({"team_id": [100]}, {"team_id": [100]}), ", team 100"),
        (({"team_id": [100]}, None), ", team 100 (1 file of an older version may have others)"),
    ],
)
def test_heading_has_the_filters(filters: tuple[Any, Any], shown: str) -> None:
    first, last = (structs.replace(FILES[0].summary, filters=one) for one in filters)
    files = [*(replace(file, summary=first) for file in FILES[:-1]), replace(FILES[-1], summary=last)]
    page = Page(render_days(replace(CONTENT, files=tuple(files))))
    assert [one.words for one in page.all("h1")] == [f"Organization 42{shown}"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0, 1), ""),
        ((0, 2), "1 day has no file (grey): 2026-03-02."),
        ((0, 8), "7 days have no file (grey): 2026-03-02, 2026-03-03, 2026-03-04, 2026-03-05, 2026-03-06 and 2 more."),
    ],
)
def test_missing_days(numbers: tuple[int, ...], text: str) -> None:
    assert describe_missing([file(number, Totals()) for number in numbers]).replace("\xa0", " ") == text


def test_charts_are_in_order() -> None:
    page = Page(render_days(CONTENT, monthly_centicredits=10**11))
    assert [one.words for one in page.all("h2", "figure")] == [
        "Error rate",
        "Credits in March 2026",
        "Credits by team",
        "Executions",
        "Operations",
        "Credits",
        "Errors",
        "Top consumers of credits",
        "Worst scenarios by error rate",
    ]
    assert len(page.all("svg")) == 7
    assert page.legends() == {
        "Credits by team": ["no team 1.00 × 10¹⁸, 100.0 %", "Sales 12,346, 0.0 %"],
    }
    bars = {title: [bar[:2] for bar in bars] for title, bars in page.bars().items()}
    assert bars["Top consumers of credits"] == [
        ("Scenario 8", "1.00 × 10¹⁸, 100.0 %"),
        ("Sync orders", "12,346, 0.0 %"),
    ]
    assert bars["Worst scenarios by error rate"] == [("Sync orders", "30.00 %, 30 errors")]


def test_changes_are_listed_with_the_rule() -> None:
    page = Page(render_days(CONTENT))
    (section,) = [one for one in page.all("section") if "What changed" in one.text]
    assert section.words == (
        "What changed 2026-03-14 to 2026-03-20 compared with 2026-03-01 to 2026-03-13. "
        "Began to fail 12 Sync orders 30.00 % of 100 executions, before 24.44 %. Sales and 11 more "
        "Recovered none New none "
        "Gone 1 Scenario 8 last on 2026-03-01: 1 execution. no team"
    )
    assert (
        "How this is calculated What changed: a scenario fails if 5 % or "
        "more of its executions have errors, 5 or more. It began to fail if it fails in the later days, with "
        "more than 2 times the error rate of the days before, and recovered if it is the other way round. Scenarios "
        "with fewer than 20 executions in one of the two are ignored. New scenarios are missing in the first file, "
        "gone ones in the last; files without any scenario don't count. "
    ) in words(page)


def test_table_has_the_shares() -> None:
    first, second = Page(render_days(CONTENT)).rows()
    assert first["Scenario"] == "Scenario 8 8"
    assert second == {
        "Scenario": "Sync orders 7",
        "Team": "Sales",
        "Status": "invalid",
        "Executions": "1,000",
        "Errors": "250",
        "Error rate": "25.00 %",
        "Operations": "25,000",
        "Credits": "12,346",
        "Share": "0.0 %",
    }


def test_all_days_are_in_a_table_the_latest_first() -> None:
    page = Page(render_days(CONTENT))
    rows = [one.words for one in page.all("tr", "details")][len(page.rows()) + 1 :]
    assert rows[0] == "DayExecutionsErrorsError rateOperationsCredits"
    assert rows[1] == "2026-03-20 1,000 25 2.50 % 28.0 M 100 M"
    assert len(rows) == 19


def test_links_and_title() -> None:
    page = Page(render_days(CONTENT, "Our <b>Make</b>"))
    assert page.all("h1")[0].words == "Our <b>Make</b>"
    assert page.links() == {
        "Organization 42": "https://eu1.make.com/organization/42/dashboard",
        "Sync orders": "https://eu1.make.com/1/scenarios/7/edit",
    }


def test_weeks_are_called_so() -> None:
    files = tuple(file(number, totals(executions=7), 7) for number in range(3))
    page = Page(render_days(replace(EMPTY, files=files)))
    assert page.totals()["Executions"] == ("21", "7 a week, last 7 days unchanged")
    assert "Last 7 days: 2026-03-15 to 2026-03-21 compared with 2026-03-01 to 2026-03-14." in words(page)
    assert "2026-03-01 to 2026-03-21: 3 weeks" in words(page, "header")
    assert "A month's credits need files of one day each." in words(page)


def test_page_of_an_organization_where_nothing_ran() -> None:
    page = Page(render_days(EMPTY))
    assert page.totals()["Executions"] == ("0", "0 a day")
    assert page.totals()["Error rate"] == ("–", "no executions")
    assert page.totals()["Scenarios"] == ("0", "none new, none gone")
    assert "Nothing was executed." in words(page)
    assert "No team used any credits." in words(page)
    assert "0.00 a day" in words(page)


@pytest.mark.parametrize("content", [CONTENT, EMPTY])
def test_page_is_self_contained_and_accessible(content: Days) -> None:
    text = render_days(content, monthly_centicredits=5)
    assert_self_contained(text)
    assert_accessible(text, f"Organization 42: scenario analytics to {content.files[-1].first}")
    assert text == render_days(content, monthly_centicredits=5)


def page_with(name: str, team: str, status: str, title: str) -> str:
    """Return a page where everything with a text has these."""
    shown = Scenarios((replace(ONE, name=name, team_name=team, status=status),), 1)
    lists: dict[str, Any] = dict.fromkeys(("consumers", "worst", "began", "recovered", "new", "gone"), shown)
    return render_days(replace(CONTENT, teams=(Team(team, (1,) * 18),), **lists), title)


@settings(max_examples=20, deadline=None)
@given(texts, texts, texts, texts)
def test_page_accepts_any_text(name: str, team: str, status: str, title: str) -> None:
    actual = page_with(name, single_line(team), status, title or "title")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", actual)
    names = [element.name for element in Page(actual).elements]
    assert names == [element.name for element in Page(page_with("a", "b", "c", "d")).elements]


def test_names_never_become_markup() -> None:
    page = Page(page_with(HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    assert not page.all("script")
    assert page.rows()[0]["Team"] == page.all("h1")[0].words == HOSTILE
    assert page.bars()["Top consumers of credits"][0][0] == HOSTILE
    assert page.legends()["Credits by team"][0].startswith(HOSTILE)


def content(*days: Totals, length: int = 1, **arguments: Any) -> Days:
    return Days(tuple(file(number, total, length) for number, total in enumerate(days)), 1, 1, 20, **arguments)


def plain(sentences: Sequence[str]) -> str:
    return " ".join(sentences).replace("\xa0", " ")


def test_captions_name_the_last_and_the_highest_figure() -> None:
    days = (
        totals(executions=7, operations=28_012_345, centicredits=10_000, errors=0),
        totals(executions=9, centicredits=0, errors=1),
        totals(executions=9, operations=0, errors=0),
    )
    assert [(chart.title, plain(chart.notes)) for chart in course_charts(content(*days))] == [
        ("Executions", "Last day 9, highest 9 on 2026-03-02."),
        ("Operations", "Last day 0, highest 28.0 M on 2026-03-01."),
        ("Credits", "Last day –, highest 100 on 2026-03-01."),
        ("Errors", "Last day 0, highest 1 on 2026-03-02."),
    ]


def test_figures_that_no_file_has_are_not_drawn() -> None:
    days = content(totals(executions=0), totals(executions=0))
    assert error_rate_chart(days).placeholder == "Nothing was executed."
    assert [chart.svg is None for chart in course_charts(days)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("days", "note"),
    [
        (9, "Last day 99.00 %, highest 99.00 % on 2026-03-10."),
        (11, "Last day 99.00 %, usually 0.00 % to 14.00 %."),
    ],
)
def test_the_usual_range_is_explained(days: int, note: str) -> None:
    rates = (*map(float, range(days)), 99.0)
    days_of_rates = content(*(totals(error_rate=rate) for rate in rates))
    assert plain(error_rate_chart(days_of_rates).notes) == note
    explanation = f"the median of the days before {days_of_rates.files[-1].first}, plus and minus 3 times the median"
    assert explanation in words(Page(render_days(days_of_rates)))


NO_FORECAST = "A forecast needs figures of 3 days, and of half of the days so far."


@pytest.mark.parametrize(
    ("credits", "limit", "text"),
    [
        ({1: 10_000}, None, f"Credits until 2026-03-01: 100 credits. {NO_FORECAST}"),
        (
            {1: 10_000, 2: 10_000, 3: 10_000},
            400_000,
            "Credits until 2026-03-03: 300 credits, 7.5 % of 4,000 (red line). Forecast (dashed line): 3,100 at the "
            "end of the month, 77.5 % of the limit, if the other days are as the average of those with figures.",
        ),
        (
            {2: 10_000, 3: 10_000, 4: 10_000},
            150_000,
            "Credits until 2026-03-04: 300 credits, 20.0 % of 1,500 (red line). 1 day until then without figures: the "
            "sum is incomplete. Forecast (dashed line): 3,100 at the end of the month, 206.7 % of the limit, if the "
            "other days are as the average of those with figures. Limit reached by that line on 2026-03-15.",
        ),
        ({30: 10_000, 31: 10_000}, 10_000, "Credits until 2026-03-31: 200 credits, 200.0 % of 100 (red line). 29 days "
         f"until then without figures: the sum is incomplete. {NO_FORECAST} Limit reached on 2026-03-30."),
        (dict.fromkeys(range(1, 32), 10_000), None, "Credits until 2026-03-31: 3,100 credits."),
    ],
)  # fmt: skip
def test_months_are_described(credits: dict[int, int | None], limit: int | None, text: str) -> None:
    month = forecast_month({FIRST.replace(day=day): used for day, used in credits.items()}, limit)
    assert plain(describe_month(month)) == text


def test_months_need_files_of_a_day() -> None:
    chart = month_chart(content(totals(centicredits=5), totals(centicredits=5), length=7), 100)
    assert (chart.svg, chart.placeholder) == (None, "A month's credits need files of one day each.")
    assert month_chart(content(Totals(), Totals()), 100).placeholder == "There are no figures."


@pytest.mark.parametrize(
    ("executions", "errors", "rate"),
    [
        ((100, 300), (1, 3), "1.00\xa0%"),
        ((100, None, 100), (1, 50, None), "1.00\xa0%"),
        ((0,), (0,), "–"),
        ((None,), (None,), "–"),
    ],
)
def test_the_overall_error_rate_is_of_the_days_with_both_figures(
    executions: tuple[int | None, ...], errors: tuple[int | None, ...], rate: str
) -> None:
    figures = zip((None, *executions), (None, *errors), strict=True)
    page = Page(render_days(content(*(totals(executions=number, errors=failed) for number, failed in figures))))
    assert page.totals()["Error rate"][0] == " ".join(rate.split())

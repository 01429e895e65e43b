"""Test that the page over several days shows its content, is self-contained, and escapes names."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from airflow_provider_make.report.content import Summary, Totals
from airflow_provider_make.report.days_page import describe_missing, render_history
from airflow_provider_make.report.frames import Frame
from airflow_provider_make.report.history import History, ScenarioHistory, Scenarios, TeamHistory
from tests.support.entries import texts
from tests.support.parsed_report import Page, assert_accessible, assert_self_contained
from tests.support.pulled_files import EXTRACTED, FROM, TO

HOSTILE = "<script src='//x.example/a.js'>alert(1)</script> & \"</td>\" {{ 7 * 7 }} $x$"
FIRST = date(2026, 3, 1)


def frame(number: int, total: Totals, length: int = 1) -> Frame:
    summary = Summary(42, "eu1.make.com", total, "0.1.0", FROM, TO)
    return Frame(f"{number}.parquet", summary, FIRST + timedelta(days=number * length), length)


FRAMES = tuple(
    frame(number, Totals(1000, 28_000_000, "10000000000", 25, 2.5)) for number in (0, 1, 2, 5, *range(6, 20))
)
LAST = FRAMES[-1].day
ONE = ScenarioHistory(
    7, "Sync orders", "invalid", 1, "Sales", FIRST, LAST, 1000, 25000, 250, 1234567, 100, 30, 900, 220
)
TWO = ScenarioHistory(8, None, None, None, None, FIRST, FIRST, 1, 5, 0, 10**20, 0, 0, 0, 0)
HISTORY = History(
    frames=FRAMES,
    recent=7,
    before=11,
    min_executions=20,
    extracted_at=EXTRACTED,
    scenarios=59,
    centicredits=10**20 + 1234567,
    teams=(
        TeamHistory(None, None, (10**20,) + (0,) * 17, 10**20),
        TeamHistory(1, "Sales", (1234567,) + (0,) * 17, 1234567),
    ),
    consumers=Scenarios((TWO, ONE), 2),
    worst=Scenarios((ONE,), 1),
    began=Scenarios((ONE,), 12),
    gone=Scenarios((TWO,), 1),
)
EMPTY = History(tuple(frame(number, Totals(0, 0, "0", 0)) for number in range(3)), 1, 2, 20)


def words(page: Page, name: str = "main") -> str:
    return page.all(name)[0].words


def test_totals_have_averages_and_usual_values() -> None:
    assert Page(render_history(HISTORY)).totals() == {
        "Executions": ("18,000", "1,000 a day"),
        "Operations": ("504 M", "28.0 M a day"),
        "Credits": ("1.80 B", "100 M a day"),
        "Errors": ("450", "25 a day"),
        "Error rate": ("2.50 %", "usually 2.50 % to 2.50 %"),
        "Scenarios": ("59", "1 gone"),
    }


def test_heading_has_the_days_and_those_without_a_file() -> None:
    header = words(Page(render_history(HISTORY)), "header")
    assert "Organization 42 eu1.make.com, 2026-03-01 to 2026-03-20: 18 days (UTC)" in header
    assert "2 days have no file (grey): 2026-03-04, 2026-03-05." in header


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0, 1), ""),
        ((0, 2), "1 day has no file (grey): 2026-03-02."),
        ((0, 8), "7 days have no file (grey): 2026-03-02, 2026-03-03, 2026-03-04, 2026-03-05, 2026-03-06 and 2 more."),
    ],
)
def test_missing_days(numbers: tuple[int, ...], text: str) -> None:
    assert describe_missing([frame(number, Totals()) for number in numbers]).replace("\xa0", " ") == text


def test_charts_are_in_order() -> None:
    page = Page(render_history(HISTORY, monthly_centicredits=10**11))
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
    assert len(page.all("svg")) == 9
    assert page.legends() == {
        "Credits by team": ["no team 1.00 × 10¹⁸, 100.0 %", "Sales 12,346, 0.0 %"],
    }
    bars = {title: [bar[:2] for bar in bars] for title, bars in page.charts().items()}
    assert bars["Top consumers of credits"] == [
        ("Scenario 8", "1.00 × 10¹⁸, 100.0 %"),
        ("Sync orders", "12,346, 0.0 %"),
    ]
    assert bars["Worst scenarios by error rate"] == [("Sync orders", "30.00 %, 30 errors")]


def test_changes_are_listed_with_the_rule() -> None:
    page = Page(render_history(HISTORY))
    (section,) = [one for one in page.all("section") if "What changed" in one.text]
    assert section.words == (
        "What changed 2026-03-14 to 2026-03-20 compared with 2026-03-01 to 2026-03-13. A scenario fails if 5 % or "
        "more of its executions have errors. It began to fail if it fails in the later days, with more than 2 times "
        "the error rate of the days before, and ceased to fail if it is the other way round. Scenarios with fewer "
        "than 20 executions in one of the two are ignored. New scenarios are missing in the first file, gone ones in "
        "the last; files without any scenario don't count. "
        "Began to fail 12 Sync orders 30.00 % of 100 executions, before 24.44 %. Sales and 11 more "
        "Ceased to fail none New none "
        "Gone 1 Scenario 8 last on 2026-03-01: 1 execution. no team"
    )


def test_table_has_the_shares() -> None:
    first, second = Page(render_history(HISTORY)).rows()
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
    page = Page(render_history(HISTORY))
    rows = [one.words for one in page.all("tr", "details")]
    assert rows[0] == "DayExecutionsErrorsError rateOperationsCredits"
    assert rows[1] == "2026-03-20 1,000 25 2.50 % 28.0 M 100 M"
    assert len(rows) == 19


def test_links_and_title() -> None:
    page = Page(render_history(HISTORY, "Our <b>Make</b>"))
    assert page.all("h1")[0].words == "Our <b>Make</b>"
    assert page.links() == {
        "Organization 42": "https://eu1.make.com/organization/42/dashboard",
        "Sync orders": "https://eu1.make.com/1/scenarios/7/edit",
    }


def test_weeks_are_called_so() -> None:
    frames = tuple(frame(number, Totals(7, 7, "700", 0, 0.0), 7) for number in range(3))
    page = Page(render_history(replace(EMPTY, frames=frames)))
    assert page.totals()["Executions"] == ("21", "7 a week")
    assert "2026-03-01 to 2026-03-21: 3 weeks" in words(page, "header")
    assert "A month's credits need files of one day each." in words(page)


def test_page_of_an_organization_where_nothing_ran() -> None:
    page = Page(render_history(EMPTY))
    assert page.totals()["Executions"] == ("0", "0 a day")
    assert page.totals()["Error rate"] == ("–", "no executions")
    assert page.totals()["Scenarios"] == ("0", "none new, none gone")
    assert "Nothing was executed." in words(page)
    assert "No team used any credits." in words(page)
    assert "0.00 a day" in words(page)


@pytest.mark.parametrize("history", [HISTORY, EMPTY])
def test_page_is_self_contained_and_accessible(history: History) -> None:
    text = render_history(history, monthly_centicredits=5)
    assert_self_contained(text)
    assert_accessible(text, f"Organization 42: scenario analytics to {history.frames[-1].day}")
    assert text == render_history(history, monthly_centicredits=5)


@pytest.mark.slow
# Each example draws the charts of two pages.
@pytest.mark.timeout(300)
@settings(max_examples=20, deadline=None)
@given(texts, texts, texts, texts)
def test_page_accepts_any_text(name: str, team: str, status: str, title: str) -> None:
    def page(name: str, team: str, status: str, title: str) -> str:
        one = replace(ONE, name=name, team_name=team, status=status)
        teams = (TeamHistory(1, team, (1,) * 18, 18),)
        shown = Scenarios((one,), 1)
        lists: dict[str, Any] = dict.fromkeys(("consumers", "worst", "began", "ceased", "new", "gone"), shown)
        return render_history(replace(HISTORY, teams=teams, **lists), title or "title")

    actual = page(name, team, status, title)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", actual)
    names = [element.name for element in Page(actual).elements if element.name != "svg"]
    assert names == [one.name for one in Page(page("a", "b", status, "c")).elements if one.name != "svg"]


def test_names_never_become_markup() -> None:
    one = replace(ONE, name=HOSTILE, team_name=HOSTILE, status=HOSTILE)
    shown = Scenarios((one,), 1)
    lists: dict[str, Any] = dict.fromkeys(("consumers", "worst", "began", "ceased", "new", "gone"), shown)
    page = Page(render_history(replace(HISTORY, teams=(TeamHistory(1, HOSTILE, (1,) * 18, 18),), **lists), HOSTILE))
    assert not page.all("script")
    assert page.rows()[0]["Team"] == page.all("h1")[0].words == HOSTILE

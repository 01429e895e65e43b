"""Test the report of one pull: its content against plain Python; that its page shows it, and escapes names."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.output.formats import ParquetWriter, parquet_schema
from airflow_provider_make.output.rows import RowBuilder
from airflow_provider_make.report.comparison import Team
from airflow_provider_make.report.pull_files import COLUMNS, Scenario
from airflow_provider_make.report.pull_page import PullContent, render_pull, summarize
from tests.support.entries import entries, entry, texts
from tests.support.parsed_report import Page, assert_accessible, assert_self_contained
from tests.support.pulled_files import EXTRACTED, FROM, TO, expected_content, summary

HOSTILE = "<script src='//x.example/a.js'>alert(1)</script> & \"</td>\" {{ 7 * 7 }} $x$"
FAILING = Scenario(7, "Sync orders", "invalid", 1, "Sales", 1000, 25000, 1234567, 250, 25.0)
LESS = Scenario(8, None, None, None, None, 10**18, None, 10**38 - 1, 3, 0.001)
CONTENT = PullContent(
    summary=summary(
        executions=286510,
        operations=1234567,
        centicredits=12345678901234567890123,
        errors=18307,
        error_rate=6.3899,
        executions_change=3.214,
        operations_change=0.0,
        errors_change=12.5,
        error_rate_change=-1.5,
    ),
    extracted_at=EXTRACTED,
    min_executions=20,
    statuses=(("active", 1200), ("invalid", 30), (None, 1)),
    by_error_rate=(FAILING, LESS),
    by_errors=(FAILING, LESS),
    teams=(Team("Sales", (200,)), Team("Team 2", (50,)), Team("3 other teams", (100,), are_others=True)),
)
EMPTY = PullContent(summary(), None, 1, (), (), (), ())


def test_totals_have_their_changes() -> None:
    assert Page(render_pull(CONTENT)).totals() == {
        "Executions": ("286,510", "+3.21 %"),
        "Operations": ("1.23 M", "unchanged"),
        "Credits": ("1.23 × 10²⁰", "no earlier figures"),
        "Errors": ("18,307", "+12.50 %"),
        "Error rate": ("6.39 %", "−1.50 %"),
        "Scenarios": ("1,231", "1,200 active, 30 invalid, 1 without a status"),
    }


@pytest.mark.parametrize(
    ("name", "rate", "trend"),
    [
        ("errors", 5.0, "worse"),
        ("errors", -5.0, "better"),
        ("errors", 0.0, ""),
        ("errors", None, ""),
        ("error_rate", 5.0, "worse"),
        ("error_rate", -5.0, "better"),
        ("executions", 5.0, ""),
        ("executions", -5.0, ""),
        ("operations", 5.0, ""),
        ("centicredits", -5.0, ""),
    ],
)
def test_only_changes_of_errors_are_marked_as_worse_or_better(name: str, rate: float | None, trend: str) -> None:
    changed: dict[str, Any] = {f"{name}_change": rate}
    page = Page(render_pull(replace(EMPTY, summary=summary(**changed))))
    classes = {str(one.attributes["class"]) for one in page.all("dd") if "class" in one.attributes}
    assert classes - {"value"} - {""} == {trend} - {""}


def test_heading_has_organization_zone_and_time_frame() -> None:
    page = Page(render_pull(CONTENT))
    assert [one.words for one in page.all("h1")] == ["Organization 42"]
    assert "eu1.make.com, 2026-11-16 00:00 to 2026-11-23 00:00 UTC" in page.all("header")[0].words
    assert [one.words for one in page.all("time")] == ["2026-11-16 00:00", "2026-11-23 00:00", "2026-11-23 06:00"]
    assert "Pulled 2026-11-23 06:00 UTC by airflow-provider-make 0.1.0." in page.all("footer")[0].words


def test_heading_has_the_filters() -> None:
    filtered = structs.replace(CONTENT.summary, filters={"team_id": [100, 101], "status": ["<b>"]})
    page = Page(render_pull(replace(CONTENT, summary=filtered)))
    heading = "Organization 42, teams 100 and 101, status <b>"
    assert [one.words for one in page.all("h1")] == [heading]
    assert page.all("title")[0].words.startswith(f"{heading}: scenario analytics")
    titled = Page(render_pull(replace(CONTENT, summary=filtered), "May"))
    assert f"May {heading}, eu1.make.com" in titled.all("header")[0].words
    unfiltered = structs.replace(CONTENT.summary, filters={})
    assert render_pull(replace(CONTENT, summary=unfiltered)) == render_pull(CONTENT)


def test_the_time_frame_is_in_the_time_zone_of_the_pull() -> None:
    frame = structs.replace(
        summary(), date_from=datetime(2026, 3, 28, 23, tzinfo=UTC), date_to=datetime(2026, 3, 29, 22, tzinfo=UTC)
    )
    page = Page(render_pull(replace(EMPTY, summary=structs.replace(frame, timezone="Europe/Prague"))))
    assert page.all("header")[0].words.endswith("eu1.make.com, 2026-03-29 00:00 to 2026-03-30 00:00 Europe/Prague")
    assert page.all("title")[0].words.endswith("to 2026-03-30 00:00")
    unknown = Page(render_pull(replace(EMPTY, summary=structs.replace(frame, timezone="Not/There"))))
    assert unknown.all("header")[0].words.endswith("eu1.make.com, 2026-03-28 23:00 to 2026-03-29 22:00 UTC")


@pytest.mark.parametrize(
    ("begin", "end", "text"),
    [
        (True, False, "eu1.make.com, 2026-11-16 00:00 UTC until the pull"),
        (False, True, "eu1.make.com, the year until 2026-11-23 00:00 UTC"),
        (False, False, "eu1.make.com, the year until the pull"),
    ],
)
def test_heading_with_a_default_begin_or_end(begin: bool, end: bool, text: str) -> None:
    frame = structs.replace(summary(), date_from=FROM if begin else None, date_to=TO if end else None)
    page = Page(render_pull(replace(EMPTY, summary=frame)))
    assert page.all("header")[0].words.endswith(text)


def test_charts_have_names_labels_and_lengths() -> None:
    page = Page(render_pull(CONTENT))
    # Teams are not in the table, so that a phone shows all.
    lists = [one.attributes["class"] for one in page.all("ul", "figure")]
    assert lists == ["bars listed", "bars listed", "bars"]
    charts = page.bars()
    rates, errors, teams = charts.values()
    assert list(charts) == ["Worst scenarios by error rate", "Worst scenarios by errors", "Credits by team"]
    assert [bar[:2] for bar in rates] == [("Sync orders", "25.00 %"), ("Scenario 8", "< 0.01 %")]
    assert [bar[:2] for bar in errors] == [("Sync orders", "250"), ("Scenario 8", "3")]
    assert [bar[:2] for bar in teams] == [("Sales", "2.00"), ("Team 2", "0.50"), ("3 other teams", "1.00")]
    assert [bar[2] / teams[0][2] for bar in teams] == pytest.approx([1, 0.25, 0.5], rel=1e-5)


def test_page_shows_min_executions() -> None:
    assert "Of those with at least 20 executions." in Page(render_pull(CONTENT)).all("main")[0].words
    assert "Of those with at least 1 execution." in Page(render_pull(EMPTY)).all("main")[0].words


def test_table_has_each_scenario_once() -> None:
    assert Page(render_pull(CONTENT)).rows() == [
        {
            "Scenario": "Sync orders 7",
            "Team": "Sales",
            "Status": "invalid",
            "Executions": "1,000",
            "Errors": "250",
            "Error rate": "25.00 %",
            "Operations": "25,000",
            "Credits": "12,346",
        },
        {
            "Scenario": "Scenario 8 8",
            "Team": "no team",
            "Status": "without a status",
            "Executions": "1.00 × 10¹⁸",
            "Errors": "3",
            "Error rate": "< 0.01 %",
            "Operations": "–",
            "Credits": "1.00 × 10³⁶",
        },
    ]


def test_table_head_names_the_columns_in_order() -> None:
    page = Page(render_pull(CONTENT))
    assert [one.words for one in page.all("th", "thead")] == list(page.rows()[0])


def test_page_of_an_empty_organization() -> None:
    page = Page(render_pull(EMPTY))
    assert page.totals()["Executions"] == ("–", "no earlier figures")
    assert page.totals()["Scenarios"] == ("0", "none")
    assert page.all("svg") == page.all("table") == []
    assert [figure.words.rpartition(". ")[2] for figure in page.all("figure")] == [
        "There are no scenarios.",
        "There are no scenarios.",
        "No team used any credits.",
    ]


def test_page_of_scenarios_without_executions() -> None:
    content = replace(EMPTY, summary=summary(executions=0, errors=0), statuses=(("inactive", 3),))
    page = Page(render_pull(content))
    assert page.totals()["Error rate"] == ("–", "no executions")
    assert [figure.words.rpartition(". ")[2] for figure in page.all("figure")][:2] == ["No scenario was executed."] * 2


def test_title_replaces_the_organization_in_the_heading() -> None:
    page = Page(render_pull(CONTENT, "Sales & <b>more</b>"))
    assert [one.words for one in page.all("h1")] == ["Sales & <b>more</b>"]
    assert page.all("title")[0].words.startswith("Sales & <b>more</b>: ")
    assert page.all("header")[0].words.startswith("Make scenario analytics Sales & <b>more</b> Organization 42, eu1")


def test_organization_and_scenarios_are_links_to_make() -> None:
    assert Page(render_pull(CONTENT)).links() == {
        "Organization 42": "https://eu1.make.com/organization/42/dashboard",
        "Sync orders": "https://eu1.make.com/1/scenarios/7/edit",
    }


def test_large_numbers_have_all_digits_in_tooltips() -> None:
    titles = {one.words: one.attributes.get("title") for one in Page(render_pull(CONTENT)).all("dd")}
    assert titles["1.23 × 10²⁰"] == "123,456,789,012,345,678,901.23"
    assert titles["286,510"] is None


@pytest.mark.parametrize("content", [CONTENT, EMPTY])
def test_page_is_self_contained(content: PullContent) -> None:
    assert_self_contained(render_pull(content))


@pytest.mark.parametrize("content", [CONTENT, EMPTY])
def test_page_is_valid_and_accessible(content: PullContent) -> None:
    assert_accessible(render_pull(content), "Organization 42: scenario analytics to 2026-11-23 00:00")


def test_names_never_become_markup() -> None:
    hostile = replace(FAILING, name=HOSTILE, team_name=HOSTILE, status=HOSTILE)
    harmless = replace(FAILING, name="name", team_name="team", status="status")
    pages = []
    for one in (hostile, harmless):
        teams = (Team(one.team_name or "", (5,)),)
        content = replace(CONTENT, by_error_rate=(one,), by_errors=(one,), teams=teams, statuses=((one.status, 1),))
        pages.append(Page(render_pull(content)))
    actual, expected = [[(one.name, sorted(one.attributes)) for one in page.elements] for page in pages]
    # The status is not "invalid", which would have a class.
    assert actual == expected
    assert pages[0].rows()[0]["Team"] == HOSTILE
    assert pages[0].bars()["Credits by team"][0][0] == HOSTILE


@settings(max_examples=30, deadline=None)
@given(texts, texts, texts)
def test_page_accepts_any_text(name: str, team: str, status: str) -> None:
    one = replace(FAILING, name=name, team_name=team, status=status)
    content = replace(
        CONTENT, by_error_rate=(one,), by_errors=(one,), teams=(Team("Sales", (5,)),), statuses=((status, 1),)
    )
    text = render_pull(content)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", text)
    (row,) = Page(text).rows()
    shown = re.sub("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", " ".join(name.split()))
    assert row["Scenario"] == f"{shown or 'Scenario 7'} 7"


def test_same_content_results_in_the_same_page() -> None:
    assert render_pull(CONTENT) == render_pull(CONTENT)


SUMMARY = summary(executions=1)
# Few different values, so that there are ties, and teams with several scenarios.
_few_values: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", None]),
    "status": st.sampled_from(["active", "invalid", None]),
    "teamId": st.sampled_from([1, 2, None]),
    "executions": st.sampled_from([0, 19, 20, 2**63 - 1, None]),
    "errors": st.sampled_from([0, 1, 2, None]),
    "errorRate": st.sampled_from([0.0, -0.0, 5e-324, 1.0, 100.0, None]),
    "centicredits": st.sampled_from([0, 1, 10**38 - 1, None]),
}
similar = st.builds(
    lambda number, known: entry(number, **known), st.integers(0, 10**6), st.fixed_dictionaries(_few_values)
)
# At any time, a team has one name.
named = (entries | similar).map(lambda one: structs.replace(one, team_name=f"Team {one.team_id}"))
some = st.lists(named, max_size=40, unique_by=lambda one: one.scenario_id)


def content_of(entries: Sequence[ScenarioMetrics], rows: int = 16, min_executions: int = 20) -> PullContent:
    """Return the content of a file with these entries, read in batches of a number of rows."""
    file = io.BytesIO()
    writer = ParquetWriter(file, RowBuilder(42, FROM, TO, EXTRACTED))
    writer.write(entries)
    writer.close({})
    return summarize(SUMMARY, pq.ParquetFile(file).iter_batches(rows, columns=list(COLUMNS)), min_executions)


@given(some, st.integers(1, 50), st.sampled_from([1, 20, 2**63 - 1]))
def test_content_equals_plain_python(entries: list[ScenarioMetrics], rows: int, min_executions: int) -> None:
    assert content_of(entries, rows, min_executions) == expected_content(entries, SUMMARY, min_executions)


def test_content_without_rows_is_empty() -> None:
    assert content_of([]) == PullContent(SUMMARY, None, 20, (), (), (), ())
    assert content_of([]) == summarize(SUMMARY, [], 20)


def test_columns_without_any_value() -> None:
    content = content_of([entry(number) for number in range(3)])
    assert content == PullContent(SUMMARY, EXTRACTED, 20, ((None, 3),), (), (), ())


def test_min_executions_applies_to_error_rates_only() -> None:
    few = entry(1, executions=19, errors=19, errorRate=100.0)
    enough = entry(2, executions=20, errors=1, errorRate=5.0)
    content = content_of([few, enough])
    assert [one.scenario_id for one in content.by_error_rate] == [2]
    assert [one.scenario_id for one in content.by_errors] == [1, 2]


def test_the_worst_are_selected_over_all_batches() -> None:
    numbers = list(range(1, 1001))
    random.Random(0).shuffle(numbers)
    content = content_of([entry(n, executions=2000, errors=n, errorRate=n / 20) for n in numbers], rows=7)
    assert [one.errors for one in content.by_errors] == list(range(1000, 1000 - 10, -1))
    assert content.by_error_rate == content.by_errors


def test_batches_are_released() -> None:
    def batches() -> Any:
        for number in range(40):
            names = [f"{number}-{n}" * 20 for n in range(1000)]
            yield pyarrow.record_batch(
                {**{name: pyarrow.nulls(1000, types[name]) for name in COLUMNS}, "name": names}, schema=schema
            )
            allocated.append(pyarrow.total_allocated_bytes() - before)

    schema = pyarrow.schema([parquet_schema().field(name) for name in COLUMNS])
    types = dict(zip(schema.names, schema.types, strict=True))
    allocated: list[int] = []
    before = pyarrow.total_allocated_bytes()
    summarize(SUMMARY, batches(), 20)
    # Not exactly: names differ in length, and when Arrow frees a batch is not fixed.
    assert max(allocated[20:]) < 2 * max(allocated[:20])

"""Test what pages have in common: links to Make, dates, figures, and the lengths of bars."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.report.pull_files import Scenario, Summary
from airflow_provider_make.report.template import Bar, Chart, Page, figures, keep_dates_whole, render
from tests.support import parsed_report
from tests.support.pulled_files import totals

FIGURES = ("executions", "operations", "centicredits", "errors", "error_rate")


def parsed(zone: str = "eu1.make.com", charts: list[Chart] | None = None) -> parsed_report.Page:
    """Return a page with a scenario that has a team, and one that has none."""
    empty: dict[str, Any] = dict.fromkeys(("name", "status", "team_name", *FIGURES))
    scenarios = [Scenario(scenario_id=number, team_id=team, **empty) for number, team in ((8, 7), (9, None))]
    page = Page(
        title=None,
        summary=Summary(42, zone, totals(), "1"),
        until="",
        time_frame="",
        tiles=[],
        charts=charts or [],
        scenarios=[(scenario, figures(scenario)) for scenario in scenarios],
        order="",
        footer="",
    )
    return parsed_report.Page(render(page))


@pytest.mark.parametrize("zone", ["eu1.make.com", "make.example.com:8443", "[::1]:8080"])
def test_links_are_on_the_zone(zone: str) -> None:
    assert parsed(zone).links() == {
        "Organization 42": f"https://{zone}/organization/42/dashboard",
        "Scenario 8": f"https://{zone}/7/scenarios/8/edit",
    }


@pytest.mark.parametrize("zone", ["", "x y", "a/b", "evil@host", "javascript:alert(1)//", 'a"b'])
def test_other_text_than_a_host_is_no_link(zone: str) -> None:
    assert parsed(zone).links() == {}


def test_dates_are_kept_whole_and_other_text_is_escaped() -> None:
    text = "<2026-03-01> & 12026-03-011, 2026-03-01 05:00 UTC"
    whole = "&lt;<time>2026-03-01</time>&gt; &amp; 12026-03-011, <time>2026-03-01 05:00</time> UTC"
    assert keep_dates_whole(text) == whole


def bars(*bars: Bar) -> list[tuple[str, str, float]]:
    return parsed(charts=[Chart("Bars", (), bars=bars)]).bars()["Bars"]


def test_bars_have_names_labels_lengths_and_colors() -> None:
    shown = Bar("Sync orders", 40, "40"), Bar("請求書を送信する 🚀", 10.0, "10"), Bar("other", 20, "20", muted=True)
    page = parsed(charts=[Chart("Bars", (), bars=shown)])
    assert page.bars() == {
        "Bars": [("Sync orders", "40", 1.0), ("請求書を送信する 🚀", "10", 0.25), ("other", "20", 0.5)]
    }
    assert [bar.attributes.get("class") for bar in page.all("i")] == [None, None, "other"]


@pytest.mark.parametrize("size", [0, 0.0, 5e-324, 1, 2**63 - 1, 10**40, 1e308, 10**400])
def test_bars_accept_sizes_of_any_magnitude(size: float) -> None:
    assert bars(Bar("bar", size, "label")) == [("bar", "label", 1.0 if size else 0.0)]


def test_large_whole_numbers_are_compared_exactly() -> None:
    assert bars(Bar("all", 10**400, "1"), Bar("half", 10**400 // 2, "2"))[1][2] == 0.5


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=11))
def test_bar_lengths_have_the_order_of_the_sizes(sizes: list[float]) -> None:
    chart = Chart("", (), bars=[Bar("", size, "") for size in sorted(sizes)])
    lengths = [float(chart.length(bar)) for bar in chart.bars]
    assert lengths == sorted(lengths)

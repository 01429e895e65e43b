"""Test charts over days: axes, lines, gaps, areas, limits."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make import report
from airflow_provider_make.report.charts import (
    HEIGHT,
    MAX_LABELS,
    WIDTH,
    DayAxis,
    day_ticks,
    draw_line,
    draw_stack,
    draw_sum,
    top_of_axis,
)
from airflow_provider_make.report.formatting import axis_count, axis_credits, axis_percent

FIRST = date(2026, 3, 2)


def days(*numbers: int, length: int = 1, **axis: date) -> DayAxis:
    return DayAxis(tuple(FIRST + timedelta(days=number) for number in numbers), length, **axis)


def points(svg: str, name: str) -> list[list[tuple[float, float]]]:
    """Return the points of the lines and areas of a class."""
    drawn = [one for one in ElementTree.fromstring(svg).iter() if one.get("class") == name and "points" in one.attrib]
    return [[_point(text) for text in one.attrib["points"].split()] for one in drawn]


def _point(text: str) -> tuple[float, float]:
    x, y = map(float, text.split(","))
    return x, y


def dots(svg: str) -> int:
    return len(list(ElementTree.fromstring(svg).iter("circle")))


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize(
    ("axis", "values", "runs", "gaps"),
    [
        (days(0, 1, 2), [1, 2, 3], [[0, 1, 2]], 0),
        (days(0, 1, 2), [1, None, 3], [[0], [2]], 0),
        (days(0, 1, 5, 6), [1, 2, 3, 4], [[0, 1], [2, 3]], 1),
        (days(0, 2, 4), [1, 2, 3], [[0], [1], [2]], 2),
        (days(0, 1), [None, None], [], 0),
        (days(0, 7, 21, length=7), [1, 2, 3], [[0, 1], [2]], 1),
        (days(2, 3, begin=FIRST, end=FIRST + timedelta(days=9)), [1, 2], [[0, 1]], 1),
    ],
)
def test_missing_days_and_figures_are_gaps(
    axis: DayAxis, values: list[int | None], runs: list[list[int]], gaps: int
) -> None:
    assert axis.runs(values) == runs
    assert len(axis.gaps()) == gaps
    if runs:
        assert len(points(draw_line(axis, values, axis_count), "gap")) == gaps


def test_a_figure_is_a_line_between_neighbours_and_a_dot_for_a_single_day() -> None:
    svg = draw_line(days(0, 1, 3, 5, 6), [4, 0, 1, 2, 3], axis_count)
    lines = points(svg, "course")
    assert len(lines) == 2
    # The single day, and the end.
    assert dots(svg) == 2
    assert lines[0][0][1] < lines[0][1][1], "more is higher"
    assert texts(svg) == ["0", "2", "4", "2 Mar", "4 Mar", "6 Mar", "8 Mar"]


def test_the_usual_range_is_shaded() -> None:
    (band,) = points(draw_line(days(0, 1), [1.0, 9.0], axis_percent, (2.0, 4.0)), "usual")
    y = [at for _, at in band]
    assert max(y) - min(y) == pytest.approx((HEIGHT - 34) * 0.2)


def test_layers_are_stacked_in_their_colors() -> None:
    layers = [("series-1", [100, 200]), ("series-2", [100, 0]), ("other", [0, 100])]
    svg = draw_stack(days(0, 1), layers, axis_credits)
    first, second, other = [points(svg, name) for name, _ in layers]
    assert [len(first), len(second), len(other)] == [1, 1, 1]
    # On the first day, the second layer is twice as high as the first; on the second day, it has no height.
    assert second[0][0][1] - first[0][0][1] == pytest.approx(first[0][0][1] - first[0][-1][1], abs=0.11)
    assert second[0][2] == first[0][2]
    assert texts(svg)[:3] == ["0", "1.5", "3"]


def test_a_sum_has_its_limit_and_forecast() -> None:
    axis = days(2, 3, begin=FIRST, end=FIRST + timedelta(days=9))
    svg = draw_sum(axis, [100, 300], axis_credits, limit=1000, forecast=(800, 2000))
    ((begin, end),) = points(svg, "forecast")
    assert (end[0], begin[0] < end[0], begin[1] > end[1]) == (WIDTH, True, True)
    assert len(points(svg, "limit")) == 1
    assert [len(line) for line in points(svg, "course")] == [3]
    assert texts(svg)[:3] == ["0", "10", "20"]
    assert not points(draw_sum(axis, [100, 300], axis_credits, None, None), "forecast")


@given(st.lists(st.integers(0, 10**60), min_size=1, max_size=9), st.sets(st.integers(0, 60), min_size=9, max_size=9))
def test_charts_accept_amounts_of_any_magnitude(amounts: list[int], numbers: set[int]) -> None:
    axis = days(*sorted(numbers)[: len(amounts)])
    for svg in (
        draw_line(axis, amounts, axis_count),
        draw_stack(axis, [("series-1", amounts), ("other", amounts)], axis_credits),
        draw_sum(axis, amounts, axis_credits, 1, (0, 10**61)),
    ):
        drawing = ElementTree.fromstring(svg)
        assert drawing.attrib["viewBox"] == f"0 0 {WIDTH} {HEIGHT}"
        drawn = [_point(text) for one in drawing.iter() for text in one.get("points", "").split()]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)


def test_each_class_is_in_the_style_sheet_and_each_color_in_light_and_dark() -> None:
    axis = days(0, 1, 3, begin=FIRST - timedelta(days=1), end=FIRST + timedelta(days=9))
    drawings = [
        draw_line(axis, [1, 2, 3], axis_count, (1, 2)),
        draw_stack(axis, [("series-1", [1, 2, 3]), ("other", [1, 2, 3])], axis_count),
        draw_sum(axis, [1, 2, 3], axis_count, 5, (6, 9)),
    ]
    style = (Path(report.__file__).parent / "page.html").read_text().replace("series-{{ number }}", "series-1")
    names = {one.get("class") for svg in drawings for one in ElementTree.fromstring(svg).iter()} - {None}
    assert {"usual", "gap", "grid", "tick", "course", "limit", "forecast", "series-1", "other"} <= names
    assert [name for name in names if f".{name} {{" not in style] == []
    assert not any("#" in svg or "style=" in svg or " id=" in svg for svg in drawings)
    for color in ("accent", "other", "line", "usual", "gap", "worse", "faint", *(f"series-{n}" for n in range(1, 7))):
        assert style.count(f"--{color}: #") == 2


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
    assert [text for _, text in day_ticks(first, last)] == texts


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.integers(0, 5000))
def test_ticks_fit_and_are_within_the_axis(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    ticks = day_ticks(first, last)
    assert 1 <= len(ticks) <= MAX_LABELS
    assert all(first <= day <= last for day, _ in ticks)


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, "1"), (1, "1"), (1.01, "2"), (7, "8"), (8.5, "10"), (12_345, "20000"), (0.03, "0.03"), (0.031, "0.04")],
)
def test_tops(largest: float, top: str) -> None:
    assert top_of_axis(Decimal(str(largest))) == Decimal(top)


@given(st.integers(1, 10**60) | st.floats(5e-324, 1e300))
def test_the_largest_amount_fills_half_of_the_axis_or_more(largest: float) -> None:
    assert Decimal(largest) <= top_of_axis(largest) <= 2 * Decimal(largest)

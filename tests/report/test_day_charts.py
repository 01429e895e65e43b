"""Test charts over days: lines, gaps, areas, limits."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.report.day_charts import Days, draw_course, draw_stack, draw_sum
from airflow_provider_make.report.formatting import axis_count, axis_credits, axis_percent

FIRST = date(2026, 3, 2)


def days(*numbers: int, length: int = 1, **axis: date) -> Days:
    return Days(tuple(FIRST + timedelta(days=number) for number in numbers), length, **axis)


def paths(svg: str, color: str) -> list[str]:
    """Return the paths of a color, as a stroke or a fill."""
    return [one.attrib["d"] for one in ElementTree.fromstring(svg).iter("path") if color in one.attrib["style"]]


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
    axis: Days, values: list[int | None], runs: list[list[int]], gaps: int
) -> None:
    assert axis.runs(values) == runs
    assert len(axis.gaps()) == gaps
    if runs:
        assert len(paths(draw_course(axis, values, axis_count), "var(--gap)")) == gaps


def test_a_course_is_a_line_between_neighbours_and_a_dot_for_a_single_day() -> None:
    svg = draw_course(days(0, 1, 3, 5, 6), [4, 0, 1, 2, 3], axis_count)
    drawn = paths(svg, "var(--accent)")
    lines = [path for path in drawn if "C" not in path]
    assert len(lines) == 2
    # The single day, and the end.
    assert len(drawn) - len(lines) == 2
    y = [float(number) for number in lines[0].split()[2::3]]
    assert y[0] < y[1], "more is higher"
    assert texts(svg) == ["0", "2", "4", "2 Mar", "4 Mar", "6 Mar", "8 Mar"]


def test_the_usual_range_is_shaded() -> None:
    (band,) = paths(draw_course(days(0, 1), [1.0, 9.0], axis_percent, (2.0, 4.0)), "var(--band)")
    y = [float(number) for number in band.split()[2::3]]
    low, high = max(y), min(y)
    assert low - high == pytest.approx((164 - 34) * 0.2)


def test_layers_are_stacked_in_their_colors() -> None:
    svg = draw_stack(days(0, 1), [[100, 200], [100, 0], [0, 100]], axis_credits, has_other=True)
    areas = [paths(svg, f"var(--{name})") for name in ("series-1", "series-2", "other")]
    # Ticks of the axis have the color of the others, too.
    areas[2] = [path for path in areas[2] if "z" in path]
    assert [len(one) for one in areas] == [1, 1, 1]
    assert texts(svg)[:3] == ["0", "1.5", "3"]


def test_a_sum_has_its_limit_and_forecast() -> None:
    axis = days(2, 3, begin=FIRST, end=FIRST + timedelta(days=9))
    svg = draw_sum(axis, [100, 300], axis_credits, limit=1000, forecast=(800, 2000))
    assert len(paths(svg, "var(--worse)")) == len(paths(svg, "stroke-dasharray")) == 1
    assert texts(svg)[:3] == ["0", "10", "20"]
    assert not paths(draw_sum(axis, [100, 300], axis_credits, None, None), "stroke-dasharray")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10**60), min_size=1, max_size=9), st.sets(st.integers(0, 60), min_size=9, max_size=9))
def test_charts_accept_amounts_of_any_magnitude(amounts: list[int], numbers: set[int]) -> None:
    axis = days(*sorted(numbers)[: len(amounts)])
    for svg in (
        draw_course(axis, amounts, axis_count),
        draw_stack(axis, [amounts, amounts], axis_credits, has_other=False),
        draw_sum(axis, amounts, axis_credits, 1, (0, 10**61)),
    ):
        assert "nan" not in svg
        assert "inf" not in svg


def test_the_same_figures_result_in_the_same_text() -> None:
    assert len({draw_course(days(0, 1), [1, 2], axis_count) for _ in range(2)}) == 1

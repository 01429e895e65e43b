"""Test the course of the organization's figures."""

from __future__ import annotations

from datetime import date

import pytest

from airflow_provider_make.report.content import Summary, Totals
from airflow_provider_make.report.course import Course, course_of, overall_error_rate, sum_known, usual_range
from airflow_provider_make.report.frames import Frame


def test_course_is_of_the_totals() -> None:
    totals = [Totals(7, 8, str(10**40), 1, 0.5), Totals()]
    frames = [Frame("", Summary(1, "eu1.make.com", total, "1"), date(2026, 3, 1), 1) for total in totals]
    assert course_of(frames) == Course((7, None), (8, None), (10**40, None), (1, None), (0.5, None))


def test_sums_ignore_what_is_not_known() -> None:
    assert (sum_known([1, None, 2]), sum_known([0]), sum_known([None]), sum_known([])) == (3, 0, None, None)


@pytest.mark.parametrize(
    ("executions", "errors", "rate"),
    [((100, 300), (1, 3), 1.0), ((100, None, 100), (1, 50, None), 1.0), ((0,), (0,), None), ((None,), (None,), None)],
)
def test_overall_error_rate(executions: tuple[int | None, ...], errors: tuple[int | None, ...], rate: float) -> None:
    empty = (None,) * len(executions)
    assert overall_error_rate(Course(executions, empty, empty, errors, empty)) == rate


@pytest.mark.parametrize(
    ("values", "usual"),
    [
        ([float(number) for number in range(11)], (0.0, 14.0)),
        ([*[2.0] * 8, 2.1, 1.9, 80.0], (2.0, 2.0)),
        # A third of the days is unusual.
        ([1.9, 2.0, 2.0, 2.1, 2.2, 1.8, 2.0, 2.1, 30.0, 31.0, 32.0, 30.0], (1.65, 2.55)),
        ([None, *[5.0] * 10], (5.0, 5.0)),
        ([1.0] * 9 + [None] * 5, None),
    ],
)
def test_usual_range_ignores_unusual_values(values: list[float | None], usual: tuple[float, float] | None) -> None:
    assert usual_range(values) == (usual if usual is None else pytest.approx(usual))

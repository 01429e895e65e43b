"""The course of the organization's figures over several days."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_make.report.frames import Frame

# A range of fewer days would say little.
MIN_USUAL = 10
# Of figures that vary at random, about one in 25 is further from the median.
SPREAD = 3


@dataclass(frozen=True)
class Course:
    """
    The organization's figures by frame, as Make calculated them; None where it has none.

    :param centicredits: Hundredths of credits.
    """

    executions: tuple[int | None, ...]
    operations: tuple[int | None, ...]
    centicredits: tuple[int | None, ...]
    errors: tuple[int | None, ...]
    error_rate: tuple[float | None, ...]


def course_of(frames: Sequence[Frame]) -> Course:
    """Return the course of the figures in the summaries of pulls."""
    totals = [frame.summary.total for frame in frames]
    return Course(
        executions=tuple(total.executions for total in totals),
        operations=tuple(total.operations for total in totals),
        centicredits=tuple(None if total.centicredits is None else int(total.centicredits) for total in totals),
        errors=tuple(total.errors for total in totals),
        error_rate=tuple(total.error_rate for total in totals),
    )


def sum_known(values: Sequence[int | None]) -> int | None:
    """Return the sum of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def overall_error_rate(course: Course) -> float | None:
    """Return the percentage of executions with errors over the frames that have both; None without executions."""
    both = [
        (executions, errors)
        for executions, errors in zip(course.executions, course.errors, strict=True)
        if executions is not None and errors is not None
    ]
    executions = sum(one for one, _ in both)
    return 100 * sum(errors for _, errors in both) / executions if executions else None


def usual_range(values: Sequence[float | None]) -> tuple[float, float] | None:
    """
    Return the range of usual values: the median, and ``SPREAD`` times the median distance from it on either side.

    Medians, as unusual values don't shift them, even if up to half of all are unusual.

    :param values: Figures by frame, zero or more; None is ignored.
    :return: The lower end, at least zero, and the upper end; None if fewer than ``MIN_USUAL`` values are known.
    """
    known = [value for value in values if value is not None]
    if len(known) < MIN_USUAL:
        return None
    median = statistics.median(known)
    distance = SPREAD * statistics.median(abs(value - median) for value in known)
    return max(median - distance, 0.0), median + distance

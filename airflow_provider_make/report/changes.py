"""Select the scenarios of several days that a report shows: the largest, the worst, and those that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    import pyarrow

# A scenario fails if at least this percentage of its executions has errors.
FAILING = 5.0
# It began or ceased to fail if the rate was, or is, lower by this factor.
FACTOR = 2.0
MAX_SCENARIOS = 10


@dataclass(frozen=True)
class Selection:
    """
    Scenarios of a list.

    :param rows: The numbers of the first ``MAX_SCENARIOS`` rows.
    :param count: How many scenarios there are.
    """

    rows: tuple[int, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Changes:
    """
    The scenarios that a report lists.

    :param consumers: Those that used credits, the most first.
    :param worst: Those with errors in the recent frames and enough executions in them, the highest error rate first.
    :param began: Those that began to fail, the most errors in the recent frames first.
    :param ceased: Those that ceased to fail, the most errors before them first.
    :param new: Those that the first frame lacks, the newest first.
    :param gone: Those that the last frame lacks, the last gone first.
    """

    consumers: Selection
    worst: Selection
    began: Selection
    ceased: Selection
    new: Selection
    gone: Selection


def count_compared(frames: int, length: int) -> tuple[int, int]:
    """
    Count the recent frames, and those that they are compared with.

    :param frames: The number of frames.
    :param length: The number of days in each.
    :return: The frames of a week, but at least one, and at most half of all; and the frames of four weeks before them,
        as far as there are so many.
    """
    recent = min(max(7 // length, 1), frames // 2)
    return recent, min(max(28 // length, 1), frames - recent)


def select_scenarios(scenarios: pyarrow.Table, min_executions: int, frames: Sequence[int]) -> Changes:
    """
    Select the scenarios that a report lists.

    A scenario fails if its error rate is ``FAILING`` or more. It began to fail if it fails in the recent frames, and
    its rate is more than ``FACTOR`` times the rate before; it ceased to fail if it is the other way round. Both need
    ``min_executions`` executions in the recent frames, and before.

    :param scenarios: The sums, as ``Sums.scenarios`` returns them.
    :param min_executions: Error rates of fewer executions are ignored.
    :param frames: The numbers of the frames with any scenario, in order.
    :return: The numbers of rows.
    """
    import numpy

    executions = _floats(scenarios, "executions")
    recent_executions, recent_errors = _floats(scenarios, "recent_executions"), _floats(scenarios, "recent_errors")
    before_executions, before_errors = _floats(scenarios, "before_executions"), _floats(scenarios, "before_errors")
    recent = _rates(recent_errors, recent_executions, min_executions)
    before = _rates(before_errors, before_executions, min_executions)
    first, last = scenarios["first"].to_numpy(), scenarios["last"].to_numpy()
    with numpy.errstate(invalid="ignore"):
        # A comparison with a rate that can't be calculated is false.
        began = (recent >= FAILING) & (before * FACTOR < recent)
        ceased = (before >= FAILING) & (recent * FACTOR < before)
        worst = recent > 0
    return Changes(
        consumers=_select_consumers(scenarios),
        worst=_select(worst, recent, recent_errors),
        began=_select(began, recent_errors),
        ceased=_select(ceased, before_errors),
        new=_select(first > frames[0], first, executions) if frames else Selection(),
        gone=_select(last < frames[-1], last, executions) if frames else Selection(),
    )


def _floats(scenarios: pyarrow.Table, column: str) -> numpy.ndarray:
    values: numpy.ndarray = scenarios[column].cast("float64").fill_null(0.0).to_numpy()
    return values


def _rates(errors: numpy.ndarray, executions: numpy.ndarray, min_executions: int) -> numpy.ndarray:
    import numpy

    rates = numpy.full(len(errors), numpy.nan)
    enough = executions >= min_executions
    rates[enough] = 100 * errors[enough] / executions[enough]
    return rates


def _select(chosen: numpy.ndarray, *order: numpy.ndarray) -> Selection:
    """Select the chosen rows, those with the highest values first; ties by number, which is by scenario id."""
    import numpy

    (rows,) = numpy.nonzero(chosen)
    rows = rows[numpy.lexsort([-values[rows] for values in reversed(order)])]
    return Selection(tuple(map(int, rows[:MAX_SCENARIOS])), len(rows))


def _select_consumers(scenarios: pyarrow.Table) -> Selection:
    import pyarrow
    import pyarrow.compute as pc

    # Not as floats, which are equal for large amounts that differ.
    credits = pyarrow.table({"row": range(len(scenarios)), "centicredits": scenarios["centicredits"]})
    credits = credits.filter(pc.greater(credits["centicredits"], pyarrow.scalar(0, credits["centicredits"].type)))
    top = credits.sort_by([("centicredits", "descending"), ("row", "ascending")])["row"]
    return Selection(tuple(top[:MAX_SCENARIOS].to_pylist()), len(credits))

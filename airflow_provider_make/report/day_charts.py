"""Draw charts over days: the course of a figure, stacked amounts, and a sum against a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_make.report.axis import day_ticks, top_of_axis
from airflow_provider_make.report.svg import ACCENT, BAND, FAINT, GAP, INK, LINE, OTHER, SERIES, WIDTH, WORSE, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 164.0
_LABEL = 11.0
# Pixels above and below the plot, for half a label and for the days.
_TOP, _BOTTOM = 10.0, 24.0
_DOT = 2.4
_Number = float | Decimal


@dataclass(frozen=True)
class Days:
    """
    The time axis of a chart: frames of one or more days.

    :param starts: The first day of each frame, in order.
    :param length: The number of days in each frame.
    :param begin: The first day of the axis, if it is earlier than the first frame's.
    :param end: The last day of the axis, if it is later than the last frame's.
    """

    starts: tuple[date, ...]
    length: int
    begin: date | None = None
    end: date | None = None

    def axis(self) -> tuple[int, int]:
        """Return the first day, and the one after the last, as ordinals."""
        begin, end = self.begin or self.starts[0], self.end.toordinal() + 1 if self.end else 0
        return begin.toordinal(), max(self.starts[-1].toordinal() + self.length, end)

    def gaps(self) -> list[tuple[int, int]]:
        """Return where frames are missing before others: the first day, and the one after the last, as ordinals."""
        ordinals = [day.toordinal() for day in self.starts]
        ends = [self.axis()[0], *(ordinal + self.length for ordinal in ordinals)]
        return [(end, begin) for end, begin in zip(ends, ordinals, strict=False) if end < begin]

    def runs(self, values: Sequence[Any]) -> list[list[int]]:
        """Return the numbers of the frames with a value, split where a frame or a value is missing."""
        runs: list[list[int]] = [[]]
        for number, value in enumerate(values):
            follows = number and (self.starts[number] - self.starts[number - 1]).days < 2 * self.length
            if runs[-1] and (value is None or not follows):
                runs.append([])
            if value is not None:
                runs[-1].append(number)
        return [run for run in runs if run]


class _Plot:
    """The axes of a chart, with its labels."""

    def __init__(
        self,
        axes: Axes,
        days: Days,
        top: Decimal,
        label: Callable[[Decimal], str],
        band: tuple[float, float] | None = None,
    ) -> None:
        self._axes = axes
        self._top = top
        self._first, self._end = days.axis()
        ticks = [(amount, text) for amount in (Decimal(0), top / 2, top) if (text := label(amount))]
        # Digits are at most 0.6 em wide.
        self._left = max(len(text) for _, text in ticks) * 0.6 * _LABEL + 6
        if band:
            self._rectangle(self._first, self._end, *band, BAND)
        for begin, end in days.gaps():
            self._rectangle(begin, end, 0, top, GAP)
        for amount, text in ticks:
            y = self._y(amount)
            self._line([(self._left, y), (WIDTH, y)], LINE, 1)
            self._text(self._left - 6, y + 4, text, "right")
        self._label_days()

    def _label_days(self) -> None:
        for tick in day_ticks(date.fromordinal(self._first), date.fromordinal(self._end - 1)):
            at = self._x(tick.day.toordinal())
            self._line([(at, HEIGHT - _BOTTOM), (at, HEIGHT - _BOTTOM + 4)], OTHER, 1)
            # Text is about half an em a letter.
            half = len(tick.text) * 0.28 * _LABEL
            self._text(min(max(at, half), WIDTH - half), HEIGHT - 6, tick.text, "center")

    def _x(self, ordinal: float) -> float:
        return self._left + (WIDTH - self._left) * (ordinal - self._first) / (self._end - self._first)

    def _y(self, amount: _Number) -> float:
        # The amount may have more digits than a float.
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * float(Decimal(amount) / self._top)

    def _line(self, points: Sequence[tuple[float, float]], color: str, width: float, dashes: bool = False) -> None:
        style: Any = (0, (4, 3)) if dashes else "solid"
        x, y = zip(*points, strict=True)
        # The lines of the grid are behind areas.
        order = 0 if color == LINE else 2
        self._axes.plot(x, y, color=color, linewidth=width, linestyle=style, zorder=order, clip_on=False)

    def _text(self, x: float, y: float, text: str, align: str) -> None:
        style: dict[str, Any] = {"parse_math": False, "va": "baseline", "ha": align}
        self._axes.text(x, y, text, fontsize=_LABEL, color=FAINT, **style)

    def _rectangle(self, begin: float, end: float, low: _Number, high: _Number, color: str) -> None:
        self.area([(begin, low), (begin, high), (end, high), (end, low)], color)

    def area(self, points: Sequence[tuple[float, _Number]], color: str) -> None:
        """Fill the area between points, each a day's ordinal and an amount."""
        x, y = [self._x(day) for day, _ in points], [self._y(amount) for _, amount in points]
        self._axes.fill(x, y, color=color, linewidth=0, clip_on=False)

    def line(
        self, points: Sequence[tuple[float, _Number]], color: str, width: float = 1.6, dashes: bool = False
    ) -> None:
        """Draw a line through points; a single point is a dot."""
        at = [(self._x(day), self._y(amount)) for day, amount in points]
        if len(at) > 1:
            self._line(at, color, width, dashes)
        else:
            self.dot(*points[0], color)

    def dot(self, day: float, amount: _Number, color: str) -> None:
        """Draw a dot."""
        from matplotlib.patches import Circle

        center = (self._x(day), self._y(amount))
        self._axes.add_patch(Circle(center, _DOT, color=color, linewidth=0, clip_on=False))


def draw_course(
    days: Days,
    values: Sequence[_Number | None],
    label: Callable[[Decimal], str],
    usual: tuple[float, float] | None = None,
) -> str:
    """
    Draw the course of a figure as a line, with a dot at its end.

    :param days: The time axis.
    :param values: The figure of each frame, at least one known; the line has a gap where it is None.
    :param label: Formats an amount on the axis; empty for no label.
    :param usual: The range of usual values, which is shaded.
    :return: An ``svg`` element.
    """
    known = [value for value in values if value is not None]
    top = top_of_axis(max([*known, *(usual or ())]))

    def paint(axes: Axes) -> None:
        plot = _Plot(axes, days, top, label, usual)
        middles = [start.toordinal() + days.length / 2 for start in days.starts]
        last = None
        for run in days.runs(values):
            points = [(middles[number], value) for number in run if (value := values[number]) is not None]
            plot.line(points, ACCENT)
            last = points[-1]
        if last:
            plot.dot(*last, ACCENT)

    return draw(HEIGHT, paint)


def draw_stack(days: Days, layers: Sequence[Sequence[int]], label: Callable[[Decimal], str], has_other: bool) -> str:
    """
    Draw stacked amounts as areas with a step for each frame.

    :param days: The time axis.
    :param layers: The amounts of each layer by frame, the lowest layer first.
    :param label: Formats an amount on the axis; empty for no label.
    :param has_other: Whether the last layer is the sum of all others, which is grey.
    :return: An ``svg`` element.
    """
    totals = [sum(amounts) for amounts in zip(*layers, strict=True)]
    colors = [*SERIES[: len(layers) - has_other], *[OTHER] * has_other]

    def paint(axes: Axes) -> None:
        plot = _Plot(axes, days, top_of_axis(max(totals)), label)
        for run in days.runs(totals):
            below = [0] * len(run)
            for color, layer in zip(colors, layers, strict=True):
                above = [low + layer[number] for low, number in zip(below, run, strict=True)]
                if above != below:
                    plot.area([*_steps(days, run, above), *reversed(_steps(days, run, below))], color)
                below = above

    return draw(HEIGHT, paint)


def _steps(days: Days, run: Sequence[int], amounts: Sequence[int]) -> list[tuple[float, _Number]]:
    points: list[tuple[float, _Number]] = []
    for number, amount in zip(run, amounts, strict=True):
        start = days.starts[number].toordinal()
        points += [(start, amount), (start + days.length, amount)]
    return points


def draw_sum(
    days: Days,
    values: Sequence[int | None],
    label: Callable[[Decimal], str],
    limit: int | None,
    forecast: tuple[int, int] | None,
) -> str:
    """
    Draw the sum of a figure from day to day.

    :param days: The time axis, until the end of the forecast.
    :param values: The figure of each day, at least one known; a day without adds nothing, and the line has a gap.
    :param label: Formats an amount on the axis; empty for no label.
    :param limit: The limit of the sum, as a line; None for no line.
    :param forecast: The sums at the ends of the last day with a file, and of the axis; None for no forecast.
    :return: An ``svg`` element.
    """
    total = 0
    sums: list[int | None] = []
    for value in values:
        total += value or 0
        sums.append(None if value is None else total)
    top = top_of_axis(max(total, limit or 0, *(forecast or ())))

    def paint(axes: Axes) -> None:
        plot = _Plot(axes, days, top, label)
        first, end = days.axis()
        last = days.starts[-1].toordinal() + 1
        if limit is not None:
            plot.line([(first, limit), (end, limit)], WORSE, 1.2)
        for run in days.runs(sums):
            before = (days.starts[run[0]].toordinal(), (sums[run[0]] or 0) - (values[run[0]] or 0))
            after = [(days.starts[number].toordinal() + 1, sums[number] or 0) for number in run]
            plot.line([before, *after], ACCENT)
        if forecast and end > last:
            plot.line([(last, forecast[0]), (end, forecast[1])], INK, 1.2, dashes=True)

    return draw(HEIGHT, paint)

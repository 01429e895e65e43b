"""Draw charts over days as SVG: a figure as a line, amounts as stacked areas, and a sum against its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from airflow_provider_make.report.formatting import short_month

# The width of a phone of 360 pixels without the page's margins, so that text is not scaled there.
WIDTH, HEIGHT = 328, 164
# More labels of days don't fit side by side on a phone.
MAX_LABELS = 5
# Pixels above and below the plot, for half a label and for the days.
_TOP, _BOTTOM = 10, 24
# As in the page's style sheet.
_FONT_SIZE = 11
# The tops of axes, whose halves are round, too.
_ROUND = tuple(map(Decimal, ("1", "2", "3", "4", "5", "6", "8", "10")))
_Amount = float | Decimal
_Point = tuple[float, _Amount]
_Label = Callable[[Decimal], str]


@dataclass(frozen=True)
class DayAxis:
    """The axis of days: the first day of each file, in order, and the number of days in each."""

    starts: tuple[date, ...]
    length: int
    # The first and the last day of the axis, where they are not those of the files.
    begin: date | None = None
    end: date | None = None

    def limits(self) -> tuple[int, int]:
        """Return the first day, and the one after the last, as ordinals."""
        begin, end = self.begin or self.starts[0], self.end.toordinal() + 1 if self.end else 0
        return begin.toordinal(), max(self.starts[-1].toordinal() + self.length, end)

    def gaps(self) -> list[tuple[int, int]]:
        """Return where files are missing before others: the first day, and the one after the last, as ordinals."""
        ordinals = [day.toordinal() for day in self.starts]
        ends = [self.limits()[0], *(ordinal + self.length for ordinal in ordinals)]
        return [(end, begin) for end, begin in zip(ends, ordinals, strict=False) if end < begin]

    def runs(self, values: Sequence[Any]) -> list[list[int]]:
        """Return the numbers of the files with a value, split where a file or a value is missing."""
        runs: list[list[int]] = [[]]
        for number, value in enumerate(values):
            follows = number and (self.starts[number] - self.starts[number - 1]).days < 2 * self.length
            if runs[-1] and (value is None or not follows):
                runs.append([])
            if value is not None:
                runs[-1].append(number)
        return [run for run in runs if run]


class _Plot:
    """An SVG with axes; classes of the page's style sheet have the colors, which follow dark mode."""

    def __init__(
        self, days: DayAxis, largest: _Amount, label: _Label, usual: tuple[float, float] | None = None
    ) -> None:
        self._elements: list[Markup] = []
        self._top = top_of_axis(largest)
        self._first, self._end = days.limits()
        ticks = [(amount, text) for amount in (Decimal(0), self._top / 2, self._top) if (text := label(amount))]
        # Digits are at most 0.6 em wide.
        self._left = max(len(text) for _, text in ticks) * 0.6 * _FONT_SIZE + 6
        if usual:
            self._rectangle("usual", self._first, self._end, *usual)
        for begin, end in days.gaps():
            self._rectangle("gap", begin, end, 0, self._top)
        for amount, text in ticks:
            self.line("grid", [(self._first, amount), (self._end, amount)])
            self._text("amount", self._left - 6, self._y(amount) + 4, text)
        for day, text in day_ticks(date.fromordinal(self._first), date.fromordinal(self._end - 1)):
            x, bottom = self._x(day.toordinal()), HEIGHT - _BOTTOM
            self._add('<line class="tick" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>', x, bottom, bottom + 4)
            # Text is about half an em a letter.
            half = len(text) * 0.28 * _FONT_SIZE
            self._text("day", min(max(x, half), WIDTH - half), HEIGHT - 6, text)

    def svg(self) -> Markup:
        # Its caption describes it, and the page has its figures as text.
        elements = Markup("\n").join(self._elements)
        svg = '<svg viewBox="0 0 {} {}" aria-hidden="true">\n{}\n</svg>'
        return Markup(svg).format(WIDTH, HEIGHT, elements)

    def area(self, css: str, points: Sequence[_Point]) -> None:
        """Fill the area between points, each a day's ordinal and an amount."""
        self._add('<polygon class="{}" points="{}"/>', css, self._points(points))

    def line(self, css: str, points: Sequence[_Point]) -> None:
        """Draw a line through points; a single point is a dot."""
        if len(points) == 1:
            self.dot(css, points[0])
        else:
            self._add('<polyline class="{}" points="{}"/>', css, self._points(points))

    def dot(self, css: str, point: _Point) -> None:
        self._add('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="2.4"/>', css, self._x(point[0]), self._y(point[1]))

    def _add(self, element: str, *values: Any) -> None:
        self._elements.append(Markup(element).format(*values))

    def _text(self, css: str, x: float, y: float, text: str) -> None:
        self._add('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>', css, x, y, text)

    def _rectangle(self, css: str, begin: float, end: float, low: _Amount, high: _Amount) -> None:
        self.area(css, [(begin, low), (begin, high), (end, high), (end, low)])

    def _points(self, points: Sequence[_Point]) -> str:
        return " ".join(f"{self._x(day):.1f},{self._y(amount):.1f}" for day, amount in points)

    def _x(self, ordinal: float) -> float:
        return self._left + (WIDTH - self._left) * (ordinal - self._first) / (self._end - self._first)

    def _y(self, amount: _Amount) -> float:
        # The amount may have more digits than a float.
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * float(Decimal(amount) / self._top)


def draw_line(days: DayAxis, values: Sequence[Any], label: _Label, usual: tuple[float, float] | None = None) -> Markup:
    """
    Draw a figure as a line, with a dot at its end, and gaps where the value is None; at least one is known.

    The label formats an amount on the axis; it is empty for none. The usual range is shaded.
    """
    plot = _Plot(days, max(value for value in (*values, *(usual or ())) if value is not None), label, usual)
    for run in days.runs(values):
        points = [(days.starts[number].toordinal() + days.length / 2, values[number]) for number in run]
        plot.line("course", points)
    plot.dot("course", points[-1])
    return plot.svg()


def draw_stack(days: DayAxis, layers: Sequence[tuple[str, Sequence[int]]], label: _Label) -> Markup:
    """Draw stacked amounts as areas with a step for each file: CSS class and amounts, the lowest layer first."""
    totals = [sum(amounts) for amounts in zip(*(amounts for _, amounts in layers), strict=True)]
    plot = _Plot(days, max(totals), label)
    for run in days.runs(totals):
        below = [0] * len(run)
        for css, amounts in layers:
            above = [low + amounts[number] for low, number in zip(below, run, strict=True)]
            if above != below:
                plot.area(css, [*_steps(days, run, above), *reversed(_steps(days, run, below))])
            below = above
    return plot.svg()


def _steps(days: DayAxis, run: Sequence[int], amounts: Sequence[int]) -> list[_Point]:
    points: list[_Point] = []
    for number, amount in zip(run, amounts, strict=True):
        start = days.starts[number].toordinal()
        points += [(start, amount), (start + days.length, amount)]
    return points


def draw_sum(
    days: DayAxis,
    values: Sequence[int | None],
    label: _Label,
    limit: int | None,
    forecast: tuple[int, int] | None,
) -> Markup:
    """
    Draw the sum of a figure from day to day; a day without one adds nothing, and the line has a gap.

    The forecast is a dashed line between the sums at the ends of the last day with a file, and of the axis.
    """
    sums = list(accumulate(value or 0 for value in values))
    plot = _Plot(days, max(sums[-1], limit or 0, *(forecast or ())), label)
    first, end = days.limits()
    last = days.starts[-1].toordinal() + 1
    if limit is not None:
        plot.line("limit", [(first, limit), (end, limit)])
    for run in days.runs(values):
        begin = days.starts[run[0]].toordinal()
        before = sums[run[0]] - (values[run[0]] or 0)
        plot.line("course", [(begin, before), *((days.starts[number].toordinal() + 1, sums[number]) for number in run)])
    if forecast and end > last:
        plot.line("forecast", [(last, forecast[0]), (end, forecast[1])])
    return plot.svg()


def day_ticks(first: date, last: date) -> list[tuple[date, str]]:
    """Choose at most ``MAX_LABELS`` labels: of days, of Mondays, or of the first days of months or years."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    mondays = [day for day in days if day.weekday() == 0]
    for chosen in (days, days[::2], mondays, [day for day in mondays if day.toordinal() // 7 % 2 == 0]):
        if len(chosen) <= MAX_LABELS:
            return [(day, f"{day.day} {short_month(day)}") for day in chosen]
    for months in (1, 2, 3, 6, 12, 24, 60, 120, 240):
        chosen = [day for day in days if day.day == 1 and (12 * day.year + day.month - 1) % months == 0]
        if len(chosen) <= MAX_LABELS:
            return [(day, str(day.year) if day.month == 1 else short_month(day)) for day in chosen]
    return []


def top_of_axis(largest: _Amount) -> Decimal:
    """Choose the top of an axis that begins at zero: a round number that is as large or larger; one for zero."""
    exact = Decimal(largest)
    if exact <= 0:
        return Decimal(1)
    scale = exact.adjusted()
    return next(top.scaleb(scale) for top in _ROUND if top.scaleb(scale) >= exact)

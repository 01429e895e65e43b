"""Draw bar charts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_make.report.svg import ACCENT, FAINT, INK, OTHER, WIDTH, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME, _LABEL, _BAR = 13.0, 12.0, 12.0
_ROW = 40.0
_NARROW, _WIDE = frozenset(" !'(),-./:;I[]fijlrt|"), frozenset("%@MWmw")


@dataclass(frozen=True)
class Bar:
    """
    A bar of a chart.

    :param name: Text above the bar; truncated if it is too long.
    :param size: Length relative to the other bars, zero or more.
    :param label: Text after the bar.
    :param muted: Whether it is grey, because it is not one of the things compared, such as the sum of all others.
    """

    name: str
    size: float
    label: str
    muted: bool = False


def draw_bars(bars: Sequence[Bar]) -> str:
    """
    Draw horizontal bars.

    :param bars: At least one, from top to bottom.
    :return: An ``svg`` element to embed in HTML. The same bars always result in the same text.
    """
    largest = max(bar.size for bar in bars) or 1
    # Digits are at most 0.6 em wide.
    longest = WIDTH - 6 - max(len(bar.label) for bar in bars) * 0.6 * _LABEL
    # A $ in a name does not begin a formula.
    text: dict[str, Any] = {"parse_math": False, "va": "baseline"}

    def paint(axes: Axes) -> None:
        for number, bar in enumerate(bars):
            top = number * _ROW
            length = max(1.0, longest * (bar.size / largest))
            axes.barh(top + 25, length, height=_BAR, color=OTHER if bar.muted else ACCENT, clip_on=False)
            axes.text(0, top + 14, truncate(bar.name, WIDTH / _NAME), fontsize=_NAME, color=INK, **text)
            axes.text(length + 6, top + 29.3, bar.label, fontsize=_LABEL, color=FAINT, **text)

    return draw(_ROW * len(bars), paint)


def truncate(text: str, width: float) -> str:
    """
    Truncate text that is too long for a line, whichever font the reader has.

    :param text: Any text.
    :param width: The length of the line, in em.
    :return: The text, or its beginning and an ellipsis.
    """
    if sum(map(_em, text)) <= width:
        return text
    left = width - 1
    for position, character in enumerate(text):
        left -= _em(character)
        if left < 0:
            return f"{text[:position].rstrip()}…"
    return text


def _em(character: str) -> float:
    # The width in the wider ones of common fonts.
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 1.1
    if character in _NARROW:
        return 0.36
    return 0.95 if character in _WIDE else 0.75 if character.isupper() else 0.58

"""Draw bar charts with matplotlib, as SVG with the page's fonts and colors."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

# The width of a phone of 360 pixels without the page's margins, so that text is not scaled there.
WIDTH = 328
_NAME, _LABEL, _BAR = 13.0, 12.0, 12.0
_ROW = 40.0
# matplotlib's colors, and the page's variables that replace them: those change in dark mode.
_COLORS = {"#6d00cc": "var(--accent)", "#9aa0a6": "var(--other)", "#202124": "currentColor", "#5f6368": "var(--faint)"}
_COLOR, _SIZE = re.compile("fill: (#[0-9a-f]{6})"), re.compile("[0-9.]+px")
_NARROW, _WIDE = frozenset(" !'(),-./:;I[]fijlrt|"), frozenset("%@MWmw")
_ACCENT, _OTHER, _INK, _FAINT = _COLORS


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
    import matplotlib.style
    from matplotlib.figure import Figure

    height = _ROW * len(bars)
    largest = max(bar.size for bar in bars) or 1
    # Digits are at most 0.6 em wide.
    longest = WIDTH - 6 - max(len(bar.label) for bar in bars) * 0.6 * _LABEL
    # Independent of the user's own settings.
    with matplotlib.style.context({"svg.fonttype": "none"}, after_reset=True):
        figure = Figure(figsize=(WIDTH / 72, height / 72), frameon=False)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        axes.set_axis_off()
        for number, bar in enumerate(bars):
            top = number * _ROW
            middle = top + 25
            length = max(1.0, longest * (bar.size / largest))
            axes.barh(middle, length, height=_BAR, color=_OTHER if bar.muted else _ACCENT, clip_on=False)
            # A $ in a name does not begin a formula.
            text: dict[str, Any] = {"parse_math": False, "va": "baseline"}
            axes.text(0, top + 14, truncate(bar.name, WIDTH / _NAME), fontsize=_NAME, color=_INK, **text)
            axes.text(length + 6, middle + 4.3, bar.label, fontsize=_LABEL, color=_FAINT, **text)
        out = io.StringIO()
        with warnings.catch_warnings():
            # Browsers have fonts with the characters that matplotlib's font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _embeddable(out.getvalue())


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


def _embeddable(document: str) -> str:
    svg = ElementTree.fromstring(document)
    for definitions in svg.findall("{*}defs"):
        # Their styles would apply to the whole page.
        svg.remove(definitions)
    for element in svg.iter():
        element.tag = element.tag.partition("}")[2]
        for attribute in ("id", "width", "height", "version", "transform"):
            # An id would be repeated in each chart of the page.
            element.attrib.pop(attribute, None)
        if style := element.attrib.pop("style", ""):
            # Without the font, so that the page's applies.
            parts = [f"fill: {_COLORS[color]}" for color in _COLOR.findall(style)]
            parts += [f"font-size: {size}" for size in _SIZE.findall(style)]
            element.set("style", "; ".join(parts))
    return ElementTree.tostring(svg, encoding="unicode")

"""Draw with matplotlib, and convert the drawing to SVG with the page's fonts and colors."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The width of a phone of 360 pixels without the page's margins, so that text is not scaled there.
WIDTH = 328
# matplotlib's colors, and the page's variables that replace them: those change in dark mode.
ACCENT, OTHER, INK, FAINT = "#6d00cc", "#9aa0a6", "#202124", "#5f6368"
LINE, BAND, GAP, WORSE = "#dfe1e5", "#e6d9f5", "#eceef0", "#b3261e"
# The teams of a stacked chart.
SERIES = ("#6d00cd", "#0b7a75", "#d9730d", "#2f6fde", "#c2317a", "#8a8d00")
_VARIABLES = {
    ACCENT: "var(--accent)",
    OTHER: "var(--other)",
    INK: "currentColor",
    FAINT: "var(--faint)",
    LINE: "var(--line)",
    BAND: "var(--band)",
    GAP: "var(--gap)",
    WORSE: "var(--worse)",
    **{color: f"var(--series-{number})" for number, color in enumerate(SERIES, 1)},
}
_SIZE = re.compile("[0-9.]+px")
# The font is not kept, so that the page's applies.
_KEPT = ("fill", "stroke", "stroke-width", "stroke-dasharray")


def draw(height: float, paint: Callable[[Axes], None]) -> str:
    """
    Draw a chart.

    :param height: The height of the chart; its width is ``WIDTH``.
    :param paint: Draws on axes whose units are pixels, with the origin at the top left.
    :return: An ``svg`` element to embed in HTML. The same drawing always results in the same text.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    # Independent of the user's own settings.
    with matplotlib.style.context({"svg.fonttype": "none"}, after_reset=True):
        figure = Figure(figsize=(WIDTH / 72, height / 72), frameon=False)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        axes.set_axis_off()
        paint(axes)
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        out = io.StringIO()
        with warnings.catch_warnings():
            # Browsers have fonts with the characters that matplotlib's font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _embeddable(out.getvalue())


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
            element.set("style", "; ".join(_declarations(style)))
    # The figure's caption describes the chart, and the page has its figures as text.
    svg.set("aria-hidden", "true")
    return ElementTree.tostring(svg, encoding="unicode")


def _declarations(style: str) -> list[str]:
    kept = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in _KEPT:
            kept.append(f"{name}: {_VARIABLES.get(value, value)}")
        elif name in ("font", "font-size") and (size := _SIZE.search(value)):
            kept.append(f"font-size: {size[0]}")
        elif name == "text-anchor" and value != "start":
            kept.append(f"text-anchor: {value}")
    # Versions of matplotlib differ in the order.
    return sorted(kept)

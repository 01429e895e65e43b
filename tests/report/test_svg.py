"""Test that drawings become SVG with the page's fonts and colors."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes

from airflow_provider_make.report import svg


def test_units_are_pixels_from_the_top_left() -> None:
    def paint(axes: Axes) -> None:
        axes.fill([1, 1, 9], [2, 8, 8], linewidth=0)

    drawing = ElementTree.fromstring(svg.draw(100, paint))
    assert drawing.attrib["viewBox"] == f"0 0 {svg.WIDTH} 100"
    (path,) = drawing.iter("path")
    assert path.attrib["d"].split()[:8] == ["M", "1", "2", "L", "1", "8", "L", "9"]


@pytest.mark.parametrize("color", [svg.ACCENT, svg.OTHER, svg.INK, svg.FAINT, svg.LINE, svg.BAND, svg.GAP, *svg.SERIES])
def test_colors_are_variables_of_the_page(color: str) -> None:
    def paint(axes: Axes) -> None:
        axes.fill([1, 1, 9], [2, 8, 8], color=color, linewidth=0)
        axes.plot([1, 5], [2, 3], color=color, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.text(1, 2, "text", color=color, fontsize=11, ha="right")

    drawing = ElementTree.fromstring(svg.draw(100, paint))
    area, line = [path.attrib["style"] for path in drawing.iter("path")]
    (text,) = [text.attrib["style"] for text in drawing.iter("text")]
    assert area.startswith(("fill: var(--", "fill: currentColor"))
    assert area.replace("fill", "stroke") in line
    assert line.startswith("fill: none; stroke")
    assert "; stroke-dasharray: " in line
    assert "; stroke-width: 1.5; " in line
    assert text == f"{area}; font-size: 11px; text-anchor: end"


def test_each_color_is_a_variable_of_the_style_sheet_in_light_and_dark() -> None:
    from pathlib import Path

    style = (Path(svg.__file__).parent / "base.html").read_text()
    used = {name for name in svg._VARIABLES.values() if name != "currentColor"}
    assert {name: style.count(f"{name[4:-1]}: #") for name in used} == dict.fromkeys(used, 2)

"""Charts: bars of the right lengths, names as they are, and nothing that depends on where they are drawn."""

from __future__ import annotations

import sys
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.report.charts import WIDTH, Bar, cut, draw_bars

BARS = [Bar("Sync orders", 40, "40"), Bar("請求書を送信する 🚀", 10.0, "10"), Bar("other", 20, "20", aside=True)]


def drawn(bars: list[Bar]) -> tuple[list[str], list[float], list[str]]:
    """The texts, the bars' lengths and their colors."""
    svg = ElementTree.fromstring(draw_bars(bars))
    paths = [path.attrib for path in svg.iter("path")]
    texts = [text.text or "" for text in svg.iter("text")]
    return texts, [float(path["d"].split()[4]) for path in paths], [path["style"] for path in paths]


def test_bars_have_names_labels_lengths_and_colors() -> None:
    texts, lengths, styles = drawn(BARS)
    assert texts == ["Sync orders", "40", "請求書を送信する 🚀", "10", "other", "20"]
    assert lengths == pytest.approx([lengths[0], lengths[0] / 4, lengths[0] / 2])
    assert styles == ["fill: var(--accent)", "fill: var(--accent)", "fill: var(--other)"]
    assert lengths[0] < WIDTH - 6 - 2 * 6


@pytest.mark.parametrize("size", [0, 0.0, 5e-324, 1, 2**63 - 1, 10**40, 1e308])
def test_sizes_of_any_magnitude(size: float) -> None:
    texts, (length,), _ = drawn([Bar("one", size, "label")])
    assert texts == ["one", "label"]
    assert 1 <= length < WIDTH


def test_large_whole_numbers_are_compared_exactly() -> None:
    lengths = drawn([Bar("one", 10**400, "1"), Bar("half", 10**400 // 2, "2")])[1]
    assert lengths[1] == pytest.approx(lengths[0] / 2)


@pytest.mark.parametrize("name", ["$x^2$", "$", r"\frac{$a$}", "<script>&amp;", "</text>", "#6d00cc", "fill: #202124"])
def test_names_are_shown_as_they_are(name: str) -> None:
    assert drawn([Bar(name, 1, name)])[0] == [name, name]


def test_text_is_text_in_the_page_s_font_and_color() -> None:
    svg = draw_bars(BARS)
    assert "font-family" not in svg
    assert "DejaVu" not in svg
    assert "#" not in svg
    assert {element.tag for element in ElementTree.fromstring(svg).iter()} == {"svg", "g", "path", "text"}


def test_nothing_is_there_twice_on_a_page_with_several() -> None:
    assert " id=" not in draw_bars(BARS)


def test_own_settings_and_time_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    once = draw_bars(BARS)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    mine: Any = {"svg.fonttype": "path", "font.size": 40, "figure.dpi": 300, "savefig.bbox": "tight"}
    with matplotlib.rc_context(mine):
        before = dict(matplotlib.rcParams)
        assert draw_bars(BARS) == once
        assert dict(matplotlib.rcParams) == before


def test_no_window_system_and_no_state_of_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    # An import is an error then.
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw_bars(BARS)


def test_characters_that_matplotlib_has_no_glyph_for_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_bars(BARS)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("", 10, ""),
        ("Sync orders", 25, "Sync orders"),
        ("Sync orders of every shop", 10, "Sync orders of ev…"),
        ("Sync orders", 4, "Sync…"),
        ("請求書を送信する", 6, "請求書を…"),
        ("e\u0301" * 3, 2, "e\u0301e\u0301e\u0301"),
    ],
)
def test_long_names_are_cut(text: str, width: float, shown: str) -> None:
    assert cut(text, width) == shown


@given(st.text(), st.floats(1, 30))
def test_what_is_cut_begins_as_it_did(text: str, width: float) -> None:
    shown = cut(text, width)
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))
    assert cut(shown, width) == shown


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=11))
def test_longer_bars_are_longer(sizes: list[float]) -> None:
    lengths = drawn([Bar(str(size), size, "1") for size in sizes])[1]
    order = sorted(range(len(sizes)), key=lambda at: sizes[at])
    assert [lengths[at] for at in order] == sorted(lengths)

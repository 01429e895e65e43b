"""Test that charts have the right bars and names, and are the same on every machine."""

from __future__ import annotations

import sys
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.report.charts import Bar, draw_bars, truncate
from airflow_provider_make.report.svg import WIDTH

BARS = [Bar("Sync orders", 40, "40"), Bar("請求書を送信する 🚀", 10.0, "10"), Bar("other", 20, "20", muted=True)]


def drawn(bars: list[Bar]) -> tuple[list[str], list[float], list[str]]:
    """Return the texts, the bars' lengths and their colors."""
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
def test_bars_accept_sizes_of_any_magnitude(size: float) -> None:
    texts, (length,), _ = drawn([Bar("one", size, "label")])
    assert texts == ["one", "label"]
    assert 1 <= length < WIDTH


def test_large_whole_numbers_are_compared_exactly() -> None:
    lengths = drawn([Bar("one", 10**400, "1"), Bar("half", 10**400 // 2, "2")])[1]
    assert lengths[1] == pytest.approx(lengths[0] / 2)


@pytest.mark.parametrize("name", ["$x^2$", "$", r"\frac{$a$}", "<script>&amp;", "</text>", "#6d00cc", "fill: #202124"])
def test_names_are_shown_as_they_are(name: str) -> None:
    assert drawn([Bar(name, 1, name)])[0] == [name, name]


def test_text_has_the_font_and_color_of_the_page() -> None:
    svg = draw_bars(BARS)
    assert "font-family" not in svg
    assert "DejaVu" not in svg
    assert "#" not in svg
    assert {element.tag for element in ElementTree.fromstring(svg).iter()} == {"svg", "g", "path", "text"}


def test_charts_have_no_ids() -> None:
    assert " id=" not in draw_bars(BARS)


def test_charts_are_independent_of_user_settings_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    once = draw_bars(BARS)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    user_settings: Any = {"svg.fonttype": "path", "font.size": 40, "figure.dpi": 300, "savefig.bbox": "tight"}
    with matplotlib.rc_context(user_settings):
        before = dict(matplotlib.rcParams)
        assert draw_bars(BARS) == once
        assert dict(matplotlib.rcParams) == before


def test_charts_do_not_use_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    # With None, its import raises an ImportError.
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw_bars(BARS)


def test_missing_glyphs_cause_no_warning() -> None:
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
def test_long_names_are_truncated(text: str, width: float, shown: str) -> None:
    assert truncate(text, width) == shown


@given(st.text(), st.floats(1, 30))
def test_truncated_text_keeps_its_beginning(text: str, width: float) -> None:
    shown = truncate(text, width)
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))
    assert truncate(shown, width) == shown


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=11))
def test_bar_lengths_have_the_order_of_the_sizes(sizes: list[float]) -> None:
    lengths = drawn([Bar(str(size), size, "1") for size in sizes])[1]
    order = sorted(range(len(sizes)), key=lambda at: sizes[at])
    assert [lengths[at] for at in order] == sorted(lengths)

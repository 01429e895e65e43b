"""Draw the results as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from benchmarks.contenders import CONTENDERS, FLOOR, OURS
from benchmarks.ratios import Figure, cpu, growth, peak, ratio, typical, wall
from benchmarks.results import CaseResult, Results, Run, Setting
from benchmarks.rows import FORMAT_NAMES
from benchmarks.table import mebibytes, outcome, seconds, times

_OURS, _OTHERS, _FLOOR = "#6d00cc", "#9aa0a6", "#d7d9dc"
_INK, _FAINT = "#202124", "#5f6368"
_EXACT, _LOUD, _SILENT = "#d9f0dd", "#fdebc8", "#f8cfcb"
# Hides the dashed line behind the text.
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
# With line breaks, so that they fit.
_NAMES = {
    "make_operator": "MakeAnalyticsOperator",
    "http_operator": "HttpOperator +\npagination_function",
    "dlt_rest_api": "dlt rest_api",
    "floor": "floor: a bare script\n(no guarantees)",
}
_FOOTNOTE = (
    "Floor: a script, optimised by hand, that checks nothing. It shows what the machine can do. "
    "Peak memory includes Airflow, which dlt and the floor don't load."
)


def draw(results: Results, file: Path) -> None:
    """
    Draw the settings with the most scenarios as bars, and below them the outcome of each case.

    :param results: The results.
    :param file: The PNG to write.
    """
    most = max(setting.scenarios for setting in results.settings)
    settings = sorted((s for s in results.settings if s.scenarios == most), key=lambda s: -s.latency_ms)
    slowest, fastest = settings[0], settings[-1]
    panels: list[tuple[str, Setting, Figure, Callable[[float], str]]] = [
        (f"Wall time, {slowest.latency_ms} ms latency", slowest, wall, seconds),
        (f"CPU time, {fastest.latency_ms} ms latency", fastest, cpu, seconds),
        ("Memory that the job adds", fastest, growth, mebibytes),
        ("Peak memory", fastest, peak, mebibytes),
    ]
    pyplot.rcParams.update({"font.size": 9, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK})
    picture = pyplot.figure(figsize=(10, 6.8), dpi=160)
    upper, lower = picture.subfigures(2, 1, squeeze=False, height_ratios=[2.6, 3.6])[:, 0]
    upper.suptitle(
        f"Pulling {most:,} scenarios into {FORMAT_NAMES[results.output_format]}: "
        "time and memory, with multiples of MakeAnalyticsOperator's",
        x=0.015,
        y=0.97,
        ha="left",
        fontsize=12,
        fontweight="bold",
    )
    for number, (axes, panel) in enumerate(zip(upper.subplots(1, len(panels), sharey=True), panels, strict=True)):
        _bars(axes, *panel, named=number == 0)
    upper.subplots_adjust(left=0.17, right=0.985, top=0.79, bottom=0.15, wspace=0.12)
    upper.text(0.015, 0.07, _FOOTNOTE, fontsize=8.5, color=_FAINT)
    lower.suptitle(
        "Results when the server misbehaves: scenarios in the file, of all scenarios",
        x=0.015,
        y=0.985,
        ha="left",
        fontsize=12,
        fontweight="bold",
    )
    axes = lower.subplots()
    lower.subplots_adjust(left=0.015, right=0.985, top=0.89, bottom=0.02)
    _grid(axes, list(results.cases))
    picture.savefig(file)
    pyplot.close(picture)


def _bars(axes: Axes, title: str, setting: Setting, figure: Figure, unit: Callable[[float], str], named: bool) -> None:
    found = {name: ratio(setting, figure, name, OURS) for name in CONTENDERS}
    longest = max((timing.median for timing in found.values() if timing is not None), default=1.0)
    for position, (name, one) in enumerate(found.items()):
        value = typical(setting, figure, name)
        if one is None or value is None:
            axes.text(0, position, " unknown", va="center", color=_FAINT)
            continue
        color = {OURS: _OURS, FLOOR: _FLOOR}.get(name, _OTHERS)
        axes.barh(position, one.median, height=0.62, color=color)
        text = unit(value) if name == OURS else f"{unit(value)}, {times(one.median)}"
        weight = "bold" if name == OURS else "normal"
        axes.text(
            one.median + longest * 0.025, position, text, va="center", fontsize=8.5, fontweight=weight, bbox=_BEHIND
        )
    axes.axvline(1, color=_OURS, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0.5)
    axes.set_title(title, loc="left", fontsize=9.5, color=_FAINT)
    axes.set_xlim(0, longest * 1.85)
    axes.set_ylim(len(found) - 0.45, -0.55)
    axes.set_xticks([])
    axes.set_yticks(range(len(found)), [_NAMES[name] for name in found])
    axes.tick_params(axis="y", length=0, labelleft=named)
    axes.spines[:].set_visible(False)
    axes.spines["left"].set(visible=True, color=_FLOOR)


def _grid(axes: Axes, cases: list[CaseResult]) -> None:
    # In percent of the width: a column for the case, then a column for each contender.
    first, width = 29.0, 71.0 / len(CONTENDERS)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(cases) + 0.85, -1.0)
    axes.axis("off")
    for column, name in enumerate(CONTENDERS):
        weight = "bold" if name == OURS else "normal"
        axes.text(first + (column + 0.5) * width, -0.5, _NAMES[name], ha="center", va="center", fontweight=weight)
    for row, case in enumerate(cases):
        axes.text(0, row + 0.5, case.text, va="center")
        runs = {run.contender: run for run in case.runs}
        for column, name in enumerate(CONTENDERS):
            left = first + column * width
            axes.add_patch(
                Rectangle((left + 0.2, row + 0.06), width - 0.4, 0.88, color=_color(runs[name]), linewidth=0)
            )
            axes.text(left + width / 2, row + 0.5, outcome(runs[name]), ha="center", va="center", fontsize=8.5)
    legend = ((_EXACT, "every scenario once"), (_LOUD, "fails with an error"), (_SILENT, "wrong, without an error"))
    for number, (color, text) in enumerate(legend):
        left = first + 0.2 + number * 23
        axes.add_patch(Rectangle((left, len(cases) + 0.28), 1.6, 0.42, color=color, linewidth=0))
        axes.text(left + 2.2, len(cases) + 0.5, text, va="center", fontsize=8.5, color=_FAINT)


def _color(run: Run) -> str:
    if run.error is not None:
        return _LOUD
    return _EXACT if run.exact else _SILENT

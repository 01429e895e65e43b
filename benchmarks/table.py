"""Write the results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from benchmarks.contenders import CONTENDERS, OURS
from benchmarks.ratios import Figure, Ratio, cpu, goals, growth, peak, ratio, typical, wall
from benchmarks.results import CaseResult, Results, Run, Setting
from benchmarks.rows import FORMAT_NAMES

NOTES = """\
In each round, all contenders run one after the other against the same server, and each figure is divided by that of
`MakeAnalyticsOperator` in the same round. The tables show the median of these ratios over all rounds, and the range in
parentheses. A ratio below 1 is better than `MakeAnalyticsOperator`. The small print is the median of the figure itself.

- All contenders pull yesterday's analytics of one organization, {page_size:,} scenarios per page, and write all rows
  into one local {written} file with the same columns. The server is the provider's sandbox, in a separate process on
  the same machine; it counts the requests and the connections.
- Each run has a new process. Imports and a rehearsal with ten scenarios are done before the clock starts, so only the
  peak memory includes the start of Airflow. *Memory of the job* is the peak minus the memory just before the job.
- `HttpOperator` has a pagination function that continues after the entries received so far, a response filter that
  writes the file, and no `retry_args`. dlt has an offset paginator with a total, and otherwise its defaults; its
  look-ups in Airflow, which would slow it down, are disabled, and Airflow is not loaded in its process.
- The floor uses aiohttp with {max_concurrency} concurrent requests and msgspec. Airflow is not loaded in its process
  either."""
PARQUET_NOTES = """\
- The Parquet files also have the same types, with decimals of 38 digits for centicredits, and timestamps with a zone.
  `HttpOperator` creates its file with `pyarrow.Table.from_pylist`. dlt has hints for the two types that it can't infer;
  it writes with its own settings (snappy, a dictionary for every column), and adds its two id columns. The floor
  converts typed structs to arrays, and writes them in a separate thread. All except dlt use zstd, row groups of about
  65,536 rows, and dictionaries where values repeat."""


def to_markdown(results: Results) -> str:
    """
    Write the results as Markdown.

    :param results: The results.
    :return: The page.
    """
    written = FORMAT_NAMES[results.output_format]
    parts = [
        f"# MakeAnalyticsOperator compared with other tools, writing {written}",
        "Written by `make bench`; the raw numbers are in [results.json](results.json).",
        "The *floor* is not a product, but a script that is optimised by hand and checks nothing: it shows what the\n"
        "machine can do.",
        "![The results as a picture](results.png)",
        f"## Goals, writing {written}",
        _table(
            ["goal", "result", "met"],
            [[goal.text, goal.found, "yes" if goal.met else "**no**"] for goal in goals(results)],
        ),
        f"## Time, memory, requests, writing {written}",
    ]
    parts += [_setting(setting) for setting in results.settings]
    parts += ["## Results when the server misbehaves", _cases(results.cases), "## How it was measured"]
    notes = NOTES.format(page_size=results.page_size, max_concurrency=results.max_concurrency, written=written)
    if results.output_format == "parquet":
        notes += "\n" + PARQUET_NOTES
    facts = ", ".join(f"{name} {value}" for name, value in results.facts.items())
    return "\n\n".join([*parts, f"{notes}\n- {facts}."]) + "\n"


def _setting(setting: Setting) -> str:
    head = f"**{setting.scenarios:,} scenarios, {setting.latency_ms} ms latency**"
    columns = ["", "wall time", "CPU time", "peak memory", "memory of the job", "requests", "connections", "rows"]
    rows = []
    for contender, name in CONTENDERS.items():
        runs = setting.runs(contender)
        rows.append(
            [
                f"**{name}**" if contender == OURS else name,
                _cell(setting, wall, contender, seconds),
                _cell(setting, cpu, contender, seconds),
                _cell(setting, peak, contender, mebibytes),
                _cell(setting, growth, contender, mebibytes),
                f"{median(run.requests for run in runs) / setting.least_requests:.3g}× the minimum",
                f"{median(run.connections for run in runs):g}",
                "; ".join(sorted({_outcome_in_full(run) for run in runs})),
            ]
        )
    return head + "\n\n" + _table(columns, rows)


def _cases(cases: Sequence[CaseResult]) -> str:
    columns = ["", *CONTENDERS.values()]
    rows = []
    for case in cases:
        by_contender = {run.contender: run for run in case.runs}
        rows.append([case.text, *(_outcome_in_full(by_contender[contender]) for contender in CONTENDERS)])
    caption = "Scenarios in the file, of all scenarios. A result that is wrong and not marked *fails* raised no error."
    return caption + "\n\n" + _table(columns, rows)


def outcome(run: Run) -> str:
    """
    Describe the result of a run in a few words.

    :param run: The run.
    :return: ``all 10,000``, ``9,995 of 10,000`` or ``fails``.
    """
    if run.error is not None:
        return "fails"
    return f"all {run.there:,}" if run.obtained == run.there else f"{run.obtained:,} of {run.there:,}"


def _outcome_in_full(run: Run) -> str:
    # With the numbers of surplus rows.
    surplus = [f"{count:,} {what}" for count, what in ((run.twice, "twice"), (run.gone, "deleted ones")) if count]
    return ", ".join([outcome(run), *surplus])


def _cell(setting: Setting, figure: Figure, contender: str, unit: Callable[[float], str]) -> str:
    value = typical(setting, figure, contender)
    found = ratio(setting, figure, contender, OURS)
    if value is None or found is None:
        return "unknown"
    text = "1" if contender == OURS else times(found.median) + _range(found)
    return f"{text}<br><sub>{unit(value)}</sub>"


def times(value: float) -> str:
    """
    Format a ratio.

    :param value: The ratio.
    :return: Text such as ``12×``, ``3.4×`` or ``0.85×``.
    """
    digits = 0 if value >= 9.95 else 1 if value >= 1.95 else 2
    return f"{value:.{digits}f}×"


def _range(found: Ratio) -> str:
    lowest, highest = times(found.lowest)[:-1], times(found.highest)[:-1]
    return f" ({lowest} to {highest})" if lowest != highest else ""


def seconds(value: float) -> str:
    """
    Format seconds.

    :param value: The seconds.
    :return: Text such as ``0.28 s``.
    """
    return f"{value:.2f} s"


def mebibytes(value: float) -> str:
    """
    Format an amount of memory.

    :param value: The bytes.
    :return: Text such as ``217 MiB``.
    """
    return f"{value / 2**20:.0f} MiB"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

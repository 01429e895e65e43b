"""The command of ``make bench``: run all benchmarks, and write the tables, the picture and the raw numbers."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASE_SIZE, LATENCIES_MS, SIZES
from benchmarks.job import MAX_CONCURRENCY, PAGE_SIZE
from benchmarks.plot import draw
from benchmarks.ratios import goals
from benchmarks.results import Results
from benchmarks.rows import FORMAT_NAMES, FORMATS
from benchmarks.runs import time_setting, try_cases
from benchmarks.table import to_markdown

HERE = Path(__file__).resolve().parent
PACKAGES = ("apache-airflow", "apache-airflow-providers-http", "dlt", "aiohttp", "pydantic", "msgspec", "pyarrow")


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the command.

    :param arguments: The command-line arguments; None (default) for those of the process.
    """
    options = _parser().parse_args(arguments)
    raw: Path = options.results / "results.json"
    if not options.redraw:
        options.results.mkdir(parents=True, exist_ok=True)
        _measure(options).save(raw)
    results = Results.load(raw)
    (options.results / "results.md").write_text(to_markdown(results), encoding="utf-8")
    draw(results, options.results / "results.png")
    _tell(f"Goals for {FORMAT_NAMES[results.output_format]}:")
    for goal in goals(results):
        _tell(f"  {'met' if goal.met else 'NOT MET'}: {goal.text}: {goal.found}")
    _tell(f"Written: results.md, results.png and results.json in {os.path.relpath(options.results)}")


def _measure(options: argparse.Namespace) -> Results:
    begun = time.monotonic()
    cases = try_cases(min(CASE_SIZE, *options.scenarios), options.format, _tell)
    settings = [
        time_setting(scenarios, latency_ms, options.runs, options.format, _tell)
        for scenarios in options.scenarios
        for latency_ms in LATENCIES_MS
    ]
    _tell(f"Measured in {(time.monotonic() - begun) / 60:.1f} minutes.")
    facts = {
        "Cores:": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        platform.python_implementation(): platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "rounds:": str(options.runs),
    }
    return Results(facts, options.format, PAGE_SIZE, MAX_CONCURRENCY, settings, cases)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare the provider with other tools.")
    parser.add_argument(
        "--runs", type=_number, default=4, help="number of timed runs of each contender (default: %(default)s)"
    )
    parser.add_argument(
        "--scenarios",
        type=_number,
        nargs="+",
        default=SIZES,
        help="numbers of scenarios of the organization (default: 10000 and 100000)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="parquet", help="file format to write (default: %(default)s)"
    )
    parser.add_argument(
        "--results", type=Path, default=HERE, help="folder to write the results to (default: the folder of this module)"
    )
    parser.add_argument(
        "--redraw", action="store_true", help="only write tables and picture again, from an existing results.json"
    )
    return parser


if __name__ == "__main__":
    main()

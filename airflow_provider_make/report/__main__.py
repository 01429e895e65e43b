"""The command ``python -m airflow_provider_make.report``: write a report of Parquet files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_make.command import print_error, run
from airflow_provider_make.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 1 if no report was written."""
    options = vars(_parser().parse_args(arguments))
    source = options.pop("source")
    try:
        target = write_report(source[0] if len(source) == 1 else source, options.pop("output"), **options)
    except (AirflowException, OSError) as error:
        print_error(error)
        return 1
    print(target)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_make.report",
        description="Write a report, one HTML page, of Parquet files that MakeAnalyticsOperator wrote. "
        "Several files show the course of the figures.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="+", help="path or URL of a file, a folder or a glob")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.html",
        help="path or URL of the report (default: the name of the file or folder with .html)",
    )
    parser.add_argument("--title", metavar="TEXT", help="heading of the page (default: the organization)")
    parser.add_argument(
        "--min-executions",
        default=20,
        metavar="NUMBER",
        help="error rates of scenarios with fewer executions are ignored (default: %(default)s)",
    )
    parser.add_argument(
        "--monthly-credits", metavar="NUMBER", help="credits that the organization has for a calendar month"
    )
    parser.add_argument(
        "--storage-conn-id",
        metavar="ID",
        help="Airflow connection of the storage (default: the default connection of that storage)",
    )
    return parser


if __name__ == "__main__":
    run(main)

"""The command ``python -m airflow_provider_make.report``: write a report of a Parquet file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :param arguments: The command-line arguments; None (default) for those of the process.
    :return: The exit code: 0, or 1 if no report was written.
    """
    options = _parser().parse_args(arguments)
    try:
        target = write_report(
            options.source,
            options.output,
            min_executions=options.min_executions,
            storage_conn_id=options.storage_conn_id,
        )
    except (MakeInputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(target)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_make.report",
        description="Write a report, one HTML page, of a Parquet file that MakeAnalyticsOperator wrote.",
    )
    parser.add_argument("source", metavar="FILE.parquet", help="path or URL of the file")
    parser.add_argument(
        "-o", "--output", metavar="FILE.html", help="path or URL of the report (default: the file's name with .html)"
    )
    parser.add_argument(
        "--min-executions",
        default=20,
        metavar="NUMBER",
        help="scenarios with fewer executions are not among the worst by error rate (default: %(default)s)",
    )
    parser.add_argument(
        "--storage-conn-id",
        metavar="ID",
        help="Airflow connection of the storage (default: the default connection of that storage)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The command ``python -m airflow_provider_make.examples``: copy the example Dags into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_make.command import print_error, run
from airflow_provider_make.examples import Copied, copy_examples


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 if a file was kept or could not be written."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.directory:
        # An unset variable of a shell. As a path, it would be the current folder.
        parser.error("DIRECTORY must not be empty")
    copied: list[Copied] = []
    problem = None
    try:
        copied.extend(copy_examples(options.directory, overwrite=options.overwrite))
    except (OSError, ValueError) as error:
        problem = str(error)
    # Printed at the end: a reader that has gone must not end the copying.
    for path, outcome, missing in copied:
        print(f"{outcome} {path}" + f": it needs {' and '.join(missing)}" * bool(missing))
    kept = sum(outcome == "kept" for _, outcome, _ in copied)
    if kept:
        print_error(f"Files kept because they differ: {kept}. To replace them, add --overwrite.")
    if problem:
        print_error(problem)
    return 1 if kept or problem else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_make.examples",
        description="Copy the example Dags into a folder. Each file begins with what it is for and what it needs. "
        "Those that need what is not installed are skipped.",
    )
    parser.add_argument(
        "directory", metavar="DIRECTORY", help="the folder, such as Airflow's; created if it is missing"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that differ from the examples")
    return parser


if __name__ == "__main__":
    run(main)

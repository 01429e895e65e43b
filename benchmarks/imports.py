"""What a task's imports cost: ``python -m benchmarks.imports`` compares this provider's operator with ``HttpOperator``.

Each round starts a process for each of them, which has imported Airflow's ``BaseOperator`` when its clock starts. It
measures the CPU time to set up the operator, as when a Dag file is parsed, and by how much the first of two equal pulls
takes longer than the second.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import CONTENDERS, HTTP_OPERATOR, OURS
from benchmarks.job import Job, yesterday


def main() -> None:
    """Run the command: print the medians in seconds, and the ratio of their sums."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description="Compare the cost of imports.")
    parser.add_argument("--rounds", type=int, default=7, help="processes for each operator (default: %(default)s)")
    parser.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl", help="parquet needs pyarrow, too")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write(json.dumps(_measure(*options.measure)))
        return
    costs = {name: _medians(rounds) for name, rounds in _compare(options.rounds, options.format).items()}
    for name, (parse, run) in costs.items():
        sys.stdout.write(f"{CONTENDERS[name]}: parse {parse:.3f} s, run {run:.3f} s, sum {parse + run:.3f} s\n")
    sys.stdout.write(f"Ratio of the sums: {sum(costs[OURS]) / sum(costs[HTTP_OPERATOR]):.2f}\n")


def _compare(rounds: int, output_format: str) -> dict[str, list[tuple[float, float]]]:
    # Not at the top: the measured processes import this module, and the sandbox imports aiohttp.
    from benchmarks.process import environment
    from benchmarks.server import REHEARSAL_ORGANIZATION, Server

    costs: dict[str, list[tuple[float, float]]] = {OURS: [], HTTP_OPERATOR: []}
    with Server(scenarios=1) as server, tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        output = Path(folder, f"rows.{output_format}")
        # As where packages are installed: compiled once.
        compiled = {"PYTHONPYCACHEPREFIX": str(Path(folder, "compiled")), "PYTHONDONTWRITEBYTECODE": ""}
        job = Job(server.base_url, server.token, REHEARSAL_ORGANIZATION, *yesterday(), output, output_format)
        for _ in range(1 + rounds):
            for name, found in costs.items():
                arguments = ["--measure", name, json.dumps(asdict(job), default=str)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.imports", *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment(Path(folder)) | compiled,
                    check=True,
                )
                found.append(tuple(json.loads(done.stdout)))
    # The first round compiled.
    return {name: found[1:] for name, found in costs.items()}


def _medians(rounds: list[tuple[float, float]]) -> list[float]:
    return [statistics.median(costs) for costs in zip(*rounds, strict=True)]


def _measure(contender: str, job: str) -> tuple[float, float]:
    # Airflow prints to stdout; redirect that to stderr.
    stdout = os.dup(1)
    os.dup2(2, 1)
    _ = importlib.import_module("airflow.providers.common.compat.sdk").BaseOperator
    fields = json.loads(job)
    began = time.process_time()
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    pull = module.prepare(Job(**{**fields, "output": Path(fields["output"])}))
    parsed = time.process_time()
    pull()
    pulled = time.process_time()
    pull()
    again = time.process_time()
    os.dup2(stdout, 1)
    return parsed - began, (pulled - parsed) - (again - pulled)


if __name__ == "__main__":
    main()

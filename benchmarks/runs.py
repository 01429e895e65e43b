"""Run the contenders: start a server, and new processes that pull from it one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.contenders import CONTENDERS, FLOOR, OURS
from benchmarks.job import PAGE_SIZE
from benchmarks.process import Process
from benchmarks.results import CaseResult, Run, Setting
from benchmarks.rows import read_ids
from benchmarks.server import Server

Tell = Callable[[str], object]


def time_setting(scenarios: int, latency_ms: int, rounds: int, output_format: str, tell: Tell) -> Setting:
    """
    Time all contenders against one server, interleaved.

    :param scenarios: Number of scenarios.
    :param latency_ms: Milliseconds before each response.
    :param rounds: Number of runs of each contender.
    :param output_format: The file format to write.
    :param tell: Called with a line of text after each round.
    :return: The runs.
    """
    found: list[list[Run]] = []
    with Server(scenarios=scenarios, latency=latency_ms / 1000) as server:
        # Fill the server's page cache: for the order that we request, and for the default order, which all others
        # request.
        run_round((OURS, FLOOR), server, output_format)
        for number in range(rounds):
            # Rotate the order, so that the machine's caches and clock speed favour no contender.
            names = list(CONTENDERS)
            turn = number % len(names)
            by_name = {run.contender: run for run in run_round(names[turn:] + names[:turn], server, output_format)}
            runs = [by_name[name] for name in names]
            walls = ", ".join(f"{run.contender} {run.wall_s:.2f}" + " failed" * bool(run.error) for run in runs)
            tell(f"{scenarios} scenarios at {latency_ms} ms, round {number + 1} of {rounds}: {walls}")
            found.append(runs)
    return Setting(scenarios, latency_ms, least_requests=-(-scenarios // PAGE_SIZE), rounds=found)


def try_cases(scenarios: int, output_format: str, tell: Tell) -> list[CaseResult]:
    """
    Run every contender against the servers that misbehave.

    :param scenarios: Number of scenarios.
    :param output_format: The file format to write.
    :param tell: Called with a line of text after each case.
    :return: A result for each case.
    """

    def try_case(case: Case, contender: str) -> Run:
        # A separate server: the run may change its scenarios, and leave unused faults.
        with Server(scenarios=scenarios, **case.options) as server:
            return run_round([contender], server, output_format, case.script)[0]

    # These runs are not timed, so they can run in parallel, one per core.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [[pool.submit(try_case, case, contender) for contender in CONTENDERS] for case in CASES]
        results = []
        for case, runs in zip(CASES, futures, strict=True):
            results.append(CaseResult(case.name, case.text, [run.result() for run in runs]))
            outcomes = ", ".join(f"{run.contender} {run.error or run.obtained}"[:60] for run in results[-1].runs)
            tell(f"case {case.name}: {outcomes}")
    return results


def run_round(
    contenders: Iterable[str], server: Server, output_format: str, script: dict[str, Any] | None = None
) -> list[Run]:
    """
    Run contenders one after the other, each in a new process.

    The processes start together, and then wait for their turn: imports take longer than most of the jobs.

    :param contenders: The contenders.
    :param server: The server.
    :param output_format: The file format to write.
    :param script: Events at the server during each run, for :meth:`benchmarks.server.Server.begin`.
    :return: A run for each contender, in their order.
    """
    with ExitStack() as processes:
        waiting = [processes.enter_context(Process(contender, server, output_format)) for contender in contenders]
        for process in waiting:
            process.wait_until_ready()
        return [_run(process, server, output_format, script or {}) for process in waiting]


def _run(process: Process, server: Server, output_format: str, script: dict[str, Any]) -> Run:
    before = server.begin(script)
    measured = process.run()
    counted = server.end()
    ids = read_ids(map(Path, measured.pop("files")), output_format)
    there = set(counted["ids"])
    # A contender can't know of changes after its last request, so a file with the scenarios from before is correct.
    there = set(before) if set(ids) == set(before) else there
    return Run(
        process.contender,
        **measured,
        requests=counted["requests"],
        connections=counted["connections"],
        rows=len(ids),
        there=len(there),
        missing=len(there.difference(ids)),
        twice=len(ids) - len(set(ids)),
        gone=len(set(ids) - there),
    )

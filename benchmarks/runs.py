"""Directing the runs: a server, fresh processes against it one after the other, and what came of each."""

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

    :param scenarios: How many there are.
    :param latency_ms: Milliseconds before each answer.
    :param rounds: Runs of each contender.
    :param output_format: What they write.
    :param tell: Told about each round.
    :return: The runs.
    """
    found: list[list[Run]] = []
    with Server(scenarios=scenarios, latency=latency_ms / 1000) as server:
        # The server makes each page once and then remembers it: in the order that we ask for, and in the
        # default order, which all others ask for.
        run_round((OURS, FLOOR), server, output_format)
        for number in range(rounds):
            # Each comes first once in a while: a machine's caches and clock favour neither.
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
    Let every contender pull from the unpleasant servers.

    :param scenarios: How many there are.
    :param output_format: What they write.
    :param tell: Told about each case.
    :return: A result for each case.
    """

    def try_case(case: Case, contender: str) -> Run:
        # A server of its own: scenarios come and go in it, and unused faults may be left over.
        with Server(scenarios=scenarios, **case.options) as server:
            return run_round([contender], server, output_format, case.script)[0]

    # Nothing is timed here, so as many at a time as there are cores.
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
    Run contenders one after the other, each in a fresh process.

    The processes start together, and wait for their turn when they are ready: imports take longer than most
    of the jobs.

    :param contenders: Who.
    :param server: The server.
    :param output_format: What they write.
    :param script: What happens at the server during each run.
    :return: What came of it, in their order.
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
    # What came or went when a contender had read everything is nothing it could know of.
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

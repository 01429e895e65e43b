"""A worker's process, which runs the operator."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
# Processes are forked from one that has imported what takes them seconds.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "airflow_provider_make.operators.analytics",
        "airflow_provider_make.hooks.make",
        "airflow_provider_make.pull",
        "airflow.providers.amazon.aws.hooks.s3",
        "s3fs",
        __name__,
    ]
)


def fork(environment: Mapping[str, str], **options: Any) -> tuple[BaseProcess, Connection]:
    """
    Start a worker.

    :param environment: Its connections, and where its temporary files go, on top of the variables here.
    :param options: The operator's arguments; ``raise_at_sigterm``, as Airflow 2 does; ``stop_at``, an audit event and
        the begin of a path in it, to tell of and then wait at; ``part_size``, the bytes of a part in uploads to S3.
    :return: The process, and what it tells: the summary, unless it stopped before.
    """
    here, there = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_work, args=(there, {**os.environ, **environment}, options))
    process.start()
    there.close()
    return process, here


def measure(**arguments: Any) -> dict[str, Any]:
    """
    Run the operator in a process that is new altogether.

    :param arguments: The operator's.
    :return: The summary, and ``peak_memory``: the most bytes of memory it ever had.
    """
    command = [sys.executable, "-m", "tests.storage.worker", json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=110)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _peak_memory() -> int:
    # Not ru_maxrss, which begins at the parent's.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def _work(telling: Connection, environment: Mapping[str, str], options: dict[str, Any]) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None  # to be read from the environment
    if options.pop("raise_at_sigterm", False):
        signal.signal(signal.SIGTERM, _raise)
    if part_size := options.pop("part_size", None):
        import s3fs.core

        s3fs.core.calculate_chunksize = lambda *_, **__: part_size
    if stop_at := options.pop("stop_at", None):
        event, path = stop_at

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            if name == event and any(str(argument).startswith(path) for argument in arguments):
                telling.send({"at": event})
                time.sleep(60)

        sys.addaudithook(hook)
    telling.send(_execute(**options))


def _raise(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _execute(**arguments: Any) -> dict[str, Any]:
    from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

    summary: dict[str, Any] = MakeAnalyticsOperator(task_id="pull", **arguments).execute({})
    return summary


if __name__ == "__main__":
    _summary = _execute(**json.loads(sys.argv[1]))
    sys.stdout.write(f"\n{json.dumps({**_summary, 'peak_memory': _peak_memory()})}\n")

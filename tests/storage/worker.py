"""Run the operator in a worker process."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from fsspec import AbstractFileSystem

from airflow_provider_make.output import atomic_write

ROOT = Path(__file__).parents[2]
# Workers are forked from a process that has already done the slow imports.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
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

    :param environment: Further environment variables: its connections, and its folder for temporary files.
    :param options: The operator's arguments; ``raise_at_sigterm``, as Airflow 2 does; ``stop_at``, an audit event,
        the start of a path in it, and its number among these events, at which to report and wait;
        ``part_size``, the bytes of a part in uploads to S3.
    :return: The process, and a connection that receives the summary, or before it the event at which it stopped.
    """
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(sender, {**os.environ, **environment}, options))
    process.start()
    sender.close()
    return process, receiver


def upload_in_parts(size: int, set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Upload in small parts, which S3 allows with the last one only, and its client never."""
    import s3fs

    real = s3fs.S3FileSystem._open

    def open_file(filesystem: Any, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> Any:
        file = real(filesystem, path, mode, **options)
        file.blocksize = block_size or file.blocksize
        return file

    set_attribute(s3fs.S3FileSystem, "_open", open_file)
    set_attribute(atomic_write, "PART_SIZE", size)


def measure(**arguments: Any) -> dict[str, Any]:
    """
    Run the operator in a new process that is not forked.

    :param arguments: The operator's arguments.
    :return: The summary, and ``peak_memory``: the most bytes of memory it ever had.
    """
    return _run(arguments)


def measure_upload(size: int, filesystem: Any, path: str) -> int:
    """Upload zeros from a new process, and return the most bytes of memory it ever had."""
    # The connection is in the JSON.
    return int(_run({"size": size, "filesystem": filesystem.to_json(), "path": path})["peak_memory"])


def _run(arguments: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.storage.worker", json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=250)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _peak_memory() -> int:
    # Not ru_maxrss, which starts at the parent's peak.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def _work(sender: Connection, environment: Mapping[str, str], options: dict[str, Any]) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None  # to be read from the environment
    if options.pop("raise_at_sigterm", False):
        signal.signal(signal.SIGTERM, _raise)
        # The stores that withhold an answer do so until the worker is gone.
        atomic_write._GRACE = 1
    if part_size := options.pop("part_size", None):
        upload_in_parts(part_size)
    if stop_at := options.pop("stop_at", None):
        event, path, count = stop_at
        numbers = itertools.count(1)

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            found = name == event and any(str(argument).startswith(path) for argument in arguments)
            if found and next(numbers) == count:
                sender.send({"at": event})
                time.sleep(60)

        sys.addaudithook(hook)
    sender.send(_execute(**options))


def _raise(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _execute(**arguments: Any) -> dict[str, Any]:
    from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

    summary: dict[str, Any] = MakeAnalyticsOperator(
        task_id="pull", **{"lookback": timedelta(days=7), **arguments}
    ).execute({})
    return summary


def _upload(size: int, filesystem: str, path: str) -> dict[str, Any]:
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        atomic_write.write_atomically(file, AbstractFileSystem.from_json(filesystem), path)
    return {}


if __name__ == "__main__":
    _arguments = json.loads(sys.argv[1])
    _summary = _upload(**_arguments) if "size" in _arguments else _execute(**_arguments)
    sys.stdout.write(f"\n{json.dumps({**_summary, 'peak_memory': _peak_memory()})}\n")

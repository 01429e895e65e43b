"""The process of one run: run a contender's job once, and print its time and memory to stdout as JSON.

``python -m benchmarks.measure CONTENDER JOB REHEARSAL``. It first pulls a tiny organization, so that late imports are
done before the clock starts. Then it prints ``ready``, and waits for a line on stdin.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.job import Job, Pull

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def main(contender: str, job: str, rehearsal: str) -> None:
    """
    Run the rehearsal, wait, run the job, and print the measurements.

    :param contender: Name of a module in ``benchmarks.contenders``.
    :param job: The job, as JSON.
    :param rehearsal: The rehearsal's job, as JSON.
    """
    report = _claim_stdout()
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    module.prepare(_read_job(rehearsal))()
    pull = module.prepare(_read_job(job))
    gc.collect()
    print("ready", file=report, flush=True)
    sys.stdin.readline()
    print(json.dumps(_run(pull)), file=report, flush=True)


def _run(pull: Pull) -> dict[str, Any]:
    files: list[Path] = []
    error: str | None = None
    before = _start_peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        files = pull()
    except Exception as failure:
        # One line: dlt's messages are long, and name folders that no longer exist afterwards.
        error = f"{type(failure).__name__}: {failure}".splitlines()[0][:200]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_bytes": _memory("VmHWM"),
        "bytes_before": before,
        "files": [str(file) for file in files],
        "error": error,
    }


def _start_peak_memory() -> int | None:
    # On Linux, a 5 resets the peak. If the file is not writable, the peak includes imports and rehearsal.
    if os.access(_CLEAR_REFS, os.W_OK):
        _CLEAR_REFS.write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int | None:
    # Not ru_maxrss: in a child process, it starts at the peak of the parent.
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    return int(found[1]) * 1024 if found else None


def _claim_stdout() -> TextIO:
    # Airflow and dlt print to stdout; redirect that to stderr.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return report


def _read_job(text: str) -> Job:
    fields = json.loads(text)
    return Job(**{**fields, "output": Path(fields["output"])})


if __name__ == "__main__":
    main(*sys.argv[1:])

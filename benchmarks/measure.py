"""The process of one run: does a contender's job once and tells what that took, as JSON on stdout.

``python -m benchmarks.measure CONTENDER JOB REHEARSAL``. It first pulls a tiny organization, so that what is
imported late is there before the clock starts. Then it says ``ready`` and waits for a line on stdin.
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
    Rehearse, wait, run and report.

    :param contender: Name of a module in ``benchmarks.contenders``.
    :param job: The job, as JSON.
    :param rehearsal: The job done before, as JSON.
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
        # One line, as dlt's are long and tell of folders that are gone afterwards.
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
    # Linux forgets the peak so far on a 5; where it may not be written, imports and rehearsal count too.
    if os.access(_CLEAR_REFS, os.W_OK):
        _CLEAR_REFS.write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int | None:
    # Not ru_maxrss: that of a child process starts at its parent's peak.
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    return int(found[1]) * 1024 if found else None


def _claim_stdout() -> TextIO:
    # Airflow and dlt write to stdout what they like; it goes to stderr.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return report


def _read_job(text: str) -> Job:
    fields = json.loads(text)
    return Job(**{**fields, "output": Path(fields["output"])})


if __name__ == "__main__":
    main(*sys.argv[1:])

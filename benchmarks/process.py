"""Start and control the process of one run (``benchmarks.measure``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.job import Job, yesterday
from benchmarks.server import ORGANIZATION, REHEARSAL_ORGANIZATION, Server

# Chosen once: after midnight, the server would have to generate other pages, which would slow down some runs.
TIME_FRAME = yesterday()


class Process:
    """
    A new process for one run of a contender. Used in ``with``; its files are deleted after the block.

    :param contender: Key in ``benchmarks.contenders.CONTENDERS``.
    :param server: The server to pull from.
    :param output_format: The file format to write.
    """

    def __init__(self, contender: str, server: Server, output_format: str) -> None:
        self.contender = contender
        self._server = server
        self._format = output_format

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        folder = Path(self._folder.name)
        self._log = folder / "log"
        output = folder / f"scenarios.{self._format}"
        server = self._server
        job = Job(server.base_url, server.token, ORGANIZATION, *TIME_FRAME, output, self._format)
        rehearsal = replace(job, organization_id=REHEARSAL_ORGANIZATION, output=output.with_stem("rehearsal"))
        arguments = [json.dumps(asdict(pulled), default=str) for pulled in (job, rehearsal)]
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.measure", self.contender, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(folder),
                text=True,
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def wait_until_ready(self) -> None:
        """
        Wait until imports and rehearsal are done.

        :raises RuntimeError: The process ended before.
        """
        self._read()

    def run(self) -> dict[str, Any]:
        """
        Run the job.

        :return: The measurements, and the ``files``.
        :raises RuntimeError: The process ended without a result.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return dict(json.loads(self._read()))

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            tail = self._log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{self.contender} ended without a result:\n{tail}")
        return line


def environment(folder: Path) -> dict[str, str]:
    """
    Isolate a run from the user's own Airflow and dlt, in both directions.

    :param folder: The folder for what both of them write.
    :return: The environment variables of the run.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DLT"))}
    return {
        **own,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "DLT_DATA_DIR": str(folder / "dlt"),
        "NO_PROXY": "*",
    }

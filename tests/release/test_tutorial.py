"""The tutorial, as pasted into a shell."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.release.commands import clean_environment

# A guide that makes its reader wait for ten minutes is wrong; on a busy machine, a step may take some.
SECONDS_OF_A_STEP = 590


@pytest.mark.timeout(2400)
def test_the_tutorial_runs_as_pasted(tree: Path, tmp_path: Path) -> None:
    steps = re.findall(r"```sh\n(.*?)```", (tree / "docs" / "tutorial.md").read_text(), re.DOTALL)
    assert len(steps) > 5
    script = "".join(f"{step}echo step ended\n" for step in steps)
    web, tasks, triggers, sandbox, mail = map(str, free_ports(5))
    # The only changes: other ports, another folder, and this Python.
    for documented, of_test in {
        "/tmp/make": f"{tmp_path}/make",
        "127.0.0.1:6253": f"127.0.0.1:{sandbox}",
        "--quiet": f"--quiet --port {sandbox}",
        "6225": mail,
        "python3 -m venv try": f"{sys.executable} -m venv {tmp_path}/try; ln -s {tmp_path}/try try",
    }.items():
        assert documented in script
        script = script.replace(documented, of_test)
    ports = {
        "AIRFLOW__API__PORT": web,
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{web}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{web}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": tasks,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": triggers,
        "NO_PROXY": "127.0.0.1",
    }
    output = run_as_pasted(script, tree, clean_environment() | ports, tmp_path / "output.txt", len(steps))
    (tree / "try").unlink()
    assert len(re.findall(r"DagRun Finished: .*state=success", output)) == 5
    assert len(re.findall(r"^\d{4}-\d\d-\d\d: [\d,]+ executions, [\d,]+ errors$", output, re.MULTILINE)) >= 4
    # The mail has the reasons.
    assert re.search(r"^Make organization 1: error rate >= 20 % in \d+ scenarios?$", output, re.MULTILINE), output
    assert re.search(r"^ +\d+ x \w+Error", output, re.MULTILINE), output
    assert (tmp_path / "make.html").read_text().endswith("</html>\n")


def run_as_pasted(script: str, folder: Path, environment: dict[str, str], output: Path, steps: int) -> str:
    """Run commands, with jobs as in an interactive shell; return what they print, which has a line for each step."""
    with output.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    assert process.stdin
    with process.stdin as stdin:
        stdin.write(f"set -m\n{script}")
    ended, since = 0, time.monotonic()
    try:
        while process.poll() is None:
            if (now := output.read_text().count("step ended\n")) != ended:
                ended, since = now, time.monotonic()
            if time.monotonic() - since > SECONDS_OF_A_STEP:
                break
            time.sleep(0.2)
        printed = output.read_text()
        assert (process.poll(), printed.count("step ended\n")) == (0, steps), printed[-10_000:]
        return printed
    finally:
        running = subprocess.run(["ps", "-eo", "pid=,sid="], capture_output=True, text=True, check=True).stdout
        for pid, session in re.findall(r"(\d+) +(\d+)", running):
            if int(session) == process.pid:
                os.kill(int(pid), signal.SIGKILL)
        process.wait()


def free_ports(number: int) -> list[int]:
    """Return ports that are free."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found

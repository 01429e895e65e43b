"""A real Airflow: its components as separate processes, in a temporary home, on free ports of loopback."""

from __future__ import annotations

import atexit
import json
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Self

import psutil
import requests

from tests.support.airflow_versions import VERSION

AIRFLOW = str(Path(sys.executable).with_name("airflow"))
PASSWORD = "e2e-password"
FERNET_KEY = "ZTJlLXRlc3RzLWUyZS10ZXN0cy1lMmUtdGVzdHMtZTI="
# Of all sandboxes. At the end, it is in no log, and nowhere in the database.
TOKEN = "a-very-secret-token-of-the-e2e-tests"
WRONG_TOKEN = "a-token-that-was-replaced-long-ago"
# Generous: a small machine starts five Pythons with Airflow at once.
START = 240.0


def free_port() -> int:
    """Return a port that was free a moment ago, below those that systems give to others meanwhile."""
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def blocked_seconds(triggerer_log: str) -> list[float]:
    """Return how long Airflow found the loop of the triggerer blocked: from 0.2 s on, which a busy machine reaches."""
    return [float(seconds) for seconds in re.findall(r"blocked for ([0-9.]+) seconds", triggerer_log)]


def wait_for(what: str, condition: Callable[[], object], seconds: float, every: float = 0.5) -> None:
    """Wait until a condition is true; the error of a timeout names it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its descendants, children first: they have their own sessions."""
    try:
        tree = psutil.Process(process.pid)
        family = [*reversed(tree.children(recursive=True)), tree]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)
    process.wait(timeout=30)


class AirflowStack:
    """
    Airflow with scheduler and triggerer, from Airflow 3.0 on also API server and Dag processor. Used in ``with``.

    :param dags: The folder of the Dags.
    :param environment: Variables for all components: the database, Airflow variables, another executor.
    :param further: The commands of further components, by name, such as Celery workers.
    :param without: The components that the test does not need.
    :param local_settings: Statements for ``airflow_local_settings``, by the component that runs them at its start.
    """

    def __init__(
        self,
        dags: Path,
        environment: Mapping[str, str],
        further: Mapping[str, list[str]] | None = None,
        without: Collection[str] = (),
        local_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="airflow-e2e-"))
        for name, statements in (local_settings or {}).items():
            (self.home / "config").mkdir(exist_ok=True)
            with (self.home / "config" / "airflow_local_settings.py").open("a") as file:
                file.write(f"import sys\nif {name!r} in sys.argv:\n{textwrap.indent(statements, '    ')}\n")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps({"admin": PASSWORD}))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "NO_PROXY": "127.0.0.1,localhost",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # Sensors in poke mode occupy a slot while they wait.
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__FERNET_KEY": FERNET_KEY,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "500",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # How late the end of a task's process may be noticed: the scheduler fails a task that is deferred or
            # rescheduled and resumes before that.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # A busy machine delays heartbeats: a scheduler without them is considered dead, and its tasks start again.
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # Each file is parsed once, at the start, and again when a test asks for that.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            # Another triggerer soon takes over from a killed one.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            **environment,
        }
        api_server = ["api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        # Before Airflow 3, the scheduler parses Dags, and tasks need no server.
        of_airflow_3 = {"api-server": api_server, "dag-processor": ["dag-processor"]} if VERSION >= (3, 0) else {}
        commands = {
            **of_airflow_3,
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
            **(further or {}),
        }
        self.commands = {name: command for name, command in commands.items() if name not in without}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        try:
            for name in self.commands:
                self.start(name)
            if "api-server" in self.commands:
                wait_for("The API server is up", self._is_up, START)
                wait_for("All components are healthy", self._is_healthy, START)
        except BaseException as error:
            logs = "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.processes)
            self.stop()
            raise RuntimeError(f"{error}\n{logs}") from error
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an ``airflow`` command to its end."""
        return subprocess.run(
            [AIRFLOW, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START,
        )

    def start(self, name: str) -> None:
        """Start a component."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [AIRFLOW, *self.commands[name]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a component and its descendants with SIGKILL."""
        kill_tree(self.processes.pop(name))

    def stop(self) -> None:
        """Stop all components, and remove the home."""
        for name in reversed(list(self.processes)):
            self.kill(name)
        shutil.rmtree(self.home, ignore_errors=True)
        atexit.unregister(self.stop)

    def log(self, name: str) -> str:
        """Return the log of a component."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    def task_logs(self) -> str:
        """Return all logs of all tasks and their triggers."""
        return "\n".join(path.read_text(errors="replace") for path in (self.home / "logs").rglob("*.log*"))

    def _is_up(self) -> bool:
        self._all_run()
        try:
            # The first request to the execution API takes seconds, for which tasks should not have to wait.
            return requests.get(f"{self.url}/execution/health", timeout=60).ok
        except requests.RequestException:
            return False

    def _is_healthy(self) -> bool:
        self._all_run()
        health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=60).json()
        return all(health[name]["status"] == "healthy" for name in health.keys() & {"metadatabase", *self.commands})

    def _all_run(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with exit code {process.returncode}")

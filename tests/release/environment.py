"""A user's environment: a virtual environment with only what is installed here, and an Airflow home."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.release.commands import clean_environment, run

UV = Path(sys.executable).with_name("uv")


class Environment:
    """
    A new environment.

    :param folder: The folder in which it is created.
    """

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "venv" / "bin"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._variables = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "NO_PROXY": "127.0.0.1",
        }
        run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")

    def install(self, *arguments: str | Path) -> None:
        """Install with uv."""
        run(UV, "pip", "install", "--quiet", "--python", self._bin / "python", *arguments)

    def check(self) -> None:
        """Raise an error if installed packages are incompatible."""
        run(UV, "pip", "check", "--python", self._bin / "python")

    def versions(self) -> dict[str, str]:
        """Return the installed versions, by package."""
        lines = run(UV, "pip", "list", "--format", "freeze", "--python", self._bin / "python").split()
        return dict(line.split("==") for line in lines)

    def run(self, command: str, *arguments: str | Path, **variables: str) -> str:
        """Run a command of the environment, in its Airflow home."""
        return run(self._bin / command, *arguments, cwd=self.home, environment=self._variables | variables)

    @contextmanager
    def sandbox(self) -> Iterator[str]:
        """Run the sandbox's command, and yield the connection that it prints."""
        command = [str(self._bin / "python"), "-m", "airflow_provider_make.sandbox", "--port", "0", "--scenarios", "30"]
        with subprocess.Popen(
            command, cwd=self.home, env=clean_environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline().startswith("Make sandbox listening on http://127.0.0.1:")
                name, _, connection = shlex.split(process.stdout.readline())[1].partition("=")
                assert name == "AIRFLOW_CONN_MAKE_DEFAULT"
                yield connection
            finally:
                process.kill()

"""Run commands, and return what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = ROOT / "constraints"


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command, and return its standard output; if it fails, the error has all of its output."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=500,
    )
    if done.returncode:
        raise CommandFailedError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class CommandFailedError(Exception):
    """A command that ended with an error, and what it printed."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the variables of the tests, git and Python."""
    excluded = ("AIRFLOW", "GIT_", "PYTEST_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(excluded)}


def tool(name: str, *arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run a tool of this environment; packages that it installs are pinned, too."""
    pins = str(PINS / "release.txt")
    return run(Path(sys.executable).with_name(name), *arguments, cwd=cwd, environment={"UV_CONSTRAINT": pins})


def copy_tree(to: Path) -> Path:
    """Copy the files that git tracks or would add: no environments, no build results."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, to / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    return to

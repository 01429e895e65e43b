"""Commands that the tests run, each to its end, and what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = ROOT / "constraints"


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; an error tells what it printed when it fails."""
    done = subprocess.run(
        command, cwd=cwd, env={**outside(), **(environment or {})}, capture_output=True, text=True, timeout=500
    )
    if done.returncode:
        raise CommandFailedError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class CommandFailedError(Exception):
    """A command that ended with an error, and what it printed."""


def outside() -> dict[str, str]:
    """This process's environment without what the tests, git and Python put into it."""
    theirs = ("AIRFLOW", "GIT_", "PYTEST_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}


def tool(name: str, *arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run a tool of this environment; packages that it installs by itself are the pinned ones, too."""
    pins = str(PINS / "release.txt")
    return run(Path(sys.executable).with_name(name), *arguments, cwd=cwd, environment={"UV_CONSTRAINT": pins})


def copy_tree(to: Path) -> Path:
    """Copy the files of the tree that git knows or would add: no environment, nothing that was built."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, to / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    return to

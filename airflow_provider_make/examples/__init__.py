"""The example Dags, which users copy into their Dag folder."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

__all__ = ["Copied", "copy_examples", "find_examples", "find_needs"]

# In a wheel. Not called example_dags: Airflow's load_examples would load that folder of every provider.
_INSTALLED = Path(__file__).with_name("dags")
# In the repository, and so in an editable installation.
_REPOSITORY = Path(__file__).parents[2] / "example_dags"


class Copied(NamedTuple):
    """What happened to an example: new, overwritten, the same already, kept, or skipped as something is missing."""

    path: Path
    outcome: Literal["created", "replaced", "unchanged", "kept", "skipped"]
    # What is not installed.
    missing: Sequence[str] = ()


def find_examples() -> list[Path]:
    """Find the example Dags of this installation, by name."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _REPOSITORY
    return sorted(folder.glob("make_*.py"))


def copy_examples(directory: str | Path, *, overwrite: bool = False) -> Iterator[Copied]:
    """
    Copy the example Dags into a folder, one at each step; files that differ are kept, or overwritten.

    A file is there as a whole, or not at all. What a symbolic link leads to stays as it is: the link is replaced.
    One that needs what is not installed is skipped: Airflow would list it as an import error.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for example in find_examples():
        path, content = folder / example.name, example.read_bytes()
        if missing := [need for need, name in find_needs(content.decode()).items() if not _is_installed(name)]:
            yield Copied(path, "skipped", missing)
            continue
        with _errors_naming(path):
            if not os.path.lexists(path):
                _write(path, content)
                copied = Copied(path, "created")
            # Not from a pipe, for example, which has no end.
            elif path.is_file() and path.read_bytes() == content:
                copied = Copied(path, "unchanged")
            elif overwrite:
                _write(path, content)
                copied = Copied(path, "replaced")
            else:
                copied = Copied(path, "kept")
        yield copied


def _write(path: Path, content: bytes) -> None:
    # Not the name of a Dag file: Airflow may read the folder meanwhile.
    part = path.with_name(f".{path.stem}-{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
        if path.is_file() and not path.is_symlink():
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Those of a full disk name none, and others the part.
        raise OSError(error.errno, error.strerror, str(path)) from error


def find_needs(code: str) -> dict[str, str]:
    """Return what a Dag file needs beside this provider, with the distribution of each: other providers, Airflow 3."""
    modules = [
        tuple((node.module or "").split(".")) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)
    ]
    providers = {module[2] for module in modules if module[:2] == ("airflow", "providers")} - {"common"}
    needs = {name: name for name in (f"apache-airflow-providers-{provider}" for provider in sorted(providers))}
    if any(module[:2] == ("airflow", "sdk") for module in modules):
        needs["Airflow 3"] = "apache-airflow-task-sdk"
    return needs


def _is_installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False

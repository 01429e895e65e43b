"""The example Dags, which users copy into their Dag folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["Copied", "copy_examples", "find_examples"]

# In a wheel. Not called example_dags: Airflow's load_examples would load that folder of every provider.
_INSTALLED = Path(__file__).with_name("dags")
# In the repository, and so in an editable installation.
_REPOSITORY = Path(__file__).parents[2] / "example_dags"


class Copied(NamedTuple):
    """What happened to an example: the file in the user's folder is new, overwritten, the same already, or kept."""

    path: Path
    outcome: Literal["created", "replaced", "unchanged", "kept"]


def find_examples() -> list[Path]:
    """Find the example Dags of this installation, by name."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _REPOSITORY
    return sorted(folder.glob("make_*.py"))


def copy_examples(directory: str | Path, *, overwrite: bool = False) -> Iterator[Copied]:
    """Copy the example Dags into a folder, one at each step; files that differ are kept, or overwritten."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for example in find_examples():
        path, content = folder / example.name, example.read_bytes()
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            if path.read_bytes() == content:
                yield Copied(path, "unchanged")
            elif overwrite:
                path.write_bytes(content)
                yield Copied(path, "replaced")
            else:
                yield Copied(path, "kept")
        else:
            yield Copied(path, "created")

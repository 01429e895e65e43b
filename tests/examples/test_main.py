"""The command that copies the example Dags, run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_make.examples import Copied, copy_examples, find_examples
from airflow_provider_make.examples.__main__ import main
from tests.support.documents import ROOT

EXAMPLES = {path.name: path.read_text() for path in (ROOT / "example_dags").glob("make_*.py")}


def run(*arguments: str | Path) -> tuple[int, list[str], str]:
    """Return the exit code, the lines of the output, and the errors."""
    command = [sys.executable, "-m", "airflow_provider_make.examples", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_every_example_is_copied_into_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dags"
    assert run(folder) == (0, [f"created {folder / name}" for name in sorted(EXAMPLES)], "")
    assert contents(folder) == EXAMPLES
    # A second run, such as that of an image's build, is no error.
    assert run(folder) == (0, [f"unchanged {folder / name}" for name in sorted(EXAMPLES)], "")


def test_a_changed_file_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    changed, *others = sorted(EXAMPLES)
    mine = {changed: "# mine", "my_dag.py": "# mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    created = [f"created {tmp_path / name}" for name in others]
    error = "Files kept because they differ: 1. To replace them, add --overwrite.\n"
    assert run(tmp_path) == (1, [f"kept {tmp_path / changed}", *created], error)
    assert contents(tmp_path) == EXAMPLES | mine
    unchanged = [f"unchanged {tmp_path / name}" for name in others]
    assert run("--overwrite", tmp_path) == (0, [f"replaced {tmp_path / changed}", *unchanged], "")
    assert contents(tmp_path) == EXAMPLES | {"my_dag.py": "# mine"}


def test_what_can_not_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code, lines, error = run(file)
    assert (code, lines) == (1, [])
    assert str(file) in error
    assert "Traceback" not in error


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([""])
    assert caught.value.code == 2
    assert contents(tmp_path) == {}


def test_an_installed_wheel_copies_the_examples_that_it_contains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "make_one.py").write_text("# one")
    monkeypatch.setattr("airflow_provider_make.examples._INSTALLED", installed)
    assert find_examples() == [installed / "make_one.py"]
    target = tmp_path / "dags"
    assert list(copy_examples(target)) == [Copied(target / "make_one.py", "created")]

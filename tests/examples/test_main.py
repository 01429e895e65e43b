"""The command that copies the example Dags, run in a process of its own."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_make.examples import Copied, copy_examples, find_examples, find_needs
from airflow_provider_make.examples.__main__ import main
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.documents import ROOT

EXAMPLES = {path.name: path.read_text() for path in (ROOT / "example_dags").glob("make_*.py")}
pytestmark = pytest.mark.skipif(not HAS_WATCHERS, reason="some examples need Airflow 3, and are skipped without it")


def run(*arguments: str | Path) -> tuple[int, list[str], str]:
    """Return the exit code, the lines of the output, and the errors."""
    command = [sys.executable, "-m", "airflow_provider_make.examples", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def outcomes(folder: Path, *, overwrite: bool = False) -> dict[Path, str]:
    return {copied.path: copied.outcome for copied in copy_examples(folder, overwrite=overwrite)}


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


def test_an_example_is_skipped_until_what_it_needs_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("airflow_provider_make.examples._is_installed", lambda name: name.endswith(("-sdk", "-smtp")))
    assert main([str(tmp_path)]) == 0
    slack, postgres = "apache-airflow-providers-slack", "apache-airflow-providers-postgres"
    needs = {"make_alert_recovered": slack, "make_alert_slack": slack, "make_analytics_to_postgres": postgres}
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("created ")] == [
        f"skipped {tmp_path / name}.py: it needs {need}" for name, need in needs.items()
    ]
    assert contents(tmp_path) == {name: text for name, text in EXAMPLES.items() if name[:-3] not in needs}
    # They are copied as soon as it is.
    monkeypatch.setattr("airflow_provider_make.examples._is_installed", lambda name: True)
    assert main([str(tmp_path)]) == 0
    assert contents(tmp_path) == EXAMPLES


def test_what_an_example_needs_is_in_its_docstring() -> None:
    found = {name: find_needs(text) for name, text in EXAMPLES.items()}
    assert found["make_alert_recovered.py"].keys() == {
        "Airflow 3", "apache-airflow-providers-slack", "apache-airflow-providers-smtp",
    }  # fmt: skip
    assert found["make_analytics_daily.py"] == {}
    for name, needs in found.items():
        docstring = " ".join((ast.get_docstring(ast.parse(EXAMPLES[name])) or "").split())
        assert [need for need in needs if need not in docstring] == [], name


def test_what_can_not_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code, lines, error = run(file)
    assert (code, lines) == (1, [])
    assert str(file) in error
    assert "Traceback" not in error


@pytest.mark.parametrize("target", ["a file of mine", "nothing"])
def test_a_symbolic_link_is_replaced_and_what_it_leads_to_stays(target: str, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "a file of mine").write_text("# mine")
    name, *_ = sorted(EXAMPLES)
    link = tmp_path / "dags" / name
    link.symlink_to(tmp_path / target)
    assert outcomes(tmp_path / "dags")[link] == "kept"
    assert link.is_symlink()
    assert outcomes(tmp_path / "dags", overwrite=True)[link] == "replaced"
    assert (link.is_symlink(), link.read_text()) == (False, EXAMPLES[name])
    assert contents(tmp_path / "dags") == EXAMPLES
    assert (tmp_path / "a file of mine").read_text() == "# mine"
    assert not (tmp_path / "nothing").exists()


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    name, *_ = sorted(EXAMPLES)
    os.mkfifo(tmp_path / name)
    assert outcomes(tmp_path)[tmp_path / name] == "kept"
    assert outcomes(tmp_path, overwrite=True)[tmp_path / name] == "replaced"
    assert contents(tmp_path) == EXAMPLES


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_no_part_of_a_file(overwrite: bool, tmp_path: Path) -> None:
    first, *_ = sorted(EXAMPLES)
    if overwrite:
        (tmp_path / first).write_text("# mine")
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path / first}'"):
            list(copy_examples(tmp_path, overwrite=overwrite))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before
    # The next run has the rest.
    assert set(outcomes(tmp_path, overwrite=True).values()) <= {"created", "replaced"}
    assert contents(tmp_path) == EXAMPLES


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    name, *_ = sorted(EXAMPLES)
    (tmp_path / name).write_text("# mine")
    (tmp_path / name).chmod(0o640)
    list(copy_examples(tmp_path, overwrite=True))
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o640


def test_what_was_copied_before_an_error_is_printed(tmp_path: Path) -> None:
    last = sorted(EXAMPLES)[-1]
    (tmp_path / last).mkdir()
    code, lines, error = run("--overwrite", tmp_path)
    assert (code, len(lines)) == (1, len(EXAMPLES) - 1)
    assert error == f"[Errno 21] Is a directory: '{tmp_path / last}'\n"


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

"""The pre-commit hooks: valid, passing on the tree, and failing on spoiled files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.release.commands import ROOT, CommandFailedError, copy_tree, run

PRE_COMMIT = ROOT / ".venv" / "bin" / "pre-commit"
CONFIGURATION = ".pre-commit-config.yaml"
SPOILED = {
    "airflow_provider_make/unused.py": '"""Spoiled."""\n\nimport os\n',
    "airflow_provider_make/form_of.py": '"""Spoiled."""\n\nNUMBER  = 1\n',
    "airflow_provider_make/types_of.py": '"""Spoiled."""\n\nNUMBER: int = "one"\n',
    "conflict.md": "<<<<<<< ours\n",
    "spaces.md": "text \n",
    "return.md": "text\r\n",
    "no_end.md": "text",
    "two_ends.md": "text\n\n",
}


def failing_hooks(folder: Path, home: Path) -> dict[str, str]:
    """Run all hooks on all files; return the output of those that fail, by id."""
    # The tree's cache of mypy: without it, mypy would take a minute.
    environment = {"PRE_COMMIT_HOME": str(home), "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}
    try:
        run(PRE_COMMIT, "run", "--all-files", "--color", "never", cwd=folder, environment=environment)
    except CommandFailedError as error:
        _, *failed = re.split(r"^- hook id: (.+)$", str(error), flags=re.MULTILINE)
        return dict(zip(failed[::2], failed[1::2], strict=True))
    return {}


def test_the_configuration_is_valid() -> None:
    run(PRE_COMMIT, "validate-config", CONFIGURATION)


@pytest.mark.timeout(600)
def test_every_hook_passes_on_the_tree_and_finds_spoiled_files(tmp_path: Path) -> None:
    copy = copy_tree(tmp_path / "copy")
    run("git", "init", "--quiet", cwd=copy)
    run("git", "add", ".", cwd=copy)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    assert failing_hooks(copy, tmp_path) == {}
    for name, text in SPOILED.items():
        (copy / name).write_bytes(text.encode())
    run("git", "add", *SPOILED, cwd=copy)
    failed = failing_hooks(copy, tmp_path)
    assert list(failed) == re.findall(r"- id: (.+)", (copy / CONFIGURATION).read_text())
    assert "unused.py" in failed["ruff-check"]
    assert "form_of.py" in failed["ruff-format"]
    assert "types_of.py:3: error: Incompatible types" in failed["mypy"]
    assert "conflict.md:1" in failed["merge-conflict"]
    assert re.findall(r"(\w+)\.md:1", failed["trailing-whitespace"]) == ["return", "spaces"]
    assert re.findall(r"(\w+)\.md:1", failed["end-of-file"]) == ["no_end", "two_ends"]

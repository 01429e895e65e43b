"""CHANGELOG.md, and the validation of changelogs."""

from __future__ import annotations

import pytest

from airflow_provider_make import __version__
from tests.release.changelog import problems
from tests.release.commands import ROOT

VALID = """# Changelog

## [Unreleased]

## [0.10.0] - 2026-12-24

### Added

- One thing,
  and more of it.

### Fixed

- Another thing.

## [0.9.1] - 2026-12-01

### Removed

- A thing.
"""


def test_changelog_of_the_project_has_no_problems() -> None:
    assert list(problems((ROOT / "CHANGELOG.md").read_text(), __version__)) == []


@pytest.mark.parametrize("version", ["0.9.1", "0.10.0", "0.11.0"])
def test_valid_changelog_has_no_problems(version: str) -> None:
    assert list(problems(VALID, version)) == []


@pytest.mark.parametrize(
    ("version", "old", "new", "problem"),
    [
        ("0.10.0", "# Changelog", "# Changes", "title"),
        ("0.10.0", "## [0.9.1] - 2026-12-01", "## 0.9.1 - 2026-12-01", "'0.9.1 - 2026-12-01' is neither"),
        ("0.10.0", "2026-12-01", "2026-02-30", "is neither"),
        ("0.10.0", "2026-12-01", "2026-12-31", "from the newest to the oldest"),
        ("0.10.0", "0.9.1", "0.10.0", "from the newest to the oldest"),
        ("0.10.0", "0.9.1", "0.11.0", "from the newest to the oldest"),
        ("0.10.0", "### Fixed", "### Bugs", "'Bugs', which is not one of"),
        ("0.10.0", "### Fixed", "### Added", "twice"),
        ("0.10.0", "- A thing.\n", "", "'Removed' without an entry"),
        ("0.10.0", "### Removed\n\n- A thing.\n", "", "has no changes"),
        ("0.10.0", "## [0.10.0] - 2026-12-24", "## [Unreleased]", "not on top"),
        ("0.8.0", "", "", "0.8.0 has no section"),
        ("0.11.0", "## [Unreleased]\n", "", "0.11.0 has no section"),
    ],
)
def test_problem_is_found(version: str, old: str, new: str, problem: str) -> None:
    assert any(problem in found for found in problems(VALID.replace(old, new, 1), version))

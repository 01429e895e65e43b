"""The house: imports run one way, as docs/internals.md draws them, and tests mirror the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT, tables

PACKAGE = ROOT / "airflow_provider_make"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Rooms are folders, and modules at the top. A room imports rooms of lower floors only.
FLOORS = (
    {"exceptions"},
    {"arguments"},
    {"connection"},
    {"api"},
    {"paging", "output"},
    {"thresholds", "pull", "lineage", "links", "outlets"},
    {"hooks"},
    {"operators", "triggers"},
    {"sensors"},
)
# Not on any floor: these serve Airflow, pytest, or people, and no other room imports them.
ANNEXES = {"get_provider_info", "pytest_plugin", "report", "retry_policy", "sandbox"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    """The rooms that a module imports, in functions and for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first == PACKAGE.name and rest[0] not in ("__version__", room(path)):
                yield rest[0]


IMPORTS = {
    name: {imported for path in MODULES if room(path) == name for imported in imported_rooms(path)}
    for name in sorted({room(path) for path in MODULES} - {"__init__"})
}


def test_every_room_has_its_place() -> None:
    assert set().union(*FLOORS) | ANNEXES == IMPORTS.keys()


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_room_imports_only_rooms_of_lower_floors(floor: int) -> None:
    below = set[str]().union(*FLOORS[:floor])
    assert {name: IMPORTS[name] - below for name in FLOORS[floor] if IMPORTS[name] - below} == {}


def test_the_sandbox_imports_nothing_of_the_package_that_it_tests() -> None:
    assert IMPORTS["sandbox"] == set()


def test_nothing_imports_an_annex_but_the_fixtures_that_start_the_sandbox() -> None:
    importers = {name: imported & ANNEXES for name, imported in IMPORTS.items() if imported & ANNEXES}
    assert importers == {"pytest_plugin": {"sandbox"}}


def test_the_map_in_the_documentation_is_the_house() -> None:
    (rows,) = [rows[1:] for rows in tables(ROOT / "docs" / "internals.md") if rows[0][:2] == ["room", "imports"]]
    documented = {name.strip("`"): set(cell.replace("`", "").replace(",", " ").split()) for name, cell, *_ in rows}
    assert documented == IMPORTS


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if not path.name.startswith("__")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_every_module_has_a_test_of_its_own(path: Path) -> None:
    folder = ROOT / "tests" / path.relative_to(PACKAGE).parent
    assert (folder / f"test_{path.stem}.py").exists()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_begin_with_what_they_are_for_and_stay_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 320

"""The architecture: imports run one way, as docs/internals.md shows them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT, tables

PACKAGE = ROOT / "airflow_provider_make"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Parts are folders, and modules at the top of the package. A part imports parts of lower layers only.
LAYERS = (
    {"command", "masking", "text"},
    {"exceptions"},
    {"arguments"},
    {"connection"},
    {"api"},
    {"paging", "output", "gauges"},
    {"lineage"},
    {"links"},
    {"thresholds", "pull", "report"},
    {"hooks"},
    {"operators", "triggers"},
    {"sensors"},
)
# Outside the layers: these serve Airflow, pytest, or people, and no other part imports them.
STANDALONE = {"examples", "get_provider_info", "page", "pytest_plugin", "retry_policy", "sandbox"}


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> Iterator[str]:
    """The parts that a module imports, in functions and for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first == PACKAGE.name and rest[0] not in ("__version__", part(path)):
                yield rest[0]


IMPORTS = {
    name: {imported for path in MODULES if part(path) == name for imported in imported_parts(path)}
    for name in sorted({part(path) for path in MODULES} - {"__init__"})
}


def test_every_part_is_in_a_layer() -> None:
    assert set().union(*LAYERS) | STANDALONE == IMPORTS.keys()


@pytest.mark.parametrize("layer", range(len(LAYERS)))
def test_a_part_imports_only_parts_of_lower_layers(layer: int) -> None:
    below = set[str]().union(*LAYERS[:layer])
    assert {name: IMPORTS[name] - below for name in LAYERS[layer] if IMPORTS[name] - below} == {}


def test_the_sandbox_imports_nothing_of_the_package_that_it_tests() -> None:
    assert IMPORTS["sandbox"] == {"command"}


def test_only_the_fixtures_import_a_standalone_part() -> None:
    importers = {name: imported & STANDALONE for name, imported in IMPORTS.items() if imported & STANDALONE}
    assert importers == {"pytest_plugin": {"sandbox"}}


def test_the_table_in_the_documentation_is_true() -> None:
    (rows,) = [rows[1:] for rows in tables(ROOT / "docs" / "internals.md") if rows[0][:2] == ["part", "imports"]]
    documented = {name.strip("`"): set(cell.replace("`", "").replace(",", " ").split()) for name, cell, *_ in rows}
    assert documented == IMPORTS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_begin_with_what_they_are_for_and_stay_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 500

"""Which tests can call Airflow: those whose modules import it, at the top or in a function, or import one that does."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_make"
# They only derive from a class of Airflow, or catch its exception: the tests of that import Airflow, too.
_EXEMPT = {PACKAGE / name for name in ("exceptions.py", "links.py", "connection/settings.py")}
_IMPORT = re.compile(r"^[ \t]*(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w.]+))", re.MULTILINE)


@cache
def can_call_airflow(test_module: Path) -> bool:
    """Return whether a test module, or the ``conftest.py`` beside it, leads to an import of Airflow."""
    seen = _EXEMPT | {ROOT / "tests" / "conftest.py"}
    unseen = {test_module, test_module.with_name("conftest.py")} - seen
    while unseen:
        path = unseen.pop()
        seen.add(path)
        modules, imports_airflow = _imports(path)
        if imports_airflow:
            return True
        unseen |= modules - seen
    return False


@cache
def _imports(path: Path) -> tuple[frozenset[Path], bool]:
    """Return which modules of the project a module imports, and whether it imports Airflow itself."""
    if not path.exists():
        return frozenset(), False
    names: set[str] = set()
    for origin, members, plain in _IMPORT.findall(path.read_text()):
        names.add(origin or plain)
        names.update(f"{origin}.{member}" for member in re.findall(r"\w+", members))
    found = {
        candidate
        for name in names
        for candidate in (ROOT / f"{name.replace('.', '/')}.py", ROOT / name.replace(".", "/") / "__init__.py")
        if candidate.exists()
    }
    return frozenset(found), any(name.split(".")[0] == "airflow" for name in names)

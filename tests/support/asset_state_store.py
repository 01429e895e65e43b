"""Fakes of the asset state stores that Airflow 3.3 passes to a watcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Store:
    """The state store of one asset."""

    def __init__(self, broken: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self.writes = 0
        self.broken = broken

    async def aget(self, key: str, default: Any = None) -> Any:
        if self.broken:
            raise ValueError("Task has 2 concrete inlets and outlets")
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        if self.broken:
            raise ValueError("Task has 2 concrete inlets and outlets")
        self.values[key] = value
        self.writes += 1


def accessor(*stores: Store) -> Any:
    """Return the accessor that Airflow passes to a watcher of several assets."""
    stores_by_name = {f"asset {number}": store for number, store in enumerate(stores)}
    return SimpleNamespace(
        _by_name=dict(list(stores_by_name.items())[:1]), _by_uri=dict(list(stores_by_name.items())[1:])
    )

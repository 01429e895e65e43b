"""What watchers remember, in stores as Airflow 3.3 has them, and without any."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from airflow_provider_make.thresholds.watcher_state import Memory


class Store:
    """One asset's store."""

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


def of_assets(*stores: Store) -> Any:
    named = {f"asset {number}": store for number, store in enumerate(stores)}
    return SimpleNamespace(_by_name=dict(list(named.items())[:1]), _by_uri=dict(list(named.items())[1:]))


def recall(store: Any, arguments: dict[str, Any]) -> bool:
    return asyncio.run(Memory(store, arguments).recall())


def keep(store: Any, arguments: dict[str, Any], *values: bool) -> None:
    async def all_of_them() -> None:
        memory = Memory(store, arguments)
        for value in values:
            await memory.keep(value)

    asyncio.run(all_of_them())


def test_nothing_is_remembered_without_a_store() -> None:
    keep(None, {"threshold": 5}, True)
    assert not recall(None, {"threshold": 5})


def test_a_crossing_is_remembered_by_every_asset() -> None:
    first, second = Store(), Store()
    keep(of_assets(first, second), {"threshold": 5}, True)
    for store in (of_assets(first, second), of_assets(first), of_assets(second), of_assets(Store(), second), first):
        assert recall(store, {"threshold": 5})
    keep(of_assets(first, second), {"threshold": 5}, False)
    assert not recall(of_assets(first, second), {"threshold": 5})


def test_watchers_of_one_asset_do_not_mix_their_memories() -> None:
    store = Store()
    keep(of_assets(store), {"threshold": 5, "metric": "errors"}, True)
    assert not recall(of_assets(store), {"threshold": 6, "metric": "errors"})
    assert recall(of_assets(store), {"metric": "errors", "threshold": 5})


def test_only_changes_are_written() -> None:
    store = Store()
    keep(of_assets(store), {}, False, False, True, True, True, False)
    assert store.writes == 3


def test_a_broken_store_stops_nothing(caplog: Any) -> None:
    store = Store(broken=True)
    keep(of_assets(store), {}, True)
    assert not recall(of_assets(store), {})
    assert "may be told again" in caplog.text

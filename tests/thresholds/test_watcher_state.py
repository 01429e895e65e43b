"""What watchers remember, in stores as Airflow 3.3 has them, and without any."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_make.thresholds.watcher_state import WatcherState
from tests.support.asset_state_store import Store, of_assets


def load(store: Any, arguments: dict[str, Any]) -> bool:
    return asyncio.run(WatcherState(store, arguments).load())


def keep(store: Any, arguments: dict[str, Any], *values: bool) -> None:
    async def all_of_them() -> None:
        memory = WatcherState(store, arguments)
        for value in values:
            await memory.save(value)

    asyncio.run(all_of_them())


def test_nothing_is_remembered_without_a_store() -> None:
    keep(None, {"threshold": 5}, True)
    assert not load(None, {"threshold": 5})


def test_a_crossing_is_remembered_by_every_asset() -> None:
    first, second = Store(), Store()
    keep(of_assets(first, second), {"threshold": 5}, True)
    for store in (of_assets(first, second), of_assets(first), of_assets(second), of_assets(Store(), second), first):
        assert load(store, {"threshold": 5})
    keep(of_assets(first, second), {"threshold": 5}, False)
    assert not load(of_assets(first, second), {"threshold": 5})


def test_watchers_of_one_asset_do_not_mix_their_memories() -> None:
    store = Store()
    keep(of_assets(store), {"threshold": 5, "metric": "errors"}, True)
    assert not load(of_assets(store), {"threshold": 6, "metric": "errors"})
    assert load(of_assets(store), {"metric": "errors", "threshold": 5})


def test_only_changes_are_written() -> None:
    store = Store()
    keep(of_assets(store), {}, False, False, True, True, True, False)
    assert store.writes == 3


def test_a_broken_store_stops_nothing(caplog: Any) -> None:
    store = Store(broken=True)
    keep(of_assets(store), {}, True)
    assert not load(of_assets(store), {})
    assert "may be emitted again" in caplog.text

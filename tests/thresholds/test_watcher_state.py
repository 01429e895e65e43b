"""The state of watchers, with the asset state stores of Airflow 3.3 and without a store."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_make.thresholds.watcher_state import WatcherState
from tests.support.asset_state_store import Store, accessor


def load(store: Any, arguments: dict[str, Any]) -> bool:
    return asyncio.run(WatcherState(store, arguments).load())


def save(store: Any, arguments: dict[str, Any], *values: bool) -> None:
    async def save_all() -> None:
        state = WatcherState(store, arguments)
        for value in values:
            await state.save(value)

    asyncio.run(save_all())


def test_state_is_not_saved_without_a_store() -> None:
    save(None, {"threshold": 5}, True)
    assert not load(None, {"threshold": 5})


def test_state_is_saved_with_every_asset() -> None:
    first, second = Store(), Store()
    save(accessor(first, second), {"threshold": 5}, True)
    for store in (
        accessor(first, second),
        accessor(first),
        accessor(second),
        accessor(Store(), second),
        first,
    ):
        assert load(store, {"threshold": 5})
    save(accessor(first, second), {"threshold": 5}, False)
    assert not load(accessor(first, second), {"threshold": 5})


def test_watchers_of_one_asset_have_separate_states() -> None:
    store = Store()
    save(accessor(store), {"threshold": 5, "metric": "errors"}, True)
    assert not load(accessor(store), {"threshold": 6, "metric": "errors"})
    assert load(accessor(store), {"metric": "errors", "threshold": 5})


def test_only_changes_are_saved() -> None:
    store = Store()
    save(accessor(store), {}, False, False, True, True, True, False)
    assert store.writes == 3


def test_errors_of_the_store_are_logged_and_ignored(caplog: Any) -> None:
    store = Store(broken=True)
    save(accessor(store), {}, True)
    assert not load(accessor(store), {})
    assert "may be emitted again" in caplog.text

"""The state of watchers, with the asset state stores of Airflow 3.3 and without a store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from airflow_provider_make.triggers.watcher_state import MAX_STORED, WatcherState
from tests.support.asset_state_store import Store, accessor


def load(store: Any, identity: dict[str, Any]) -> set[int]:
    state = WatcherState(store, identity)
    asyncio.run(state.load())
    return set(state.not_back)


def save(store: Any, identity: dict[str, Any], *values: set[int]) -> WatcherState:
    state = WatcherState(store, identity)

    async def save_all() -> None:
        for value in values:
            state.not_back = frozenset(value)
            await state.save()

    asyncio.run(save_all())
    return state


def test_state_is_not_stored_without_a_store() -> None:
    assert save(None, {"threshold": 5}, {7}).not_back == {7}
    assert load(None, {"threshold": 5}) == set()


def test_state_is_stored_with_every_asset() -> None:
    first, second = Store(), Store()
    save(accessor(first, second), {"threshold": 5}, {7, 8})
    for store in (
        accessor(first, second),
        accessor(first),
        accessor(second),
        accessor(Store(), second),
        first,
    ):
        assert load(store, {"threshold": 5}) == {7, 8}
    save(accessor(first, second), {"threshold": 5}, set())
    assert load(accessor(first, second), {"threshold": 5}) == set()


def test_watchers_of_one_asset_have_separate_states() -> None:
    store = Store()
    save(accessor(store), {"threshold": 5, "metric": "errors"}, {7})
    assert load(accessor(store), {"threshold": 6, "metric": "errors"}) == set()
    assert load(accessor(store), {"metric": "errors", "threshold": 5}) == {7}


def test_only_changes_are_stored() -> None:
    store = Store()
    save(accessor(store), {}, set(), set(), {7}, {7}, {8}, set())
    assert store.writes == 4


def test_stored_state_is_bounded() -> None:
    store = Store()
    many = set(range(10**18, 10**18 + 100_000))
    assert save(accessor(store), {}, many).not_back == many
    assert load(accessor(store), {}) == set(sorted(many)[:MAX_STORED])
    assert len(json.dumps(store.values)) < 120_000


def test_a_value_of_another_kind_is_ignored() -> None:
    store = Store()
    save(accessor(store), {}, {7})
    for value in ("beyond", {"ids": [7]}, None, [7], {"not_back": 7}, {"not_back": ["7", None]}):
        store.values = dict.fromkeys(store.values, value)
        assert load(accessor(store), {}) == set()


def test_a_new_period_begins_without_anything_that_is_not_back() -> None:
    store = Store()
    state = WatcherState(accessor(store), {})
    state.begin_period("2026-11-24T00:00:00Z")
    state.not_back = frozenset({7})
    asyncio.run(state.save())
    restarted = WatcherState(accessor(store), {})
    asyncio.run(restarted.load())
    restarted.begin_period("2026-11-24T00:00:00Z")
    assert restarted.not_back == {7}
    restarted.begin_period("2026-11-25T00:00:00Z")
    assert restarted.not_back == frozenset()


def test_the_newest_period_of_several_assets_counts() -> None:
    first, second = Store(), Store()
    for store, period, ids in ((first, "2026-11-24", {7}), (second, "2026-11-25", {8})):
        state = WatcherState(accessor(store), {})
        state.begin_period(period)
        state.not_back = frozenset(ids)
        asyncio.run(state.save())
    assert load(accessor(first, second), {}) == {8}


def test_a_broken_store_does_not_keep_others_from_being_written(caplog: Any) -> None:
    broken, good = Store(broken=True), Store()
    save(accessor(broken, good), {}, {7})
    assert load(accessor(good), {}) == {7}


def test_errors_of_the_store_are_logged_and_ignored(caplog: Any) -> None:
    store = Store(broken=True)
    save(accessor(store), {}, {7})
    assert load(accessor(store), {}) == set()
    assert "may be emitted again" in caplog.text

"""The state of watchers, with the asset state stores of Airflow 3.3 and without a store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger
from airflow_provider_make.triggers.watcher_state import MAX_STORED, WatcherState
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.asset_state_store import Store, accessor


def load(store: Any, identity: dict[str, Any]) -> set[int]:
    state = WatcherState(store, identity)
    asyncio.run(state.load())
    return set(state.firing)


def save(store: Any, identity: dict[str, Any], *values: set[int]) -> WatcherState:
    state = WatcherState(store, identity)

    async def save_all() -> None:
        for value in values:
            state.update(frozenset(value), 0.0)
            await state.save(0.0)

    asyncio.run(save_all())
    return state


@pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
def test_the_state_of_earlier_versions_is_read() -> None:
    store = Store()
    # As earlier versions wrote it. The key is a hash of what the trigger below watches.
    store.values = {"make_analytics_ee44e48bd82ba927": {"not_back": [7, 9], "period": "2026-11-01T00:00:00Z"}}
    trigger = MakeAnalyticsEventTrigger(
        threshold="7.5", metric="credits", comparison="<=", scope="scenario", min_executions="3", since="month",
        organization_id="42", team_id=["2", 1, 2], folder_id=7, status="active", make_conn_id="other", hysteresis=1,
    )  # fmt: skip
    trigger.asset_state_store = accessor(store)
    state = trigger._state()
    asyncio.run(state.load())
    assert (set(state.firing), state.period) == ({7, 9}, "2026-11-01T00:00:00Z")


@pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
def test_the_state_is_written_as_in_earlier_versions() -> None:
    store = Store()
    trigger = MakeErrorRateEventTrigger(threshold=20)
    trigger.asset_state_store = accessor(store)
    state = trigger._state()
    asyncio.run(state.save(0.0))
    assert store.values == {"make_analytics_a63b2e6bb60d547c": {"not_back": [], "period": None}}


def test_state_is_not_stored_without_a_store() -> None:
    assert save(None, {"threshold": 5}, {7}).firing == {7}
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
    assert save(accessor(store), {}, many).firing == many
    assert load(accessor(store), {}) == set(sorted(many)[:MAX_STORED])
    assert len(json.dumps(store.values)) < 120_000


def test_a_value_of_another_kind_is_ignored() -> None:
    store = Store()
    save(accessor(store), {}, {7})
    for value in ("beyond", {"ids": [7]}, None, [7], {"not_back": 7}, {"not_back": ["7", None]}):
        store.values = dict.fromkeys(store.values, value)
        assert load(accessor(store), {}) == set()


def test_nothing_is_firing_when_a_new_period_begins() -> None:
    store = Store()
    state = WatcherState(accessor(store), {})
    state.begin_period("2026-11-24T00:00:00Z")
    state.update(frozenset({7}), 0.0)
    asyncio.run(state.save(0.0))
    restarted = WatcherState(accessor(store), {})
    asyncio.run(restarted.load())
    restarted.begin_period("2026-11-24T00:00:00Z")
    assert restarted.firing == {7}
    restarted.begin_period("2026-11-25T00:00:00Z")
    assert restarted.firing == frozenset()


def test_the_newest_period_of_several_assets_counts() -> None:
    first, second = Store(), Store()
    for store, period, ids in ((first, "2026-11-24", {7}), (second, "2026-11-25", {8})):
        state = WatcherState(accessor(store), {})
        state.begin_period(period)
        state.update(frozenset(ids), 0.0)
        asyncio.run(state.save(0.0))
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

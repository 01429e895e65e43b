"""The state of a watcher that survives restarts, in Airflow's asset state store (3.3 and later)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

# Ids take some ten bytes each. After a restart, what is beyond this number may be reported again.
MAX_STORED = 5_000
log = logging.getLogger(__name__)


class WatcherState:
    """
    What crossed and is not back, so that an event was emitted for it. Without a store, it is lost at a restart.

    ``not_back`` has the ids of the scenarios, or of the organization.

    :param store: ``asset_state_store`` of an event trigger; None before Airflow 3.3.
    :param identity: What the watcher watches, JSON-serialisable, from which the key is derived: an asset may have
        several watchers.
    """

    def __init__(self, store: Any, identity: Mapping[str, Any]) -> None:
        self._stores = _stores_by_asset(store) or [store] if store is not None else []
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._key = f"make_analytics_{digest[:16]}"
        self.not_back: frozenset[int] = frozenset()
        self._stored: frozenset[int] | None = None

    async def load(self) -> None:
        """Load ``not_back``: what was not back for any of the assets."""
        ids: set[int] = set()
        for store in self._stores:
            try:
                value = await store.aget(self._key)
            except Exception:
                log.warning("The asset state store can't be read; an event may be emitted again.", exc_info=True)
                continue
            if isinstance(value, list):
                ids.update(each for each in value if isinstance(each, int))
        self.not_back = frozenset(ids)

    async def save(self, not_back: frozenset[int]) -> None:
        """Replace ``not_back``, and store the first ``MAX_STORED`` ids if they changed."""
        self.not_back = not_back
        if not_back == self._stored:
            return
        for store in self._stores:
            try:
                await store.aset(self._key, sorted(not_back)[:MAX_STORED])
            except Exception:
                log.warning("The asset state store can't be written; an event may be emitted again.", exc_info=True)
                return
        self._stored = not_back


def _stores_by_asset(store: Any) -> list[Any]:
    # Private to Airflow (3.3). Equal triggers of several assets are one trigger with one store for each asset, and
    # the public methods, which name no asset, then raise ValueError.
    return [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]

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

    ``not_back`` has the ids of the scenarios, or of the organization. It is of one period, if the watcher's time frame
    begins with a day, week or month; in the next one, everything can cross again.

    :param store: ``asset_state_store`` of an event trigger; None before Airflow 3.3.
    :param identity: What the watcher watches, JSON-serialisable, from which the key is derived: an asset may have
        several watchers.
    """

    def __init__(self, store: Any, identity: Mapping[str, Any]) -> None:
        self._stores = _stores_by_asset(store) or [store] if store is not None else []
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._key = f"make_analytics_{digest[:16]}"
        self.not_back: frozenset[int] = frozenset()
        self.period: str | None = None
        self._stored: tuple[frozenset[int], str | None] | None = None

    async def load(self) -> None:
        """Load ``not_back``: what was not back for any of the assets, in the newest period."""
        found: list[tuple[str, list[Any]]] = []
        for store in self._stores:
            try:
                value = await store.aget(self._key)
            except Exception:
                log.warning("The asset state store can't be read; an event may be emitted again.", exc_info=True)
                continue
            if isinstance(value, dict) and isinstance(value.get("not_back"), list):
                found.append((str(value.get("period") or ""), value["not_back"]))
        newest = max((period for period, _ in found), default="")
        ids = [each for period, values in found if period == newest for each in values if isinstance(each, int)]
        self.not_back, self.period = frozenset(ids), newest or None

    def begin_period(self, period: str | None) -> None:
        """Empty ``not_back`` if this is another period than the last one."""
        if period != self.period:
            self.not_back, self.period = frozenset(), period

    async def save(self) -> None:
        """Store the first ``MAX_STORED`` ids of ``not_back``, if they changed."""
        state = (self.not_back, self.period)
        if state == self._stored:
            return
        value = {"not_back": sorted(self.not_back)[:MAX_STORED], "period": self.period}
        is_stored = True
        for store in self._stores:
            try:
                await store.aset(self._key, value)
            except Exception:
                log.warning("The asset state store can't be written; an event may be emitted again.", exc_info=True)
                is_stored = False
        if is_stored:
            self._stored = state


def _stores_by_asset(store: Any) -> list[Any]:
    # Private to Airflow (3.3). Equal triggers of several assets are one trigger with one store for each asset, and
    # the public methods, which name no asset, then raise ValueError.
    return [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]

"""The state of a watcher that survives restarts, in Airflow's asset state store (3.3 and later)."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Set
from typing import Any

# Ids take some ten bytes each. Those beyond this number may be reported again after a restart.
MAX_STORED = 5_000
# The key of the ids in the stored value, with the name that they had in the first version.
_FIRING = "not_back"

log = logging.getLogger(__name__)


class WatcherState:
    """
    The ids that are firing, of scenarios or of the organization: an event was emitted, and they have not recovered.

    If the watcher's time frame begins with a day, week or month, they belong to that period; in the next one,
    everything can cross again. The names and the form of what is stored must not change.
    """

    def __init__(self, store: Any, identity: Mapping[str, Any]) -> None:
        # There is no store before Airflow 3.3. An asset may have several watchers, each with its own key.
        self._stores = _stores_by_asset(store) or [store] if store is not None else []
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._key = f"make_analytics_{digest[:16]}"
        # The ids, and when each began to fire; those that were loaded, long ago.
        self._since: dict[int, float] = {}
        self.period: str | None = None
        self._stored: tuple[list[int], str | None] | None = None

    @property
    def firing(self) -> Set[int]:
        """The ids that are firing."""
        return self._since.keys()

    def update(self, firing: Set[int], now: float) -> None:
        """Set what is firing now."""
        self._since = {id_: self._since.get(id_, now) for id_ in firing}

    async def load(self) -> None:
        """Load what was firing for any of the assets, in the newest period."""
        found: list[tuple[str, list[Any]]] = []
        for store in self._stores:
            try:
                value = await store.aget(self._key)
            except Exception:
                log.warning("The asset state store can't be read; an event may be emitted again.", exc_info=True)
                continue
            if isinstance(value, dict) and isinstance(value.get(_FIRING), list):
                found.append((str(value.get("period") or ""), value[_FIRING]))
        newest = max((period for period, _ in found), default="")
        ids = {id_ for period, stored in found if period == newest for id_ in stored if isinstance(id_, int)}
        self._since, self.period = dict.fromkeys(ids, -math.inf), newest or None

    def begin_period(self, period: str | None) -> None:
        """Forget what was firing if this is another period than the last one."""
        if period != self.period:
            self._since, self.period = {}, period

    async def save(self, until: float) -> None:
        """
        Store the first ``MAX_STORED`` ids that began to fire until then, if they changed.

        Airflow may not have stored a later event: after a crash, one event too many is better than none.
        """
        ids = sorted(id_ for id_, began in self._since.items() if began <= until)[:MAX_STORED]
        state = (ids, self.period)
        if state == self._stored:
            return
        value = {_FIRING: ids, "period": self.period}
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

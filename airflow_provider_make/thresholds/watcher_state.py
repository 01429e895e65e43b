"""The state of a watcher that survives restarts, in Airflow's asset state store (3.3 and later)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


class WatcherState:
    """
    Whether the value is beyond the threshold, and an event was emitted for it. Without a store, nothing is stored.

    :param store: ``asset_state_store`` of an event trigger; None before Airflow 3.3.
    :param arguments: The trigger's arguments, from which the key is derived: an asset may have several watchers.
    """

    def __init__(self, store: Any, arguments: Mapping[str, Any]) -> None:
        self._stores = _stores_by_asset(store) or [store] if store is not None else []
        digest = hashlib.sha256(repr(sorted(arguments.items())).encode()).hexdigest()
        self._key = f"make_error_rate_{digest[:16]}"
        self._saved: bool | None = None

    async def load(self) -> bool:
        """Return whether the value was beyond the threshold, for any of the assets."""
        values = []
        for store in self._stores:
            try:
                values.append(await store.aget(self._key))
            except Exception:
                log.warning("The asset state store can't be read; an event may be emitted again.", exc_info=True)
        return "beyond" in values

    async def save(self, beyond: bool) -> None:
        """Save whether the value is beyond the threshold, if that changed."""
        if beyond == self._saved:
            return
        for store in self._stores:
            try:
                await store.aset(self._key, "beyond" if beyond else "back")
            except Exception:
                log.warning("The asset state store can't be written; an event may be emitted again.", exc_info=True)
                return
        self._saved = beyond


def _stores_by_asset(store: Any) -> list[Any]:
    # Private to Airflow (3.3). Equal triggers of several assets are one trigger with one store for each asset, and
    # the public methods, which name no asset, then raise ValueError.
    return [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]

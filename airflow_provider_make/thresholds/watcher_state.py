"""What a watcher remembers over restarts, in Airflow's asset state store (3.3 and later)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


class Memory:
    """
    Whether the last crossing was told and still lasts. Without a store it begins anew each time.

    :param store: ``asset_state_store`` of an event trigger; None before Airflow 3.3.
    :param arguments: The trigger's: several watchers of one asset have a key each.
    """

    def __init__(self, store: Any, arguments: Mapping[str, Any]) -> None:
        # Equal triggers on several assets are one trigger with several stores, and without a name for any.
        by_asset = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
        self._stores = by_asset or [store] if store is not None else []
        told = repr(sorted(arguments.items()))
        self._key = f"make_error_rate_{hashlib.sha256(told.encode()).hexdigest()[:16]}"
        self._kept: bool | None = None

    async def recall(self) -> bool:
        """
        Read the stores.

        :return: Whether a crossing was told, for any of the assets, and the value has not come back since.
        """
        values = []
        for store in self._stores:
            try:
                values.append(await store.aget(self._key))
            except Exception:
                log.warning("The asset state store can't be read: a crossing may be told again.", exc_info=True)
        return "beyond" in values

    async def keep(self, beyond: bool) -> None:
        """
        Write the stores, if it changed.

        :param beyond: Whether a crossing was told, and the value has not come back since.
        """
        if beyond == self._kept:
            return
        for store in self._stores:
            try:
                await store.aset(self._key, "beyond" if beyond else "back")
            except Exception:
                log.warning("The asset state store can't be written: a crossing may be told again.", exc_info=True)
                return
        self._kept = beyond

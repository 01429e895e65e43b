"""Polls at a steady pace on an event loop: when the next one is due, and one client for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeInputError
from airflow_provider_make.thresholds.check import Watch
from airflow_provider_make.thresholds.rule import Reading

if TYPE_CHECKING:
    from airflow_provider_make.hooks.make import MakeHook

# The longest that failures in a row let the pause grow to, unless the interval itself is longer.
MOST_PAUSE = 600.0
MOST_FAILURES = 100
# Seconds for a last look whose deadline is there already.
LAST_LOOK = 10.0


class Cadence:
    """
    When the next poll is due. No I/O: tell it how each poll ended.

    :param interval: Seconds from the begin of one poll to the begin of the next; above zero.
    :param deadline: When the last poll is due, aware; None for no end.
    :param growing: Whether pauses are doubled with each failure in a row.
    :raises MakeInputError: The interval is not above zero.
    """

    def __init__(self, interval: Any, deadline: datetime | None = None, *, growing: bool = True) -> None:
        if not isinstance(interval, (int, float)) or isinstance(interval, bool) or not 0 < interval < float("inf"):
            raise MakeInputError.expected("poke_interval", interval, "a number of seconds above zero")
        self._interval = self.pause = float(interval)
        self._deadline = deadline
        self._growing = growing
        self._failures = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether very many polls in a row failed."""
        return self._failures >= MOST_FAILURES

    def seconds_left(self, now: datetime) -> float | None:
        """
        Tell how much time is left.

        :param now: The present, aware.
        :return: Seconds to the deadline, zero or less behind it; None without one.
        """
        return None if self._deadline is None else (self._deadline - now).total_seconds()

    def after(self, error: MakeApiError | None) -> None:
        """
        Take how a poll ended, and set ``pause``.

        :param error: What it failed with; None if it did not. What the server asked to wait is waited.
        """
        self._failures = self._failures + 1 if error else 0
        growth = 2 ** min(self._failures - 1, 30) if self._failures and self._growing else 1
        grown = min(self._interval * growth, max(self._interval, MOST_PAUSE))
        self.pause = max(grown, (error and error.retry_after) or 0.0)


async def polls(watch: Watch, arguments: Mapping[str, Any], cadence: Cadence) -> AsyncIterator[Reading | MakeApiError]:
    """
    Look again and again, with one client.

    :param watch: What to look at.
    :param arguments: The trigger's: ``make_conn_id``, ``api_retry_limit`` and ``api_retry_delay``.
    :param cadence: When; ``pause`` is set when an outcome is given.
    :return: What each poll found, or failed with; it ends behind the deadline.
    :raises MakeInputError: A filter or the connection is wrong.
    """
    hook = await asyncio.to_thread(_make_hook, arguments)
    await hook.look_up_settings()
    async with hook.connect() as ask:
        while True:
            began = asyncio.get_running_loop().time()
            left = cadence.seconds_left(datetime.now(UTC))
            outcome: Reading | MakeApiError
            try:
                async with asyncio.timeout(None if left is None else max(left, LAST_LOOK)):
                    outcome = await watch.look(hook, ask)
            except MakeApiError as error:
                outcome = error
            except TimeoutError:
                outcome = MakeConnectionError("the sensor's timeout came before an answer")
            cadence.after(outcome if isinstance(outcome, MakeApiError) else None)
            yield outcome
            left = cadence.seconds_left(datetime.now(UTC))
            if left is not None and left <= 0:
                return
            due = began + cadence.pause - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, due) if left is None else min(max(0.0, due), left))


def _make_hook(arguments: Mapping[str, Any]) -> MakeHook:
    # In a thread: the first import of the HTTP provider takes longer than an event loop may be held up.
    from airflow_provider_make.hooks.make import MakeHook

    return MakeHook(arguments["make_conn_id"], arguments["api_retry_limit"], arguments["api_retry_delay"])

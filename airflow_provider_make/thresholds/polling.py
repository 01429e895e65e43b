"""Check again and again on an event loop: when the next poll is due, and the loop of a trigger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.api.retry import minimum_delay
from airflow_provider_make.arguments import parse_number
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError
from airflow_provider_make.thresholds.evaluation import Snapshot

if TYPE_CHECKING:
    from airflow_provider_make.api.access import Diagnoses
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.connection.settings import ConnectionSettings

Fetch = Callable[["MakeClient"], Coroutine[Any, Any, Snapshot]]
# Seconds up to which failures in a row increase the pause, unless the interval itself is longer.
MAX_PAUSE = 600.0
# Seconds between polls that fail, where the interval is zero.
_PAUSE_WITHOUT_INTERVAL = 1.0


class PollSchedule:
    """Decides when the next poll is due. It does no I/O: report to it how each poll ended."""

    # The interval is in seconds, from the start of one poll to the start of the next. With growing, the pause doubles
    # with each failure in a row.
    def __init__(
        self,
        interval: Any,
        *,
        first_poll: datetime | None = None,
        deadline: datetime | None = None,
        growing: bool = True,
    ) -> None:
        self._interval = self.pause = parse_number(
            "poke_interval", interval, "a number of seconds, zero or more", lambda seconds: seconds >= 0
        )
        self.first_poll = first_poll
        self._deadline = deadline
        self._growing = growing
        self._failures = 0

    def seconds_to_first_poll(self, now: datetime) -> float:
        """Return the seconds until the first poll, at the latest at the deadline."""
        first = self.first_poll or now
        if self._deadline is not None:
            first = min(first, self._deadline)
        return max(0.0, (first - now).total_seconds())

    def seconds_left(self, now: datetime) -> float | None:
        """Return the seconds until the deadline, zero or less after it; None without a deadline."""
        return None if self._deadline is None else (self._deadline - now).total_seconds()

    def record(self, error: Exception | None) -> None:
        """Record how a poll ended, and set ``pause``, the seconds from its start to the start of the next."""
        if error is None:
            self._failures, self.pause = 0, self._interval
            return
        self._failures += 1
        factor = 2 ** min(self._failures - 1, 30) if self._growing else 1
        pause = min((self._interval or _PAUSE_WITHOUT_INTERVAL) * factor, max(self._interval, MAX_PAUSE))
        self.pause = max(pause, minimum_delay(error) if isinstance(error, MakeApiError) else 0.0)

    def seconds_to_next_poll(self, now: datetime) -> float | None:
        """Return the pause, at the most until the deadline; None after the last poll."""
        left = self.seconds_left(now)
        if left is None:
            return self.pause
        return min(self.pause, left) if left > 0 else None


async def fetch_in_time(client: MakeClient, fetch: Fetch, seconds_left: float | None) -> Snapshot:
    """Fetch the figures of a check once, before a sensor times out: a rate limit may take ten minutes."""
    try:
        # One request has its own timeout at least.
        limit = None if seconds_left is None else max(seconds_left, client.settings.timeout)
        async with asyncio.timeout(limit):
            return await fetch(client)
    except TimeoutError:
        # Make has refused the token, and only the search for the reason was cut short.
        if client.refusal is not None:
            raise client.refusal from None
    raise MakeConnectionError("the sensor's timeout passed before a response")


class Connection(Protocol):
    """A connection as it was read: a hook."""

    @property
    def settings(self) -> ConnectionSettings:
        """Its settings."""

    def new_client(self, diagnoses: Diagnoses | None = None) -> MakeClient:
        """Create a client for its settings."""


async def poll(
    read_connection: Callable[[], Coroutine[Any, Any, Connection]],
    fetch: Fetch,
    schedule: PollSchedule,
    diagnoses: Diagnoses | None = None,
) -> AsyncGenerator[Snapshot | Exception]:
    """Fetch the figures of a check again and again until the deadline, and yield the snapshot or error of each poll."""
    async with AsyncExitStack() as stack:
        client: MakeClient | None = None
        outcome: Snapshot | Exception | None = None
        await asyncio.sleep(schedule.seconds_to_first_poll(datetime.now(UTC)))
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if client is None or isinstance(outcome, Exception):
                    # After a failure: its host or token may have been replaced.
                    client = await _connect(read_connection, client, stack, diagnoses)
                    # That may take as long as a short interval.
                    began = asyncio.get_running_loop().time()
                outcome = await fetch_in_time(client, fetch, schedule.seconds_left(datetime.now(UTC)))
            # Of any class: connections come from backends that raise errors of their own.
            except Exception as error:
                outcome = error
                if not (isinstance(error, MakeApiError) and is_retryable(error)):
                    client = None
                    await stack.aclose()
            schedule.record(outcome if isinstance(outcome, Exception) else None)
            yield outcome
            left = schedule.seconds_left(datetime.now(UTC))
            if left is not None and left <= 0:
                return
            wait = max(0.0, began + schedule.pause - asyncio.get_running_loop().time())
            await asyncio.sleep(wait if left is None else min(wait, left))


async def _connect(
    read_connection: Callable[[], Coroutine[Any, Any, Connection]],
    client: MakeClient | None,
    stack: AsyncExitStack,
    diagnoses: Diagnoses | None,
) -> MakeClient:
    """Return a client for the connection as it is now: the same one, which counts its requests, if it is unchanged."""
    try:
        connection = await read_connection()
    except Exception:
        # While Make is down, what keeps the connection may be down, too.
        if client is None:
            raise
        return client
    if client is not None and client.settings == connection.settings:
        return client
    await stack.aclose()
    return await stack.enter_async_context(connection.new_client(diagnoses))

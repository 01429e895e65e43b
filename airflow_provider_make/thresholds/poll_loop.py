"""Check again and again on an event loop: when the next poll is due, and the loop of a trigger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.retry import minimum_delay
from airflow_provider_make.arguments import parse_number
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError
from airflow_provider_make.thresholds.check import ThresholdCheck
from airflow_provider_make.thresholds.rule import Snapshot

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient

# Seconds up to which failures in a row increase the pause, unless the interval itself is longer.
MAX_PAUSE = 600.0
MAX_FAILURES = 100
# Seconds for the last poll, if the deadline has passed already.
LAST_POLL = 10.0


class PollSchedule:
    """
    Decides when the next poll is due. It does no I/O: report to it how each poll ended.

    :param interval: Seconds from the start of one poll to the start of the next; above zero.
    :param deadline: When the last poll is due, aware; None for no end.
    :param growing: Whether the pause doubles with each failure in a row.
    :raises MakeInputError: The interval is not above zero.
    """

    def __init__(self, interval: Any, deadline: datetime | None = None, *, growing: bool = True) -> None:
        self._interval = self.pause = parse_number(
            "poke_interval", interval, "a number of seconds above zero", lambda seconds: seconds > 0
        )
        self._deadline = deadline
        self._growing = growing
        self._failures = 0

    @property
    def has_failed_too_often(self) -> bool:
        """Whether the last ``MAX_FAILURES`` polls all failed."""
        return self._failures >= MAX_FAILURES

    def seconds_left(self, now: datetime) -> float | None:
        """Return the seconds until the deadline, zero or less after it; None without a deadline."""
        return None if self._deadline is None else (self._deadline - now).total_seconds()

    def record(self, error: MakeApiError | None) -> None:
        """
        Record how a poll ended, and set ``pause``, the seconds from its start to the start of the next.

        :param error: The error, which may ask for a longer pause; None for success.
        """
        self._failures = self._failures + 1 if error else 0
        factor = 2 ** min(self._failures - 1, 30) if self._failures and self._growing else 1
        pause = min(self._interval * factor, max(self._interval, MAX_PAUSE))
        self.pause = max(pause, minimum_delay(error) if error else 0.0)


async def fetch_in_time(client: MakeClient, check: ThresholdCheck, seconds_left: float | None) -> Snapshot:
    """
    Fetch the figures of a check once, before a sensor times out.

    :param client: The client of the organization's zone, open.
    :param check: The check.
    :param seconds_left: Seconds until the timeout, of which ``LAST_POLL`` are granted at least; None for no timeout.
    :return: The snapshot.
    :raises MakeInputError: A filter is not valid, or there is no organization.
    :raises MakeApiError: The figures could not be fetched, or the time is over: a rate limit may take ten minutes.
    """
    try:
        async with asyncio.timeout(None if seconds_left is None else max(seconds_left, LAST_POLL)):
            return await check.fetch(client)
    except TimeoutError:
        pass
    raise MakeConnectionError("the sensor's timeout passed before a response")


async def poll(
    client: MakeClient, check: ThresholdCheck, schedule: PollSchedule
) -> AsyncIterator[Snapshot | MakeApiError]:
    """
    Fetch the figures of a check again and again.

    :param client: The client of the organization's zone, open.
    :param check: The check.
    :param schedule: When to poll; its ``pause`` is set before an outcome is yielded.
    :return: The snapshot or the error of each poll; it ends after the deadline.
    :raises MakeInputError: A filter is not valid, or there is no organization.
    """
    while True:
        began = asyncio.get_running_loop().time()
        left = schedule.seconds_left(datetime.now(UTC))
        outcome: Snapshot | MakeApiError
        try:
            outcome = await fetch_in_time(client, check, left)
        except MakeApiError as error:
            outcome = error
        schedule.record(outcome if isinstance(outcome, MakeApiError) else None)
        yield outcome
        left = schedule.seconds_left(datetime.now(UTC))
        if left is not None and left <= 0:
            return
        wait = max(0.0, began + schedule.pause - asyncio.get_running_loop().time())
        await asyncio.sleep(wait if left is None else min(wait, left))

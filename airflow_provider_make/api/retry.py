"""When the next request may go out: tries of one request, and the pace of all requests of a hook."""

from __future__ import annotations

import random
from collections.abc import Callable

from airflow_provider_make.api.error_mapping import may_mend
from airflow_provider_make.api.query import positive_integer
from airflow_provider_make.exceptions import MakeApiError, MakeInputError

LONGEST_DELAY = 3600.0
LONGEST_BACKOFF = 60.0
LONGEST_RETRY_AFTER = 300.0


class RetryRules:
    """
    How often one request is tried, and how long the pauses between its tries are.

    :param limit: Tries of one request, the first included; one or more.
    :param delay: Seconds before the second try, doubled each time up to ``LONGEST_BACKOFF`` and then
        multiplied by a random number from 0 to 1 (full jitter). A ``Retry-After`` replaces the pause, up to
        ``LONGEST_RETRY_AFTER`` seconds.
    :param jitter: Draws a random number between two; replaced in tests.
    :raises MakeInputError: A number is out of range.
    """

    def __init__(self, limit: int, delay: float, jitter: Callable[[float, float], float] = random.uniform) -> None:
        self.limit = positive_integer("api_retry_limit", limit)
        if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= LONGEST_DELAY:
            raise MakeInputError.expected("api_retry_delay", delay, f"seconds, from 0 to {LONGEST_DELAY:g}")
        self.delay = float(delay)
        self._jitter = jitter

    def pause_after(self, error: MakeApiError, tries: int) -> float:
        """
        Choose the pause after a failed try.

        :param error: What it ended with.
        :param tries: How many tries there were, this one included.
        :return: Seconds until the next try.
        """
        if error.retry_after is not None:
            return min(error.retry_after, LONGEST_RETRY_AFTER)
        return self._jitter(0.0, min(LONGEST_BACKOFF, self.delay * 2.0 ** min(tries - 1, 32)))


class Attempts:
    """
    The tries of one request.

    :param rules: How many there may be, and the pauses between them.
    """

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self._told: list[str] = []

    def pause_after(self, error: MakeApiError) -> float:
        """
        Take note of a failed try, and tell when the next may follow.

        :param error: What it ended with.
        :return: Seconds until the next try.
        :raises MakeApiError: The given error, when no further try may mend it or none is left; its
            ``tries`` tell what happened at each.
        """
        self._told.append(error.headline())
        if len(self._told) >= self._rules.limit or not may_mend(error):
            error.tries = tuple(self._told)
            raise error
        return self._rules.pause_after(error, len(self._told))

    def __str__(self) -> str:
        return f"Try {len(self._told)} of {self._rules.limit}"


class Pace:
    """
    The times at which the requests of one hook may go out: evenly spaced, and not during a pause.

    :param requests_per_minute: The most that may go out in a minute; None for any number.
    """

    def __init__(self, requests_per_minute: float | None) -> None:
        self._spacing = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = float("-inf")

    def claim(self, now: float) -> float:
        """
        Ask whether a request may go out.

        :param now: The present on a monotonic clock, in seconds.
        :return: Zero if it may: its time is taken then. Otherwise the seconds until it is worth asking again.
        """
        if now < self._next:
            return self._next - now
        self._next = now + self._spacing
        return 0.0

    def pause(self, now: float, seconds: float) -> None:
        """
        Let no request go out for a while.

        :param now: The present on a monotonic clock, in seconds.
        :param seconds: How long from now.
        """
        self._next = max(self._next, now + seconds)

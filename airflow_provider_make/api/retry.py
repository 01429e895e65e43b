"""When the next request may be sent: retries of one request, and the rate limit that all requests of a client share."""

from __future__ import annotations

import random

from airflow_provider_make.api.error_mapping import is_retryable
from airflow_provider_make.arguments import parse_number, parse_positive_integer
from airflow_provider_make.exceptions import MakeApiError

MAX_DELAY = 3600.0
MAX_BACKOFF = 60.0
MAX_RETRY_AFTER = 300.0


class RetryRules:
    """
    How often a request is tried, and the delays between tries.

    :param limit: Tries of one request, the first included; one or more.
    :param delay: Seconds before the second try, doubled for each further one up to ``MAX_BACKOFF``, and multiplied
        by a random number between 0 and 1 (full jitter). A ``Retry-After`` replaces it, up to ``MAX_RETRY_AFTER``.
    :raises MakeInputError: A number is out of range.
    """

    def __init__(self, limit: int, delay: float) -> None:
        self.limit = parse_positive_integer("api_retry_limit", limit)
        self.delay = parse_number(
            "api_retry_delay", delay, f"seconds, from 0 to {MAX_DELAY:g}", lambda seconds: 0 <= seconds <= MAX_DELAY
        )

    def delay_after(self, error: MakeApiError, tries: int) -> float:
        """
        Choose the delay after a failed try.

        :param error: The error of the try.
        :param tries: The number of tries so far.
        :return: Seconds until the next try.
        """
        if error.retry_after is not None:
            return min(error.retry_after, MAX_RETRY_AFTER)
        return random.uniform(0.0, min(MAX_BACKOFF, self.delay * 2.0 ** min(tries - 1, 32)))


class Attempts:
    """
    The failed tries of one request, or the passes of one pull that were not exact.

    :param rules: How many tries are allowed, and the delays between them.
    """

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self._headlines: list[str] = []

    def record(self, error: MakeApiError) -> None:
        """
        Count a failed try, and add the history of all tries to its error.

        :param error: The error of the try.
        """
        self._headlines.append(error.headline())
        error.tries = tuple(self._headlines)

    def may_retry(self, error: MakeApiError) -> bool:
        """
        Decide whether another try is allowed, and may help.

        :param error: The error recorded last.
        :return: True if a try is left and the error is transient.
        """
        return len(self._headlines) < self._rules.limit and is_retryable(error)

    def next_delay(self, error: MakeApiError) -> float:
        """
        Choose the delay before the next try.

        :param error: The error recorded last.
        :return: Seconds.
        """
        return self._rules.delay_after(error, len(self._headlines))

    def __str__(self) -> str:
        return f"Try {len(self._headlines)} of {self._rules.limit}"


class RateLimiter:
    """
    The times at which requests may be sent: evenly spaced, and not during a pause. It does not sleep itself.

    :param requests_per_minute: The most requests in a minute; None for no limit.
    """

    def __init__(self, requests_per_minute: float | None) -> None:
        self._spacing = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = float("-inf")

    def claim(self, now: float) -> float:
        """
        Claim the right to send a request.

        :param now: The present time on a monotonic clock, in seconds.
        :return: Zero if the request may be sent now; otherwise the seconds after which to claim again.
        """
        if now < self._next:
            return self._next - now
        self._next = now + self._spacing
        return 0.0

    def pause(self, now: float, seconds: float) -> None:
        """
        Hold back all requests for a while. A longer pause that is under way stays.

        :param now: The present time on a monotonic clock, in seconds.
        :param seconds: The length of the pause.
        """
        self._next = max(self._next, now + seconds)

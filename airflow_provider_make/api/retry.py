"""When the next request may be sent: retries of one request, and the rate limit that all requests of a client share."""

from __future__ import annotations

import random

from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.arguments import parse_number, parse_positive_integer
from airflow_provider_make.exceptions import MakeApiError, MakeRateLimitError

MAX_DELAY = 3600.0
MAX_BACKOFF = 60.0
# Make counts requests by the minute (its documentation of rate limits).
RATE_LIMIT_WINDOW = 60.0
# Seconds that one request waits for rate limits, in all.
MAX_RATE_LIMIT_WAIT = 600.0
# For a 429 with "Retry-After: 0", which would otherwise be repeated without end.
SHORTEST_RATE_LIMIT_WAIT = 1.0


def minimum_delay(error: MakeApiError) -> float:
    """Choose the shortest delay after an error: what the server asked for, or a minute after a bare 429."""
    if not isinstance(error, MakeRateLimitError):
        return error.retry_after or 0.0
    return RATE_LIMIT_WINDOW if error.retry_after is None else max(error.retry_after, SHORTEST_RATE_LIMIT_WAIT)


class RetryRules:
    """How often a request is tried, the first try included, and the seconds before the second, then doubled."""

    def __init__(self, limit: int, delay: float) -> None:
        self.limit = parse_positive_integer("api_retry_limit", limit)
        self.delay = parse_number(
            "api_retry_delay", delay, f"seconds, from 0 to {MAX_DELAY:g}", lambda seconds: 0 <= seconds <= MAX_DELAY
        )

    def delay_after(self, error: MakeApiError, tries: int) -> float:
        """Choose the delay after a failed try, the last of this many: a random one, unless the server asks for one."""
        if error.retry_after is None and isinstance(error, MakeRateLimitError):
            # With jitter, so that several tasks of an organization do not return in the same instant.
            return minimum_delay(error) + random.uniform(0.0, RATE_LIMIT_WINDOW / 10)
        if error.retry_after or isinstance(error, MakeRateLimitError):
            return minimum_delay(error)
        return random.uniform(0.0, _doubled(self.delay, tries))


class Attempts:
    """The failed tries of one request, or the passes over one result that were not exact."""

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self._headlines: list[str] = []
        self._failures = self._rate_limited = 0
        self.waited_for_rate_limits = 0.0

    def record(self, error: MakeApiError) -> float | None:
        """
        Record a failed try, and add the history of all tries to the error.

        Returns the seconds before the next try; None if another one is not allowed, or would not help.
        """
        self._headlines.append(error.headline())
        error.tries = tuple(self._headlines)
        # Rate limits are waited out without using up tries, unless there is only one.
        if self._rules.limit > 1 and isinstance(error, MakeRateLimitError):
            self._rate_limited += 1
            # The hint may be too short, again and again: refused requests may count, too.
            shortest = _doubled(SHORTEST_RATE_LIMIT_WAIT, self._rate_limited)
            delay = max(self._rules.delay_after(error, self._failures), shortest)
            if self.waited_for_rate_limits + delay > MAX_RATE_LIMIT_WAIT:
                return None
            self.waited_for_rate_limits += delay
            return delay
        self._failures += 1
        if self._failures >= self._rules.limit or not is_retryable(error):
            return None
        return self._rules.delay_after(error, self._failures)

    def __str__(self) -> str:
        return f"Try {self._failures} of {self._rules.limit}"


def _doubled(delay: float, tries: int) -> float:
    return min(MAX_BACKOFF, delay * 2.0 ** min(tries - 1, 32))


class RateLimiter:
    """
    The times at which requests may be sent: evenly spaced, and not during a pause. It does not sleep itself.

    Times are those of a monotonic clock, in seconds.
    """

    def __init__(self, requests_per_minute: float | None) -> None:
        self._spacing = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = self._paused_until = float("-inf")

    def acquire(self, now: float) -> float:
        """Return zero if a request may be sent now, and count it; otherwise the seconds until the next attempt."""
        if now < self._next:
            return self._next - now
        self._next = now + self._spacing
        return 0.0

    def pause(self, now: float, seconds: float) -> bool:
        """Hold back all requests, at least until a longer pause ends; return whether no pause was under way."""
        is_new, self._paused_until = now >= self._paused_until, max(self._paused_until, now + seconds)
        self._next = max(self._next, now + seconds)
        return is_new

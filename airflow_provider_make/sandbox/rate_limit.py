"""Limit the requests of an organization per minute, with the error responses seen at Make."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from typing import Literal, get_args

from airflow_provider_make.sandbox.refusals import Refusal

# Public programs have seen each of these at Make, and a 429 without any of them.
RateLimitHint = Literal["retry-after", "x-ratelimit-reset", "text"]
RATE_LIMIT_HINTS: tuple[str, ...] = get_args(RateLimitHint)
_WINDOW = 60


class RateLimit:
    """
    Count the requests of each organization in the last minute.

    :param requests_per_minute: Requests allowed per organization in any 60 seconds; ``None`` for no limit.
    :param hint: As for :func:`too_many_requests`.
    """

    def __init__(self, requests_per_minute: int | None, hint: RateLimitHint | None) -> None:
        self._requests_per_minute = requests_per_minute
        self._hint = hint
        # Times of the requests within the limit, in the last minute.
        self._counted_at: defaultdict[int, deque[float]] = defaultdict(deque)

    def count(self, organization_id: int) -> None:
        """
        Count a request.

        :param organization_id: The organization that it is for.
        :raises Refusal: A 429 if the request is over the limit; it is not counted then.
        """
        if self._requests_per_minute is None:
            return
        counted_at = self._counted_at[organization_id]
        now = time.monotonic()
        while counted_at and counted_at[0] <= now - _WINDOW:
            counted_at.popleft()
        if len(counted_at) >= self._requests_per_minute:
            raise too_many_requests(self._hint, math.ceil(counted_at[0] + _WINDOW - now))
        counted_at.append(now)


def too_many_requests(hint: RateLimitHint | None, seconds: int = 0) -> Refusal:
    """
    Build the refusal of a request over the rate limit.

    :param hint: What it contains: ``None`` for Make's JSON without any header about the limit, ``retry-after`` for that
        header, ``x-ratelimit-reset`` for it (epoch seconds) and ``X-RateLimit-Remaining: 0``, ``text`` for plain text
        instead of JSON, and no header.
    :param seconds: Seconds until requests are allowed again, for the headers.
    :return: The refusal, a 429.
    """
    if hint == "retry-after":
        return Refusal(429, headers={"Retry-After": str(seconds)})
    if hint == "x-ratelimit-reset":
        # Rounded up: a client that waits until then is not early.
        reset = math.ceil(time.time() + seconds)
        return Refusal(429, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)})
    return Refusal(429, text="Too many requests." if hint == "text" else None)

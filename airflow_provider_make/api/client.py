"""The client of the analytics endpoint: fetches one page, with retries, at the rate that the limits allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Self

from airflow_provider_make.api.error_mapping import error_from_response
from airflow_provider_make.api.plausibility import check_filters
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, PageParser
from airflow_provider_make.api.retry import MAX_RATE_LIMIT_WAIT, Attempts, RateLimiter, RetryRules
from airflow_provider_make.api.transport import Transport
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeApiError, MakeRateLimitError

# A page of 1000 scenarios has about 0.5 MB. To parse much more would stop the event loop, with all triggers on it.
LARGE_BODY_BYTES = 4_000_000
# What fetches a page: the client's ``ask``, or a stand-in for it.
Ask = Callable[[AnalyticsQuery, PageRequest], Coroutine[Any, Any, AnalyticsPage]]


class MakeClient:
    """
    Fetch pages of analytics from one zone. Used in ``async with``, on one event loop at a time.

    All requests of a client share its connections and its rate limit, so one 429 holds back all of them.

    :param settings: The connection settings.
    :param rules: How often each request is tried, and the delays between tries.
    :param log: Logger for a warning at each failed try.
    """

    def __init__(self, settings: ConnectionSettings, rules: RetryRules, log: Any) -> None:
        self.settings = settings
        self.retry_rules = rules
        self.log = log
        self._rate_limiter = RateLimiter(settings.requests_per_minute)
        self._transport = Transport(settings)
        self._parser = PageParser()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._transport.__aexit__(*exception)

    @property
    def requests_sent(self) -> int:
        """The number of requests sent so far, retries included."""
        return self._transport.requests_sent

    async def ask(self, query: AnalyticsQuery, page: PageRequest, rules: RetryRules | None = None) -> AnalyticsPage:
        """
        Fetch one page of a query.

        :param query: The query.
        :param page: The page.
        :param rules: Retry rules for this page; None for the client's.
        :return: The page.
        :raises MakeApiError: A retry would not help, or none is left. Its ``tries`` has the errors of all tries.
        """
        attempts = Attempts(rules or self.retry_rules)
        while True:
            await self._wait_for_rate_limit()
            try:
                return await self._try(query, page)
            except MakeApiError as error:
                delay = attempts.record(error)
                if delay is None:
                    raise
                self._log_delay(attempts, error, delay)
                holds_back_all = isinstance(error, MakeRateLimitError) or error.retry_after is not None
            if holds_back_all:
                self._rate_limiter.pause(asyncio.get_running_loop().time(), delay)
            else:
                await asyncio.sleep(delay)

    def _log_delay(self, attempts: Attempts, error: MakeApiError, delay: float) -> None:
        if isinstance(error, MakeRateLimitError):
            self.log.warning(
                "Waiting %.1f s for the rate limit (%.0f of %.0f s at most): %s",
                delay,
                attempts.waited_for_rate_limits,
                MAX_RATE_LIMIT_WAIT,
                error.headline(),
            )
        else:
            self.log.warning("%s failed, retrying in %.1f s: %s", attempts, delay, error.headline())

    async def _wait_for_rate_limit(self) -> None:
        while wait := self._rate_limiter.claim(asyncio.get_running_loop().time()):
            await asyncio.sleep(wait)

    async def _try(self, query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        response = await self._transport.get(query.path, query.parameters(page))
        if response.status != 200:
            now = datetime.now(UTC)
            raise error_from_response(
                response.status, response.headers, response.body, secret=self.settings.token, now=now
            )
        if len(response.body) > LARGE_BODY_BYTES:
            parsed = await asyncio.to_thread(self._parser.parse, response.body, page)
        else:
            parsed = self._parser.parse(response.body, page)
        check_filters(query, parsed)
        return parsed

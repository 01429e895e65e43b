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

# A page of 1000 scenarios has 0.3 to 0.5 MB. To parse much more would stop the event loop, with all triggers on it.
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
                failure = error
            is_rate_limit = isinstance(failure, MakeRateLimitError)
            holds_back_all = is_rate_limit or failure.retry_after is not None
            is_new = not holds_back_all or self._rate_limiter.pause(asyncio.get_running_loop().time(), delay)
            # Concurrent requests reach a limit together, and wait together: one line is enough.
            if is_new or not is_rate_limit:
                self._log_delay(attempts, failure, delay)
            if not holds_back_all:
                await asyncio.sleep(delay)

    def _log_delay(self, attempts: Attempts, error: MakeApiError, delay: float) -> None:
        if isinstance(error, MakeRateLimitError):
            self.log.warning(
                "Rate limit reached: all requests wait %.1f s. A request waits at most %.0f s in all. "
                "Set requests_per_minute in the connection to avoid this. %s",
                delay,
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
            error = error_from_response(
                response.status, response.headers, response.body, secret=self.settings.token, now=now
            )
            if error.advice and response.status in (401, 403, 404):
                # Mapped tasks may use several connections.
                where = f"connection {self.settings.conn_id!r} at {self.settings.zone}"
                error.advice += f" This was {where}, organization {query.organization_id}."
            raise error
        if len(response.body) > LARGE_BODY_BYTES:
            parsed = await asyncio.to_thread(self._parser.parse, response.body, page)
        else:
            parsed = self._parser.parse(response.body, page)
        check_filters(query, parsed)
        return parsed

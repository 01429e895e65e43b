"""The client of the API: sends one request, with retries, at the rate that the limits allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, NamedTuple, Self, TypeVar

from airflow_provider_make.api.access import ANALYTICS_SCOPE, Access, Diagnoses, default_advice
from airflow_provider_make.api.errors import error_from_response, is_refused_by_make, status_within_success
from airflow_provider_make.api.page import AnalyticsPage, PageParser
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import MAX_RATE_LIMIT_WAIT, Attempts, RateLimiter, RetryRules
from airflow_provider_make.api.transport import HttpResponse, Transport
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeApiError, MakeRateLimitError, MakeResponseError

# A page of 1000 scenarios has 0.3 to 0.5 MB. To parse much more would stop the event loop, with all triggers on it.
LARGE_BODY_BYTES = 4_000_000
# The client's method of this name, or a stand-in for it.
FetchPage = Callable[[AnalyticsQuery, PageRequest], Coroutine[Any, Any, AnalyticsPage]]
Result = TypeVar("Result")


class ApiRequest(NamedTuple, Generic[Result]):
    """A GET request, what it needs of the token, and how the body of its 200 response is parsed."""

    # Relative to the base URL.
    path: str
    # Not yet percent-encoded.
    parameters: list[tuple[str, str]]
    access: Access
    # Raises MakeApiError for a body that is not valid.
    parse: Callable[[bytes], Result]
    # Whether Make is asked about the token if it refuses it.
    is_diagnosed: bool = True


class MakeClient:
    """
    Sends requests to one zone. Used in ``async with``, on one event loop at a time.

    All requests of a client share its connections and its rate limit, so one 429 holds back all of them. Diagnoses of
    refused requests may be shared with other clients.
    """

    def __init__(
        self, settings: ConnectionSettings, rules: RetryRules, log: Any, diagnoses: Diagnoses | None = None
    ) -> None:
        self.settings = settings
        self.retry_rules = rules
        self.log = log
        self._rate_limiter = RateLimiter(settings.requests_per_minute)
        self._transport = Transport(settings)
        self._parser = PageParser()
        self._diagnoses = diagnoses or Diagnoses()
        # The last 401 or 403, known before its diagnosis is complete.
        self.refusal: MakeApiError | None = None
        self._warned: set[str] = set()
        self.retries = 0
        # Of all requests together: concurrent ones wait at the same time.
        self.seconds_waited = 0.0

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._transport.__aexit__(*exception)

    @property
    def requests_sent(self) -> int:
        """The number of requests sent so far, retries included."""
        return self._transport.requests_sent

    def warn_once(self, subject: str, text: str) -> None:
        """Log a warning about all responses of the zone, whose text may have other figures at each poll."""
        if subject not in self._warned:
            self._warned.add(subject)
            self.log.warning("%s", text)

    async def fetch_page(
        self, query: AnalyticsQuery, page: PageRequest, rules: RetryRules | None = None
    ) -> AnalyticsPage:
        """Fetch one page of a query, as ``fetch`` does."""
        access = Access(ANALYTICS_SCOPE, query.organization_id)
        parse = partial(self._parser.parse, query=query, request=page)
        return await self.fetch(ApiRequest(query.path, query.parameters(page), access, parse), rules)

    async def fetch(self, request: ApiRequest[Result], rules: RetryRules | None = None) -> Result:
        """
        Send a request until there is a valid response, under its own retry rules or the client's.

        :raises MakeApiError: A retry would not help, or none is left. Its ``tries`` has the errors of all tries.
        """
        attempts = Attempts(rules or self.retry_rules)
        while True:
            try:
                return await self._fetch_once(request)
            except MakeApiError as error:
                delay = attempts.record(error)
                if delay is None:
                    raise
                failure = error
            self.retries += 1
            is_rate_limit = isinstance(failure, MakeRateLimitError)
            holds_back_all = is_rate_limit or failure.retry_after is not None
            is_new = not holds_back_all or self._rate_limiter.pause(asyncio.get_running_loop().time(), delay)
            # Concurrent requests reach a limit together, and wait together: one line is enough.
            if is_new or not is_rate_limit:
                self._log_delay(attempts, failure, delay)
            if not holds_back_all:
                await self._wait(delay)

    async def _fetch_once(self, request: ApiRequest[Result]) -> Result:
        response = await self._send(request.path, request.parameters)
        if response.status != 200:
            raise await self._error(response, request)
        try:
            if len(response.body) > LARGE_BODY_BYTES:
                return await asyncio.to_thread(request.parse, response.body)
            return request.parse(response.body)
        except MakeResponseError:
            status = status_within_success(response.headers, response.body)
            if status is None:
                raise
        error = await self._error(response._replace(status=status), request)
        error.status_code = response.status  # type: ignore[assignment]  # as in its class
        raise error

    async def _send(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        while wait := self._rate_limiter.acquire(asyncio.get_running_loop().time()):
            await self._wait(wait)
        return await self._transport.get(path, parameters)

    async def _wait(self, seconds: float) -> None:
        self.seconds_waited += seconds
        await asyncio.sleep(seconds)

    async def _error(self, response: HttpResponse, request: ApiRequest[Any]) -> MakeApiError:
        settings, access = self.settings, request.access
        status, received = response.status, (response.headers, response.body)
        error = error_from_response(
            status, *received, secret=settings.token, now=datetime.now(UTC), parameters=request.parameters
        )
        # Mapped tasks may use several connections.
        organization = "" if access.organization_id is None else f", organization {access.organization_id}"
        where = f" This was connection {settings.conn_id!r} at {settings.zone}{organization}."
        is_refused, advice = is_refused_by_make(status, *received), error.advice
        if is_refused or status == 404:
            advice = default_advice(status, access) or advice
        if advice and status in (401, 403, 404):
            error.advice = advice + where
        if is_refused and request.is_diagnosed:
            self.refusal = error
            # Whatever fails here must not hide the refusal.
            with suppress(Exception):
                diagnosis = await self._diagnoses.advise(status, access, settings, self._send)
                error.advice = (diagnosis or advice) + where
        return error

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

"""One question until it is answered: when to send it, what the answer means, when to try again. No I/O of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_make.api.error_mapping import failure
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, read_page
from airflow_provider_make.api.retry import Attempts, Pace, RetryRules
from airflow_provider_make.api.transport import AiohttpTransport, Answer, Request, RequestsTransport
from airflow_provider_make.connection.settings import MakeConnection
from airflow_provider_make.exceptions import MakeApiError, MakeRateLimitError

Result = TypeVar("Result")
# What is to be done next: wait so many seconds, or send a request and come back with its answer.
Steps = Generator[float | Request, Answer | MakeApiError | None, Result]


class Exchange:
    """
    What all requests of one hook have in common: the pace, which one 429 holds up for all, and the count.

    :param connection: The connection.
    :param rules: Tries of each request.
    :param log: Gets a warning for each failed try.
    """

    def __init__(self, connection: MakeConnection, rules: RetryRules, log: Any) -> None:
        self.requests_sent = 0
        self._connection = connection
        self._rules = rules
        self._pace = Pace(connection.requests_per_minute)
        self._log = log

    def count(self) -> None:
        """Take note of a request that went out."""
        self.requests_sent += 1

    def ask(self, query: AnalyticsQuery, page: PageRequest, rules: RetryRules | None = None) -> Steps[AnalyticsPage]:
        """
        Ask for one page.

        :param query: What the page is of.
        :param page: Which page.
        :param rules: Other rules for the tries than the exchange's.
        :return: Steps to take, one after another, that end with the page.
        :raises MakeApiError: At some step: no further try may mend what happened, or none is left.
        """
        attempts = Attempts(rules or self._rules)
        while True:
            while wait := self._pace.claim(time.monotonic()):
                yield wait
            reply = yield Request(query.path, query.parameters(page))
            try:
                return read_page(self._body(reply), page)
            except MakeApiError as error:
                pause = attempts.pause_after(error)
                self._log.warning("%s failed, the next follows in %.1f s: %s", attempts, pause, error.headline())
                if isinstance(error, MakeRateLimitError) or error.retry_after is not None:
                    self._pace.pause(time.monotonic(), pause)
                else:
                    yield pause

    def _body(self, reply: Answer | MakeApiError | None) -> bytes:
        if isinstance(reply, Answer) and reply.status == 200:
            return reply.body
        if isinstance(reply, Answer):
            now = datetime.now(UTC)
            raise failure(reply.status, reply.headers, reply.body, secret=self._connection.token, now=now)
        if reply is None:
            raise TypeError("A request was yielded, and no answer was sent in.")
        raise reply


def drive(steps: Steps[Result], transport: RequestsTransport) -> Result:
    """
    Take the steps in this thread.

    :param steps: What to do.
    :param transport: Sends the requests.
    :return: What the steps end with.
    """
    reply: Answer | MakeApiError | None = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            result: Result = end.value
            return result
        if isinstance(step, Request):
            reply = transport.send(step)
        else:
            time.sleep(step)


async def drive_async(steps: Steps[Result], transport: AiohttpTransport) -> Result:
    """
    Take the steps on an event loop.

    :param steps: What to do.
    :param transport: Sends the requests.
    :return: What the steps end with.
    """
    reply: Answer | MakeApiError | None = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            result: Result = end.value
            return result
        if isinstance(step, Request):
            reply = await transport.send(step)
        else:
            await asyncio.sleep(step)

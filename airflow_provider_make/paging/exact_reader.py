"""From rounds of reading to an exact result: page side by side, and when a round fails, begin another one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Figures, ScenarioFigures
from airflow_provider_make.api.retry import Attempts, RetryRules
from airflow_provider_make.exceptions import MakeIncompleteResultError
from airflow_provider_make.paging.disk_sort import Reordering
from airflow_provider_make.paging.page_plan import Round

ROUNDS = 5
Result = TypeVar("Result")
Ask = Callable[[AnalyticsQuery, PageRequest], Coroutine[None, None, AnalyticsPage]]


class Sink(Protocol):
    """What takes the entries of a result, in order."""

    def add(self, entries: Sequence[ScenarioFigures], total_count: int | None) -> None:
        """Take the next entries of a result with so many in all."""

    def restart(self, error: MakeIncompleteResultError, pause: float) -> None:
        """Forget all entries: a round went wrong, and another one begins after so many seconds."""


class Plan(NamedTuple):
    """
    How one round reads.

    :param query: The query, in the order that pages are read in.
    :param page_size: Entries in each page.
    """

    query: AnalyticsQuery
    page_size: int


def plan_round(query: AnalyticsQuery, page_size: int, number: int) -> Plan:
    """
    Choose how a round reads.

    The first reads in the order asked for. Where many scenarios have the same sort key, that order may be
    another at each request and never join; names are all but unique, so the others read by name. Each of
    them puts the borders between pages elsewhere, in case two scenarios of one name stand at one.

    :param query: The query.
    :param page_size: Entries in each page that the user wants.
    :param number: Which round, from 1.
    :return: The plan.
    """
    if number > 1 and query.sort_by != "name":
        query = query.model_copy(update={"sort_by": "name", "sort_dir": "asc"})
    return Plan(query, max(1, page_size - page_size * max(0, number - 2) // 8))


async def read_exactly(
    ask: Ask, query: AnalyticsQuery, sink: Sink, *, page_size: int, max_concurrency: int, delay: float
) -> Figures:
    """
    Read every entry of a query exactly once, in its order.

    :param ask: Asks for a page.
    :param query: The query.
    :param sink: Takes the entries.
    :param page_size: Entries in each page.
    :param max_concurrency: The most pages asked for at the same time, and held in memory.
    :param delay: Seconds before the second round, doubled each time, with full jitter.
    :return: The organization's figures.
    :raises MakeIncompleteResultError: None of five rounds was exact; it tells what was seen in each.
    :raises MakeApiError: A page could not be had.
    """
    attempts = Attempts(RetryRules(ROUNDS, delay))
    absent_first = False
    number = 0
    while True:
        number += 1
        order, size = plan_round(query, page_size, number)
        reading = Round(size)
        try:
            async with aclosing(_read_round(ask, order, reading, max_concurrency)) as entries_by_page:
                if order == query:
                    async for entries in entries_by_page:
                        sink.add(entries, reading.total_count)
                else:
                    with Reordering(query.sort_column, query.sort_dir, absent_first) as reordering:
                        async for entries in entries_by_page:
                            reordering.add(entries)
                        for entries in reordering.batches(page_size):
                            sink.add(entries, reading.total_count)
            return reading.total
        except MakeIncompleteResultError as error:
            if number == 1:
                absent_first = reading.begins_without(query.sort_column)
            pause = attempts.pause_after(error)
            sink.restart(error, pause)
            await asyncio.sleep(pause)


async def _read_round(
    ask: Ask, query: AnalyticsQuery, reading: Round, max_concurrency: int
) -> AsyncGenerator[list[ScenarioFigures], None]:
    while batch := reading.next_batch():
        calls = (partial(ask, query, asked) for asked in batch)
        async with aclosing(in_order(calls, max_concurrency)) as pages:
            for asked in batch:
                yield reading.accept(asked, await anext(pages))


async def in_order(
    calls: Iterable[Callable[[], Coroutine[None, None, Result]]], max_concurrency: int
) -> AsyncGenerator[Result, None]:
    """
    Make calls side by side, and hand on their results in order.

    :param calls: The calls; each is taken up only when there is room for its result.
    :param max_concurrency: The most calls under way, or results held, at the same time; the one that is just
        handed on counts.
    :return: The results. When one call fails, at whatever place, it is raised at once; then, or when the
        reader stops, the others are cancelled.
    """
    window: deque[asyncio.Task[Result]] = deque()
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(task: asyncio.Task[Result]) -> None:
        if not task.cancelled() and (error := task.exception()) and not failed.done():
            failed.set_exception(error)

    async def first() -> Result:
        await asyncio.wait((window[0], failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
        return window.popleft().result()

    try:
        for call in calls:
            window.append(asyncio.create_task(call()))
            window[-1].add_done_callback(note)
            if len(window) == max_concurrency:
                yield await first()
        while window:
            yield await first()
    finally:
        for waiting in window:
            waiting.cancel()
        await asyncio.gather(*window, return_exceptions=True)
        # Marked as seen, or the loop would complain of an error that nobody looked at.
        if not failed.cancel():
            failed.exception()

"""Read all pages of a query side by side, until every entry was received exactly once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_make.api.page import AnalyticsPage, Metrics, ScenarioMetrics
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import Attempts, RetryRules
from airflow_provider_make.exceptions import MakeApiError, MakeIncompleteResultError, MakePageLimitError
from airflow_provider_make.paging.disk_sort import DiskSort
from airflow_provider_make.paging.page_plan import PagePlan

if TYPE_CHECKING:
    from airflow_provider_make.api.client import FetchPage

MAX_PASSES = 5
_SMALLEST_PAGE = 10
Result = TypeVar("Result")


class EntrySink(Protocol):
    """What receives the entries of a result, in order."""

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        """Receive the next entries of a result with this many entries in all; return whether to read on."""

    def restart(self, error: MakeApiError, delay: float) -> None:
        """Discard all entries: the pass was not exact, or asked for too much; another one begins after this delay."""


async def read_exactly(
    fetch_page: FetchPage,
    query: AnalyticsQuery,
    sink: EntrySink,
    *,
    page_size: int,
    max_concurrency: int,
    delay: float,
    first_page_size: int | None = None,
) -> Metrics:
    """
    Read every entry of a query exactly once, in the order of the query, and return the organization's figures.

    The sink gets pages of ``page_size`` entries, two or more; ``max_concurrency`` of them are requested, or held in
    memory, at the same time. The first page has ``first_page_size`` entries, for a sink that often needs no other. A
    second pass begins after ``delay`` seconds, doubled for each further one.

    :raises MakeIncompleteResultError: No pass was exact; its ``tries`` has the errors of all passes.
    :raises MakeApiError: A page could not be fetched.
    """
    passes = Attempts(RetryRules(MAX_PASSES, delay))
    absent_first = False
    requested_size = page_size
    number = 1
    while True:
        plan = PagePlan(page_size_for_pass(requested_size, number), first_page_size if number == 1 else None)
        pass_query = query_for_pass(query, number)
        try:
            async with aclosing(_read_pages(fetch_page, pass_query, plan, max_concurrency)) as pages:
                if pass_query == query:
                    async for entries in pages:
                        if not sink.add(entries, plan.total_count):
                            break
                        del entries
                else:
                    with DiskSort(query.sort_column, query.sort_dir, absent_first) as disk_sort:
                        async for entries in pages:
                            disk_sort.add(entries)
                        for entries in disk_sort.batches(page_size):
                            if not sink.add(entries, plan.total_count):
                                break
                            # Yields to the event loop, so that the pull can be cancelled here.
                            await asyncio.sleep(0)
            return plan.total
        except MakeIncompleteResultError as error:
            if number == 1:
                absent_first = plan.begins_without(query.sort_column)
            # Below the server's own page length, so that the boundaries move.
            requested_size = min(requested_size, plan.page_cap or requested_size)
            pause = passes.record(error)
            if pause is None:
                raise
            number += 1
            sink.restart(error, pause)
        except MakePageLimitError as error:
            pause, requested_size = 0.0, smaller_page_size(requested_size, error)
            sink.restart(error, pause)
        await asyncio.sleep(pause)


def smaller_page_size(page_size: int, error: MakePageLimitError) -> int:
    """Return the page size to try after one that the server refuses; raise the error again after the smallest."""
    if page_size <= _SMALLEST_PAGE:
        raise error
    # The largest page is not documented, and pages of 100 are Make's default elsewhere.
    return max(page_size // 10, _SMALLEST_PAGE)


def query_for_pass(query: AnalyticsQuery, number: int) -> AnalyticsQuery:
    """Sort by name from the second pass on: ties are unstable under the requested sort, and names nearly unique."""
    if number == 1 or query.sort_by == "name":
        return query
    return query.model_copy(update={"sort_by": "name", "sort_dir": "asc"})


def page_size_for_pass(page_size: int, number: int) -> int:
    """Move the boundaries of the pages from the third pass on: two scenarios of one name may be at a boundary."""
    return max(2, page_size - page_size * max(0, number - 2) // 8)


async def _read_pages(
    fetch_page: FetchPage, query: AnalyticsQuery, plan: PagePlan, max_concurrency: int
) -> AsyncGenerator[list[ScenarioMetrics], None]:
    async def fetch(request: PageRequest) -> tuple[PageRequest, AnalyticsPage]:
        return request, await fetch_page(query, request)

    yield plan.accept(*await fetch(plan.first_page()))
    if second := plan.first_full_page():
        yield plan.accept(*await fetch(second))
    async with aclosing(in_order((partial(fetch, page) for page in plan.other_pages()), max_concurrency)) as pages:
        async for request, page in pages:
            # No variable keeps a page: memory that is freed at once is used again while it is in the CPU's caches.
            new = [plan.accept(request, page)]
            del page
            yield new.pop()


async def in_order(
    calls: Iterable[Callable[[], Coroutine[Any, Any, Result]]], max_concurrency: int
) -> AsyncGenerator[Result, None]:
    """
    Run calls concurrently, and yield their results in the order of the calls.

    At most ``max_concurrency`` coroutines run, or have results that wait, at the same time. While the caller processes
    a result, the next call runs already, unless only one may: then, a caller that stops has sent no request too many.

    The first failure, of whichever call, is raised at once. After it, or when the caller stops iterating, the other
    coroutines are cancelled.
    """
    window: deque[asyncio.Task[Result]] = deque()
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set_failure(task: asyncio.Task[Result]) -> None:
        if not task.cancelled() and (error := task.exception()) and not failure.done():
            failure.set_exception(error)

    async def first_result() -> Result:
        await asyncio.wait((window[0], failure), return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            failure.result()
        return window.popleft().result()

    def start_calls() -> None:
        for call in islice(remaining, max_concurrency - len(window)):
            window.append(asyncio.create_task(call()))
            window[-1].add_done_callback(set_failure)

    remaining = iter(calls)
    try:
        start_calls()
        while window:
            # A list, so that no variable keeps a result that the caller has processed.
            result = [await first_result()]
            if max_concurrency > 1:
                start_calls()
                # So that the next request is sent before the caller processes this result.
                await asyncio.sleep(0)
            yield result.pop()
            start_calls()
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)
        # Retrieve the exception, or asyncio logs that it was never retrieved.
        if not failure.cancel():
            failure.exception()

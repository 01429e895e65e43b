"""Run coroutines concurrently and yield their results in order, with bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

Result = TypeVar("Result")


async def in_order(
    calls: Iterable[Callable[[], Coroutine[Any, Any, Result]]], max_concurrency: int
) -> AsyncGenerator[Result, None]:
    """
    Run calls concurrently, and yield their results in the order of the calls.

    :param calls: Functions that create a coroutine; each is called only when there is room for its result.
    :param max_concurrency: Maximum number of coroutines that run, or results that wait, at the same time. While the
        caller processes a result, the next call runs already, unless this is one: then, a caller that stops has caused
        no call in vain.
    :return: The results. The first failure, of whichever call, is raised at once. After it, or when the caller stops
        iterating, the other coroutines are cancelled.
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
            yield result.pop()
            start_calls()
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)
        # Retrieve the exception, or asyncio logs that it was never retrieved.
        if not failure.cancel():
            failure.exception()

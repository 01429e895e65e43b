"""Concurrent calls, with their results in order and bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial

import pytest

from airflow_provider_make.paging.exact_reader import in_order

Call = Callable[[], Coroutine[None, None, int]]


@pytest.mark.parametrize(("max_concurrency", "ahead"), [(1, 1), (2, 3), (3, 4)])
def test_calls_start_only_when_there_is_room_for_their_results(max_concurrency: int, ahead: int) -> None:
    started: list[int] = []

    async def call(number: int) -> int:
        started.append(number)
        await asyncio.sleep(0)
        return number

    async def run() -> list[tuple[int, int]]:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        return [(number, len(started)) async for number in in_order(calls, max_concurrency)]

    results = asyncio.run(run())
    assert [number for number, _ in results] == list(range(10))
    assert all(started_by_then <= number + ahead for number, started_by_then in results)


def test_results_are_in_order_of_the_calls() -> None:
    async def call(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    async def run() -> list[int]:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        return [number async for number in in_order(calls, 4)]

    assert asyncio.run(run()) == list(range(10))


@pytest.mark.parametrize("failing", [0, 2, 3])
def test_the_first_failure_is_raised_at_once_and_cancels_the_others(failing: int) -> None:
    cancelled: list[int] = []

    async def call(number: int) -> int:
        if number == failing:
            await asyncio.sleep(0)
            raise ValueError(number)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    async def run() -> None:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        with pytest.raises(ValueError, match=str(failing)):
            async for _ in in_order(calls, 4):
                raise AssertionError("no call succeeds")
        # Already, not at some later time.
        assert sorted(cancelled) == [number for number in range(4) if number != failing]

    asyncio.run(asyncio.wait_for(run(), 10))


def test_calls_are_cancelled_when_the_caller_stops_iterating() -> None:
    running: set[int] = set()

    async def call(number: int) -> int:
        running.add(number)
        try:
            await asyncio.sleep(3600 if number else 0)
        finally:
            running.discard(number)
        return number

    async def run() -> None:
        calls: list[Call] = [partial(call, number) for number in range(10)]
        async with aclosing(in_order(calls, 4)) as results:
            assert await anext(results) == 0
            assert len(running) == 3
        assert running == set()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_two_failures_leave_no_unretrieved_exception() -> None:
    problems: list[object] = []

    async def call(number: int) -> int:
        raise ValueError(number)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        with pytest.raises(ValueError, match="0"):
            async for _ in in_order([partial(call, number) for number in range(4)], 4):
                pass

    asyncio.run(run())
    assert problems == []

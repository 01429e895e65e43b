"""Coroutines in the hook's thread: results, errors, interruption by signals, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from airflow_provider_make.api.event_loop import EventLoopThread
from airflow_provider_make.exceptions import MakeServerError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox
from tests.support.client_threads import ClientThreads, started_from_now_on, wait_for_the_end


class Client:
    """Counts how often it is opened and closed."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.opened = self.closed = 0
        self.problem = problem

    async def __aenter__(self) -> Self:
        if self.problem:
            raise self.problem
        self.opened += 1
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.closed += 1


class Interrupted(BaseException):
    """As Airflow's timeout is: not an Exception."""


@pytest.fixture
def client() -> Client:
    return Client()


def thread_for(client: Client) -> EventLoopThread:
    return EventLoopThread(lambda: client)  # type: ignore[arg-type,return-value]  # as much of a client as it needs


@pytest.fixture
def event_loop(client: Client) -> Iterator[EventLoopThread]:
    event_loop = thread_for(client)
    yield event_loop
    event_loop.close()


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise in the main thread, from a signal handler, as Airflow's timeout does."""

    def interrupt(*_: Any) -> None:
        raise Interrupted

    # Not SIGALRM, which ends tests that take too long.
    before = signal.signal(signal.SIGVTALRM, interrupt)
    main = threading.main_thread().ident or 0
    timer = threading.Timer(seconds, signal.pthread_kill, [main, signal.SIGVTALRM])
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGVTALRM, before)


@pytest.fixture(autouse=True)
def client_threads() -> ClientThreads:
    return started_from_now_on()


async def sleep(client: Any) -> None:
    await asyncio.sleep(600)


async def value(client: Any) -> int:
    await asyncio.sleep(0)
    return 7


def test_results_of_coroutines_on_one_loop_with_the_client_open(
    event_loop: EventLoopThread, client: Client, client_threads: ClientThreads
) -> None:
    async def loop(client: Any) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert client.opened == 0
    assert event_loop.run(value) == 7
    assert event_loop.run(loop) is event_loop.run(loop)
    assert (client.opened, client.closed) == (1, 0)
    event_loop.close()
    assert (client.opened, client.closed) == (1, 1)
    assert client_threads() == []


def test_it_starts_again_after_close(event_loop: EventLoopThread, client: Client) -> None:
    for times in (1, 2):
        assert event_loop.run(value) == 7
        event_loop.close()
        event_loop.close()
        assert (client.opened, client.closed) == (times, times)


def test_an_error_ends_the_traceback_and_has_no_context_of_asyncio(event_loop: EventLoopThread) -> None:
    async def fail(client: Any) -> None:
        await asyncio.sleep(0)
        raise MakeServerError("down")

    with pytest.raises(MakeServerError) as caught:
        event_loop.run(fail)
    text = "".join(traceback.format_exception(caught.value))
    assert text.strip().endswith("MakeServerError: down")
    assert "During handling" not in text
    assert "in fail" in text
    assert event_loop.run(value) == 7


def test_a_client_that_can_not_be_opened(recwarn: pytest.WarningsRecorder, client_threads: ClientThreads) -> None:
    event_loop = thread_for(Client(ValueError("no certificate")))
    for _ in range(2):
        with pytest.raises(ValueError, match="no certificate"):
            event_loop.run(value)
    gc.collect()
    assert [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)] == []
    assert client_threads() == []


def test_a_signal_ends_the_wait_at_once_and_cancels_the_coroutine(event_loop: EventLoopThread) -> None:
    seen: list[str] = []

    async def work(client: Any) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.05)
            seen.append("cleaned up")

    began = time.monotonic()
    with pytest.raises(Interrupted), interrupted_after(0.1):
        event_loop.run(work)
    assert time.monotonic() - began < 100
    # Not later: what the coroutine used may be closed from here on.
    assert seen == ["cleaned up"]
    assert event_loop.run(value) == 7


def test_a_signal_during_busy_work_is_not_swallowed(event_loop: EventLoopThread) -> None:
    async def work(client: Any) -> None:
        while True:
            sum(range(1000))
            await asyncio.sleep(0)

    for _ in range(50):
        with pytest.raises(Interrupted), interrupted_after(0.002):
            event_loop.run(work)
    assert event_loop.run(value) == 7


@pytest.mark.parametrize("microseconds", range(50, 2000, 50))
def test_a_signal_at_the_very_start(microseconds: int, client: Client, client_threads: ClientThreads) -> None:
    event_loop = thread_for(client)
    with pytest.raises(Interrupted), interrupted_after(microseconds / 1e6):
        while True:
            event_loop.run(value)
            event_loop.close()
    event_loop.close()
    wait_for_the_end(client_threads)
    assert client.opened == client.closed
    assert event_loop.run(value) == 7
    event_loop.close()


def test_inside_a_running_loop_it_can_be_ended_at_once(event_loop: EventLoopThread) -> None:
    async def notebook() -> None:
        event_loop.run(sleep)

    began = time.monotonic()
    with pytest.raises(Interrupted), interrupted_after(0.2):
        asyncio.run(notebook())
    assert time.monotonic() - began < 100


def test_close_leaves_the_work_that_other_threads_wait_for(
    event_loop: EventLoopThread, client: Client, client_threads: ClientThreads
) -> None:
    results: list[int] = []
    started = threading.Event()

    async def slow(client: Any) -> int:
        started.set()
        await asyncio.sleep(0.5)
        return 7

    waiting = threading.Thread(target=lambda: results.append(event_loop.run(slow)))
    waiting.start()
    started.wait(60)
    event_loop.close()
    assert event_loop.run(value) == 7
    event_loop.close()
    waiting.join(10)
    assert results == [7]
    wait_for_the_end(client_threads)
    assert (client.opened, client.closed) == (2, 2)


def test_close_and_run_race_without_errors_in_any_thread(client_threads: ClientThreads) -> None:
    event_loop = EventLoopThread(Client)  # type: ignore[arg-type]
    outcomes: list[object] = []

    def work() -> None:
        for _ in range(200):
            try:
                outcomes.append(event_loop.run(value))
            except BaseException as error:
                outcomes.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        event_loop.close()
        time.sleep(0.001)
    assert outcomes == [7] * 800
    event_loop.close()
    wait_for_the_end(client_threads)


def test_thread_that_cannot_start_its_loop_raises(event_loop: EventLoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor_left() -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", no_descriptor_left)
        patch.setattr(asyncio.events, "new_event_loop", no_descriptor_left)
        with pytest.raises(OSError, match="Too many open files"):
            event_loop.run(value)
    assert event_loop.run(value) == 7


def test_several_threads_share_it(event_loop: EventLoopThread, client: Client) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(event_loop.run(value))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (results, client.opened) == ([7] * 8, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("child_uses", ["the hook", "close", "nothing"])
def test_a_forked_child_leaves_the_connection_of_the_parent_alone(
    child_uses: str, make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    with MakeHook(api_retry_limit=1) as hook:
        assert len(hook.get_analytics_page(limit=1).analytics) == 1
        child = os.fork()
        if child == 0:
            entries = 2
            if child_uses == "the hook":
                entries = len(hook.get_analytics_page(limit=2).analytics)
            elif child_uses == "close":
                hook.close()
            del hook
            gc.collect()
            os._exit(0 if entries == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        began = time.monotonic()
        assert len(hook.get_analytics_page(limit=3).analytics) == 3
        assert time.monotonic() - began < 30
    assert make_sandbox.connections == (2 if child_uses == "the hook" else 1)


def test_a_hook_that_is_never_closed_leaves_no_thread(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, client_threads: ClientThreads
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    hook = MakeHook()
    hook.get_analytics_page(limit=1)
    assert len(client_threads()) == 1
    del hook
    gc.collect()
    assert client_threads() == []


def test_a_hook_that_is_open_at_exit_says_nothing(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = make_sandbox.connection_json.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", connection)
    code = (
        "from airflow_provider_make.hooks.make import MakeHook\n"
        "hook = MakeHook()\n"
        "print('scenarios:', hook.get_analytics_page(return_total_count=True).pg.total_count)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "scenarios: 250" in done.stdout
    assert [line for line in done.stderr.splitlines() if "Unclosed" in line or "Traceback" in line] == []


def test_first_use_after_the_main_thread_has_ended(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = make_sandbox.connection_json.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", connection)
    code = (
        "import threading, time\n"
        "from airflow_provider_make.hooks.make import MakeHook\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    with MakeHook() as hook: print('scenarios:', len(hook.get_analytics_page(limit=3).analytics))\n"
        "threading.Thread(target=work).start()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "scenarios: 3" in done.stdout, done.stderr


def test_no_loop_runs_in_the_main_thread(event_loop: EventLoopThread) -> None:
    async def thread(client: Any) -> threading.Thread:
        return threading.current_thread()

    assert event_loop.run(thread) is not threading.main_thread()

"""An event loop in a separate thread, for synchronous code that uses a client."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class EventLoopThread:
    """
    Run coroutines on an event loop in a thread, with a client open.

    In the main thread of a task, asyncio would swallow what Airflow's signal handlers raise, such as the timeout of
    ``execution_timeout``: a callback on the loop catches every exception. A separate thread receives no signals.
    It starts with the first coroutine, opens the client, and keeps it open until :meth:`close`.

    :param client: The client, not yet opened.
    """

    def __init__(self, client: AbstractAsyncContextManager[Any]) -> None:
        self._client = client
        self._thread: _ClientThread | None = None
        self._starting = Lock()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """
        Run a coroutine on the loop, and wait for its result.

        If a signal handler raises meanwhile, the coroutine is cancelled, and has ended when this method raises.

        :param coroutine: The coroutine.
        :return: Its result.
        :raises BaseException: What the coroutine, the opening of the client, or a signal handler raises.
        """
        tasks: list[asyncio.Task[Result]] = []
        # Unlike those of an Event, its methods are atomic: an exception from a signal handler can't leave a lock held.
        done: SimpleQueue[None] = SimpleQueue()
        cancelled: SimpleQueue[None] = SimpleQueue()

        def start() -> None:
            tasks.append(loop.create_task(coroutine))
            tasks[0].add_done_callback(lambda _: done.put(None))

        def cancel() -> None:
            for task in tasks:
                task.cancel()
                task.add_done_callback(lambda _: cancelled.put(None))
            if not tasks:
                cancelled.put(None)

        try:
            loop = self._running_loop()
            try:
                loop.call_soon_threadsafe(start)
                done.get()
            except BaseException:
                loop.call_soon_threadsafe(cancel)
                cancelled.get()
                raise
        finally:
            if not tasks:
                coroutine.close()
        return tasks[0].result()

    def close(self) -> None:
        """Cancel what still runs, close the client and end the thread. A later :meth:`run` starts another one."""
        if self._thread is not None:
            self._thread.stop()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            # After a fork, the thread of the parent process is not alive.
            if self._thread is None or self._thread.stopped or not self._thread.is_alive():
                self._thread = _ClientThread(self._client)
                try:
                    return self._thread.start_loop()
                except BaseException:
                    self.close()
                    raise
            return self._thread.loop


class _ClientThread(Thread):
    """One thread, its loop, and the client opened on it. Its state stays valid wherever a signal interrupts."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, client: AbstractAsyncContextManager[Any]) -> None:
        super().__init__(name="make-client", daemon=True)
        self._client = client
        self._opened: SimpleQueue[Exception | None] = SimpleQueue()
        self._closing = asyncio.Event()
        self.stopped = False

    def start_loop(self) -> asyncio.AbstractEventLoop:
        self.start()
        if error := self._opened.get():
            raise error
        return self.loop

    def stop(self) -> None:
        self.stopped = True
        # The thread may not have created its loop yet, or have closed it already.
        with suppress(AttributeError, RuntimeError):
            self.loop.call_soon_threadsafe(self._closing.set)
            # The garbage collector may close a hook in any thread.
            if self is not current_thread():
                # Not for ever: a name lookup can't be cancelled. The thread ends after it.
                self.join(timeout=1.0)

    def run(self) -> None:
        asyncio.run(self._keep_client_open())

    async def _keep_client_open(self) -> None:
        self.loop = asyncio.get_running_loop()
        if self.stopped:
            return
        try:
            async with self._client:
                self._opened.put(None)
                await self._closing.wait()
                # Before the client is closed, so that the coroutines see their cancellation first.
                running = asyncio.all_tasks() - {asyncio.current_task()}
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        except Exception as error:
            self._opened.put(error)

"""An event loop in a separate thread, for synchronous code that uses a client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from threading import RLock, Thread, current_thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient

Result = TypeVar("Result")
# A forked child must not delete these: the parent still uses their sockets, and the same epoll instance.
_threads_of_the_parent: list[_ClientThread] = []


class EventLoopThread:
    """
    Runs coroutines on an event loop in a thread, with a client open.

    In the main thread of a task, asyncio would swallow what Airflow's signal handlers raise, such as the timeout of
    ``execution_timeout``: a callback on the loop catches every exception. A separate thread receives no signals. It
    starts with the first coroutine, opens a new client, and keeps it open until ``close``.
    """

    def __init__(self, new_client: Callable[[], MakeClient]) -> None:
        self._new_client = new_client
        self._thread: _ClientThread | None = None
        self._lock = RLock()
        self._pid = os.getpid()

    def run(self, work: Callable[[MakeClient], Coroutine[Any, Any, Result]]) -> Result:
        """
        Run a coroutine for the open client on the loop, and wait for its result.

        If a signal handler raises meanwhile, the coroutine is cancelled, and has ended when this method raises.
        """
        tasks: list[asyncio.Task[Result]] = []
        # Unlike those of an Event, its methods are atomic: an exception from a signal handler can't leave a lock held.
        done: SimpleQueue[None] = SimpleQueue()
        cancelled: SimpleQueue[None] = SimpleQueue()
        lease = _Lease()

        async def call() -> Result:
            return await work(thread.client)

        def start() -> None:
            tasks.append(thread.loop.create_task(call()))
            tasks[0].add_done_callback(lambda _: done.put(None))

        def cancel() -> None:
            for task in tasks:
                task.cancel()
                task.add_done_callback(lambda _: cancelled.put(None))
            if not tasks:
                cancelled.put(None)

        try:
            thread = self._lease_thread(lease)
            try:
                thread.loop.call_soon_threadsafe(start)
                done.get()
            except BaseException:
                thread.loop.call_soon_threadsafe(cancel)
                cancelled.get()
                raise
        finally:
            lease.end()
        return tasks[0].result()

    def close(self) -> None:
        """Close the client and end the thread, after work that other threads wait for. ``run`` starts another."""
        self._leave_thread_of_the_parent()
        if self._thread is not None:
            self._thread.stop()

    def _lease_thread(self, lease: _Lease) -> _ClientThread:
        self._leave_thread_of_the_parent()
        with self._lock:
            while self._thread is None or not self._thread.accept(lease):
                self._thread = _ClientThread(self._new_client())
                try:
                    self._thread.open()
                except BaseException:
                    self._thread.stop()
                    raise
            return self._thread

    def _leave_thread_of_the_parent(self) -> None:
        if self._pid != os.getpid():
            # The thread does not exist in a forked child, and another one may have held the lock.
            self._lock, self._pid = RLock(), os.getpid()
            if self._thread is not None:
                _threads_of_the_parent.append(self._thread)
                self._thread = None


class _Lease:
    """Keeps the client of a thread open until it ends."""

    thread: _ClientThread | None = None

    def end(self) -> None:
        if self.thread is not None:
            self.thread.forget(self)


class _ClientThread(Thread):
    """One thread, its loop, and the client opened on it. Its state stays valid wherever a signal interrupts."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, client: MakeClient) -> None:
        super().__init__(name="make-client", daemon=True)
        self.client = client
        self._opened: SimpleQueue[BaseException | None] = SimpleQueue()
        self._lock = RLock()
        self._leases: set[_Lease] = set()
        self._stopped = False
        self._closing = asyncio.Event()

    def open(self) -> None:
        self.start()
        if error := self._opened.get():
            raise error

    def accept(self, lease: _Lease) -> bool:
        with self._lock:
            if self._stopped or not self.is_alive():
                return False
            lease.thread = self
            self._leases.add(lease)
            return True

    def forget(self, lease: _Lease) -> None:
        with self._lock:
            self._leases.discard(lease)
            self._close_if_unused()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._close_if_unused()
            is_used = bool(self._leases)
        # The garbage collector may close a hook in any thread.
        if not is_used and self.is_alive() and self is not current_thread():
            self.join(timeout=1.0)

    def _close_if_unused(self) -> None:
        # Before the loop runs, it checks for itself.
        if self._stopped and not self._leases and hasattr(self, "loop"):
            with suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self._closing.set)

    def run(self) -> None:
        keep_client_open = self._keep_client_open()
        try:
            asyncio.run(keep_client_open)
        except BaseException as error:
            keep_client_open.close()
            self._opened.put(error)

    async def _keep_client_open(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_DaemonThreads())
        with self._lock:
            self.loop = loop
            if self._stopped:
                self._closing.set()
        async with self.client:
            self._opened.put(None)
            await self._closing.wait()


class _DaemonThreads(ThreadPoolExecutor):
    """Run each call in a daemon thread: a name lookup that hangs must delay neither close nor exit."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        Thread(target=call, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the threads alone."""

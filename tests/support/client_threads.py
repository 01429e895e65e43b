"""The threads of hooks' clients that a test has started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

ClientThreads = Callable[[], list[threading.Thread]]


def started_from_now_on() -> ClientThreads:
    """
    Leave out the threads that run already: the hook of an earlier test may live until it is garbage-collected.

    :return: A function that returns the client threads that were started since this call, and still run.
    """
    earlier = set(threading.enumerate())
    return lambda: [
        thread for thread in threading.enumerate() if thread.name == "make-client" and thread not in earlier
    ]


def wait_for_the_end(threads: ClientThreads, seconds: float = 30) -> None:
    """Wait until none of the threads is left: one that was interrupted at its start ends when it has run."""
    deadline = time.monotonic() + seconds
    while threads():
        assert time.monotonic() < deadline, f"still running: {threads()}"
        time.sleep(0.01)

"""The threads of hooks' clients that a test has started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

ClientThreads = Callable[[], list[threading.Thread]]


def started_from_now_on() -> ClientThreads:
    """
    Watch for client threads that start from now on: the hook of an earlier test may live until it is collected.

    :return: A function that returns the client threads that were started since this call, and still run.
    """
    earlier = set(threading.enumerate())
    return lambda: [
        thread for thread in threading.enumerate() if thread.name == "make-client" and thread not in earlier
    ]


def wait_for_the_end(threads: ClientThreads, seconds: float = 30) -> None:
    """Wait until all threads have ended, which takes a while for one that was interrupted while it started."""
    deadline = time.monotonic() + seconds
    while threads():
        assert time.monotonic() < deadline, f"still running: {threads()}"
        time.sleep(0.01)

"""A relay in front of a store, which fails at a chosen moment of an upload."""

from __future__ import annotations

import select
import socket
import threading
from typing import Literal

from tests.support.loopback import Server, reset


class Gate(Server):
    """
    A relay that forwards everything, until it has forwarded a part of a chosen request.

    :param port: The store's port.
    :param trigger: Bytes in the head of that request; empty to never fail.
    :param after: The number of bytes after the trigger that are forwarded.
    :param then: The failure: ``cut`` resets the connection, at each such request; ``down`` resets every connection
        from then on; ``hold`` withholds the rest until the client is gone; ``pause`` waits for ``resume``.
    """

    def __init__(
        self,
        port: int,
        trigger: bytes = b"",
        after: int = 0,
        then: Literal["cut", "down", "hold", "pause"] = "cut",
    ) -> None:
        super().__init__()
        self.reached, self.resume = threading.Event(), threading.Event()
        self._target = ("127.0.0.1", port)
        self._trigger = trigger
        self._after = after
        self._then = then

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as upstream:
            seen, remaining = b"", -1  # -1 until the trigger is seen
            while True:
                readable = select.select([client, upstream], [], [])[0]
                if self._then == "down" and self.reached.is_set():
                    return reset(client)
                if upstream in readable and not self._forward(upstream.recv(1 << 16), client):
                    return None
                if client in readable:
                    data = client.recv(1 << 16)
                    if remaining < 0 and self._trigger and self._trigger in (seen := seen[-200:] + data):
                        passed = len(data) - (len(seen) - seen.index(self._trigger))
                        remaining = max(passed, 0) + self._after
                    if 0 <= remaining <= len(data):
                        upstream.sendall(data[:remaining])
                        if self._fail(client):
                            return None
                        data, remaining = data[remaining:], -1
                    elif remaining > 0:
                        remaining -= len(data)
                    if not self._forward(data, upstream):
                        return None

    def _fail(self, client: socket.socket) -> bool:
        self.reached.set()
        if self._then == "pause":
            self.resume.wait(30)
            return False
        if self._then == "hold":
            while client.recv(1 << 16):
                pass
        reset(client)
        return True

    def _forward(self, data: bytes, to: socket.socket) -> bool:
        to.sendall(data)
        return bool(data)

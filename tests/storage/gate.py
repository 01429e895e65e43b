"""A relay before a store that fails at a chosen moment of an upload."""

from __future__ import annotations

import select
import socket
import threading
from typing import Literal

from tests.support.loopback import Server, reset


class Gate(Server):
    """
    Hands everything on, until a request has come through in part.

    :param port: The store's port.
    :param trigger: What the head of that request contains; empty for no such request.
    :param after: How many bytes after the trigger are handed on.
    :param then: What happens: ``cut`` resets the connection, at each such request; ``down`` resets every connection
        from then on; ``hold`` keeps the rest of it until the client is gone; ``pause`` waits for ``resume``.
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
            seen, open_for = b"", -1  # -1 while the trigger has not been seen
            while True:
                readable = select.select([client, upstream], [], [])[0]
                if self._then == "down" and self.reached.is_set():
                    return reset(client)
                if upstream in readable and not self._hand_on(upstream.recv(1 << 16), client):
                    return None
                if client in readable:
                    data = client.recv(1 << 16)
                    if open_for < 0 and self._trigger and self._trigger in (seen := seen[-200:] + data):
                        passed = len(data) - (len(seen) - seen.index(self._trigger))
                        open_for = max(passed, 0) + self._after
                    if 0 <= open_for <= len(data):
                        upstream.sendall(data[:open_for])
                        if self._act(client):
                            return None
                        data, open_for = data[open_for:], -1
                    elif open_for > 0:
                        open_for -= len(data)
                    if not self._hand_on(data, upstream):
                        return None

    def _act(self, client: socket.socket) -> bool:
        self.reached.set()
        if self._then == "pause":
            self.resume.wait(30)
            return False
        if self._then == "hold":
            while client.recv(1 << 16):
                pass
        reset(client)
        return True

    def _hand_on(self, data: bytes, to: socket.socket) -> bool:
        to.sendall(data)
        return bool(data)

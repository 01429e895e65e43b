"""Servers on loopback: TLS before another server, a proxy, and answers written byte by byte."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
_END = b"\r\n\r\n"
_REFUSED = b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0'


class Server:
    """
    A TCP server in a thread of its own. Used in ``with``.

    :param context: Makes it a TLS server.
    :param address: Where it listens.
    """

    def __init__(self, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self.connections = 0
        self._context = context
        self._address = address

    def __enter__(self) -> Self:
        bound: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(bound,), daemon=True)
        self._thread.start()
        self.port = bound.result()
        self.netloc = f"[{self._address}]:{self.port}" if ":" in self._address else f"{self._address}:{self.port}"
        self.url = f"{'https' if self._context else 'http'}://{self.netloc}"
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, which is closed afterwards."""
        raise NotImplementedError

    def _run(self, bound: Future[int]) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._listen(bound))

    async def _listen(self, bound: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._accept, self._address, 0, ssl=self._context)
        bound.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # Cancelled when the server stops, and asyncio would complain.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.serve(reader, writer)
        with suppress(OSError, RuntimeError):
            writer.close()


class Relay(Server):
    """
    Hands every byte on to another server, and its answers back.

    :param port: The other server's port.
    :param context: TLS to take off before.
    :param address: Where it listens, and the other one too.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        super().__init__(context, address)
        self._target = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, *await asyncio.open_connection(self._address, self._target))


class Proxy(Server):
    """
    A proxy for GET requests and tunnels; ``heads`` has all that it could read.

    :param credentials: User and password, with a colon between, that it asks for; None for none.
    :param context: Makes it a proxy that is reached by TLS.
    """

    def __init__(self, credentials: str | None = None, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.heads: list[str] = []
        self._basic = credentials and f"Basic {base64.b64encode(credentials.encode()).decode()}"

    @property
    def lines(self) -> list[str]:
        """Method and target of each request."""
        return [head.partition(" HTTP/")[0] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await self._read(reader, writer)
        method, target, _ = head.split(" ", 2)
        there = urlsplit(f"//{target}" if method == "CONNECT" else target)
        upstream = await asyncio.open_connection(there.hostname, there.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK" + _END)
            await _join(reader, writer, *upstream)
        else:
            await _both(self._forward(head, reader, writer, upstream[1]), _copy(upstream[0], writer), upstream[1])

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        while True:
            head = (await reader.readuntil(_END)).decode()
            self.heads.append(head)
            if not self._basic or f"Proxy-Authorization: {self._basic}\r\n" in head:
                return head
            writer.write(_REFUSED + _END)

    async def _forward(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: asyncio.StreamWriter
    ) -> None:
        while True:
            method, target, rest = head.split(" ", 2)
            there = urlsplit(target)
            lines = [line for line in rest.split("\r\n") if not line.startswith("Proxy-")]
            upstream.write(f"{method} {there.path}?{there.query} ".encode() + "\r\n".join(lines).encode())
            head = await self._read(reader, writer)


class Script(Server):
    """
    Reads one request after the other, and answers each by what it was given; ``heads`` has the requests.

    :param answer: Writes an answer; a connection ends when it raises ``ConnectionError``.
    :param context: Makes it a TLS server.
    """

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.heads: list[str] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.heads.append((await reader.readuntil(_END)).decode())
            await self._answer(writer)


class Silent(Server):
    """Takes connections and says nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    other_reader: asyncio.StreamReader,
    other_writer: asyncio.StreamWriter,
) -> None:
    await _both(_copy(reader, other_writer), _copy(other_reader, writer), other_writer)


async def _both(there: Awaitable[None], back: Awaitable[None], upstream: asyncio.StreamWriter) -> None:
    # The first end is the end of both: half-closed connections are of no use here.
    tasks = [asyncio.ensure_future(there), asyncio.ensure_future(back)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        upstream.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()

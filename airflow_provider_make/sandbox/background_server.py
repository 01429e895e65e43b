"""Serve HTTP in a background thread, with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from aiohttp import web


class BackgroundServer:
    """
    An HTTP server that can be started and stopped repeatedly. It keeps its port.

    :param handle: Handles each request, in the server's thread.
    :param address: Address to listen on.
    :param port: Port to listen on; 0 picks a free one at the first start.
    :raises ValueError: If the address is empty, or the port is out of range.
    """

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], address: str, port: int
    ) -> None:
        if not address:
            # asyncio would listen on all addresses.
            raise ValueError("host must not be empty")
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {port}")
        self._handle = handle
        self._address = address
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """Scheme, address and port for a client on this machine."""
        if not self._port:
            raise RuntimeError("the sandbox has no port before it has started")
        # A client can't connect to "all addresses"; the provider permits plain http on loopback only.
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._address, self._address)
        return f"http://[{address}]:{self._port}" if ":" in address else f"http://{address}:{self._port}"

    def start(self) -> None:
        """
        Serve until :meth:`stop`.

        :raises RuntimeError: If the server is running already.
        :raises OSError: If the address or the port is not available.
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        bound: Future[int] = Future()
        # Not the policy's loop, which may be uvloop: an aborted connection looks different there.
        self._loop = asyncio.SelectorEventLoop()
        self._stopping = asyncio.Event()
        thread = threading.Thread(target=self._run, args=(self._loop, bound), name="sandbox", daemon=True)
        thread.start()
        try:
            self._port = bound.result()
        except OSError:
            thread.join()
            raise
        self._thread = thread

    def stop(self) -> None:
        """Stop serving, and drop requests without a response. Do nothing if the server is not running."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, bound: Future[int]) -> None:
        # Cancels what is still running at the end, such as stalled responses.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(bound))

    async def _serve(self, bound: Future[int]) -> None:
        server = web.Server(self._handle, access_log=None)
        # Stalled requests must not delay the end of a test.
        runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._address, self._port)
            try:
                await site.start()
            except OSError as error:
                bound.set_exception(error)
                return
            bound.set_result(runner.addresses[0][1])
            await self._stopping.wait()
        finally:
            await runner.cleanup()

"""The sandbox: an HTTP server in a background thread, with organizations and their analytics."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Unpack
from urllib.parse import quote

from aiohttp import web

from airflow_provider_make.sandbox.endpoint import Endpoint, RecordedRequest
from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.options import Options, accept_keywords
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import Filters, parse_filters
from airflow_provider_make.sandbox.responses import Values, entry, figures

_IDS_PER_ORGANIZATION = 100_000_000


class Sandbox:
    """
    A local HTTP server that imitates Make's analytics endpoint, and those about the token and about executions.

    As a context manager it serves until the block ends. A sandbox that is stopped and started again keeps its port,
    its scenarios and its recorded requests. All methods are thread-safe.

    :param organization_id: The organization, 1 by default.
    :param scenarios: Number of scenarios of the organization, 250 by default.
    :param organizations: More organizations: number of scenarios by id; none by default.
    :param story: Whether every month a scenario begins to fail, one turns invalid, one is disabled, one created and one
        deleted, on fixed days; then a response shows the organization as it was at the end of the time frame. No by
        default, so that a test does not depend on the day.
    :param huge_credits: Whether one scenario in a hundred uses more centicredits than fit into 64 bits, no by default.
    :param seed: Any integer, 0 by default; the same seed generates the same scenarios, faults and shuffles.
    :param token: The accepted API token, ``sandbox-token`` by default.
    :param latency: Seconds before each response, 0 by default.
    :param page_cap: Maximum entries per page, at least 1; ``None`` (default) for no cap.
    :param max_limit: The largest ``pg[limit]``, at least 1; a larger one is refused with a 400. ``None`` (default) for
        any.
    :param shuffle_ties: Whether entries with equal sort keys are in a new order at each request; by default they are
        in the order of their ids.
    :param absent_first: Whether entries without a value for the sort key are first; by default they are last.
    :param requests_per_minute: Requests allowed per organization in any 60 seconds, at least 1; any more get a 429.
        ``None`` (default) for no limit.
    :param rate_limit_hint: What these 429 contain: ``None`` (default) for Make's JSON, without any header about the
        limit; ``retry-after`` for this header; ``x-ratelimit-reset`` for this header, in epoch seconds, and
        ``X-RateLimit-Remaining: 0``; ``text`` for plain text instead of JSON, and no header.
    :param misread_filters: ``last`` to use only the last value of a filter whose name is repeated without brackets, as
        ``teamId=1&teamId=2``; ``ignore`` to ignore filters with brackets, as ``teamId[]=1&teamId[]=2``. By default
        (``None``), both forms work.
    :param value_types: The JSON types in responses: ``documented`` (default); ``text`` for counts, ids, rates and the
        numbers of ``pg`` as text; ``float`` for counts, ids and the numbers of ``pg`` as floats such as 5.0 (exact up
        to 2**53); ``number`` for centicredits as numbers; ``null`` for rates and changes that are null instead of
        absent. :meth:`truth` always has the documented types.
    :param errors_in_log: Whether failed executions have their error in the log of their scenario (default), or in their
        details only.
    :param events_in_log: Whether the log of a scenario also has events, such as edits (default), or executions only.
    :param fault_rate: Share of requests, 0.0 (default) to 1.0, with a random fault that a retry can fix.
    :param scopes: The token's scopes; all that the sandbox knows by default. Without a request's scope, it gets a 401.
    :param plan: ``enterprise`` (default), or ``teams``, whose organizations get a 403 for analytics.
    :param role: ``owner`` (default), ``admin``, ``member`` or ``accountant``; all but owners get a 403 for analytics.
    :param elsewhere: Ids of the user's organizations in another zone, which are listed only; none by default.
    :param host: Address to listen on, ``127.0.0.1`` by default.
    :param port: Port to listen on; 0 (default) picks a free one.
    :raises ValueError: If an argument is out of range.
    :raises TypeError: If an argument has another type.
    """

    @accept_keywords(Options)
    def __init__(self, options: Options) -> None:
        self._organizations = {
            id_: Organization(
                id_,
                size,
                seed=options.seed,
                absent_first=options.absent_first,
                huge_credits=options.huge_credits,
                story=options.story,
                # As at Make, no two organizations have a scenario with the same id.
                ids_after=position * _IDS_PER_ORGANIZATION,
            )
            for position, (id_, size) in enumerate(options.sizes.items())
        }
        self._endpoint = Endpoint(self._organizations, options)
        self.organization_id = options.organization_id
        self.token = options.token
        self._server = BackgroundServer(self._endpoint.handle, options.host, options.port)

    def __enter__(self) -> Sandbox:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def start(self) -> None:
        """
        Serve in a background thread until :meth:`stop`.

        :raises RuntimeError: If the sandbox is running already.
        :raises OSError: If the address or the port is not available.
        """
        self._server.start()

    def stop(self) -> None:
        """
        Stop serving, and drop requests without a response. Do nothing if the sandbox is not running.

        :raises Exception: The first error that an action of :meth:`at_request` raised.
        """
        self._server.stop()
        error, self._endpoint.action_error = self._endpoint.action_error, None
        if error is not None:
            raise error

    @property
    def host(self) -> str:
        """Scheme, address and port, for the ``host`` of a connection."""
        return self._server.url

    @property
    def base_url(self) -> str:
        """The base URL of the API."""
        return f"{self.host}/api/v2"

    @property
    def connection_json(self) -> str:
        """A value for ``AIRFLOW_CONN_MAKE_DEFAULT``, as JSON."""
        extra = {"organization_id": self.organization_id}
        connection = {"conn_type": "make", "host": self.host, "password": self.token, "extra": extra}
        return json.dumps(connection)

    @property
    def connection_uri(self) -> str:
        """A value for ``AIRFLOW_CONN_MAKE_DEFAULT``, as a URI."""
        token, host = quote(self.token, safe=""), quote(self.host, safe="")
        return f"make://:{token}@{host}/?organization_id={self.organization_id}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far in order of arrival, including those with a fault."""
        return list(self._endpoint.requests)

    @property
    def connections(self) -> int:
        """The number of TCP connections that these requests used."""
        return self._endpoint.connections

    def organization(self, organization_id: int | None = None) -> Organization:
        """
        Return an organization, to list, create and delete its scenarios at any time.

        :param organization_id: Its id; ``None`` (default) for the sandbox's first.
        :return: The organization.
        :raises KeyError: If the sandbox has no organization with this id.
        """
        return self._organizations[self.organization_id if organization_id is None else organization_id]

    def fail(self, *faults: Fault | str | None) -> None:
        """
        Queue faults for the next requests, one for each, after those queued before.

        :param faults: Faults, or their text such as ``429:2``; ``None`` for a request without a fault.
        :raises ValueError: If a fault is unknown; none is queued then.
        """
        self._endpoint.fail(*faults)

    def log_requests(self, receive: Callable[[str], object]) -> None:
        """
        Describe each request in a line, without the token.

        :param receive: A function that accepts the line, such as ``print``; it runs in the sandbox's thread.
        """
        self._endpoint.log = receive

    def at_request(
        self, number: int, action: Callable[[Organization], object], organization_id: int | None = None
    ) -> None:
        """
        Run an action just before the response to a request is built, such as deleting scenarios between two pages.

        :param number: The future request, as counted by :attr:`requests`: 1 is the first.
        :param action: A function that accepts the organization; it runs in the sandbox's thread.
        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :raises ValueError: If the request has been received already.
        """
        organization = self.organization(organization_id)
        self._endpoint.at_request(number, lambda: action(organization))

    def truth(self, organization_id: int | None = None, **filters: Unpack[Filters]) -> list[Values]:
        """
        Return all entries that correct responses would contain now, for comparisons in tests.

        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :param filters: ``team_id``, ``folder_id``, ``status`` (one value or several), ``date_from``,
            ``date_to``, ``sort_by``, ``sort_dir``, with the values and defaults of the API's parameters.
        :return: The sorted entries, ties in the order of their ids.
        :raises Refusal: If the API would refuse these values.
        """
        return [entry(row) for row in self.organization(organization_id).select(parse_filters(filters)).rows]

    def truth_total(self, organization_id: int | None = None, **filters: Unpack[Filters]) -> Values:
        """
        Return the total that correct responses would contain now, for comparisons in tests.

        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :param filters: As for :meth:`truth`.
        :return: The total over the entries of :meth:`truth`.
        :raises Refusal: If the API would refuse these values.
        """
        return figures(self.organization(organization_id).select(parse_filters(filters)).total)


class BackgroundServer:
    """An HTTP server in a thread with an event loop of its own. Started again, it keeps its port."""

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], address: str, port: int
    ) -> None:
        self._handle = handle
        self._address = address
        self._port = port
        self._thread: threading.Thread | None = None
        # Ends the thread.
        self._end: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        """Scheme, address and port for a client on this machine."""
        if not self._port:
            raise RuntimeError("the sandbox has no port before it has started")
        # A client can't connect to "all addresses"; the provider permits plain http on loopback only.
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._address, self._address)
        return f"http://[{address}]:{self._port}" if ":" in address else f"http://{address}:{self._port}"

    def start(self) -> None:
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        bound: Future[int] = Future()
        thread = threading.Thread(target=self._run, args=(bound,), name="sandbox", daemon=True)
        thread.start()
        try:
            self._port = bound.result()
        except Exception:
            thread.join()
            raise
        self._thread = thread

    def stop(self) -> None:
        if self._thread is not None:
            self._end()
            self._thread.join()
            self._thread = None

    def _run(self, bound: Future[int]) -> None:
        # Not the policy's loop, which may be uvloop: an aborted connection looks different there. The runner cancels
        # what is still running at the end, such as stalled responses.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(bound))

    async def _serve(self, bound: Future[int]) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        self._end = lambda: loop.call_soon_threadsafe(stopping.set)
        server = web.Server(self._handle, access_log=None)
        # Stalled requests must not delay the end of a test.
        runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._address, self._port)
            try:
                await site.start()
            except Exception as error:
                # Of any kind: start() waits for it. A name that is none raises UnicodeError.
                bound.set_exception(error)
                return
            bound.set_result(runner.addresses[0][1])
            await stopping.wait()
        finally:
            await runner.cleanup()

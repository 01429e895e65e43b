"""The sandbox: its organizations and its endpoint, served from a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from types import TracebackType
from typing import TypedDict, Unpack
from urllib.parse import quote

from aiohttp import web

from airflow_provider_make.sandbox.endpoint import Endpoint, RecordedRequest
from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.organization import Organization, Result
from airflow_provider_make.sandbox.query import parse_query
from airflow_provider_make.sandbox.responses import Entry, entry, total


class Filters(TypedDict, total=False):
    """What :meth:`Sandbox.truth` takes: each as the parameter of the API means it, none needed."""

    team_id: int | Sequence[int]
    folder_id: int | Sequence[int]
    status: str | Sequence[str]
    date_from: datetime
    date_to: datetime
    sort_by: str
    sort_dir: str


_PARAMETERS = {
    "team_id": "teamId",
    "folder_id": "folderId",
    "status": "status",
    "date_from": "timeframe[dateFrom]",
    "date_to": "timeframe[dateTo]",
    "sort_by": "pg[sortBy]",
    "sort_dir": "pg[sortDir]",
}


class Sandbox:
    """
    A stand-in for Make's analytics endpoint.

    Used as a context manager it serves until the block ends. Stopped and started again it keeps its port,
    its scenarios and what it recorded. All methods may be called from any thread.

    :param organization_id: The organization, 1 by default.
    :param scenarios: Number of scenarios of the organization, 250 by default.
    :param organizations: Further organizations: number of scenarios by id; none by default.
    :param seed: Any integer, 0 by default; the same one gives the same scenarios, faults and shuffles.
    :param token: The API token it accepts, ``sandbox-token`` by default.
    :param latency: Seconds before each answer, 0 by default.
    :param page_cap: Longest page it gives, at least 1; ``None`` (default) for no cap.
    :param shuffle_ties: Whether entries with equal sort keys come in a new order at each request; by default
        they come in the order of their ids.
    :param absent_first: Whether entries without a value for the sort key come first; by default they come
        last.
    :param requests_per_minute: Requests answered in any 60 seconds for an organization, at least 1; a request
        past them gets a 429 with a ``Retry-After``. ``None`` (default) for no limit.
    :param fault_rate: Share of requests, 0.0 (default) to 1.0, that meet a random fault a client should get
        over.
    :param host: Address to listen on, ``127.0.0.1`` by default.
    :param port: Port to listen on; 0 (default) picks a free one.
    :raises ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *,
        organization_id: int = 1,
        scenarios: int = 250,
        organizations: Mapping[int, int] | None = None,
        seed: int = 0,
        token: str = "sandbox-token",
        latency: float = 0.0,
        page_cap: int | None = None,
        shuffle_ties: bool = False,
        absent_first: bool = False,
        requests_per_minute: int | None = None,
        fault_rate: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Generate the scenarios; nothing listens before :meth:`start`."""
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {port}")
        if organization_id in (organizations or {}):
            raise ValueError(f"organization {organization_id} is given twice")
        sizes = {organization_id: scenarios, **(organizations or {})}
        self._organizations = {
            id_: Organization(id_, size, seed=seed, absent_first=absent_first) for id_, size in sizes.items()
        }
        self._endpoint = Endpoint(
            self._organizations,
            seed=seed,
            token=token,
            latency=latency,
            page_cap=page_cap,
            shuffle_ties=shuffle_ties,
            requests_per_minute=requests_per_minute,
            fault_rate=fault_rate,
        )
        self.organization_id = organization_id
        self.token = token
        self._address = host
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def __enter__(self) -> Sandbox:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def start(self) -> None:
        """
        Serve from a background thread until :meth:`stop`.

        :raises RuntimeError: If it serves already.
        :raises OSError: If the address or the port can't be had.
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        bound: Future[int] = Future()
        # Not the loop of the policy, which may be uvloop: an aborted connection looks different there.
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
        """
        Stop serving, which drops requests not answered yet. Does nothing if it does not serve.

        :raises Exception: What an action of :meth:`at_request` raised, for the test that set it.
        """
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        error = self._endpoint.take_action_error()
        if error is not None:
            raise error

    @property
    def host(self) -> str:
        """Scheme, address and port: what the ``host`` of a connection takes."""
        if not self._port:
            raise RuntimeError("the sandbox has no port before it has started")
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"http://{address}:{self._port}"

    @property
    def base_url(self) -> str:
        """The URL that paths of the API are relative to."""
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
        """The requests received so far in the order of their arrival, those that met a fault included."""
        return self._endpoint.requests

    @property
    def connections(self) -> int:
        """How many TCP connections these requests came over."""
        return self._endpoint.connections

    def organization(self, organization_id: int | None = None) -> Organization:
        """
        Give an organization, whose scenarios can be seen, added and deleted at any time.

        :param organization_id: Its id; ``None`` (default) for the sandbox's first.
        :return: The organization.
        :raises KeyError: If the sandbox has none with this id.
        """
        return self._organizations[self.organization_id if organization_id is None else organization_id]

    def fail(self, *faults: Fault | str | None) -> None:
        """
        Queue faults for the next requests, one for each, behind those queued before.

        :param faults: Faults, or their text such as ``429:2``; ``None`` is a request without a fault.
        :raises ValueError: If there is no such fault; none is queued then.
        """
        self._endpoint.fail(*faults)

    def at_request(
        self, number: int, action: Callable[[Organization], object], organization_id: int | None = None
    ) -> None:
        """
        Do something just before a request is answered, such as deleting scenarios between two pages.

        :param number: Which request, as counted by :attr:`requests`: 1 is the first; not yet received.
        :param action: Gets the organization; runs in the sandbox's thread.
        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :raises ValueError: If the request has been received already.
        """
        organization = self.organization(organization_id)
        self._endpoint.at_request(number, lambda: action(organization))

    def truth(self, organization_id: int | None = None, **filters: Unpack[Filters]) -> list[Entry]:
        """
        Give all entries, as answers would carry them at this moment, to compare with.

        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :param filters: ``team_id``, ``folder_id``, ``status`` (one value or several), ``date_from``,
            ``date_to``, ``sort_by``, ``sort_dir``, with the values and defaults of the API's parameters.
        :return: The entries in the order asked for, ties in the order of their ids.
        :raises Refusal: If the API would refuse these values.
        """
        return [entry(row) for row in self._select(organization_id, filters).rows]

    def truth_total(self, organization_id: int | None = None, **filters: Unpack[Filters]) -> Entry:
        """
        Give the total, as answers would carry it at this moment, to compare with.

        :param organization_id: The organization's id; ``None`` (default) for the sandbox's first.
        :param filters: As for :meth:`truth`.
        :return: The total over the entries of :meth:`truth`.
        :raises Refusal: If the API would refuse these values.
        """
        return total(self._select(organization_id, filters).total)

    def _select(self, organization_id: int | None, filters: Filters) -> Result:
        parameters: list[tuple[str, str]] = []
        for name, given in filters.items():
            values = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
            for value in values:
                text = value.isoformat() if isinstance(value, datetime) else str(value)
                parameters.append((_PARAMETERS[name], text))
        return self.organization(organization_id).select(parse_query(parameters, datetime.now(UTC)).selection)

    def _run(self, loop: asyncio.AbstractEventLoop, bound: Future[int]) -> None:
        # Cancels what is left at the end, such as answers that stall.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(bound))

    async def _serve(self, bound: Future[int]) -> None:
        server = web.Server(self._endpoint.handle, access_log=None)
        # Requests that stall must not keep a test waiting at its end.
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

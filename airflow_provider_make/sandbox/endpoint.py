"""Handle the sandbox's HTTP requests: record them, apply faults and the rate limit, and respond."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakSet

from aiohttp import web
from pydantic import BaseModel, ValidationError

from airflow_provider_make.sandbox.account import Account, check_analytics_access, is_account_path, require_scope
from airflow_provider_make.sandbox.executions import Executions, find_scenario, is_executions_path
from airflow_provider_make.sandbox.faults import RECOVERABLE, Fault, RateLimit, Refusal, fault_response
from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import parse_query
from airflow_provider_make.sandbox.responses import Pages, encode

_BASE_PATH = "/api/v2/"
_ANALYTICS_PATH = re.compile(r"/api/v2/analytics/([^/]+)")
_FAULTS_PATH = "/sandbox/faults"
_LONGEST_LOGGED = 300


@dataclass(frozen=True)
class RecordedRequest:
    """
    A request that the sandbox received.

    :param method: HTTP method.
    :param path: Decoded path.
    :param query: Decoded names and values of the query, in order.
    :param headers: Headers; names are not case-sensitive.
    :param arrived_at: :func:`time.monotonic` at its arrival, in seconds.
    :param peer_port: The client's port: the same for all requests over one connection.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    arrived_at: float
    peer_port: int


@dataclass
class Outcome:
    """What became of a request: its status if there was a response, its entries if that was a page, its fault."""

    status: int | None = None
    entries: int | None = None
    fault: str | None = None


class _Faults(BaseModel):
    faults: list[str | None]


class Endpoint:
    """Handle requests, in one event loop at a time. The other methods are thread-safe."""

    def __init__(self, organizations: Mapping[int, Organization], options: Options) -> None:
        self._organizations = organizations
        self._options = options
        self._account = Account(organizations, options)
        self._executions = Executions(options)
        self._authorizations = (f"Token {options.token}", f"Bearer {options.token}")
        self._pages = Pages(options)
        self._rate_limit = RateLimit(options.requests_per_minute, options.rate_limit_hint)
        self._fault_choice = random.Random(f"faults/{options.seed}")
        # Never held while an action runs: an action may call any method.
        self._lock = threading.Lock()
        self._faults: deque[Fault | None] = deque()
        self._actions: dict[int, list[Callable[[], object]]] = {}
        # The first error that an action raised.
        self.action_error: Exception | None = None
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self._open_connections: WeakSet[asyncio.BaseTransport] = WeakSet()
        # Receives a line about each request.
        self.log: Callable[[str], object] | None = None

    def fail(self, *faults: Fault | str | None) -> None:
        """Queue faults, one for each of the next requests, ``None`` for no fault; queue none if one is unknown."""
        parsed = [Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults]
        with self._lock:
            self._faults.extend(parsed)

    def at_request(self, number: int, action: Callable[[], object]) -> None:
        """Run an action just before the response to a request is built; 1 is the first."""
        with self._lock:
            if number <= len(self.requests):
                raise ValueError(f"request {number} has been received already")
            self._actions.setdefault(number, []).append(action)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        begin = time.monotonic()
        outcome = Outcome()
        response = await self._respond(request, outcome)
        if self.log is not None:
            # The fault "reset" has no response.
            outcome.status = None if outcome.fault == "reset" else response.status
            seconds, query, token = time.monotonic() - begin, request.query.items(), self._options.token
            self.log(describe_request(request.method, request.path, query, outcome, seconds, token=token))
        return response

    async def _respond(self, request: web.BaseRequest, outcome: Outcome) -> web.StreamResponse:
        try:
            if request.path == _FAULTS_PATH:
                return await self._receive_faults(request)
            fault = self._record(request)
            outcome.fault = None if fault is None else str(fault)
            await asyncio.sleep(self._options.latency)
            if fault is not None and (faulty := await fault_response(fault, request)) is not None:
                return faulty
            body = self._body(request, outcome)
            return web.Response(body=body, content_type="application/json", charset="utf-8")
        except Refusal as refusal:
            return refusal.response()

    def _record(self, request: web.BaseRequest) -> Fault | None:
        transport = request.transport
        with self._lock:
            if transport is not None and transport not in self._open_connections:
                self._open_connections.add(transport)
                self.connections += 1
            self.requests.append(
                RecordedRequest(
                    method=request.method,
                    path=request.path,
                    query=list(request.query.items()),
                    headers=request.headers,
                    arrived_at=time.monotonic(),
                    peer_port=transport.get_extra_info("peername")[1] if transport is not None else 0,
                )
            )
            actions = self._actions.pop(len(self.requests), [])
            fault: Fault | None = None
            if self._faults:
                fault = self._faults.popleft()
            elif self._fault_choice.random() < self._options.fault_rate:
                fault = self._fault_choice.choice(RECOVERABLE)
        for action in actions:
            try:
                action()
            except Exception as error:
                # A client might retry a 500, which would hide a test's mistake.
                self.action_error = self.action_error or error
        return fault

    def _body(self, request: web.BaseRequest, outcome: Outcome) -> bytes:
        match = _ANALYTICS_PATH.fullmatch(request.path)
        path = request.path.removeprefix(_BASE_PATH) if request.path.startswith(_BASE_PATH) else ""
        if match is None and not is_account_path(path) and not is_executions_path(path):
            raise Refusal(404)
        if request.method != "GET":
            raise Refusal(405)
        if request.headers.get("Authorization") not in self._authorizations:
            raise Refusal(401)
        if is_account_path(path):
            return encode(self._account.respond(path, request.query.items(), request.host))
        if match is None:
            return self._executions_body(path, request, outcome)
        if not re.fullmatch(r"[0-9]{1,18}", match[1]):
            raise Refusal(400, [f"Invalid value {match[1]!r} of 'organizationId': expected an integer."])
        organization = self._organizations.get(int(match[1]))
        check_analytics_access(self._options)
        if organization is None:
            raise Refusal(403)
        self._rate_limit.count(organization.organization_id)
        query = parse_query(request.query.items(), datetime.now(UTC), self._options)
        page = self._pages.get(organization, query)
        outcome.entries = page.entries
        return page.body

    def _executions_body(self, path: str, request: web.BaseRequest, outcome: Outcome) -> bytes:
        require_scope("scenarios:read", self._options)
        organization, course = find_scenario(path, self._organizations)
        self._rate_limit.count(organization.organization_id)
        body = self._executions.respond(path, request.query.items(), course, organization.revision)
        if "scenarioLogs" in body:
            outcome.entries = len(body["scenarioLogs"])
        return encode(body)

    async def _receive_faults(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            raise Refusal(405)
        try:
            faults = _Faults.model_validate_json(await request.read()).faults
        except ValidationError:
            raise Refusal(400, ['The body is not JSON such as {"faults": ["429:1", null, "reset"]}.']) from None
        try:
            self.fail(*faults)
        except ValueError as error:
            raise Refusal(400, [f"{error}."]) from None
        return web.json_response({"queued": len(faults)})


def describe_request(
    method: str, path: str, query: Iterable[tuple[str, str]], outcome: Outcome, seconds: float, *, token: str
) -> str:
    r"""
    Describe a request and its outcome, such as ``GET /api/v2/analytics/1?pg[limit]=2 200, 2 entries, 3 ms``.

    The line is safe to print in any terminal: printable ASCII without line breaks, other characters as escapes such as
    ``\n``, without the token, a long path or query cut.
    """
    parameters = "&".join(f"{name}={value}" for name, value in query)
    target = f"{path}?{parameters}" if parameters else path
    target = ascii(target.replace(token, "***"))[1:-1]
    if len(target) > _LONGEST_LOGGED:
        target = f"{target[:_LONGEST_LOGGED]}..."
    parts = ["no response" if outcome.status is None else str(outcome.status)]
    if outcome.fault is not None:
        parts.append(f"fault {outcome.fault}")
    if outcome.entries is not None:
        parts.append("1 entry" if outcome.entries == 1 else f"{outcome.entries} entries")
    return f"{ascii(method)[1:-1]} {target} {', '.join(parts)}, {1000 * seconds:.0f} ms"

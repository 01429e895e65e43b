"""The endpoint: from a request to its answer, with faults, limits and a record of what arrived."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakSet

from aiohttp import web

from airflow_provider_make.sandbox.faults import RECOVERABLE, Fault, answer_with, refuse
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import parse_query
from airflow_provider_make.sandbox.refusals import Refusal
from airflow_provider_make.sandbox.responses import EncodedAnswers, encode

_ANALYTICS_PATH = re.compile(r"/api/v2/analytics/([^/]+)")
_USER_PATH = "/api/v2/users/me"
_FAULTS_PATH = "/sandbox/faults"


@dataclass(frozen=True)
class RecordedRequest:
    """
    A request the sandbox received.

    :param method: HTTP method.
    :param path: Decoded path.
    :param query: Decoded names and values of the query in their order.
    :param headers: Headers, whose names may be looked up in any case.
    :param arrived_at: :func:`time.monotonic` at its arrival, in seconds.
    :param peer_port: The client's port: requests over one connection have it in common.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    arrived_at: float
    peer_port: int


class Endpoint:
    """
    Answers requests, one event loop at a time. The other methods may be called from any thread.

    :param organizations: The organizations by id.
    :param seed: For the faults and the shuffles.

    The other parameters are those of :class:`~airflow_provider_make.sandbox.Sandbox`.
    """

    def __init__(
        self,
        organizations: Mapping[int, Organization],
        *,
        seed: int,
        token: str,
        latency: float,
        page_cap: int | None,
        shuffle_ties: bool,
        requests_per_minute: int | None,
        fault_rate: float,
    ) -> None:
        """Refuse arguments out of their range."""
        if not token:
            raise ValueError("token must not be empty")
        if not 0 <= latency < math.inf:
            raise ValueError(f"latency must not be negative or infinite, not {latency}")
        if page_cap is not None and page_cap < 1:
            raise ValueError(f"page_cap must be at least 1, not {page_cap}")
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute must be at least 1, not {requests_per_minute}")
        if not 0 <= fault_rate <= 1:
            raise ValueError(f"fault_rate must be between 0 and 1, not {fault_rate}")
        self._organizations = organizations
        self._authorizations = (f"Token {token}", f"Bearer {token}")
        self._latency = latency
        shuffle = random.Random(f"ties/{seed}") if shuffle_ties else None
        self._answers = EncodedAnswers(page_cap=page_cap, shuffle=shuffle)
        self._requests_per_minute = requests_per_minute
        self._answered_at: dict[int, deque[float]] = {id_: deque() for id_ in organizations}
        self._fault_rate = fault_rate
        self._fault_choice = random.Random(f"faults/{seed}")
        # Held for moments only, and never while an action runs, which may call any method.
        self._lock = threading.Lock()
        self._faults: deque[Fault | None] = deque()
        self._actions: dict[int, list[Callable[[], object]]] = {}
        self._action_error: Exception | None = None
        self._requests: list[RecordedRequest] = []
        self._connections = 0
        self._open_connections: WeakSet[asyncio.BaseTransport] = WeakSet()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far, in the order of their arrival."""
        with self._lock:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """How many TCP connections these requests came over."""
        with self._lock:
            return self._connections

    def fail(self, *faults: Fault | str | None) -> None:
        """
        Queue faults for the next requests.

        :param faults: One for each request; ``None`` for a request without a fault.
        :raises ValueError: If there is no such fault; none is queued then.
        """
        parsed = [Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults]
        with self._lock:
            self._faults.extend(parsed)

    def at_request(self, number: int, action: Callable[[], object]) -> None:
        """
        Do something just before a request is answered.

        :param number: Which request: 1 is the first.
        :param action: What to do.
        :raises ValueError: If the request has been received already.
        """
        with self._lock:
            if number <= len(self._requests):
                raise ValueError(f"request {number} has been received already")
            self._actions.setdefault(number, []).append(action)

    def take_action_error(self) -> Exception | None:
        """
        Give what an action raised, once.

        :return: The first error since the last call; ``None`` if there was none.
        """
        error, self._action_error = self._action_error, None
        return error

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """
        Answer a request.

        :param request: The request.
        :return: The answer, right or faulty.
        """
        try:
            if request.path == _FAULTS_PATH:
                return await self._receive_faults(request)
            fault = self._record(request)
            await asyncio.sleep(self._latency)
            response = await answer_with(fault, request) if fault is not None else None
            if response is None:
                response = web.Response(body=self._body(request), content_type="application/json", charset="utf-8")
            return response
        except Refusal as refusal:
            return refuse(refusal)

    def _record(self, request: web.BaseRequest) -> Fault | None:
        transport = request.transport
        with self._lock:
            if transport is not None and transport not in self._open_connections:
                self._open_connections.add(transport)
                self._connections += 1
            self._requests.append(
                RecordedRequest(
                    method=request.method,
                    path=request.path,
                    query=list(request.query.items()),
                    headers=request.headers,
                    arrived_at=time.monotonic(),
                    peer_port=transport.get_extra_info("peername")[1] if transport is not None else 0,
                )
            )
            actions = self._actions.pop(len(self._requests), [])
            fault: Fault | None = None
            if self._faults:
                fault = self._faults.popleft()
            elif self._fault_choice.random() < self._fault_rate:
                fault = self._fault_choice.choice(RECOVERABLE)
        for action in actions:
            try:
                action()
            except Exception as error:
                # A 500 instead might be tried again by the client, and the mistake in a test go unseen.
                self._action_error = self._action_error or error
        return fault

    def _body(self, request: web.BaseRequest) -> bytes:
        match = _ANALYTICS_PATH.fullmatch(request.path)
        if match is None and request.path != _USER_PATH:
            raise Refusal(404)
        if request.method != "GET":
            raise Refusal(405)
        if request.headers.get("Authorization") not in self._authorizations:
            raise Refusal(401)
        if match is None:
            return encode({"authUser": {"id": 1, "name": "Sandbox"}})
        if not re.fullmatch(r"[0-9]{1,18}", match[1]):
            raise Refusal(400, [f"Invalid value {match[1]!r} of 'organizationId': an integer is needed."])
        organization = self._organizations.get(int(match[1]))
        if organization is None:
            raise Refusal(403)
        self._count_against_limit(organization.organization_id)
        return self._answers.give(organization, parse_query(request.query.items(), datetime.now(UTC)))

    def _count_against_limit(self, organization_id: int) -> None:
        if self._requests_per_minute is None:
            return
        answered_at = self._answered_at[organization_id]
        now = time.monotonic()
        while answered_at and answered_at[0] <= now - 60:
            answered_at.popleft()
        if len(answered_at) >= self._requests_per_minute:
            raise Refusal(429, retry_after=math.ceil(answered_at[0] + 60 - now))
        answered_at.append(now)

    async def _receive_faults(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            raise Refusal(405)
        try:
            body = json.loads(await request.text())
        except ValueError:
            raise Refusal(400, ["The body is no JSON."]) from None
        faults = body.get("faults") if isinstance(body, dict) else None
        if not isinstance(faults, list) or not all(isinstance(fault, str | None) for fault in faults):
            raise Refusal(400, ['The body is not of the shape {"faults": ["429:1", null, "reset"]}.'])
        try:
            self.fail(*faults)
        except ValueError as error:
            raise Refusal(400, [f"{error}."]) from None
        return web.json_response({"queued": len(faults)})

"""How a request travels: by requests, or by aiohttp on an event loop; by the same route, with the same errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.cookiejar import DefaultCookiePolicy
from threading import Thread
from typing import Any, NamedTuple, Self

import aiohttp
import requests
import urllib3
from requests.auth import AuthBase

from airflow_provider_make import __version__
from airflow_provider_make.api.network import Route
from airflow_provider_make.exceptions import MakeApiError

USER_AGENT = f"airflow-provider-make/{__version__}"
# The timeout is between two pieces of an answer; this many times it, the whole answer has to be there.
WHOLE_ANSWER = 10


class Request(NamedTuple):
    """
    A GET request.

    :param path: Relative to the connection's base URL.
    :param parameters: Names and values of the URL's query, not yet quoted.
    """

    path: str
    parameters: list[tuple[str, str]]


class Answer(NamedTuple):
    """
    An HTTP answer.

    :param status: The status code.
    :param headers: The headers, found by their names in any case.
    :param body: The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class TokenAuth(AuthBase):
    """
    Authorizes a session of requests. As a mere header, a ``.netrc`` would displace it.

    :param authorization: The value of the Authorization header.
    """

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a request, as requests asks its auth objects to."""
        request.headers["Authorization"] = self._authorization
        return request


class RequestsTransport:
    """
    Requests, one after the other, over a session that stays alive.

    :param route: The way to the zone.
    :param session: A session that authorizes.
    :param on_sent: Called for each request that goes out.
    """

    def __init__(self, route: Route, session: requests.Session, on_sent: Callable[[], None]) -> None:
        self._route = route
        self._on_sent = on_sent
        self._session = session
        # The route has what the environment says already.
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, request: Request) -> Answer | MakeApiError:
        """
        Send a request.

        :param request: The request.
        :return: The answer, whatever its status; or the error, where none came whole.
        """
        # In a thread: requests waits for each piece of the headers anew, however many there are.
        answered: Future[Answer | MakeApiError] = Future()
        Thread(target=self._answer, args=(answered, request), daemon=True).start()
        try:
            return answered.result(WHOLE_ANSWER * self._route.connection.timeout)
        except TimeoutError:
            return self._route.late()

    def _answer(self, answered: Future[Answer | MakeApiError], request: Request) -> None:
        try:
            answered.set_result(self._send(request))
        except BaseException as error:
            answered.set_exception(error)

    def _send(self, request: Request) -> Answer | MakeApiError:
        route, timeout = self._route, self._route.connection.timeout
        deadline = time.monotonic() + WHOLE_ANSWER * timeout
        self._on_sent()
        try:
            with self._session.get(
                route.url(request.path),
                params=request.parameters,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                verify=route.verify,
                cert=route.connection.cert,
                proxies={"http": route.proxy, "https": route.proxy} if route.proxy else {},
            ) as response:
                pieces = []
                # As much as has come, where iter_content would wait for a whole piece, however long that takes.
                while piece := response.raw.read1(1 << 20, decode_content=True):
                    pieces.append(piece)
                    if time.monotonic() > deadline:
                        return route.late()
                return Answer(response.status_code, response.headers, b"".join(pieces))
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            return route.late()
        except urllib3.exceptions.HTTPError as error:
            return route.cut_off(error)
        except requests.exceptions.RequestException as error:
            return route.unreachable(error)


class AiohttpTransport:
    """
    Requests side by side on an event loop, over connections that stay alive. Used in ``async with``.

    :param route: The way to the zone.
    :param max_connections: The most connections at the same time.
    :param on_sent: Called for each request that goes out; not for one that is cancelled before.
    """

    def __init__(self, route: Route, max_connections: int, on_sent: Callable[[], None]) -> None:
        self._route = route
        self._on_sent = on_sent
        self._max_connections = max_connections

    async def __aenter__(self) -> Self:
        timeout = self._route.connection.timeout
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._count)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ssl=self._route.tls),
            timeout=aiohttp.ClientTimeout(total=WHOLE_ANSWER * timeout, connect=timeout, sock_read=timeout),
            trace_configs=[trace],
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp would send a request again by itself; tries are ours to count.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def _count(self, *_: Any) -> None:
        self._on_sent()

    async def send(self, request: Request) -> Answer | MakeApiError:
        """
        Send a request.

        :param request: The request.
        :return: The answer, whatever its status; or the error, where none came whole.
        """
        route = self._route
        try:
            async with self._session.get(
                route.url(request.path),
                params=request.parameters,
                # Not on the session, whose headers aiohttp sends to a proxy too, the token among them.
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept": "application/json",
                    "Authorization": route.connection.authorization,
                },
                allow_redirects=False,
                proxy=route.proxy,
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except TimeoutError:
            return route.late()
        except aiohttp.ClientPayloadError as error:
            return route.cut_off(error)
        except (aiohttp.ClientError, OSError) as error:
            return route.unreachable(error)

"""How a request travels: by requests in tasks, by aiohttp on an event loop; by the same route, with the same errors."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
import requests
import urllib3
from requests.auth import AuthBase
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from airflow_provider_make import __version__
from airflow_provider_make.connection import MakeConnection
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeInputError, MakeResponseError

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


@dataclass(frozen=True)
class Route:
    """
    The way to a zone, as the connection and, where it trusts it, the environment lay down.

    :param connection: The connection.
    :param proxy: URL of the proxy; None to go straight. May hold credentials.
    :param verify: False, or the path of the CA bundle, a file or a folder.
    :param tls: The same for aiohttp; True where nothing is encrypted.
    """

    connection: MakeConnection
    proxy: str | None
    verify: bool | str
    tls: ssl.SSLContext | Literal[True]

    @classmethod
    def find(cls, connection: MakeConnection) -> Route:
        """
        Find the way by the rules of requests: ``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE`` and their like.

        :param connection: The connection; what it says comes before the environment.
        :return: The route.
        :raises MakeInputError: A proxy has no http or https URL, or a certificate can't be read.
        """
        session = requests.Session()
        session.trust_env = connection.trust_env
        found = session.merge_environment_settings(
            connection.base_url, dict(connection.proxies), None, connection.verify, None
        )
        own = select_proxy(connection.base_url, dict(connection.proxies))
        proxy = _proxy(own or select_proxy(connection.base_url, found["proxies"]))
        verify: bool | str = DEFAULT_CA_BUNDLE_PATH if found["verify"] is True else found["verify"] or False
        encrypted = any(url.startswith("https:") for url in (connection.base_url, proxy or ""))
        # Reading a CA bundle takes as long as some requests.
        return cls(connection, proxy, verify, _tls(verify, connection.cert) if encrypted else True)

    def url(self, request: Request) -> str:
        """
        Make the URL of a request, without its query.

        :param request: The request.
        :return: The URL.
        """
        return f"{self.connection.base_url}/{request.path}"

    def late(self) -> MakeApiError:
        """Make the error for an answer that did not come in time."""
        return MakeConnectionError(f"no answer from {self.connection.zone} within {self.connection.timeout:g} s")

    def cut_off(self, error: Exception) -> MakeApiError:
        """Make the error for an answer that ended too early."""
        return MakeResponseError(f"the answer was cut off: {self._reason(error)}")

    def unreachable(self, error: Exception) -> MakeApiError:
        """Make the error for a connection that failed or dropped before the answer."""
        return MakeConnectionError(f"{self.connection.zone} could not be reached: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        # The innermost cause: the libraries wrap it in texts that repeat host and URL.
        cause: Any = error
        while inner := next((inner for inner in _inner(cause) if isinstance(inner, Exception)), None):
            cause = inner
        said = "" if isinstance(cause, aiohttp.ServerDisconnectedError) else f": {cause}"
        text = f"{type(cause).__name__}{said}".replace(self.connection.token, "***")
        return (text.replace(self.proxy, "the proxy") if self.proxy else text)[:300]


def _inner(error: Exception) -> tuple[Any, ...]:
    return getattr(error, "os_error", None), getattr(error, "reason", None), *error.args[:1]


def _proxy(url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        # Not shown: it may hold credentials.
        raise MakeInputError("The proxy's URL is not valid: expected one such as http://proxy.example.com:3128.")
    return parts.geturl()


def _tls(verify: bool | str, cert: str | tuple[str, str] | None) -> ssl.SSLContext:
    if isinstance(verify, str):
        folder = os.path.isdir(verify)
        try:
            context = ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)
        except OSError as error:
            expectation = f"a CA bundle that this worker can read ({type(error).__name__})"
            raise MakeInputError.expected("verify", verify, expectation) from None
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        certificate, key = (cert, None) if isinstance(cert, str) else cert
        try:
            # A password, or OpenSSL would ask for one at a terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            expectation = f"a certificate with its unencrypted key that this worker can read ({type(error).__name__})"
            raise MakeInputError.expected("cert", cert, expectation) from None
    return context


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
        route, timeout = self._route, self._route.connection.timeout
        deadline = time.monotonic() + WHOLE_ANSWER * timeout
        self._on_sent()
        try:
            with self._session.get(
                route.url(request),
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
                route.url(request),
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

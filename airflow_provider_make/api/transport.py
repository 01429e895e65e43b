"""Send GET requests with aiohttp, over connections that are kept alive. No retries: those are the client's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import aiohttp

from airflow_provider_make.api.network import USER_AGENT, Network
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeResponseError

# Decompressed. A page of 1000 scenarios has 0.3 to 0.5 MB.
MAX_BODY_BYTES = 64 * 1024 * 1024
# The connection's timeout is for each piece of a response; the whole response may take this many times as long.
WHOLE_RESPONSE = 10


class HttpResponse(NamedTuple):
    """
    An HTTP response.

    :param status: The status code.
    :param headers: The headers, case-insensitive.
    :param body: The whole body, decompressed; at most ``MAX_BODY_BYTES``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """
    Send GET requests to the zone of a connection. Used in ``async with``, on one event loop at a time.

    :param settings: The connection settings.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self.requests_sent = 0
        self._settings = settings

    async def __aenter__(self) -> Self:
        timeout = self._settings.timeout
        # Loading a CA bundle would block the event loop.
        self._network = await asyncio.to_thread(Network.from_settings, self._settings)
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._count)
        self._session = aiohttp.ClientSession(
            # The callers limit how many requests run concurrently.
            connector=aiohttp.TCPConnector(limit=0, ssl=self._network.tls),
            timeout=aiohttp.ClientTimeout(total=WHOLE_RESPONSE * timeout, connect=timeout, sock_read=timeout),
            trace_configs=[trace],
            trust_env=False,
            # Some proxies send larger headers than aiohttp's limit of 8 KB.
            max_line_size=65_536,
            max_field_size=65_536,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # Private to aiohttp (3.14), and without a public counterpart: it would resend a GET request by itself when a
        # kept-alive connection drops, beyond api_retry_limit and the rate limit.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        """
        Send a GET request, and receive the whole response.

        :param path: The path, relative to the connection's base URL.
        :param parameters: Names and values of the URL parameters, not yet percent-encoded.
        :return: The response, whatever its status.
        :raises MakeApiError: No whole response arrived, or it is larger than ``MAX_BODY_BYTES``.
        """
        try:
            async with self._session.get(
                f"{self._settings.base_url}/{path}",
                params=parameters,
                # Not on the session: aiohttp sends a session's headers, and so the token, to an HTTPS proxy too.
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept": "application/json",
                    "Authorization": self._settings.authorization,
                },
                allow_redirects=False,
                proxy=self._network.proxy,
            ) as response:
                return HttpResponse(response.status, response.headers, await _read_body(response))
        except TimeoutError as cause:
            # Those of one piece have a class of their own.
            is_whole = not isinstance(cause, aiohttp.ServerTimeoutError)
            error = self._network.timeout_error(WHOLE_RESPONSE * self._settings.timeout if is_whole else None)
        except aiohttp.ClientPayloadError as cause:
            error = self._network.truncation_error(cause)
        # UnicodeError: the host has a label that is empty or too long.
        except (aiohttp.ClientError, OSError, UnicodeError) as cause:
            error = self._network.connection_error(cause)
        # Raised here, without a context: that of aiohttp may contain the credentials of a proxy.
        raise error

    async def _count(self, *_: Any) -> None:
        self.requests_sent += 1


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    # A few kilobytes of gzip may decompress to gigabytes, and a body without a length may never end.
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY_BYTES and response.status != 200:
            # The status is the error; a part of its body is enough.
            break
        if size > MAX_BODY_BYTES:
            raise MakeResponseError(
                f"the response is larger than {MAX_BODY_BYTES >> 20} MiB: expected a smaller page_size, "
                "or another host if this is not Make",
                status_code=200,
            )
    return b"".join(pieces)

"""Send GET requests with aiohttp, with the connection's proxy and certificates. No retries: those are the client's."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import certifi

from airflow_provider_make.api.errors import MAX_ERROR_BYTES, shorten
from airflow_provider_make.connection.address import PROXY_EXAMPLE
from airflow_provider_make.connection.settings import USER_AGENT, ConnectionSettings
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeInputError, MakeResponseError

# Decompressed. A page of 1000 scenarios has 0.3 to 0.5 MB.
MAX_BODY_BYTES = 64 * 1024 * 1024
# The connection's timeout is for each piece of a response; the whole response may take this many times as long.
WHOLE_RESPONSE = 10
# OpenSSL's words, depending on its version, for a server that answers a TLS handshake in plain text.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
# OpenSSL's codes (X509_V_ERR_...) for what is wrong with a certificate; by version, also others for an issuer.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAMES = 9, 10, (62, 63, 64)
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21, 27)


class HttpResponse(NamedTuple):
    """An HTTP response, with its headers case-insensitive and its body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends GET requests to the zone of a connection. Used in ``async with``, on one event loop at a time."""

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
        Send a GET request for a path relative to the base URL, and receive the whole response, whatever its status.

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
        if size > MAX_ERROR_BYTES and response.status != 200:
            # The status is the error; a part of its body is enough.
            break
        if size > MAX_BODY_BYTES:
            raise MakeResponseError(
                f"the response is larger than {MAX_BODY_BYTES >> 20} MiB: expected a smaller page_size, "
                "or another host if this is not Make",
                status_code=200,
            )
    return b"".join(pieces)


@dataclass(frozen=True)
class Network:
    """The network path to a zone, from the connection settings and, if those trust it, the environment."""

    settings: ConnectionSettings
    # None for a direct connection. It may contain credentials.
    proxy: str | None = field(repr=False)
    # As aiohttp has it: True where neither the zone nor the proxy uses TLS.
    tls: ssl.SSLContext | Literal[True]

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Network:
        """
        Choose proxy and certificates as requests does, with ``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE`` etc.

        Loads a CA bundle, which takes some milliseconds.

        :raises MakeInputError: The proxy is not an http or https URL, or a certificate can't be loaded.
        """
        url = settings.base_url
        try:
            proxy, verify = _proxy_and_verify(settings)
            if proxy and urlsplit(proxy).scheme not in ("http", "https"):
                raise MakeInputError(f"The proxy's URL is not valid: expected http or https, such as {PROXY_EXAMPLE}.")
            uses_tls = "https" in (urlsplit(url).scheme, urlsplit(proxy or "").scheme)
            return cls(settings, proxy, _tls_context(verify, settings.cert) if uses_tls else True)
        except MakeInputError as error:
            raise MakeInputError(f"Connection {settings.conn_id!r}: {error}") from None

    def timeout_error(self, whole_response: float | None = None) -> MakeApiError:
        """Create the error for a piece that did not come in time, or for a whole response, with its seconds."""
        if whole_response is None:
            text = f"no response from {self.settings.zone} within {self.settings.timeout:g} s"
        else:
            text = f"the response of {self.settings.zone} was not complete within {whole_response:g} s"
        return MakeConnectionError(text)

    def truncation_error(self, error: Exception) -> MakeApiError:
        """Create the error for a response that ended early."""
        return MakeResponseError(f"the response was cut off or damaged: {self._reason(error)}")

    def connection_error(self, error: Exception) -> MakeApiError:
        """Create the error for a connection that failed, or dropped before the response."""
        # Without the proxy's credentials.
        through = f" through the proxy {self.proxy.rpartition('@')[2].rpartition('://')[2]}" if self.proxy else ""
        if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
            # Its status, 400, is not the server's.
            problem = f"the response of {self.settings.zone}{through} is not valid HTTP"
            return MakeConnectionError(f"{problem}: {self._safe(error.message)}")
        return MakeConnectionError(
            f"{self.settings.zone} could not be reached{through}: {self._reason(error)}",
            advice=_connection_advice(error),
        )

    def _reason(self, error: Exception) -> str:
        cause = _innermost(error)
        message = "" if isinstance(cause, aiohttp.ServerDisconnectedError) else f": {cause}"
        return self._safe(f"{type(cause).__name__}{message}")

    def _safe(self, text: str) -> str:
        return shorten(text.replace(self.proxy, "the proxy") if self.proxy else text, self.settings.token)


def _proxy_and_verify(settings: ConnectionSettings) -> tuple[str | None, bool | str]:
    environment = os.environ if settings.trust_env else {}
    # NO_PROXY alone is among them.
    has_proxy = settings.proxies or (settings.trust_env and getproxies().keys() - {"no"})
    if not has_proxy:
        # The same without requests, whose import takes longer than most pulls.
        bundle = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE") or True
        return None, bundle if settings.verify is True else settings.verify
    from airflow_provider_make.api.zone_session import choose_proxy_and_verify

    return choose_proxy_and_verify(settings)


def _connection_advice(error: BaseException) -> str | None:
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate_advice(cause.verify_code)
    if getattr(cause, "reason", None) in _NOT_TLS:
        return "The server does not use TLS. For a sandbox, the connection's host begins with http://."
    # TLS 1.3 servers refuse after the handshake, where aiohttp keeps only the text.
    if "certificate required" in str(cause):
        return "The server requires a client certificate: set the connection's cert."
    if isinstance(error, aiohttp.ClientHttpProxyError) and error.status == 407:
        return "Put user and password into the URL of the proxy."
    return None


def _certificate_advice(code: int) -> str | None:
    if code in _UNKNOWN_ISSUER:
        return "Set the connection's verify to the CA bundle of your company."
    if code in (_EXPIRED, _NOT_YET_VALID):
        return "Renew the certificate of the server or its issuer, or set the clock of this machine."
    if code in _OTHER_NAMES:
        return "The certificate is for another name: check the connection's host."
    # The reason says what to do.
    return None


def _innermost(error: BaseException) -> BaseException:
    # aiohttp wraps the cause in messages that repeat host and port.
    for inner in (getattr(error, "os_error", None), *error.args[:1]):
        if isinstance(inner, Exception):
            return _innermost(inner)
    return error


def _tls_context(verify: bool | str, cert: str | tuple[str, str] | None) -> ssl.SSLContext:
    # The bundle that requests has by default.
    verify = certifi.where() if verify is True else verify
    if isinstance(verify, str):
        is_folder = os.path.isdir(verify)
        try:
            context = ssl.create_default_context(
                cafile=None if is_folder else verify, capath=verify if is_folder else None
            )
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
            # Without a password, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            expectation = f"a certificate with its unencrypted key that this worker can read ({type(error).__name__})"
            raise MakeInputError.expected("cert", cert, expectation) from None
    return context

"""The way to a zone: proxy, certificates and names of what went wrong, the same for every transport."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from airflow_provider_make.connection.settings import MakeConnection
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeInputError, MakeResponseError


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

    def url(self, path: str) -> str:
        """
        Make the URL of a request, without its query.

        :param path: Relative to the connection's base URL.
        :return: The URL.
        """
        return f"{self.connection.base_url}/{path}"

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

"""The requests session of a zone: for ``HttpOperator``, and to choose a proxy as requests does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from airflow_provider_make.connection.address import NO_PROXY, encode_proxy_url, is_loopback, parse_proxies
from airflow_provider_make.connection.settings import USER_AGENT, ConnectionSettings
from airflow_provider_make.exceptions import MakeInputError


class ZoneSession(requests.Session):
    """
    A requests session that is authorized for the zone, and sends the token through no proxy that should not see it.

    Options of a request override the connection's: ``verify``, ``proxies``, ``cert``, ``stream``, ``trust_env`` and
    ``max_redirects``, and the other names that ``HttpHook`` has for two of them, ``verify_ssl`` and ``proxy``.
    """

    def __init__(self, settings: ConnectionSettings, options: Mapping[str, Any]) -> None:
        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = settings.authorization
            return request

        super().__init__()
        # As a plain header, the token would be overwritten by a .netrc entry.
        self.auth = authorize
        self.headers["User-Agent"] = USER_AGENT
        self.verify = options.get("verify", options.get("verify_ssl", settings.verify))
        self.proxies = dict(parse_proxies(options.get("proxies", options.get("proxy", settings.proxies)) or {}))
        self.cert = options.get("cert", settings.cert)
        self.stream = options.get("stream", False)
        self.trust_env = options.get("trust_env", settings.trust_env)
        self.max_redirects = options.get("max_redirects", self.max_redirects)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Choose the proxy and certificates of a request; an error, if its proxy would see the token."""
        own = {**self.proxies, **(proxies or {})}
        hostname = urlsplit(url).hostname or ""
        environment = {NO_PROXY: hostname} if is_loopback(hostname) else {}
        merged = super().merge_environment_settings(url, {**own, **environment}, stream, verify, cert)
        # The own one is checked first: requests prefers the environment's proxy for the scheme to one for "all".
        if proxy := select_proxy(url, own) or select_proxy(url, merged["proxies"]):
            proxy = encode_proxy_url(proxy)
            if url.startswith("http:") and not is_loopback(urlsplit(proxy).hostname or ""):
                raise MakeInputError(
                    "proxies is not valid: expected a proxy on this machine, or none, where the connection's host is "
                    "http on this machine: another proxy would see the token."
                )
            merged["proxies"] = {**merged["proxies"], f"{urlsplit(url).scheme}://{hostname}": proxy}
        return merged


def choose_proxy_and_verify(settings: ConnectionSettings) -> tuple[str | None, bool | str]:
    """Choose the proxy and the CA bundle of a connection; its settings take precedence over the environment."""
    url = settings.base_url
    merged = ZoneSession(settings, {}).merge_environment_settings(url, {}, None, settings.verify, None)
    return select_proxy(url, merged["proxies"]), merged["verify"] or False

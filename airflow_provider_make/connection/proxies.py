"""The proxies of a connection: their URLs, checked and encoded for HTTP libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from airflow_provider_make.connection.address import build_authority, parse_authority
from airflow_provider_make.exceptions import MakeInputError

PROXY_EXAMPLE = "http://proxy.example.com:3128"
# A key that requests reads: hosts that are reached without the proxies of the environment.
NO_PROXY = "no_proxy"
# As requests reads them; it ignores others.
_KEY = re.compile("(http|https|all)(://.+)?")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_NOT_PERCENT_ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")


def parse_proxies(value: Any) -> Mapping[str, str]:
    """
    Check the proxies of a connection, or of a request.

    :param value: A URL by scheme, as ``requests`` has them; or one URL for all.
    :return: The URL by scheme.
    :raises MakeInputError: The value is something else, or a URL is not valid. Values are not shown.
    """
    if isinstance(value, str):
        value = {"http": value, "https": value}
    # Requests treats null and empty URLs as none.
    if not isinstance(value, Mapping) or not all(isinstance(url, str | None) for url in value.values()):
        raise MakeInputError(f'proxies is not valid: expected a JSON object such as {{"https": "{PROXY_EXAMPLE}"}}.')
    urls = {str(key): url for key, url in value.items() if url}
    unknown = next((key for key in urls if key != NO_PROXY and not _KEY.fullmatch(key)), None)
    if unknown is not None:
        raise MakeInputError.expected(
            "proxies", [unknown], "the keys http, https, all, or one with a host: https://host"
        )
    return {key: url if key == NO_PROXY else encode_proxy_url(url) for key, url in urls.items()}


def encode_proxy_url(url: str) -> str:
    """
    Check the URL of a proxy, and percent-encode its credentials, of which libraries show some in errors.

    :param url: The URL; without a scheme, ``http`` is meant.
    :return: The URL, with a scheme.
    :raises MakeInputError: It is not valid. It is not shown, because it may contain credentials.
    """
    try:
        return _encode(url.strip())
    except ValueError:
        pass
    # Raised here, without a context: that of urlsplit() shows the URL.
    raise MakeInputError(
        f"The proxy's URL is not valid: expected one such as {PROXY_EXAMPLE}, "
        "with a user and a password of Latin-1 characters if it needs them."
    )


def _encode(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if not _SCHEME.fullmatch(scheme) or not rest:
        scheme, rest = "http", url
    # A password may contain any of "/?#@", so the last "@" ends it.
    credentials, at, address = rest.rpartition("@")
    parts = urlsplit(f"{scheme}://{address}")
    hostname, port = parse_authority(parts)
    user, colon, password = credentials.partition(":")
    user, password = _quote(user), _quote(password)
    # HTTP separates the user from the password with a colon, and libraries send both in Latin-1.
    if ":" in unquote(user):
        raise ValueError("a colon in the user")
    unquote(user + password).encode("latin-1")
    return f"{scheme.lower()}://{user}{colon}{password}{at}{build_authority(hostname, port)}{parts.path}"


def _quote(credential: str) -> str:
    return quote(_NOT_PERCENT_ENCODED.sub("%25", credential), safe="%")

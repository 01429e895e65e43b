"""Where the API is, and the proxy on the way to it: the connection's host, zone and proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_make.connection.form import ZONES
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.masking import HIDDEN, mask_secrets

API_PATH = "/api/v2"
MAX_PORT = 65_535
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_HOSTNAME_LENGTH = 253
# Underscores are not allowed in host names, but in use.
_LABEL = re.compile("[a-z0-9_-]{1,63}")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
PROXY_EXAMPLE = "http://proxy.example.com:3128"
# A key of proxies that requests reads: hosts that are reached without the proxies of the environment.
NO_PROXY = "no_proxy"
# The other keys that it reads; it ignores the rest.
_PROXY_KEY = re.compile("(http|https|all)(://.+)?")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_NOT_PERCENT_ENCODED = re.compile("%(?![0-9A-Fa-f]{2})")


def build_base_url(host: str | None, schema: str | None, port: int | None, zone: Any) -> str:
    """Build the base URL of the API, which ends in ``/api/v2``, from a host or, if that is empty, a zone."""
    host = (host or "").strip()
    if port and not (isinstance(port, int) and 0 < port <= MAX_PORT):
        raise MakeInputError.expected("port", port, f"a number from 1 to {MAX_PORT}, or nothing")
    if not host:
        if zone not in ZONES:
            expectation = f"one of the zones {', '.join(ZONES)}, or a host"
            if zone:
                raise MakeInputError.expected("zone", zone, expectation)
            raise MakeInputError(f"The connection has neither a zone nor a host: expected {expectation}.")
        if port and port != _DEFAULT_PORTS["https"]:
            raise MakeInputError.expected("port", port, "443, or nothing, where the host is empty")
        return f"https://{zone}{API_PATH}"
    path_or_scheme = (schema or "").strip("/")
    if not is_schema(schema):
        # Without the value: in a URI with a slash too many, it is the token.
        raise MakeInputError("The connection's schema is not valid: expected https, or nothing.")
    return _parse_host(host, path_or_scheme if path_or_scheme in _DEFAULT_PORTS else "https", port)


def is_schema(schema: str | None) -> bool:
    """Decide whether a connection may have this schema; for make://:TOKEN@eu1.make.com/api/v2, it is the path."""
    return (schema or "").strip("/") in ("", *_DEFAULT_PORTS, API_PATH.strip("/"))


def _parse_host(host: str, scheme: str, port: int | None) -> str:
    expectation = f"a host or base URL such as {ZONES[0]} or https://{ZONES[0]}{API_PATH}"
    if "@" in host or "?" in host or "#" in host:
        # The value is not shown: it may contain a secret.
        raise MakeInputError(
            f"The connection's host contains more than a host, such as credentials: expected {expectation}."
        )
    if _is_ip_address(host):
        # Airflow removes the brackets of an IPv6 address in a URI.
        host = build_authority(host, None)
    try:
        url = urlsplit(host if "://" in host else f"{scheme}://{host}")
        is_valid = url.scheme in _DEFAULT_PORTS and not _SPACE_OR_CONTROL.search(host)
        hostname, own_port = parse_authority(url)
    except ValueError:
        is_valid = False
    # A token that was pasted into the host would be sent to a name server.
    if not is_valid or mask_secrets(hostname) == HIDDEN:
        raise MakeInputError.expected("host", host, expectation)
    if port and own_port and port != own_port:
        raise MakeInputError.expected("port", port, f"the host's own port {own_port}, or nothing")
    if url.scheme == "http" and not is_loopback(hostname):
        raise MakeInputError.expected("host", host, "https: plain http would expose the token to the network")
    port = own_port or port
    netloc = build_authority(hostname, None if port == _DEFAULT_PORTS[url.scheme] else port)
    path = url.path.rstrip("/").removesuffix(API_PATH)
    return f"{url.scheme}://{netloc}{path}{API_PATH}"


def is_loopback(hostname: str) -> bool:
    """Decide whether a host name or an IP address is this machine."""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # HTTP libraries differ in how they write the zone of a link-local address: fe80::1%eth0.
    return "%" not in text


def parse_authority(url: SplitResult) -> tuple[str, int | None]:
    """Check the host and the port of a URL; a ValueError, if one is not valid."""
    hostname = encode_hostname(url.hostname or "")
    _, bracket, after = url.netloc.rpartition("]")
    # Python before 3.11.10 accepts other text in brackets, and after them.
    if url.port == 0 or url.netloc.endswith(":") or (bracket and (":" not in hostname or after[:1] not in ("", ":"))):
        raise ValueError("not a host and a port")
    return hostname, url.port


def build_authority(hostname: str, port: int | None) -> str:
    """Join a host and a port for a URL: ``eu1.make.com``, ``[::1]:8080``."""
    return (f"[{hostname}]" if ":" in hostname else hostname) + (f":{port}" if port else "")


def encode_hostname(hostname: str) -> str:
    """Encode a host name for DNS as HTTP libraries do, or an IP address; a ValueError for all that is not valid."""
    if _is_ip_address(hostname):
        return hostname
    if not hostname.isascii():
        import idna

        # The libraries do the same. Python's own codec replaces some letters, and so reaches another host.
        hostname = idna.encode(hostname, uts46=True).decode()
    hostname = hostname.lower()
    labels = hostname.removesuffix(".").split(".")
    if len(hostname) > _MAX_HOSTNAME_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("a label of the host name is empty, too long or not valid")
    return hostname


def parse_proxies(value: Any) -> Mapping[str, str]:
    """Check the proxies of a connection or a request: a URL by scheme, as ``requests`` has them, or one for all."""
    if isinstance(value, str):
        value = {"http": value, "https": value}
    # Requests treats null and empty URLs as none.
    if not isinstance(value, Mapping) or not all(isinstance(url, str | None) for url in value.values()):
        # The value is not shown: it may contain credentials.
        raise MakeInputError(f'proxies is not valid: expected a JSON object such as {{"https": "{PROXY_EXAMPLE}"}}.')
    urls = {str(key): url for key, url in value.items() if url}
    unknown = next((key for key in urls if key != NO_PROXY and not _PROXY_KEY.fullmatch(key)), None)
    if unknown is not None:
        raise MakeInputError.expected(
            "proxies", [unknown], "the keys http, https, all, or one with a host: https://host"
        )
    return {key: url if key == NO_PROXY else encode_proxy_url(url) for key, url in urls.items()}


def encode_proxy_url(url: str) -> str:
    """Check the URL of a proxy, and percent-encode its credentials, of which libraries show some in errors."""
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

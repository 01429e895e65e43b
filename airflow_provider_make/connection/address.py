"""The address of the API, from the host, schema and port of a connection, or from its zone."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_make.connection.fields import ZONES
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.masking import HIDDEN, mask_secrets

API_PATH = "/api/v2"
MAX_PORT = 65_535
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_HOSTNAME_LENGTH = 253
# Underscores are not allowed in host names, but in use.
_LABEL = re.compile("[a-z0-9_-]{1,63}")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def build_base_url(host: str | None, schema: str | None, port: int | None, zone: Any) -> str:
    """
    Build the base URL of the API.

    :param host: A host, or a base URL; empty for the zone's.
    :param schema: ``http`` or ``https`` where the host has none. Airflow puts the path of a connection URI into it,
        so it may also be ``api/v2``.
    :param port: The port, if it is not part of the host.
    :param zone: The zone, which is used if the host is empty.
    :return: The base URL; ends in ``/api/v2``.
    :raises MakeInputError: A part is not valid, neither a host nor a zone is set, or the token would not be encrypted.
    """
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
    # make://:TOKEN@eu1.make.com/api/v2
    path_or_scheme = (schema or "").strip("/")
    if path_or_scheme not in ("", "http", "https", API_PATH.strip("/")):
        # Without the value: in a URI with a slash too many, it is the token.
        raise MakeInputError("The connection's schema is not valid: expected https, or nothing.")
    return _parse_host(host, path_or_scheme if path_or_scheme in _DEFAULT_PORTS else "https", port)


def _parse_host(host: str, scheme: str, port: int | None) -> str:
    expectation = f"a host or base URL such as {ZONES[0]} or https://{ZONES[0]}{API_PATH}"
    if "@" in host or "?" in host or "#" in host:
        # The value is not shown: it may contain a secret.
        raise MakeInputError(
            f"The connection's host contains more than a host, such as credentials: expected {expectation}."
        )
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
    """
    Decide whether a host is this machine.

    :param hostname: A host name or an IP address.
    :return: True for ``localhost`` and loopback addresses.
    """
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def parse_authority(url: SplitResult) -> tuple[str, int | None]:
    """
    Check the host and the port of a URL.

    :param url: The URL, split.
    :return: The host as :func:`encode_hostname` returns it, and the port; None if the URL has none.
    :raises ValueError: The host or the port is not valid.
    """
    hostname = encode_hostname(url.hostname or "")
    if url.port == 0 or url.netloc.endswith(":") or ("[" in url.netloc and ":" not in hostname):
        raise ValueError("not a host and a port")
    return hostname, url.port


def build_authority(hostname: str, port: int | None) -> str:
    """
    Join a host and a port for a URL.

    :param hostname: A host name or an IP address.
    :param port: The port; None or zero for none.
    :return: For example ``eu1.make.com``, ``[::1]:8080``.
    """
    return (f"[{hostname}]" if ":" in hostname else hostname) + (f":{port}" if port else "")


def encode_hostname(hostname: str) -> str:
    """
    Check a host name, and encode it for DNS, as HTTP libraries do, but without their exceptions.

    :param hostname: A host name, possibly of other characters than ASCII, or an IP address.
    :return: The IP address, or the host name in ASCII and lower case.
    :raises ValueError: The host name is empty or too long, or has a label that is, or that can't be encoded.
    """
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        pass
    else:
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

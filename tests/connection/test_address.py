"""Check host names and ports. The addresses that connections have are in test_settings."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.connection.address import build_base_url, encode_hostname, is_loopback
from airflow_provider_make.exceptions import MakeInputError

UUID = "c0ffee00-dead-4bad-8f00-d0123456789a"
LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


@pytest.mark.parametrize(
    ("hostname", "encoded"),
    [
        ("eu1.make.com", "eu1.make.com"),
        ("EU1.make.com.", "eu1.make.com."),
        ("my_host", "my_host"),
        ("x" * 63, "x" * 63),
        (LONGEST, LONGEST),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        # Python's own codec would make this strasse.example, which is another host.
        ("straße.example", "xn--strae-oqa.example"),
        ("ｅｕ１。make.com", "eu1.make.com"),
    ],
)
def test_valid_host_names_are_encoded(hostname: str, encoded: str) -> None:
    assert encode_hostname(hostname) == encoded


INVALID = [
    "",
    ".",
    "ex..ample",
    ".make.com",
    "make.com..",
    "x" * 64,
    f"{'x' * 64}.make.com",
    f"{LONGEST}d",
    "ü" * 60,
    "é..x",
    "\N{ZERO WIDTH SPACE}",
    "-é.com",
    "a b",
    "a\\b",
    "a%41",
    "a\x00b",
    '"quoted"',
]


@pytest.mark.parametrize("hostname", INVALID)
def test_invalid_host_names_raise(hostname: str) -> None:
    with pytest.raises(ValueError):
        encode_hostname(hostname)


@pytest.mark.parametrize("host", [f"https://{name}" for name in INVALID if name] + [UUID, f"https://{UUID}:1"])
def test_error_names_the_host(host: str) -> None:
    with pytest.raises(MakeInputError, match="^host=.* is not valid: expected a host or base URL") as caught:
        build_base_url(host, None, None, None)
    assert UUID not in str(caught.value)


@pytest.mark.parametrize(("port", "host"), [(-1, "h"), (65_536, "h"), (10**9, ""), (10**30, "h"), ("x", "h")])
def test_error_names_the_port(port: Any, host: str) -> None:
    with pytest.raises(MakeInputError, match=f"^port={port!r} is not valid: expected a number from 1 to 65535"):
        build_base_url(host, None, port, "eu1.make.com")


@pytest.mark.parametrize("host", ["h:0", "https://h:0", "h:65536", "https://h:-1", "[::1", "https://[v1.a]"])
def test_error_names_the_host_with_its_port(host: str) -> None:
    with pytest.raises(MakeInputError, match="^host="):
        build_base_url(host, None, None, None)


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("eu1.make.com", False),
        ("", False),
    ],
)
def test_loopback_hosts_are_this_machine(hostname: str, expected: bool) -> None:
    assert is_loopback(hostname) is expected

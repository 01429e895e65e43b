"""Host names, ports and proxies. Addresses of connections are in test_settings, real proxies in api/test_transport."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import yarl
from requests.utils import get_auth_from_url

from airflow_provider_make.connection.address import (
    build_base_url,
    encode_hostname,
    encode_proxy_url,
    is_loopback,
    parse_proxies,
)
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


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy.example.com:3128", "http://proxy.example.com:3128"),
        (" HTTPS://Proxy/ ", "https://proxy/"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("socks5h://proxy:1080", "socks5h://proxy:1080"),
        ("http://u:p@proxy:1", "http://u:p@proxy:1"),
        ("u:p@proxy:1", "http://u:p@proxy:1"),
        ("http://u@proxy:1", "http://u@proxy:1"),
        ("http://:p@proxy:1", "http://:p@proxy:1"),
        ("http://u:p%40ss%20word@proxy", "http://u:p%40ss%20word@proxy"),
        ("http://u:pässword@127.0.0.1:9", "http://u:p%C3%A4ssword@127.0.0.1:9"),
        ("http://u:p@s s/w?o#r[d://@proxy:1", "http://u:p%40s%20s%2Fw%3Fo%23r%5Bd%3A%2F%2F@proxy:1"),
        ("u:p://x@proxy:1", "http://u:p%3A%2F%2Fx@proxy:1"),
        ("http://u:100%@proxy:1", "http://u:100%25@proxy:1"),
        ("http://u:100%zz@proxy:1", "http://u:100%25zz@proxy:1"),
        ("http://bücher.example:1", "http://xn--bcher-kva.example:1"),
    ],
)
def test_urls_are_encoded_for_libraries(url: str, encoded: str) -> None:
    assert encode_proxy_url(url) == encode_proxy_url(encoded) == encoded


def test_libraries_decode_the_credentials_alike() -> None:
    encoded = encode_proxy_url("http://wörker:p@s s/w?o#r[d%@proxy:1")
    credentials = ("wörker", "p@s s/w?o#r[d%")
    parsed = yarl.URL(encoded)
    assert (parsed.user, parsed.password) == get_auth_from_url(encoded) == credentials
    assert requests.adapters.HTTPAdapter().proxy_headers(encoded)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://u:hunter2@",
        "http://u:hunter2@ex..ample",
        f"http://u:hunter2@{'x' * 64}",
        "http://u:hunter2@[::1",
        "http://u:hunter2@h:port",
        "http://u:hunter2@h:0",
        "http://u:hunter2@h:65536",
        "http://u:hunter2@h:",
        "http://u:hunter2@h h",
        "http://u:hunter2℀@h\u2100:1",
        "http://u:hunter2пароль@h:1",
        "http://u:hunter2%D0%BF@h:1",
        "http://u:hunter2%E4@h:1",
        "http://u%3Ax:hunter2@h:1",
        "http://u:hunter2\ud800@h:1",
    ],
)
def test_error_for_an_invalid_url_does_not_show_it(url: str) -> None:
    with pytest.raises(MakeInputError, match="^The proxy's URL is not valid: expected one such as") as caught:
        encode_proxy_url(url)
    error = caught.value
    assert "hunter2" not in repr((error, error.args, vars(error), error.__cause__, error.__context__))


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("proxy:1", {"http": "http://proxy:1", "https": "http://proxy:1"}),
        ({"https": "proxy:1", "http": None, "all": ""}, {"https": "http://proxy:1"}),
        ({"no_proxy": "a.example,b.example"}, {"no_proxy": "a.example,b.example"}),
        ({}, {}),
    ],
)
def test_proxies_are_a_url_or_one_by_scheme(value: Any, parsed: dict[str, str]) -> None:
    assert parse_proxies(value) == parsed


@pytest.mark.parametrize("value", [5, True, ["http://u:hunter2@h"], {"https": 5}, {"https": {"u:hunter2@h": 1}}])
def test_error_for_other_values_does_not_show_them(value: Any) -> None:
    with pytest.raises(MakeInputError, match="^proxies is not valid") as caught:
        parse_proxies(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["HTTP", "foo", "socks", "http:/eu1.make.com", ""])
def test_error_names_a_key_that_would_be_ignored(key: str) -> None:
    with pytest.raises(MakeInputError, match=r"proxies=.* is not valid: expected the keys http, https, all, or one"):
        parse_proxies({"https": "http://proxy:1", key: "http://user:hunter2@proxy:1"})

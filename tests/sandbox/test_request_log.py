"""Test the lines about requests, and what they must not contain."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox.request_log import Outcome, describe_request
from tests.support.sandbox_requests import get_page

TOKEN = "sandbox-token"


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Outcome(200, entries=2), "200, 2 entries, 3 ms"),
        (Outcome(200, entries=1), "200, 1 entry, 3 ms"),
        (Outcome(429, fault="429:2"), "429, fault 429:2, 3 ms"),
        (Outcome(None, fault="reset"), "no response, fault reset, 3 ms"),
        (Outcome(401), "401, 3 ms"),
    ],
)
def test_a_line_has_the_request_and_its_outcome(outcome: Outcome, end: str) -> None:
    line = describe_request("GET", "/a/1", [("pg[limit]", "2"), ("teamId", "7")], outcome, 0.0031, token=TOKEN)
    assert line == f"GET /a/1?pg[limit]=2&teamId=7 {end}"
    assert describe_request("GET", "/a/1", [], outcome, 0.0031, token=TOKEN) == f"GET /a/1 {end}"


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text())))
def test_a_line_is_short_and_printable(method: str, path: str, query: list[tuple[str, str]]) -> None:
    line = describe_request(method[:9], path, query, Outcome(200), 0.0, token=TOKEN)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize("token", [TOKEN, "wörd\n", "a'b", "x" * 400])
def test_a_line_never_contains_the_token(token: str) -> None:
    line = describe_request("GET", f"/a/{token}", [("token", token), (token, "1")], Outcome(404), 0.0, token=token)
    assert line == "GET /a/***?token=***&***=1 404, 0 ms"


def logged(sandbox: Sandbox, send: Callable[[], object]) -> str:
    lines: list[str] = []
    sandbox.log_requests(lines.append)
    send()
    # The line follows an aborted connection.
    deadline = time.monotonic() + 10
    while not lines and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = lines
    return line.rpartition(",")[0]


def test_each_request_is_logged(make_sandbox: Sandbox) -> None:
    path = "GET /api/v2/analytics/1"
    page = logged(make_sandbox, lambda: get_page(make_sandbox, offset=240, limit=20))
    assert page == f"{path}?pg[offset]=240&pg[limit]=20 200, 10 entries"
    assert logged(make_sandbox, lambda: get_page(make_sandbox, 7)) == "GET /api/v2/analytics/7 403"
    make_sandbox.fail("503", "reset")
    assert logged(make_sandbox, lambda: get_page(make_sandbox)) == f"{path} 503, fault 503"

    def send_and_lose() -> None:
        with pytest.raises(OSError, match="."):
            get_page(make_sandbox)

    assert logged(make_sandbox, send_and_lose) == f"{path} no response, fault reset"


def test_control_characters_of_a_request_are_escaped(make_sandbox: Sandbox) -> None:
    def send() -> None:
        with socket.create_connection(("127.0.0.1", urlsplit(make_sandbox.host).port or 0), timeout=10) as client:
            client.sendall(b"GET /%1b[31m%0aGET%20/?a=%0d%00 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
            assert client.recv(100)

    assert logged(make_sandbox, send) == r"GET /\x1b[31m\nGET /?a=\r\x00 404"

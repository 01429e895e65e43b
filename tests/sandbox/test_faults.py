"""Test how faults are parsed, and what effect each has on a client."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_make.sandbox import Fault, Sandbox
from airflow_provider_make.sandbox.faults import RECOVERABLE


def get_page(sandbox: Sandbox, timeout: float = 5.0) -> requests.Response:
    return requests.get(
        f"{sandbox.base_url}/analytics/1",
        headers={"Authorization": f"Token {sandbox.token}"},
        timeout=timeout,
        allow_redirects=False,
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("429", Fault("429")),
        ("429:2", Fault("429", 2)),
        ("429:0", Fault("429", 0)),
        ("429-reset:2", Fault("429-reset", 2)),
        ("firewall", Fault("firewall")),
        (" 503 ", Fault("503")),
        ("599:30", Fault("599", 30)),
        ("stall:0.5", Fault("stall", 0.5)),
        ("reset", Fault("reset")),
    ],
)
def test_faults_are_parsed_and_formatted(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown fault"),
        ("402", "unknown fault '402'; expected one of 429"),
        ("600", "unknown fault"),
        ("5xx", "unknown fault"),
        ("Reset", "unknown fault"),
        ("reset:1", "does not accept seconds"),
        ("stall", "stall:5"),
        ("stall:0", "stall:5"),
        ("stall:inf", "stall:5"),
        ("stall:nan", "stall:5"),
        ("429:1.5", "whole number of seconds, such as 429:2"),
        ("429-reset", "whole number of seconds, such as 429-reset:2"),
        ("429-reset:1.5", "whole number"),
        ("429-reset:-1", "whole number"),
        ("404:1", "does not accept seconds"),
        ("firewall:1", "does not accept seconds"),
        ("429:-1", "whole number"),
        ("429:inf", "whole number"),
        ("503:soon", "503:soon"),
        ("429:", "429:"),
    ],
)
def test_invalid_faults_are_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


@pytest.mark.parametrize(("fault", "retry_after"), [("429", None), ("429:0", "0"), ("429:2", "2")])
def test_429_has_the_shape_of_make(make_sandbox: Sandbox, fault: str, retry_after: str | None) -> None:
    make_sandbox.fail(fault)
    response = get_page(make_sandbox)
    assert response.status_code == 429
    assert response.headers.get("Retry-After") == retry_after
    assert response.json()["code"] == "SC429"
    assert response.json()["message"].startswith("Requests limit for organization exceeded")


def test_429_reset_has_the_time_of_the_reset(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("429-reset:30")
    before = time.time()
    response = get_page(make_sandbox)
    assert (response.status_code, response.json()["code"]) == (429, "SC429")
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert before + 30 <= int(response.headers["X-RateLimit-Reset"]) < time.time() + 31
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(("fault", "retry_after"), [("500", None), ("502", None), ("503:7", "7")])
def test_server_errors_are_html(make_sandbox: Sandbox, fault: str, retry_after: str | None) -> None:
    make_sandbox.fail(fault)
    response = get_page(make_sandbox)
    assert response.status_code == int(fault[:3])
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers.get("Retry-After") == retry_after
    assert "<html>" in response.text


@pytest.mark.parametrize("status", [401, 403, 404])
def test_401_403_and_404_have_the_shape_of_make(make_sandbox: Sandbox, status: int) -> None:
    make_sandbox.fail(str(status))
    response = get_page(make_sandbox)
    assert response.status_code == status
    assert response.json()["code"] == f"SC{status}"


def test_400_has_a_list_of_details_and_no_suberrors(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("400")
    response = get_page(make_sandbox)
    assert response.status_code == 400
    body = response.json()
    assert (body["message"], body["code"], body["suberrors"]) == ("Bad Request", "SC400", [])
    assert len(body["detail"]) == 2
    assert all(isinstance(detail, str) for detail in body["detail"])


def test_a_firewall_refuses_in_plain_text(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("firewall")
    response = get_page(make_sandbox)
    assert (response.status_code, response.text) == (403, "error code: 1010")
    assert response.headers["Content-Type"].startswith("text/plain")


def test_reset_aborts_the_connection(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("reset")
    address = urlsplit(make_sandbox.host)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v2/analytics/1 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert get_page(make_sandbox).status_code == 200


def test_a_truncated_body_is_shorter_than_its_content_length(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("truncate")
    address = urlsplit(make_sandbox.host)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v2/analytics/1 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length: 700\r\n" in head
    assert 0 < len(body) < 700
    make_sandbox.fail("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get_page(make_sandbox)


def test_stall_delays_the_correct_response(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("stall:0.2", "stall:30")
    started = time.monotonic()
    assert get_page(make_sandbox).json()["analytics"]
    assert time.monotonic() - started >= 0.2
    with pytest.raises(requests.exceptions.ReadTimeout):
        get_page(make_sandbox, timeout=0.1)
    # The fixture stops the sandbox now, and must not wait for the rest of the stall.


def test_the_sandbox_stops_during_a_stall() -> None:
    sandbox = Sandbox(scenarios=1)
    sandbox.fail("stall:30")
    sandbox.start()
    address = urlsplit(sandbox.host)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v2/analytics/1 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        while not sandbox.requests:
            time.sleep(0.01)
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 2
        assert connection.recv(1) == b""


def test_faults_with_status_200(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("html", "empty", "shape")
    html, empty, shape = (get_page(make_sandbox) for _ in range(3))
    assert html.status_code == empty.status_code == shape.status_code == 200
    assert html.headers["Content-Type"].startswith("text/html")
    assert empty.content == b""
    assert shape.json()["total"] is None


def test_redirect_points_to_the_sandbox_under_another_host_name(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("redirect", "redirect")
    response = get_page(make_sandbox)
    assert response.status_code == 302
    location = response.headers["Location"]
    assert urlsplit(location).hostname == "localhost"
    assert urlsplit(location).path == "/api/v2/analytics/1"
    assert len(make_sandbox.requests) == 1
    requests.get(f"{make_sandbox.base_url}/analytics/1", timeout=5)
    assert len(make_sandbox.requests) == 3


def test_faults_apply_in_order_and_once(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("503", None, Fault("429", 1))
    make_sandbox.fail("500")
    assert [get_page(make_sandbox).status_code for _ in range(5)] == [503, 200, 429, 500, 200]


def test_no_fault_is_queued_if_one_is_invalid(make_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        make_sandbox.fail("503", "no such")
    assert get_page(make_sandbox).status_code == 200


def test_a_fault_rate_chooses_among_recoverable_faults() -> None:
    # Without seconds, a 429 would cost a client a minute.
    assert set(map(str, RECOVERABLE)) == {"429:1", "500", "503", "reset", "truncate"}

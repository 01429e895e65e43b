"""What goes wrong on purpose: how faults are parsed, what effect each has on a client, and the rate limit."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_make.sandbox import Fault, Sandbox, faults
from airflow_provider_make.sandbox.faults import RECOVERABLE, Refusal
from airflow_provider_make.sandbox.options import RateLimitHint
from tests.support.sandbox_requests import TOKEN, get_page


def get(sandbox: Sandbox, timeout: float = 5.0) -> requests.Response:
    url = f"{sandbox.base_url}/analytics/1"
    return requests.get(url, headers=TOKEN, timeout=timeout, allow_redirects=False)


def test_a_400_names_every_problem() -> None:
    refusal = Refusal(400, ["One.", "Two."])
    body = refusal.response().body
    assert isinstance(body, bytes)
    assert json.loads(body) == {
        "detail": "Validation failed for 2 parameter(s).",
        "message": "Bad Request",
        "code": "SC400",
        "suberrors": [{"message": "One.", "name": "Error"}, {"message": "Two.", "name": "Error"}],
    }
    assert "Two." in str(refusal)


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
        ("429:1000001", Fault("429", 1_000_001)),
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


def test_a_fault_of_another_type_is_an_error_that_says_what_is_wrong() -> None:
    values: list[Any] = [7, None]
    for value in values:
        with pytest.raises(TypeError, match="the kind of a fault must be text, not (int|NoneType)"):
            Fault(value)
        with pytest.raises(TypeError, match="a fault must be text, not (int|NoneType)"):
            Fault.parse(value)
    with pytest.raises(TypeError, match="seconds of a fault must be a number, not str"):
        Fault("stall", "5")  # type: ignore[arg-type]


@pytest.mark.parametrize(("fault", "retry_after"), [("429", None), ("429:0", "0"), ("429:2", "2")])
def test_429_has_the_shape_of_make(make_sandbox: Sandbox, fault: str, retry_after: str | None) -> None:
    make_sandbox.fail(fault)
    response = get(make_sandbox)
    assert response.status_code == 429
    assert response.headers.get("Retry-After") == retry_after
    assert response.json()["code"] == "SC429"
    assert response.json()["message"].startswith("Requests limit for organization exceeded")


def test_429_reset_has_the_time_of_the_reset(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("429-reset:30")
    before = time.time()
    response = get(make_sandbox)
    assert (response.status_code, response.json()["code"]) == (429, "SC429")
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert before + 30 <= int(response.headers["X-RateLimit-Reset"]) < time.time() + 31
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(("fault", "retry_after"), [("500", None), ("502", None), ("503:7", "7")])
def test_server_errors_are_html(make_sandbox: Sandbox, fault: str, retry_after: str | None) -> None:
    make_sandbox.fail(fault)
    response = get(make_sandbox)
    assert response.status_code == int(fault[:3])
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers.get("Retry-After") == retry_after
    assert "<html>" in response.text


@pytest.mark.parametrize("status", [401, 403, 404])
def test_401_403_and_404_have_the_shape_of_make(make_sandbox: Sandbox, status: int) -> None:
    make_sandbox.fail(str(status))
    response = get(make_sandbox)
    assert response.status_code == status
    assert response.json()["code"] == f"SC{status}"


def test_400_has_a_list_of_details_and_no_suberrors(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("400")
    response = get(make_sandbox)
    assert response.status_code == 400
    body = response.json()
    assert (body["message"], body["code"], body["suberrors"]) == ("Bad Request", "SC400", [])
    assert len(body["detail"]) == 2
    assert all(isinstance(detail, str) for detail in body["detail"])


def test_a_firewall_refuses_in_plain_text(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("firewall")
    response = get(make_sandbox)
    assert (response.status_code, response.text) == (403, "error code: 1010")
    assert response.headers["Content-Type"].startswith("text/plain")


def test_reset_aborts_the_connection(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("reset")
    address = urlsplit(make_sandbox.host)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v2/analytics/1 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert get(make_sandbox).status_code == 200


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
        get(make_sandbox)


def test_stall_delays_the_correct_response(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("stall:0.2", "stall:30")
    started = time.monotonic()
    assert get(make_sandbox).json()["analytics"]
    assert time.monotonic() - started >= 0.2
    with pytest.raises(requests.exceptions.ReadTimeout):
        get(make_sandbox, timeout=0.1)
    # The fixture stops the sandbox now, and must not wait for the rest of the stall.


def test_the_sandbox_stops_during_a_stall() -> None:
    sandbox = Sandbox(scenarios=1)
    sandbox.fail("stall:600")
    sandbox.start()
    address = urlsplit(sandbox.host)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v2/analytics/1 HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        while not sandbox.requests:
            time.sleep(0.01)
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 100
        assert connection.recv(1) == b""


def test_faults_with_status_200(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("html", "empty", "shape")
    html, empty, shape = (get(make_sandbox) for _ in range(3))
    assert html.status_code == empty.status_code == shape.status_code == 200
    assert html.headers["Content-Type"].startswith("text/html")
    assert empty.content == b""
    assert shape.json()["total"] is None


def test_redirect_points_to_the_sandbox_under_another_host_name(make_sandbox: Sandbox) -> None:
    make_sandbox.fail("redirect", "redirect")
    response = get(make_sandbox)
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
    assert [get(make_sandbox).status_code for _ in range(5)] == [503, 200, 429, 500, 200]


def test_no_fault_is_queued_if_one_is_invalid(make_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        make_sandbox.fail("503", "no such")
    assert get(make_sandbox).status_code == 200


def test_a_fault_rate_chooses_among_recoverable_faults() -> None:
    # Without seconds, a 429 would cost a client a minute.
    assert set(map(str, RECOVERABLE)) == {"429:1", "500", "503", "reset", "truncate"}


class Clock:
    now = 1000.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now

    @classmethod
    def time(cls) -> float:
        return 1_700_000_000.25 + cls.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "now", 1000.0)
    monkeypatch.setattr(faults, "time", Clock)
    return Clock


def limit_headers(response: requests.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower().startswith(("retry", "x-"))}


@pytest.mark.parametrize(
    ("hint", "headers"),
    [
        (None, {}),
        ("retry-after", {"Retry-After": "50"}),
        ("x-ratelimit-reset", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700001061"}),
        ("text", {}),
    ],
)
def test_a_refused_request_has_only_the_chosen_hint(
    hint: RateLimitHint | None, headers: Mapping[str, str], clock: type[Clock]
) -> None:
    with Sandbox(scenarios=1, requests_per_minute=1, rate_limit_hint=hint) as sandbox:
        allowed = get_page(sandbox)
        assert (allowed.status_code, limit_headers(allowed)) == (200, {})
        clock.now += 10.5
        refused = get_page(sandbox)
        assert (refused.status_code, limit_headers(refused)) == (429, headers)
        if hint == "text":
            assert refused.text == "Too many requests."
            assert refused.headers["Content-Type"].startswith("text/plain")
        else:
            assert refused.json() == {
                "detail": "Too many requests.",
                "message": "Requests limit for organization exceeded, please try again later.",
                "code": "SC429",
            }


def test_the_window_slides_over_a_minute(clock: type[Clock]) -> None:
    with Sandbox(scenarios=1, requests_per_minute=2, rate_limit_hint="retry-after") as sandbox:
        assert get_page(sandbox).status_code == 200
        clock.now += 40
        assert get_page(sandbox).status_code == 200
        clock.now += 10.5
        assert get_page(sandbox).headers["Retry-After"] == "10"
        clock.now += 9.5
        assert get_page(sandbox).status_code == 200
        assert get_page(sandbox).headers["Retry-After"] == "40"

"""The sandbox's endpoint over real sockets: authorization, limits, faults, what it records, and what it logs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sandbox.endpoint import Outcome, describe_request
from airflow_provider_make.sandbox.options import Misreading
from tests.support.sandbox_requests import TOKEN, get_page

SECRET = "sandbox-token"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Token sandbox-token", 200),
        ("Bearer sandbox-token", 200),
        ("Token other", 401),
        ("sandbox-token", 401),
        ("Basic c2FuZGJveC10b2tlbg==", 401),
        (None, 401),
    ],
)
def test_the_token_is_required(make_sandbox: Sandbox, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("analytics/1", "users/me"):
        response = requests.get(f"{make_sandbox.base_url}/{path}", headers=headers, timeout=10)
        assert response.status_code == status
        if status == 401:
            assert response.json()["code"] == "SC401"


def test_errors_have_the_shape_of_make(make_sandbox: Sandbox) -> None:
    denied = get_page(make_sandbox, 2)
    assert (denied.status_code, denied.json()) == (
        403,
        {"detail": "Access denied.", "message": "Permission denied", "code": "SC403"},
    )
    assert get_page(make_sandbox, "one").status_code == 400
    invalid = get_page(make_sandbox, teamId="1,2")
    assert invalid.status_code == 400
    assert "teamId" in invalid.json()["suberrors"][0]["message"]
    for path in ("", "analytics", "analytics/1/", "analytics/1/2", "scenarios"):
        response = requests.get(f"{make_sandbox.base_url}/{path}", headers=TOKEN, timeout=10)
        assert (response.status_code, response.json()["code"]) == (404, "SC404")
    assert requests.get(f"{make_sandbox.host}/analytics/1", headers=TOKEN, timeout=10).status_code == 404
    posted = requests.post(f"{make_sandbox.base_url}/analytics/1", headers=TOKEN, json={}, timeout=10)
    assert (posted.status_code, posted.json()["code"]) == (405, "SC405")


def test_requests_and_connections_are_recorded(make_sandbox: Sandbox) -> None:
    started = time.monotonic()
    with requests.Session() as session:
        for _ in range(3):
            session.get(
                f"{make_sandbox.base_url}/analytics/1?teamId=1&teamId=2&pg%5Blimit%5D=3", headers=TOKEN, timeout=10
            )
    get_page(make_sandbox, 2)
    recorded = make_sandbox.requests
    assert [request.path for request in recorded] == ["/api/v2/analytics/1"] * 3 + ["/api/v2/analytics/2"]
    assert recorded[0].method == "GET"
    assert recorded[0].query == [("teamId", "1"), ("teamId", "2"), ("pg[limit]", "3")]
    assert recorded[0].headers["authorization"] == "Token sandbox-token"
    assert started <= recorded[0].arrived_at <= recorded[3].arrived_at <= time.monotonic()
    assert len({request.peer_port for request in recorded}) == 2
    assert make_sandbox.connections == 2


def test_latency_delays_concurrent_responses_at_the_same_time() -> None:
    async def gather(sandbox: Sandbox) -> list[int]:
        async with aiohttp.ClientSession(headers=TOKEN) as session:

            async def status() -> int:
                async with session.get(f"{sandbox.base_url}/analytics/1") as response:
                    return response.status

            return await asyncio.gather(*(status() for _ in range(90)))

    with Sandbox(scenarios=5, latency=1) as sandbox:
        started = time.monotonic()
        assert asyncio.run(gather(sandbox)) == [200] * 90
        # One after the other, they take 90 s.
        assert 1 <= time.monotonic() - started < 60


def test_page_cap_and_absent_first_apply_to_responses() -> None:
    with Sandbox(scenarios=40, page_cap=10, absent_first=True) as sandbox:
        body = get_page(sandbox, limit=1000, **{"pg[sortBy]": "errorRate"}).json()
        assert len(body["analytics"]) == body["pg"]["limit"] == 10
        assert "errorRate" not in body["analytics"][0]
        assert body["analytics"] == sandbox.truth(sort_by="errorRate")[:10]


def test_a_limit_above_the_largest_is_refused() -> None:
    with Sandbox(scenarios=5, max_limit=3) as sandbox:
        assert len(get_page(sandbox, limit=3).json()["analytics"]) == len(get_page(sandbox).json()["analytics"]) == 3
        refused = get_page(sandbox, limit=4)
        assert refused.status_code == 400
        assert "pg[limit]" in refused.json()["suberrors"][0]["message"]


@pytest.mark.parametrize("misread_filters", [None, "last", "ignore"])
@pytest.mark.parametrize("name", ["teamId", "teamId[]"])
def test_filters_are_misread_only_on_request(name: str, misread_filters: Misreading | None) -> None:
    with Sandbox(misread_filters=misread_filters) as sandbox:
        entries = get_page(sandbox, 1, limit=250, **{name: [101, 102]}).json()["analytics"]
        received = {entry["teamId"] for entry in entries}
        all_teams = {entry["teamId"] for entry in sandbox.truth()}
    misread = {("last", "teamId"): {102}, ("ignore", "teamId[]"): all_teams}
    assert received == misread.get((misread_filters or "", name), {101, 102})
    assert all_teams > {101, 102}


def test_ties_are_shuffled_at_each_request() -> None:
    with Sandbox(shuffle_ties=True) as sandbox:
        orders = set()
        for _ in range(3):
            entries = get_page(sandbox, limit=250, **{"pg[sortBy]": "status"}).json()["analytics"]
            orders.add(tuple(entry["id"] for entry in entries))
        assert len(orders) == 3


def test_the_rate_limit_is_per_organization() -> None:
    with Sandbox(scenarios=1, organizations={2: 1}, requests_per_minute=3) as sandbox:
        assert [get_page(sandbox).status_code for _ in range(4)] == [200] * 3 + [429]
        assert get_page(sandbox, 2).status_code == 200


def test_the_same_seed_has_the_same_random_faults() -> None:
    def outcomes(seed: int) -> list[str]:
        seen = []
        with Sandbox(scenarios=1, fault_rate=0.5, seed=seed) as sandbox:
            for _ in range(40):
                try:
                    seen.append(str(get_page(sandbox).status_code))
                except requests.exceptions.RequestException as error:
                    seen.append(type(error).__name__)
        return seen

    first = outcomes(1)
    assert first == outcomes(1) != outcomes(2)
    counts = Counter(first)
    assert 10 <= counts["200"] <= 30
    assert set(counts) == {"200", "429", "500", "503", "ConnectionError", "ChunkedEncodingError"}


def test_scenarios_are_added_and_deleted_between_two_requests(make_sandbox: Sandbox) -> None:
    doomed = [make_sandbox.truth()[0]["id"], make_sandbox.truth()[1]["id"]]
    before = make_sandbox.truth()
    make_sandbox.at_request(2, lambda organization: organization.delete_scenarios(map(int, doomed)))
    make_sandbox.at_request(2, lambda organization: organization.add_scenarios(1))
    first = get_page(make_sandbox, limit=100, count="true").json()
    second = get_page(make_sandbox, limit=100, offset=100, count="true").json()
    assert first["analytics"] == before[:100]
    assert (first["pg"]["totalCount"], second["pg"]["totalCount"]) == (250, 249)
    assert second["analytics"] == make_sandbox.truth()[100:200]
    # A client must detect this shift: two entries of the second page were skipped.
    assert before[100] not in second["analytics"]


def test_an_action_can_change_another_organization() -> None:
    with Sandbox(scenarios=1, organizations={2: 5}) as sandbox:
        sandbox.at_request(1, lambda organization: organization.add_scenarios(2), organization_id=2)
        assert len(get_page(sandbox, 2).json()["analytics"]) == 7
        assert len(sandbox.organization().scenarios) == 1
        assert len(sandbox.organization(2).scenarios) == 7


def test_an_action_for_a_past_request_is_rejected(make_sandbox: Sandbox) -> None:
    get_page(make_sandbox)
    with pytest.raises(ValueError, match="request 1 has been received already"):
        make_sandbox.at_request(1, Organization.add_scenarios)  # type: ignore[arg-type]


def test_errors_of_an_action_are_raised_by_stop() -> None:
    sandbox = Sandbox(scenarios=3)
    with pytest.raises(ValueError, match="no scenario"), sandbox:
        sandbox.at_request(1, lambda organization: organization.delete_scenarios([1]))
        assert get_page(sandbox).status_code == 200
    with sandbox:
        assert get_page(sandbox).status_code == 200


def test_faults_can_be_queued_from_another_process(make_sandbox: Sandbox) -> None:
    url = f"{make_sandbox.host}/sandbox/faults"
    assert requests.post(url, json={"faults": ["429:1", None, "reset"]}, timeout=10).json() == {"queued": 3}
    assert get_page(make_sandbox).headers["Retry-After"] == "1"
    assert get_page(make_sandbox).status_code == 200
    with pytest.raises(requests.exceptions.ConnectionError):
        get_page(make_sandbox)
    assert len(make_sandbox.requests) == 3
    deep = b"[" * 100_000
    for body in (b"{", b"\xff", b"[]", b"{}", b'{"faults": "reset"}', b'{"faults": [1]}', b'{"faults": ["402"]}', deep):
        headers = {"Content-Type": "text/plain; charset=unknown"}
        assert requests.post(url, data=body, headers=headers, timeout=10).status_code == 400
    assert requests.get(url, timeout=10).status_code == 405
    assert get_page(make_sandbox).status_code == 200


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
    line = describe_request("GET", "/a/1", [("pg[limit]", "2"), ("teamId", "7")], outcome, 0.0031, token=SECRET)
    assert line == f"GET /a/1?pg[limit]=2&teamId=7 {end}"
    assert describe_request("GET", "/a/1", [], outcome, 0.0031, token=SECRET) == f"GET /a/1 {end}"


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text())))
def test_a_line_is_short_and_printable(method: str, path: str, query: list[tuple[str, str]]) -> None:
    line = describe_request(method[:9], path, query, Outcome(200), 0.0, token=SECRET)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize("token", [SECRET, "wörd\n", "a'b", "x" * 400])
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

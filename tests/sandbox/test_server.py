"""The sandbox as a client and a test see it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
import requests

from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sandbox.refusals import Refusal

TOKEN = {"Authorization": "Token sandbox-token"}


def ask(sandbox: Sandbox, organization_id: int | str = 1, **parameters: str | int | list[int]) -> requests.Response:
    names = {"offset": "pg[offset]", "limit": "pg[limit]", "last": "pg[last]", "count": "pg[returnTotalCount]"}
    return requests.get(
        f"{sandbox.base_url}/analytics/{organization_id}",
        params={names.get(name, name): value for name, value in parameters.items()},
        headers=TOKEN,
        timeout=10,
    )


def pull(sandbox: Sandbox, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := ask(sandbox, offset=len(found), limit=limit).json()["analytics"]:
        found += page
    return found


def test_pages_make_up_the_truth(make_sandbox: Sandbox) -> None:
    assert pull(make_sandbox, 60) == make_sandbox.truth()
    body = ask(make_sandbox, count="true").json()
    assert body["pg"]["totalCount"] == len(make_sandbox.truth()) == 250
    assert body["total"] == make_sandbox.truth_total()
    assert len(body["analytics"]) == 100


def test_the_truth_takes_the_filters_of_the_api(make_sandbox: Sandbox) -> None:
    now = datetime.now(UTC)
    response = requests.get(
        f"{make_sandbox.base_url}/analytics/1",
        params=[
            ("teamId", "101"),
            ("teamId", "103"),
            ("status", "active"),
            ("timeframe[dateFrom]", (now - timedelta(days=2)).isoformat()),
            ("timeframe[dateTo]", now.isoformat()),
            ("pg[sortBy]", "errorRate"),
            ("pg[sortDir]", "desc"),
            ("pg[limit]", "1000"),
        ],
        headers=TOKEN,
        timeout=10,
    )
    filters: dict[str, Any] = {
        "team_id": [101, 103],
        "status": "active",
        "date_from": now - timedelta(days=2),
        "date_to": now,
    }
    truth = make_sandbox.truth(sort_by="errorRate", sort_dir="desc", **filters)
    assert truth
    assert response.json()["analytics"] == truth
    assert response.json()["total"] == make_sandbox.truth_total(**filters)
    with pytest.raises(Refusal, match="zone"):
        make_sandbox.truth(date_from=datetime(2026, 1, 1))


def test_several_organizations_have_scenarios_of_their_own() -> None:
    with Sandbox(organization_id=5, scenarios=3, organizations={6: 4, 7: 0}) as sandbox:
        assert len(ask(sandbox, 5).json()["analytics"]) == len(sandbox.truth()) == 3
        assert ask(sandbox, 6).json()["analytics"] == sandbox.truth(6)
        assert ask(sandbox, 7).json()["analytics"] == []
        assert ask(sandbox, 1).status_code == 403


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
def test_the_token_is_needed(make_sandbox: Sandbox, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("analytics/1", "users/me"):
        response = requests.get(f"{make_sandbox.base_url}/{path}", headers=headers, timeout=10)
        assert response.status_code == status
        if status == 401:
            assert response.json()["code"] == "SC401"


def test_other_requests_get_errors_in_the_shape_of_make(make_sandbox: Sandbox) -> None:
    denied = ask(make_sandbox, 2)
    assert (denied.status_code, denied.json()) == (
        403,
        {"detail": "Access denied.", "message": "Permission denied", "code": "SC403"},
    )
    assert ask(make_sandbox, "one").status_code == 400
    wrong = ask(make_sandbox, teamId="1,2")
    assert wrong.status_code == 400
    assert "teamId" in wrong.json()["suberrors"][0]["message"]
    for path in ("", "analytics", "analytics/1/", "analytics/1/2", "scenarios"):
        response = requests.get(f"{make_sandbox.base_url}/{path}", headers=TOKEN, timeout=10)
        assert (response.status_code, response.json()["code"]) == (404, "SC404")
    assert requests.get(f"{make_sandbox.host}/analytics/1", headers=TOKEN, timeout=10).status_code == 404
    posted = requests.post(f"{make_sandbox.base_url}/analytics/1", headers=TOKEN, json={}, timeout=10)
    assert (posted.status_code, posted.json()["code"]) == (405, "SC405")


def test_the_user_of_the_token(make_sandbox: Sandbox) -> None:
    response = requests.get(f"{make_sandbox.base_url}/users/me", headers=TOKEN, timeout=10)
    assert response.json() == {"authUser": {"id": 1, "name": "Sandbox"}}


def test_requests_and_connections_are_recorded(make_sandbox: Sandbox) -> None:
    begun = time.monotonic()
    with requests.Session() as session:
        for _ in range(3):
            session.get(
                f"{make_sandbox.base_url}/analytics/1?teamId=1&teamId=2&pg%5Blimit%5D=3", headers=TOKEN, timeout=10
            )
    ask(make_sandbox, 2)
    found = make_sandbox.requests
    assert [request.path for request in found] == ["/api/v2/analytics/1"] * 3 + ["/api/v2/analytics/2"]
    assert found[0].method == "GET"
    assert found[0].query == [("teamId", "1"), ("teamId", "2"), ("pg[limit]", "3")]
    assert found[0].headers["authorization"] == "Token sandbox-token"
    assert begun <= found[0].arrived_at <= found[3].arrived_at <= time.monotonic()
    assert len({request.peer_port for request in found}) == 2
    assert make_sandbox.connections == 2


def test_latency_delays_each_answer_but_not_one_after_the_other() -> None:
    async def gather(sandbox: Sandbox) -> list[int]:
        async with aiohttp.ClientSession(headers=TOKEN) as session:

            async def status() -> int:
                async with session.get(f"{sandbox.base_url}/analytics/1") as response:
                    return response.status

            return await asyncio.gather(*(status() for _ in range(8)))

    with Sandbox(scenarios=5, latency=0.2) as sandbox:
        begun = time.monotonic()
        assert asyncio.run(gather(sandbox)) == [200] * 8
        assert 0.2 <= time.monotonic() - begun < 1.2


def test_page_cap_and_absent_first_reach_the_answers() -> None:
    with Sandbox(scenarios=40, page_cap=10, absent_first=True) as sandbox:
        body = ask(sandbox, limit=1000, **{"pg[sortBy]": "errorRate"}).json()
        assert len(body["analytics"]) == body["pg"]["limit"] == 10
        assert "errorRate" not in body["analytics"][0]
        assert body["analytics"] == sandbox.truth(sort_by="errorRate")[:10]


def test_shuffled_ties_make_offset_paging_lose_entries_without_an_error() -> None:
    with Sandbox(shuffle_ties=True) as sandbox:
        orders = set()
        for _ in range(3):
            entries = ask(sandbox, limit=250, **{"pg[sortBy]": "status"}).json()["analytics"]
            orders.add(tuple(entry["id"] for entry in entries))
        assert len(orders) == 3


def test_requests_past_the_limit_are_refused_per_organization() -> None:
    with Sandbox(scenarios=1, organizations={2: 1}, requests_per_minute=3) as sandbox:
        assert [ask(sandbox).status_code for _ in range(3)] == [200] * 3
        refused = ask(sandbox)
        assert refused.status_code == 429
        assert 58 <= int(refused.headers["Retry-After"]) <= 60
        assert ask(sandbox, 2).status_code == 200


def test_the_limit_is_a_sliding_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_make.sandbox import endpoint

    class Clock:
        now = 1000.0

        @classmethod
        def monotonic(cls) -> float:
            return cls.now

    monkeypatch.setattr(endpoint, "time", Clock)
    with Sandbox(scenarios=1, requests_per_minute=2) as sandbox:
        assert ask(sandbox).status_code == 200
        Clock.now += 40
        assert ask(sandbox).status_code == 200
        Clock.now += 10.5
        assert ask(sandbox).headers["Retry-After"] == "10"
        Clock.now += 9.5
        assert ask(sandbox).status_code == 200
        assert ask(sandbox).headers["Retry-After"] == "40"


def test_a_fault_rate_draws_the_same_faults_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        found = []
        with Sandbox(scenarios=1, fault_rate=0.5, seed=seed) as sandbox:
            for _ in range(40):
                try:
                    found.append(str(ask(sandbox).status_code))
                except requests.exceptions.RequestException as error:
                    found.append(type(error).__name__)
        return found

    first = outcomes(1)
    assert first == outcomes(1) != outcomes(2)
    counts = Counter(first)
    assert 10 <= counts["200"] <= 30
    assert set(counts) == {"200", "429", "500", "503", "ConnectionError", "ChunkedEncodingError"}


def test_scenarios_come_and_go_between_two_requests(make_sandbox: Sandbox) -> None:
    doomed = [make_sandbox.truth()[0]["id"], make_sandbox.truth()[1]["id"]]
    before = make_sandbox.truth()
    make_sandbox.at_request(2, lambda organization: organization.delete_scenarios(map(int, doomed)))
    make_sandbox.at_request(2, lambda organization: organization.add_scenarios(1))
    first = ask(make_sandbox, limit=100, count="true").json()
    second = ask(make_sandbox, limit=100, offset=100, count="true").json()
    assert first["analytics"] == before[:100]
    assert (first["pg"]["totalCount"], second["pg"]["totalCount"]) == (250, 249)
    assert second["analytics"] == make_sandbox.truth()[100:200]
    # The shift a client has to notice: two entries of the second page were skipped.
    assert before[100] not in second["analytics"]


def test_an_action_can_take_another_organization() -> None:
    with Sandbox(scenarios=1, organizations={2: 5}) as sandbox:
        sandbox.at_request(1, lambda organization: organization.add_scenarios(2), organization_id=2)
        assert len(ask(sandbox, 2).json()["analytics"]) == 7
        assert len(sandbox.organization().scenarios) == 1
        assert len(sandbox.organization(2).scenarios) == 7


def test_an_action_for_a_request_of_the_past_is_refused(make_sandbox: Sandbox) -> None:
    ask(make_sandbox)
    with pytest.raises(ValueError, match="request 1 has been received already"):
        make_sandbox.at_request(1, Organization.add_scenarios)  # type: ignore[arg-type]


def test_what_an_action_raises_reaches_the_test() -> None:
    sandbox = Sandbox(scenarios=3)
    with pytest.raises(ValueError, match="no scenario"), sandbox:
        sandbox.at_request(1, lambda organization: organization.delete_scenarios([1]))
        assert ask(sandbox).status_code == 200
    with sandbox:
        assert ask(sandbox).status_code == 200


def test_faults_can_be_queued_from_another_process(make_sandbox: Sandbox) -> None:
    url = f"{make_sandbox.host}/sandbox/faults"
    assert requests.post(url, json={"faults": ["429:1", None, "reset"]}, timeout=10).json() == {"queued": 3}
    assert ask(make_sandbox).headers["Retry-After"] == "1"
    assert ask(make_sandbox).status_code == 200
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(make_sandbox)
    assert len(make_sandbox.requests) == 3
    for body in (b"{", b"\xff", b"[]", b"{}", b'{"faults": "reset"}', b'{"faults": [1]}', b'{"faults": ["404"]}'):
        assert requests.post(url, data=body, timeout=10).status_code == 400
    assert requests.get(url, timeout=10).status_code == 405
    assert ask(make_sandbox).status_code == 200


def test_connections_for_airflow_are_complete() -> None:
    with Sandbox(scenarios=1, organization_id=42, token="a/b c%:@é") as sandbox:
        connection = json.loads(sandbox.connection_json)
        assert connection == {
            "conn_type": "make",
            "host": sandbox.host,
            "password": "a/b c%:@é",
            "extra": {"organization_id": 42},
        }
        assert sandbox.base_url == f"{sandbox.host}/api/v2"
        parts = urlsplit(sandbox.connection_uri)
        assert (parts.scheme, parts.query) == ("make", "organization_id=42")
        assert unquote(parts.password or "") == "a/b c%:@é"
        assert unquote(parts.hostname or "") == sandbox.host


def test_a_sandbox_comes_back_on_its_port_with_all_it_had(make_sandbox: Sandbox) -> None:
    url, truth = make_sandbox.base_url, make_sandbox.truth()
    ask(make_sandbox)
    make_sandbox.stop()
    make_sandbox.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(make_sandbox)
    make_sandbox.start()
    assert make_sandbox.base_url == url
    assert ask(make_sandbox, limit=250).json()["analytics"] == truth
    assert len(make_sandbox.requests) == 2
    with pytest.raises(RuntimeError, match="running already"):
        make_sandbox.start()


def test_a_port_in_use_is_an_error_and_no_thread_stays(make_sandbox: Sandbox) -> None:
    port = urlsplit(make_sandbox.host).port
    assert port is not None
    other = Sandbox(scenarios=1, port=port)
    with pytest.raises(OSError, match="in use"):
        other.start()
    make_sandbox.stop()
    with other:
        assert len(ask(other).json()["analytics"]) == 1


def test_there_is_no_url_before_the_port_is_known() -> None:
    with pytest.raises(RuntimeError, match="has not|before it has started"):
        _ = Sandbox(scenarios=1).base_url


def test_many_threads_may_use_it_at_once(make_sandbox: Sandbox) -> None:
    def work(number: int) -> int:
        make_sandbox.organization().add_scenarios(1)
        make_sandbox.fail(None)
        assert len(make_sandbox.truth()) > 250
        return ask(make_sandbox, limit=1000).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(24))) == [200] * 24
    assert len(make_sandbox.requests) == 24
    assert len(make_sandbox.truth()) == 274


@pytest.mark.parametrize(
    "options",
    [
        {"token": ""},
        {"latency": -1},
        {"latency": float("nan")},
        {"page_cap": 0},
        {"requests_per_minute": 0},
        {"fault_rate": 1.1},
        {"port": 65536},
        {"scenarios": -1},
        {"organization_id": 0},
        {"organizations": {1: 5}},
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must|twice"):
        Sandbox(**options)


def test_the_factory_stops_what_it_started(
    make_sandbox_factory: Callable[..., Sandbox], request: pytest.FixtureRequest
) -> None:
    first = make_sandbox_factory(scenarios=2)
    second = make_sandbox_factory(scenarios=3)
    assert [len(ask(sandbox).json()["analytics"]) for sandbox in (first, second)] == [2, 3]

    def both_stopped() -> None:
        for sandbox in (first, second):
            with pytest.raises(requests.exceptions.ConnectionError):
                ask(sandbox)

    # Finalizers of the session run after those of the fixture.
    request.session.addfinalizer(both_stopped)


def test_a_large_organization_answers_further_pages_at_once() -> None:
    with Sandbox(scenarios=20_000) as sandbox:
        ask(sandbox, limit=1000)
        begun = time.monotonic()
        assert len(ask(sandbox, limit=1000, offset=19_000).json()["analytics"]) == 1000
        assert time.monotonic() - begun < 0.5

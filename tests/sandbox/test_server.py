"""Test the sandbox over real sockets, as a client and a test use it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox.story import Story
from tests.support.sandbox_requests import get_page
from tests.support.time_frames import LAST_WEEK


def pull(sandbox: Sandbox, limit: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    while page := get_page(sandbox, offset=len(entries), limit=limit).json()["analytics"]:
        entries += page
    return entries


def test_pages_add_up_to_the_truth(make_sandbox: Sandbox) -> None:
    assert pull(make_sandbox, 60) == make_sandbox.truth()
    body = get_page(make_sandbox, count="true").json()
    assert body["pg"]["totalCount"] == len(make_sandbox.truth()) == 250
    assert body["total"] == make_sandbox.truth_total()
    assert len(body["analytics"]) == 100


def test_odd_names_reach_the_client_as_escapes(make_sandbox: Sandbox) -> None:
    names = ["A\0B", "Promo \ud83d", "\x1b[31m", "Équipe 🚀"]
    for scenario, name in zip(make_sandbox.organization().scenarios, names, strict=False):
        make_sandbox.organization().rename_scenario(scenario.id, name)
    response = get_page(make_sandbox, limit=250)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert rb'"Promo \ud83d"' in response.content
    assert response.json()["analytics"] == make_sandbox.truth()
    assert set(names) <= {entry["name"] for entry in make_sandbox.truth()}


def test_each_organization_has_its_own_scenarios() -> None:
    with Sandbox(organization_id=5, scenarios=3, organizations={6: 4, 7: 0}) as sandbox:
        assert len(get_page(sandbox, 5).json()["analytics"]) == len(sandbox.truth()) == 3
        assert get_page(sandbox, 6).json()["analytics"] == sandbox.truth(6)
        assert get_page(sandbox, 7).json()["analytics"] == []
        assert get_page(sandbox, 1).status_code == 403


def test_connection_json_and_uri_are_complete() -> None:
    with Sandbox(scenarios=1, organization_id=42, token="a/b!c%:@~") as sandbox:
        connection = json.loads(sandbox.connection_json)
        assert connection == {
            "conn_type": "make",
            "host": sandbox.host,
            "password": "a/b!c%:@~",
            "extra": {"organization_id": 42},
        }
        assert sandbox.base_url == f"{sandbox.host}/api/v2"
        parts = urlsplit(sandbox.connection_uri)
        assert (parts.scheme, parts.query) == ("make", "organization_id=42")
        assert unquote(parts.password or "") == "a/b!c%:@~"
        assert unquote(parts.hostname or "") == sandbox.host


def test_a_restarted_sandbox_keeps_its_port_scenarios_and_requests(make_sandbox: Sandbox) -> None:
    url, truth = make_sandbox.base_url, make_sandbox.truth()
    get_page(make_sandbox)
    make_sandbox.stop()
    make_sandbox.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        get_page(make_sandbox)
    make_sandbox.start()
    assert make_sandbox.base_url == url
    assert get_page(make_sandbox, limit=250).json()["analytics"] == truth
    assert len(make_sandbox.requests) == 2
    with pytest.raises(RuntimeError, match="running already"):
        make_sandbox.start()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_sandbox_has_a_url_from_its_first_start(host: str) -> None:
    sandbox = Sandbox(scenarios=1, host=host)
    with pytest.raises(RuntimeError, match="before it has started"):
        _ = sandbox.base_url
    with sandbox:
        assert get_page(sandbox).ok
    assert sandbox.host.startswith(f"http://{host}:")


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")])
def test_the_url_reaches_the_address(host: str, reached: str) -> None:
    assert Sandbox(scenarios=1, host=host, port=6253).host == f"http://{reached}:6253"


def test_start_raises_if_the_port_is_in_use(make_sandbox: Sandbox) -> None:
    port = urlsplit(make_sandbox.host).port
    assert port is not None
    other = Sandbox(scenarios=1, port=port)
    threads = threading.active_count()
    with pytest.raises(OSError, match="in use"):
        other.start()
    assert threading.active_count() == threads
    make_sandbox.stop()
    with other:
        assert len(get_page(other).json()["analytics"]) == 1


def test_the_sandbox_is_thread_safe(make_sandbox: Sandbox) -> None:
    def work(number: int) -> int:
        make_sandbox.organization().add_scenarios(1)
        make_sandbox.fail(None)
        assert len(make_sandbox.truth()) > 250
        return get_page(make_sandbox, limit=1000).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(24))) == [200] * 24
    assert len(make_sandbox.requests) == 24
    assert len(make_sandbox.truth()) == 274


def test_further_pages_do_not_count_all_scenarios_again(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, end = (LAST_WEEK[name].isoformat() for name in ("date_from", "date_to"))
    frame: dict[str, Any] = {"timeframe[dateFrom]": begin, "timeframe[dateTo]": end}
    get_page(make_sandbox, limit=100, **frame)
    monkeypatch.setattr(Story, "count_in_frame", None)
    assert len(get_page(make_sandbox, limit=100, offset=200, **frame).json()["analytics"]) == 50

"""Test the server in a thread."""

from __future__ import annotations

import socket
import threading

import pytest
import requests
from aiohttp import web

from airflow_provider_make.sandbox.background_server import BackgroundServer


async def handle(request: web.BaseRequest) -> web.Response:
    return web.Response(text=threading.current_thread().name)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_a_server_keeps_its_port(address: str) -> None:
    server = BackgroundServer(handle, address, 0)
    with pytest.raises(RuntimeError, match="before it has started"):
        _ = server.url
    for _ in range(2):
        server.start()
        assert requests.get(server.url, timeout=10).text == "sandbox"
        url = server.url
        server.stop()
    assert server.url == url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_a_port_in_use_leaves_no_thread() -> None:
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = BackgroundServer(handle, "127.0.0.1", other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.start()
        assert threading.active_count() == before
    server.start()
    server.stop()


def test_an_ipv6_address_is_in_brackets() -> None:
    assert BackgroundServer(handle, "::1", 6253).url == "http://[::1]:6253"


@pytest.mark.parametrize(("address", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_a_server_on_all_addresses_is_reached_through_loopback(address: str, reached: str) -> None:
    assert BackgroundServer(handle, address, 6253).url == f"http://{reached}:6253"


def test_an_empty_address_is_rejected() -> None:
    with pytest.raises(ValueError, match="^host must not be empty"):
        BackgroundServer(handle, "", 6253)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_out_of_range_are_rejected(port: int) -> None:
    with pytest.raises(ValueError, match="^port must be between 0 and 65535"):
        BackgroundServer(handle, "127.0.0.1", port)

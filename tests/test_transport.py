from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import socket
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509

from airflow_provider_make import __version__
from airflow_provider_make.answer import AnalyticsPage
from airflow_provider_make.exceptions import (
    MakeApiError,
    MakeConnectionError,
    MakeInputError,
    MakeRequestError,
    MakeResponseError,
)
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.query import AnalyticsQuery, PageRequest
from airflow_provider_make.sandbox import Sandbox
from tests.loopback import Proxy, Relay, Script, Server, Silent

Ask = Callable[..., list[AnalyticsPage]]
Connect = Callable[..., MakeHook]
QUERY = AnalyticsQuery.read(organization_id=1, sort_by="name", sort_dir="asc")
PAGE = json.dumps({"total": {}, "analytics": [{"id": 1}], "pg": {}}).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def by_requests(hook: MakeHook, times: int = 1) -> list[AnalyticsPage]:
    return [hook.get_analytics_page(limit=1) for _ in range(times)]


def by_aiohttp(hook: MakeHook, times: int = 1) -> list[AnalyticsPage]:
    async def one_after_the_other() -> list[AnalyticsPage]:
        async with hook.connect() as ask:
            return [await ask(QUERY, PageRequest(limit=1)) for _ in range(times)]

    return asyncio.run(one_after_the_other())


@pytest.fixture(params=[by_requests, by_aiohttp], ids=["requests", "aiohttp"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Either side, as a function that asks with a hook, once or several times."""
    chosen: Ask = request.param
    return chosen


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    hooks: list[MakeHook] = []

    def make(host: str, tries: int = 1, **extra: Any) -> MakeHook:
        fields = {"conn_type": "make", "host": host, "password": "sandbox-token"}
        connection = fields | {"extra": {"organization_id": 1, "timeout": 5, **extra}}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        hooks.append(MakeHook("make_default", tries, 0.0))
        return hooks[-1]

    yield make
    for hook in hooks:
        hook.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file that trusts the servers, in a folder that does as well."""
    folder = tmp_path_factory.mktemp("trusted")
    pem = authority.cert_pem.bytes()
    # As "openssl rehash" names it: a hash of the subject in small letters, without its outermost DER header.
    subject = [attribute for attribute in x509.load_pem_x509_certificate(pem).subject]
    small = x509.Name([x509.NameAttribute(part.oid, str(part.value).lower()) for part in subject]).public_bytes()
    assert small[1] == len(small) - 2
    digest = int.from_bytes(hashlib.sha1(small[2:]).digest()[:4], "little")
    (folder / f"{digest:08x}.0").write_bytes(pem)
    (folder / "ca.pem").write_bytes(pem)
    return str(folder / "ca.pem")


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("other") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


def tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def port(sandbox: Sandbox) -> int:
    return urlsplit(sandbox.host).port or 0


@pytest.fixture
def https(make_sandbox: Sandbox, authority: trustme.CA) -> Iterator[Relay]:
    with Relay(port(make_sandbox), tls(authority)) as relay:
        yield relay


@pytest.fixture
def strict(make_sandbox: Sandbox, authority: trustme.CA) -> Iterator[Relay]:
    context = tls(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with Relay(port(make_sandbox), context) as relay:
        yield relay


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, make_sandbox: Sandbox, https: Relay) -> str:
    return make_sandbox.host if request.param == "http" else https.url


@pytest.mark.parametrize("form", ["file", "folder"])
def test_verify_trusts_a_bundle(form: str, ask: Ask, connect: Connect, https: Relay, bundle: str) -> None:
    verify = bundle if form == "file" else str(Path(bundle).parent)
    assert len(ask(connect(https.url, verify=verify))) == 1


def test_the_default_bundle_refuses_a_private_authority(
    ask: Ask, connect: Connect, https: Relay, make_sandbox: Sandbox
) -> None:
    with pytest.raises(MakeConnectionError, match=r"could not be reached: .*certificate verify failed"):
        ask(connect(https.url))
    assert make_sandbox.requests == []


def test_a_certificate_for_another_host_is_refused_unless_verify_is_false(
    ask: Ask, connect: Connect, make_sandbox: Sandbox, authority: trustme.CA, bundle: str
) -> None:
    with Relay(port(make_sandbox), tls(authority, "eu1.example.org")) as relay:
        with pytest.raises(MakeConnectionError, match=r"certificate.*127\.0\.0\.1"):
            ask(connect(relay.url, verify=bundle))
        assert make_sandbox.requests == []
        assert len(ask(connect(relay.url, verify=False))) == 1


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("environment", "extra", "works"),
    [
        ("right", {}, True),
        ("right", {"verify": True}, True),
        ("right", {"trust_env": False}, False),
        ("right", {"verify": "other"}, False),
        ("other", {}, False),
        ("other", {"verify": "right"}, True),
        ("other", {"verify": False}, True),
    ],
)
def test_the_bundle_of_the_environment_counts_where_trusted_and_verify_names_none(
    name: str,
    environment: str,
    extra: dict[str, Any],
    works: bool,
    ask: Ask,
    connect: Connect,
    https: Relay,
    bundle: str,
    other_bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = {"right": bundle, "other": other_bundle}
    monkeypatch.setenv(name, paths[environment])
    hook = connect(https.url, **{key: paths.get(value, value) for key, value in extra.items()})
    if works:
        assert len(ask(hook)) == 1
    else:
        with pytest.raises(MakeConnectionError, match="certificate verify failed"):
            ask(hook)


@pytest.mark.parametrize("form", ["one file", "two files", "none"])
def test_client_certificates(
    form: str, ask: Ask, connect: Connect, strict: Relay, authority: trustme.CA, bundle: str, tmp_path: Path
) -> None:
    client = authority.issue_cert("worker@example.org")
    paths = [str(tmp_path / name) for name in ("both.pem", "cert.pem", "key.pem")]
    client.private_key_and_cert_chain_pem.write_to_path(paths[0])
    client.cert_chain_pems[0].write_to_path(paths[1])
    client.private_key_pem.write_to_path(paths[2])
    if form == "none":
        with pytest.raises(MakeConnectionError, match="certificate.required"):
            ask(connect(strict.url, verify=bundle))
    else:
        cert = paths[0] if form == "one file" else paths[1:]
        assert len(ask(connect(strict.url, verify=bundle, cert=cert))) == 1


@pytest.mark.parametrize(
    ("extra", "environment", "named"),
    [
        ({"verify": "/nowhere/ca.pem"}, {}, "verify='/nowhere/ca.pem'"),
        ({}, {"REQUESTS_CA_BUNDLE": "/nowhere/env.pem"}, "verify='/nowhere/env.pem'"),
        ({"cert": "/nowhere/both.pem"}, {}, "cert='/nowhere/both.pem'"),
        ({"cert": [__file__, "/nowhere/key.pem"]}, {}, "cert='/nowhere/key.pem'"),
    ],
)
def test_a_path_that_is_not_there_is_named_before_any_request(
    extra: dict[str, Any],
    environment: dict[str, str],
    named: str,
    ask: Ask,
    connect: Connect,
    https: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MakeInputError, match=named):
        ask(connect(https.url, **extra))
    assert https.connections == 0


@pytest.mark.parametrize("credentials", [None, "worker:p@ss word"])
@pytest.mark.parametrize("form", ["by scheme", "one for all"])
def test_proxies_of_the_connection(
    form: str, credentials: str | None, target: str, ask: Ask, connect: Connect, make_sandbox: Sandbox
) -> None:
    with Proxy(credentials) as proxy:
        url = f"http://{'worker:p%40ss%20word@' if credentials else ''}{proxy.netloc}"
        proxies = url if form == "one for all" else {urlsplit(target).scheme: url}
        assert len(ask(connect(target, proxies=proxies, verify=False), 2)) == 2
    there = urlsplit(target)
    if there.scheme == "https":
        assert proxy.lines == [f"CONNECT {there.netloc}"]
        assert "sandbox-token" not in proxy.heads[0]
    else:
        assert [line.partition("?")[0] for line in proxy.lines] == [f"GET {target}/api/v2/analytics/1"] * 2
    assert proxy.connections == make_sandbox.connections == 1
    assert not [name for name in dict(make_sandbox.requests[0].headers) if name.startswith("Proxy-")]


def test_a_proxy_that_is_reached_by_tls(
    target: str, ask: Ask, connect: Connect, authority: trustme.CA, bundle: str
) -> None:
    with Proxy(context=tls(authority)) as proxy:
        assert len(ask(connect(target, proxies=proxy.url, verify=bundle))) == 1
    assert len(proxy.lines) == 1


@pytest.mark.parametrize(
    ("environment", "extra", "used"),
    [
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first"}, {}, "first"),
        ({"http_proxy": "first", "https_proxy": "first"}, {}, "first"),
        ({"ALL_PROXY": "first"}, {}, "first"),
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first"}, {"trust_env": False}, None),
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first", "NO_PROXY": "127.0.0.1"}, {}, None),
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first", "NO_PROXY": "127.0.0.0/8"}, {}, None),
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first", "NO_PROXY": "example.org"}, {}, "first"),
        ({"HTTP_PROXY": "first", "HTTPS_PROXY": "first"}, {"proxies": "second"}, "second"),
        ({"NO_PROXY": "*"}, {"proxies": "second"}, "second"),
        ({}, {"proxies": "second", "trust_env": False}, "second"),
    ],
)
def test_the_proxy_is_the_connections_else_the_environments_where_trusted(
    environment: dict[str, str],
    extra: dict[str, Any],
    used: str | None,
    target: str,
    ask: Ask,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Proxy() as first, Proxy() as second:
        proxies = {"first": first, "second": second}
        for name, value in environment.items():
            monkeypatch.setenv(name, proxies[value].url if value in proxies else value)
        if "proxies" in extra:
            extra = extra | {"proxies": proxies[extra["proxies"]].url}
        assert len(ask(connect(target, verify=False, **extra))) == 1
        assert [name for name, proxy in proxies.items() if proxy.connections] == ([used] if used else [])

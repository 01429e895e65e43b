"""Requests over real sockets, with proxies and certificates; and the choice of these, without a network."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from requests.utils import select_proxy

from airflow_provider_make import __version__
from airflow_provider_make.api.page import AnalyticsPage, ScenarioMetrics
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.transport import MAX_BODY_BYTES, Network
from airflow_provider_make.api.zone_session import ZoneSession
from airflow_provider_make.connection.settings import USER_AGENT, ConnectionSettings
from airflow_provider_make.exceptions import (
    MakeApiError,
    MakeConnectionError,
    MakeInputError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox
from tests.support.loopback import (
    PAGE,
    Proxy,
    Relay,
    Script,
    Silent,
    Trust,
    drip,
    http_response,
    reset,
    responding,
    stall,
    stall_amid_the_body,
)

QUERY = AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc")
ONE_ENTRY = PageRequest(limit=1)
TOKEN = "c0ffee00-token"
PROXY = "http://worker:s3cret@proxy.example.com:3128"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
LOOPBACK = ["http://127.0.0.1", "https://127.0.0.1", "http://localhost", "http://[::1]", "https://127.8.8.8"]


def fetch_on_the_hooks_loop(hook: MakeHook, times: int) -> list[AnalyticsPage]:
    with hook:
        return [hook.get_analytics_page(limit=1) for _ in range(times)]


def fetch_on_the_callers_loop(hook: MakeHook, times: int) -> list[AnalyticsPage]:
    async def fetch_sequentially() -> list[AnalyticsPage]:
        async with hook.new_client() as client:
            return [await client.fetch_page(QUERY, ONE_ENTRY) for _ in range(times)]

    return asyncio.run(fetch_sequentially())


def connect(host: str, monkeypatch: pytest.MonkeyPatch, tries: int = 1, **extra: Any) -> MakeHook:
    connection = {"conn_type": "make", "host": host, "password": "sandbox-token"}
    extra = {"organization_id": 1, "timeout": 5, **extra}
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection | {"extra": extra}))
    return MakeHook("make_default", tries, 0.0)


class Fetch:
    """Request a page from a host, once or several times over one session, with the extras of a connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, host: str, times: int = 1, **options: Any) -> list[AnalyticsPage]:
        self.hook = connect(host, self._monkeypatch, **options)
        pages = fetch_on_the_hooks_loop(self.hook, times)
        assert len(pages) == times
        return pages


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch) -> Fetch:
    return Fetch(monkeypatch)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture
def https(make_sandbox: Sandbox, trust: Trust) -> Iterator[Relay]:
    with Relay(port(make_sandbox), trust.server_context()) as relay:
        yield relay


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, make_sandbox: Sandbox, https: Relay) -> str:
    return make_sandbox.host if request.param == "http" else https.url


def port(sandbox: Sandbox) -> int:
    return urlsplit(sandbox.host).port or 0


def test_https_to_a_server_without_tls_has_advice(fetch: Fetch, make_sandbox: Sandbox) -> None:
    with pytest.raises(MakeConnectionError, match=r"SSL.*\nThe server does not use TLS\. .* begins with http://\.$"):
        fetch(make_sandbox.host.replace("http:", "https:"))


@pytest.mark.parametrize("form", ["file", "folder"])
def test_verify_is_a_ca_bundle_file_or_folder(form: str, fetch: Fetch, https: Relay, trust: Trust) -> None:
    fetch(https.url, verify=getattr(trust, form))
    with pytest.raises(MakeConnectionError, match=r"could not be reached: .*certificate verify failed"):
        fetch(https.url, verify=trust.other)


def test_a_private_authority_is_not_trusted_by_default(fetch: Fetch, https: Relay, make_sandbox: Sandbox) -> None:
    with pytest.raises(MakeConnectionError, match=r"could not be reached: .*certificate verify failed"):
        fetch(https.url)
    assert make_sandbox.requests == []


def test_a_certificate_for_another_host_is_rejected_unless_verify_is_false(
    fetch: Fetch, make_sandbox: Sandbox, trust: Trust
) -> None:
    with Relay(port(make_sandbox), trust.server_context("eu1.example.org")) as relay:
        with pytest.raises(MakeConnectionError, match=r"certificate.*127\.0\.0\.1"):
            fetch(relay.url, verify=trust.file)
        assert make_sandbox.requests == []
        fetch(relay.url, verify=False)


DAY = timedelta(days=1)
VERIFY = "Set the connection's verify to the CA bundle of your company."


@pytest.mark.parametrize(
    ("names", "validity", "bundle", "reason", "advice"),
    [
        (["127.0.0.1"], (-10, -5), "file", "certificate has expired", "Renew the certificate"),
        (["127.0.0.1"], (5, 10), "file", "certificate is not yet valid", "or set the clock"),
        (["eu1.example.org"], (-1, 1), "file", "IP address mismatch", "check the connection's host"),
        (["127.0.0.2"], (-1, 1), "file", "not valid for '127.0.0.1'", "check the connection's host"),
        (["127.0.0.1"], (-1, 1), "other", "issuer certificate", VERIFY),
        # What is wrong with a certificate of unknown origin does not matter yet.
        (["eu1.example.org"], (-10, -5), "other", "issuer certificate", VERIFY),
    ],
)
def test_advice_about_a_certificate_fits_what_is_wrong_with_it(
    names: list[str], validity: tuple[int, int], bundle: str, reason: str, advice: str, fetch: Fetch, trust: Trust
) -> None:
    now = datetime.now(UTC)
    begin, end = (now + days * DAY for days in validity)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.authority.issue_cert(*names, not_before=begin, not_after=end).configure_cert(context)
    with responding(http_response(), context) as server, pytest.raises(MakeConnectionError) as raised:
        fetch(server.url, verify=getattr(trust, bundle))
    text = str(raised.value)
    assert reason in text
    assert advice in text
    assert (VERIFY in text) == (bundle == "other")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_json_may_be_in_any_form_of_unicode(encoding: str, fetch: Fetch) -> None:
    with responding(http_response(body=PAGE.decode().encode(encoding))) as server:
        assert fetch(server.url)[0].analytics == [ScenarioMetrics(scenario_id=1)]


def test_of_a_large_error_only_the_beginning_is_received(fetch: Fetch) -> None:
    sent: list[int] = []

    def send(script: Script, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 900000000\r\n\r\n")
        with suppress(OSError):
            for number in range(900):
                client.sendall(b"x" * 1_000_000)
                sent.append(number)
        raise OSError

    with Script(send) as server, pytest.raises(MakeServerError, match="HTTP 500: text instead of Make's JSON: xxx"):
        fetch(server.url, tries=2)
    assert len(server.heads) == 2
    # What the buffers of both sides hold, besides one megabyte.
    assert len(sent) < 60


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("environment", "extra", "works"),
    [
        ("file", {}, True),
        ("file", {"verify": True}, True),
        ("file", {"trust_env": False}, False),
        ("file", {"verify": "other"}, False),
        ("other", {}, False),
        ("other", {"verify": "file"}, True),
        ("other", {"verify": False}, True),
    ],
)
def test_the_environments_bundle_is_used_with_trust_env_unless_verify_is_a_bundle(
    name: str,
    environment: str,
    extra: dict[str, Any],
    works: bool,
    fetch: Fetch,
    https: Relay,
    trust: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, getattr(trust, environment))
    extra = {key: getattr(trust, str(value), value) for key, value in extra.items()}
    if works:
        fetch(https.url, **extra)
    else:
        with pytest.raises(MakeConnectionError, match="certificate verify failed"):
            fetch(https.url, **extra)


def test_client_certificate_may_be_in_one_file_or_two(
    fetch: Fetch, make_sandbox: Sandbox, trust: Trust, tmp_path: Path
) -> None:
    client = trust.authority.issue_cert("worker@example.org")
    both, cert, key = (str(tmp_path / name) for name in ("both.pem", "cert.pem", "key.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(both)
    client.cert_chain_pems[0].write_to_path(cert)
    client.private_key_pem.write_to_path(key)
    with Relay(port(make_sandbox), trust.server_context(require_client_certificate=True)) as relay:
        with pytest.raises(MakeConnectionError, match="certificate.required.*\n.* set the connection's cert"):
            fetch(relay.url, verify=trust.file)
        assert make_sandbox.requests == []
        fetch(relay.url, verify=trust.file, cert=both)
        fetch(relay.url, verify=trust.file, cert=[cert, key])


@pytest.mark.parametrize(
    ("extra", "environment", "named"),
    [
        ({"verify": "/nowhere/ca.pem"}, {}, "verify='/nowhere/ca.pem'"),
        ({}, {"REQUESTS_CA_BUNDLE": "/nowhere/env.pem"}, "verify='/nowhere/env.pem'"),
        ({"cert": "/nowhere/both.pem"}, {}, "cert='/nowhere/both.pem'"),
        ({"cert": [__file__, "/nowhere/key.pem"]}, {}, "cert=.*'/nowhere/key.pem'"),
        ({"verify": __file__}, {}, "verify="),
        ({"cert": __file__}, {}, "cert="),
        ({"cert": str(Path(__file__).parent)}, {}, "cert="),
        ({"proxies": "http://"}, {}, "proxy"),
        ({"proxies": "http://proxy.example.com:port"}, {}, "proxy"),
        ({"proxies": "socks5://127.0.0.1:1"}, {}, "proxy"),
    ],
)
def test_invalid_tls_or_proxy_settings_raise_before_any_request(
    extra: dict[str, Any],
    environment: dict[str, str],
    named: str,
    fetch: Fetch,
    https: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MakeInputError, match=named):
        fetch(https.url, **extra)
    assert https.connections == 0


@pytest.mark.parametrize("credentials", [None, "worker:p@ss word"])
@pytest.mark.parametrize("form", ["by scheme", "one for all"])
def test_proxy_of_the_connection_is_used(
    form: str, credentials: str | None, target: str, fetch: Fetch, make_sandbox: Sandbox
) -> None:
    target_url = urlsplit(target)
    with Proxy(credentials) as proxy:
        url = f"http://{'worker:p%40ss%20word@' if credentials else ''}{proxy.netloc}"
        fetch(target, 2, proxies=url if form == "one for all" else {target_url.scheme: url}, verify=False)
    if target_url.scheme == "https":
        assert proxy.lines == [f"CONNECT {target_url.netloc}"]
        assert not [name for name in dict(make_sandbox.requests[0].headers) if name.startswith("Proxy-")]
    else:
        assert [line.partition("?")[0] for line in proxy.lines] == [f"GET {target}/api/v2/analytics/1"] * 2
    assert proxy.connections == make_sandbox.connections == 1


def test_proxy_may_be_reached_over_tls(target: str, fetch: Fetch, trust: Trust) -> None:
    with Proxy(context=trust.server_context()) as proxy:
        fetch(target, proxies=proxy.url, verify=trust.file)
        assert len(proxy.lines) == 1


BOTH = {"HTTP_PROXY": "first", "HTTPS_PROXY": "first"}


@pytest.mark.parametrize(
    ("environment", "extra", "used"),
    [
        (BOTH, {}, ["first"]),
        ({"http_proxy": "first", "https_proxy": "first"}, {}, ["first"]),
        ({"ALL_PROXY": "first"}, {}, ["first"]),
        (BOTH, {"trust_env": False}, []),
        (BOTH | {"NO_PROXY": "0.0.0.0"}, {}, []),
        (BOTH | {"NO_PROXY": "0.0.0.0/8"}, {}, []),
        (BOTH | {"NO_PROXY": "example.org"}, {}, ["first"]),
        (BOTH, {"proxies": "second"}, ["second"]),
        ({"NO_PROXY": "*"}, {"proxies": "second"}, ["second"]),
        ({}, {"proxies": "second", "trust_env": False}, ["second"]),
    ],
)
def test_proxy_of_the_connection_comes_before_that_of_a_trusted_environment(
    environment: dict[str, str],
    extra: dict[str, Any],
    used: list[str],
    https: Relay,
    fetch: Fetch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Proxy() as first, Proxy() as second:
        urls = {"first": first.url, "second": second.url}
        for name, value in environment.items():
            monkeypatch.setenv(name, urls.get(value, value))
        # This address reaches the relay, and is no loopback address, for which the environment's proxy is not used.
        host = f"https://0.0.0.0:{https.port}"
        fetch(host, verify=False, **{key: urls.get(value, value) for key, value in extra.items()})
        assert [name for name, proxy in (("first", first), ("second", second)) if proxy.connections] == used


def test_error_for_an_unreachable_proxy_does_not_show_its_credentials(
    target: str, fetch: Fetch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MakeConnectionError, match="could not be reached") as raised:
        fetch(target, tries=2, proxies="http://worker:s3cret@127.0.0.1:1", verify=False)
    logged = caplog.text + "".join(capfd.readouterr())
    assert "Try 1 of 2 failed" in logged
    for secret in ("s3cret", "d29ya2VyOnMzY3JldA"):
        assert secret not in logged + str(raised.value)


def test_error_for_a_refusing_proxy_does_not_show_its_credentials(
    target: str,
    fetch: Fetch,
    make_sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    error_class = MakeConnectionError if target.startswith("https") else MakeRequestError
    with Proxy("worker:another") as proxy, pytest.raises(error_class, match="407") as raised:
        fetch(target, proxies=f"http://worker:s3cret@{proxy.netloc}", tries=2, verify=False)
    for secret in ("s3cret", "d29ya2VyOnMzY3JldA"):
        assert secret not in caplog.text + "".join(capfd.readouterr()) + str(raised.value)
    assert make_sandbox.requests == []


@pytest.mark.parametrize("send", [stall, stall_amid_the_body])
@pytest.mark.parametrize("tls", [False, True])
def test_stalled_response_times_out(
    tls: bool, send: Callable[[Script, socket.socket], None], fetch: Fetch, trust: Trust
) -> None:
    with Script(send, trust.server_context() if tls else None) as script:
        assert_times_out(fetch, script.url, verify=False)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Much: ", b"a"),
        # After an interim response, aiohttp limits the time of the whole response only.
        (EARLY, b""),
    ],
    ids=["chunks", "body", "header", "interim"],
)
def test_endless_response_times_out(head: bytes, piece: bytes, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_make.api.transport.WHOLE_RESPONSE", 2)
    with Script(drip(head, *[piece] * 99)) as script:
        assert_times_out(fetch, script.url)


def assert_times_out(fetch: Fetch, host: str, **extra: Any) -> None:
    with pytest.raises(MakeConnectionError, match=r"(no response from|the response of) 127.* within 0\.[24] s"):
        fetch(host, timeout=0.2, **extra)


def test_missing_tls_handshake_times_out(fetch: Fetch) -> None:
    with Silent() as silent, Proxy() as proxy:
        assert_times_out(fetch, f"https://{silent.netloc}")
        assert_times_out(fetch, f"https://{silent.netloc}", proxies=proxy.url)
        assert proxy.connections == 1


def test_silent_proxy_times_out(fetch: Fetch, make_sandbox: Sandbox) -> None:
    with Silent() as silent:
        assert_times_out(fetch, make_sandbox.host, proxies=silent.url)


def test_slow_response_within_the_timeout_is_received(fetch: Fetch) -> None:
    with Script(drip(http_response()[:-12], *(bytes([byte]) for byte in http_response()[-12:]))) as script:
        assert fetch(script.url, timeout=0.5)[0].analytics == [ScenarioMetrics(scenario_id=1)]


@pytest.mark.parametrize(
    ("data", "error_class", "message"),
    [
        (b"", MakeConnectionError, "could not be reached"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", MakeConnectionError, r"is not valid HTTP: Bad status line: .*b'SSH-2.0-"),
        (b"HTTP/3.0 200 OK\r\n\r\n", MakeConnectionError, "is not valid HTTP: Bad status line: Invalid HTTP version"),
        (b"HTTP/1.1 200 OK\r\nnone\r\n\r\n", MakeConnectionError, "is not valid HTTP: Invalid header token"),
        (http_response("Content-Length: 3"), MakeConnectionError, "is not valid HTTP: Duplicate Content-Length"),
        (http_response("Content-Encoding: br"), MakeConnectionError, "is not valid HTTP: Can not decode"),
        (http_response(body=b"\xff\xfe<html>"), MakeResponseError, "is not JSON"),
        (http_response()[:4], MakeConnectionError, "could not be reached"),
        (http_response()[:-5], MakeResponseError, "the response was cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", MakeResponseError, "the response was cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", MakeResponseError, "was cut off"),
        (http_response("Content-Encoding: gzip"), MakeResponseError, "cut off or damaged: .* Can not decode"),
        (
            http_response("Content-Encoding: gzip", body=gzip.compress(PAGE, mtime=0)[:-12]),
            MakeResponseError,
            "is not JSON",
        ),
    ],
)
@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_truncated_response_raises(
    end: Callable[[socket.socket], None], data: bytes, error_class: type[MakeApiError], message: str, fetch: Fetch
) -> None:
    def send(script: Script, client: socket.socket) -> None:
        client.sendall(data)
        time.sleep(0.02)
        end(client)

    with Script(send) as script, pytest.raises(error_class, match=message):
        fetch(script.url)
    assert len(script.heads) == 1


@pytest.mark.parametrize("fault", ["reset", "truncate", "503"])
def test_no_library_retries_by_itself(fault: str, make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sandbox.fail(None, fault, fault, None, fault)
    hook = connect(make_sandbox.host, monkeypatch, tries=3)

    async def requests_sent() -> int:
        async with hook.new_client() as client:
            for _ in range(3):
                await client.fetch_page(QUERY, ONE_ENTRY)
            return client.requests_sent

    assert asyncio.run(requests_sent()) == len(make_sandbox.requests) == 6


@pytest.mark.parametrize("host", ["https://eu1..make.com", f"https://{'x' * 64}.make.com"])
def test_host_with_an_invalid_label_is_an_input_error(host: str, fetch: Fetch) -> None:
    with pytest.raises(MakeInputError, match="'make_default': host=.* is not valid"):
        fetch(host)
    succeeded, message = fetch.hook.test_connection()
    assert (succeeded, "host=" in message) == (False, True)


@pytest.mark.parametrize("credentials", ["worker:pässword", "worker:p@ss/w?o#r[d%"])
def test_credentials_of_a_proxy_need_no_encoding(credentials: str, fetch: Fetch, https: Relay) -> None:
    with Proxy(credentials) as proxy:
        fetch(https.url, proxies=f"http://{credentials}@{proxy.netloc}", verify=False)
        assert proxy.connections == 1


@pytest.mark.parametrize("first", [EARLY, EARLY * 3, EARLY.replace(b"103", b"102"), EARLY.replace(b"103", b"100")])
def test_interim_responses_are_skipped(first: bytes, fetch: Fetch) -> None:
    with responding(first + http_response()) as script:
        pages = fetch(script.url, 2)
        assert [page.analytics for page in pages] == [[ScenarioMetrics(scenario_id=1)]] * 2
        assert (len(script.heads), script.connections) == (2, 1)


def test_switching_protocols_is_an_error(fetch: Fetch) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    with responding(head) as script, pytest.raises(MakeResponseError, match="HTTP 101: an empty body"):
        fetch(script.url, tries=2)
    assert len(script.heads) == 1


def test_large_headers_of_a_proxy_are_accepted(fetch: Fetch) -> None:
    with responding(http_response(f"Content-Security-Policy: {'x' * 30_000}")) as script:
        assert len(fetch(script.url)[0].analytics) == 1


def test_sequential_requests_reuse_one_connection(
    target: str, fetch: Fetch, make_sandbox: Sandbox, https: Relay
) -> None:
    fetch(target, 4, verify=False)
    assert (len(make_sandbox.requests), make_sandbox.connections) == (4, 1)
    assert https.connections == target.startswith("https")


def test_concurrent_requests_have_one_connection_each(
    make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox_factory(latency=0.05)
    hook = connect(sandbox.host, monkeypatch)

    async def three_at_once() -> None:
        async with hook.new_client() as client:
            for _ in range(4):
                await asyncio.gather(*(client.fetch_page(QUERY, ONE_ENTRY) for _ in range(3)))

    asyncio.run(three_at_once())
    assert (len(sandbox.requests), sandbox.connections) == (12, 3)


def test_the_private_attribute_of_aiohttp_still_exists() -> None:
    # Transport sets it to False; without it, aiohttp would resend requests by itself (see transport.py).
    async def default() -> bool:
        async with aiohttp.ClientSession() as session:
            return session._retry_connection

    assert asyncio.run(default()) is True


# Ids without the bodies: gzip's contains the time, and parallel processes need the same test names.
@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", gzip.compress(PAGE)), ("deflate", zlib.compress(PAGE))], ids=["gzip", "deflate"]
)
def test_compressed_responses_are_decompressed(encoding: str, body: bytes, fetch: Fetch) -> None:
    with responding(http_response(f"Content-Encoding: {encoding}", body=body)) as script:
        assert fetch(script.url)[0].analytics == [ScenarioMetrics(scenario_id=1)]
    assert encoding in script.heads[0].partition("Accept-Encoding: ")[2].partition("\r\n")[0]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(status: str, fetch: Fetch) -> None:
    with (
        responding(http_response()) as other,
        responding(http_response(f"Location: {other.url}/", status=status)) as script,
    ):
        with pytest.raises(MakeResponseError, match=f"redirect to {other.url}"):
            fetch(script.url, tries=3)
        assert (len(script.heads), other.connections) == (1, 0)


def test_only_the_expected_headers_are_sent(fetch: Fetch) -> None:
    with responding(http_response()) as script:
        extra: dict[str, Any] = {"auth_scheme": "Bearer", "X-Team": "data", "headers": {"X-Other": "1"}}
        fetch(script.url, **extra)
    line, *lines = script.heads[0].strip().split("\r\n")
    assert line.startswith("GET /api/v2/analytics/1?")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers.pop("Accept-Encoding").startswith("gzip, deflate")
    assert headers.pop("Connection", "keep-alive") == "keep-alive"
    assert headers == {
        "Host": script.netloc,
        "User-Agent": f"airflow-provider-make/{__version__}",
        "Accept": "application/json",
        "Authorization": "Bearer sandbox-token",
    }


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_addresses_are_supported(fetch: Fetch, make_sandbox_factory: Callable[..., Sandbox], trust: Trust) -> None:
    sandbox = make_sandbox_factory(host="::1")
    fetch(sandbox.host)
    with Relay(port(sandbox), trust.server_context("::1"), "::1") as relay:
        fetch(relay.url, verify=trust.file)
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize("credentials", ["", "worker:secret@"])
def test_the_proxy_does_not_receive_the_token(credentials: str, fetch: Fetch, https: Relay) -> None:
    with Proxy() as proxy:
        fetch(https.url, proxies=proxy.url.replace("http://", f"http://{credentials}"), verify=False)
    assert proxy.heads
    assert "sandbox-token" not in "".join(proxy.heads)


def test_proxy_without_response_to_connect_times_out(fetch: Fetch, https: Relay) -> None:
    with Silent() as silent:
        assert_times_out(fetch, https.url, proxies=silent.url)


def test_cookies_are_not_sent_back(fetch: Fetch) -> None:
    with responding(http_response("Set-Cookie: session=1; Path=/")) as script:
        fetch(script.url, 2)
    assert "cookie" not in script.heads[1].lower()


def bomb(size: int) -> bytes:
    """Compress a body of this many zero bytes."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, compressor.flush()])


def test_a_small_response_that_decompresses_to_gigabytes_is_an_error_and_takes_little_memory(fetch: Fetch) -> None:
    body = bomb(1 << 30)
    assert len(body) < 2_000_000
    with responding(http_response("Content-Encoding: gzip", body=body)) as server:
        tracemalloc.start()
        try:
            with pytest.raises(
                MakeResponseError, match="the response is larger than 64 MiB: expected a smaller page_size"
            ):
                fetch(server.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 3 * MAX_BODY_BYTES


def test_a_body_that_never_ends_is_an_error(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_make.api.transport.MAX_BODY_BYTES", 1 << 20)

    def send_without_end(script: Script, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        with suppress(OSError):
            while True:
                client.sendall(b" " * 65_536)

    with Script(send_without_end) as server, pytest.raises(MakeResponseError, match="larger than 1 MiB"):
        fetch(server.url)


def test_a_body_of_exactly_the_limit_is_read(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_make.api.transport.MAX_BODY_BYTES", len(PAGE))
    with responding(http_response()) as server:
        fetch(server.url)


def connection_settings(base_url: str = "https://eu1.make.com/api/v2", **fields: Any) -> ConnectionSettings:
    return ConnectionSettings(base_url, TOKEN, **fields)


def test_connections_are_direct_and_verified_by_default() -> None:
    network = Network.from_settings(connection_settings())
    assert network.proxy is None
    assert isinstance(network.tls, ssl.SSLContext)
    assert (network.tls.verify_mode, network.tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_ca_bundle_is_loaded_only_for_tls(tmp_path: Path) -> None:
    local = connection_settings("http://127.0.0.1:8080/api/v2", verify=str(tmp_path / "missing.pem"))
    assert Network.from_settings(local).tls is True
    encrypted_proxy = connection_settings("http://127.0.0.1:8080/api/v2", proxies={"http": "https://127.0.0.1:3128"})
    assert isinstance(Network.from_settings(encrypted_proxy).tls, ssl.SSLContext)


def test_verify_false_disables_verification() -> None:
    tls = Network.from_settings(connection_settings(verify=False)).tls
    assert isinstance(tls, ssl.SSLContext)
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("fields", "environment", "proxy"),
    [
        ({"proxies": {"https": "http://own:1"}}, "http://env:2", "http://own:1"),
        ({"proxies": {"all": "http://own:1"}}, "http://env:2", "http://own:1"),
        ({"proxies": {"http": "http://own:1"}}, "http://env:2", "http://env:2"),
        ({}, "http://env:2", "http://env:2"),
        ({"trust_env": False}, "http://env:2", None),
        ({"proxies": {"https": "proxy.example.com:3128"}}, None, "http://proxy.example.com:3128"),
        ({"proxies": {"https://eu1.make.com": "http://own:1"}}, "http://env:2", "http://own:1"),
        ({}, "http://u:pässword@env:2", "http://u:p%C3%A4ssword@env:2"),
    ],
)
def test_proxy_of_the_connection_comes_before_that_of_the_environment(
    fields: dict[str, Any], environment: str | None, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("HTTPS_PROXY", environment)
    assert Network.from_settings(connection_settings(**fields)).proxy == proxy


@pytest.mark.parametrize(
    "url",
    ["socks5://worker:s3cret@h:1", "http://", "http://worker:s3cret@h:port", "ftp://h", "http://h:0", "http://s3cret@[",
     "http://worker:s3cretпароль@h:1"],
)  # fmt: skip
@pytest.mark.parametrize("source", ["connection", "environment"])
def test_error_for_an_invalid_proxy_url_does_not_show_its_credentials(
    source: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url if source == "environment" else "")
    own = connection_settings(proxies={"https": url} if source == "connection" else {})
    with pytest.raises(MakeInputError, match="proxy's URL is not valid") as caught:
        Network.from_settings(own)
    assert "s3cret" not in str(caught.value)
    if url.startswith("http:"):
        # HttpOperator may have a SOCKS proxy, which requests supports.
        with pytest.raises(MakeInputError, match="proxy's URL is not valid") as caught:
            ZoneSession(own, {}).get("https://eu1.make.com/")
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_loopback_is_never_reached_through_a_proxy_of_the_environment(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for set_name in (name, name.lower()):
        monkeypatch.setenv(set_name, "http://env:2")
    monkeypatch.setenv("NO_PROXY", "example.com")
    url = f"{host}:8080/api/v2"
    assert Network.from_settings(connection_settings(url)).proxy is None
    session = ZoneSession(connection_settings(url), {"trust_env": True})
    merged = session.merge_environment_settings(url, session.proxies, False, session.verify, None)
    assert select_proxy(url, merged["proxies"]) is None
    elsewhere = session.merge_environment_settings("https://eu1.make.com", session.proxies, False, True, None)
    assert (select_proxy("https://eu1.make.com", elsewhere["proxies"]) is None) == (name == "HTTP_PROXY")


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("proxy", ["http://proxy:1", "https://proxy:1", "http://127.0.0.1:1", "https://localhost:1"])
def test_plain_http_has_no_proxy_on_another_machine(host: str, proxy: str) -> None:
    own = connection_settings(f"{host}:8080/api/v2", proxies={"http": proxy, "https": proxy}, verify=False)
    if host.startswith("https") or "proxy" not in proxy:
        assert Network.from_settings(own).proxy == proxy
    else:
        with pytest.raises(MakeInputError, match="proxies is not valid: expected a proxy on this machine"):
            Network.from_settings(own)
        with pytest.raises(MakeInputError, match="proxies is not valid: expected a proxy on this machine"):
            ZoneSession(own, {}).get(own.base_url)


def test_token_is_not_sent_to_a_proxy_of_the_environment(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ConnectionSettings(f"{make_sandbox.host}/api/v2", "sandbox-token")
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert ZoneSession(own, {}).get(f"{own.base_url}/users/me").status_code == 200
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
        with MakeHook() as hook:
            assert hook.get_analytics_page(limit=1).analytics
            assert hook.run("users/me").status_code == 200
        assert (proxy.connections, len(make_sandbox.requests)) == (0, 3)
        session = ZoneSession(own, {"proxies": {"http": proxy.url}})
        assert session.get(f"{own.base_url}/users/me").status_code == 200
        assert proxy.connections == 1


def test_repr_does_not_show_credentials() -> None:
    own = connection_settings(proxies={"https": PROXY})
    shown = repr((Network.from_settings(own), network(), own, ZoneSession(own, {}), ZoneSession(own, {}).auth))
    assert "s3cret" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("field", ["verify", "cert"])
def test_error_names_a_file_that_cannot_be_loaded(field: str) -> None:
    with pytest.raises(
        MakeInputError, match=f"^Connection 'make_default': {field}='/nowhere.pem' is not valid: expected a"
    ):
        Network.from_settings(connection_settings(**{field: "/nowhere.pem"}))


def network() -> Network:
    return Network(connection_settings(timeout=2.5), PROXY, True)


def test_timeout_error_names_zone_and_seconds() -> None:
    error = network().timeout_error()
    assert isinstance(error, MakeConnectionError)
    assert str(error) == "no response from eu1.make.com within 2.5 s"
    assert str(network().timeout_error(25.0)) == "the response of eu1.make.com was not complete within 25 s"


def test_connection_error_shows_the_innermost_reason_without_secrets() -> None:
    inner = OSError(111, f"refused by {PROXY} for {TOKEN.upper()}")
    error = network().connection_error(aiohttp.ClientOSError(inner))
    assert isinstance(error, MakeConnectionError)
    reason = "ConnectionRefusedError: [Errno 111] refused by the proxy for ***"
    through = PROXY.rpartition("@")[2]
    assert str(error) == f"eu1.make.com could not be reached through the proxy {through}: {reason}"


def test_reason_has_no_control_characters() -> None:
    error = network().truncation_error(ValueError("bad\x1b[31m\u202eline\nbreak"))
    assert str(error) == "the response was cut off or damaged: ValueError: bad\ufffd[31m\ufffdline break"


def test_long_reasons_are_shortened() -> None:
    assert len(str(network().truncation_error(ValueError("x" * 5000)))) < 400
    assert isinstance(network().truncation_error(ValueError()), MakeResponseError)


def test_session_for_http_operator_has_the_same_settings() -> None:
    session = ZoneSession(
        connection_settings(verify="/ca.pem", cert=("a.pem", "b.pem"), proxies={"https": PROXY}, trust_env=False), {}
    )
    assert (session.verify, session.cert, session.proxies) == ("/ca.pem", ("a.pem", "b.pem"), {"https": PROXY})
    assert (session.trust_env, session.headers["User-Agent"]) == (False, USER_AGENT)


def test_options_of_http_hook_override_the_settings() -> None:
    options = {"verify_ssl": False, "proxy": {"https": "http://other:1"}, "max_redirects": 3, "stream": True}
    session = ZoneSession(connection_settings(), options)
    assert (session.verify, session.proxies) == (False, {"https": "http://other:1"})
    assert (session.max_redirects, session.stream) == (3, True)

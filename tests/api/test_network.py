"""The choice of proxy and certificates, and the texts of errors. Real connections are tested in test_transport."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from requests.utils import select_proxy

from airflow_provider_make.api.transport import USER_AGENT, Network, TokenAuth, requests_session
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeConnectionError, MakeInputError, MakeResponseError
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox
from tests.support.loopback import Proxy

TOKEN = "c0ffee00-token"
PROXY = "http://worker:s3cret@proxy.example.com:3128"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def settings(base_url: str = "https://eu1.make.com/api/v2", **fields: Any) -> ConnectionSettings:
    return ConnectionSettings(base_url, TOKEN, **fields)


def test_connections_are_direct_and_verified_by_default() -> None:
    network = Network.from_settings(settings())
    assert network.proxy is None
    assert isinstance(network.tls, ssl.SSLContext)
    assert (network.tls.verify_mode, network.tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_ca_bundle_is_loaded_only_for_tls(tmp_path: Path) -> None:
    local = settings("http://127.0.0.1:8080/api/v2", verify=str(tmp_path / "missing.pem"))
    assert Network.from_settings(local).tls is True
    encrypted_proxy = settings("http://127.0.0.1:8080/api/v2", proxies={"http": "https://127.0.0.1:3128"})
    assert isinstance(Network.from_settings(encrypted_proxy).tls, ssl.SSLContext)


def test_verify_false_disables_verification() -> None:
    tls = Network.from_settings(settings(verify=False)).tls
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
    assert Network.from_settings(settings(**fields)).proxy == proxy


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
    own = settings(proxies={"https": url} if source == "connection" else {})
    with pytest.raises(MakeInputError, match="proxy's URL is not valid") as caught:
        Network.from_settings(own)
    assert "s3cret" not in str(caught.value)
    if url.startswith("http:"):
        # HttpOperator may have a SOCKS proxy, which requests supports.
        with pytest.raises(MakeInputError, match="proxy's URL is not valid") as caught:
            requests_session(own, {}).get("https://eu1.make.com/")
        assert "s3cret" not in str(caught.value)


LOOPBACK = ["http://127.0.0.1", "https://127.0.0.1", "http://localhost", "http://[::1]", "https://127.8.8.8"]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_loopback_is_never_reached_through_a_proxy_of_the_environment(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for set_name in (name, name.lower()):
        monkeypatch.setenv(set_name, "http://env:2")
    monkeypatch.setenv("NO_PROXY", "example.com")
    url = f"{host}:8080/api/v2"
    assert Network.from_settings(settings(url)).proxy is None
    session = requests_session(settings(url), {"trust_env": True})
    merged = session.merge_environment_settings(url, session.proxies, False, session.verify, None)
    assert select_proxy(url, merged["proxies"]) is None
    elsewhere = session.merge_environment_settings("https://eu1.make.com", session.proxies, False, True, None)
    assert (select_proxy("https://eu1.make.com", elsewhere["proxies"]) is None) == (name == "HTTP_PROXY")


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("proxy", ["http://proxy:1", "https://proxy:1", "http://127.0.0.1:1", "https://localhost:1"])
def test_plain_http_has_no_proxy_on_another_machine(host: str, proxy: str) -> None:
    own = settings(f"{host}:8080/api/v2", proxies={"http": proxy, "https": proxy}, verify=False)
    if host.startswith("https") or "proxy" not in proxy:
        assert Network.from_settings(own).proxy == proxy
    else:
        with pytest.raises(MakeInputError, match="proxies is not valid: expected a proxy on this machine"):
            Network.from_settings(own)
        with pytest.raises(MakeInputError, match="proxies is not valid: expected a proxy on this machine"):
            requests_session(own, {}).get(own.base_url)


def test_token_is_not_sent_to_a_proxy_of_the_environment(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ConnectionSettings(f"{make_sandbox.host}/api/v2", "sandbox-token")
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert requests_session(own, {}).get(f"{own.base_url}/users/me").status_code == 200
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
        with MakeHook() as hook:
            assert hook.get_analytics_page(limit=1).analytics
            assert hook.run("users/me").status_code == 200
        assert (proxy.connections, len(make_sandbox.requests)) == (0, 3)
        session = requests_session(own, {"proxies": {"http": proxy.url}})
        assert session.get(f"{own.base_url}/users/me").status_code == 200
        assert proxy.connections == 1


def test_repr_does_not_show_credentials() -> None:
    own = settings(proxies={"https": PROXY})
    shown = repr((Network.from_settings(own), network(), own, requests_session(own, {}), TokenAuth(own.authorization)))
    assert "s3cret" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("field", ["verify", "cert"])
def test_error_names_a_file_that_cannot_be_loaded(field: str) -> None:
    with pytest.raises(
        MakeInputError, match=f"^Connection 'make_default': {field}='/nowhere.pem' is not valid: expected a"
    ):
        Network.from_settings(settings(**{field: "/nowhere.pem"}))


def network() -> Network:
    return Network(settings(timeout=2.5), PROXY, True)


def test_timeout_error_names_zone_and_seconds() -> None:
    error = network().timeout_error()
    assert isinstance(error, MakeConnectionError)
    assert str(error) == "no response from eu1.make.com within 2.5 s"


def test_connection_error_shows_the_innermost_reason_without_secrets() -> None:
    inner = OSError(111, f"refused by {PROXY} for {TOKEN.upper()}")
    error = network().connection_error(aiohttp.ClientOSError(inner))
    assert isinstance(error, MakeConnectionError)
    reason = "ConnectionRefusedError: [Errno 111] refused by the proxy for ***"
    through = PROXY.rpartition("@")[2]
    assert str(error) == f"eu1.make.com could not be reached through the proxy {through}: {reason}"


def test_a_response_that_takes_too_long_as_a_whole_names_that_time() -> None:
    assert str(network().timeout_error(25.0)) == "the response of eu1.make.com was not complete within 25 s"


def test_certificates_and_proxies_that_fail_have_advice() -> None:
    certificate = network().connection_error(ssl.SSLCertVerificationError("self-signed certificate"))
    assert str(certificate).endswith(" — Set the connection's verify to the CA bundle of your company.")
    assert network().connection_error(OSError(111, "refused")).advice == ""


def test_reason_has_no_control_characters() -> None:
    error = network().truncation_error(ValueError("bad\x1b[31m\u202eline\nbreak"))
    assert str(error) == "the response was cut off: ValueError: bad\ufffd[31m\ufffdline break"


def test_long_reasons_are_shortened() -> None:
    assert len(str(network().truncation_error(ValueError("x" * 5000)))) < 400
    assert isinstance(network().truncation_error(ValueError()), MakeResponseError)


def test_session_for_http_operator_has_the_same_settings() -> None:
    session = requests_session(
        settings(verify="/ca.pem", cert=("a.pem", "b.pem"), proxies={"https": PROXY}, trust_env=False), {}
    )
    assert (session.verify, session.cert, session.proxies) == ("/ca.pem", ("a.pem", "b.pem"), {"https": PROXY})
    assert (session.trust_env, session.headers["User-Agent"]) == (False, USER_AGENT)


def test_options_of_http_hook_override_the_settings() -> None:
    options = {"verify_ssl": False, "proxy": {"https": "http://other:1"}, "max_redirects": 3, "stream": True}
    session = requests_session(settings(), options)
    assert (session.verify, session.proxies) == (False, {"https": "http://other:1"})
    assert (session.max_redirects, session.stream) == (3, True)

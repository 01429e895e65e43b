"""The settings of a connection from its fields, URI or JSON; and a variable that Airflow can't parse."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yarl
from aiohttp.helpers import strip_auth_from_url
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.secrets.local_filesystem import LocalFilesystemBackend
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.transport import Network
from airflow_provider_make.connection.form import CONNECTION_FIELDS, ZONES
from airflow_provider_make.connection.settings import ConnectionSettings, check_connection
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.hooks.make import MakeHook

TOKEN = "s3cr3t-t0ken"
UUID = "c0ffee00-dead-4bad-8f00-d0123456789a"
ZONE = "eu1.make.com"


@dataclass
class Fields:
    conn_id: str = "make_default"
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    password: str | None = TOKEN
    extra: str | None = None


def settings(**fields: Any) -> ConnectionSettings:
    return ConnectionSettings.from_airflow(Fields(**fields))


def with_extra(**extra: Any) -> ConnectionSettings:
    return settings(extra=json.dumps({"zone": ZONE, **extra}))


@pytest.fixture(params=["airflow.models.connection", "airflow.sdk"])
def airflow_connection(request: pytest.FixtureRequest) -> Any:
    """Airflow's Connection class, of the server and of the task SDK; the latter parses URI and JSON from 3.1 on."""
    connection_class = pytest.importorskip(request.param).Connection
    return connection_class if hasattr(connection_class, "from_json") else pytest.skip("needs Airflow 3.1")


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "eu1.make.com"}, "https://eu1.make.com/api/v2"),
        ({"host": " EU1.make.com/ "}, "https://eu1.make.com/api/v2"),
        ({"host": "https://eu1.make.com"}, "https://eu1.make.com/api/v2"),
        ({"host": "https://eu1.make.com/"}, "https://eu1.make.com/api/v2"),
        ({"host": "https://eu1.make.com/api/v2"}, "https://eu1.make.com/api/v2"),
        ({"host": "https://eu1.make.com/api/v2/"}, "https://eu1.make.com/api/v2"),
        ({"host": "eu1.make.com/api/v2"}, "https://eu1.make.com/api/v2"),
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080/api/v2"),
        ({"host": "http://127.8.9.1"}, "http://127.8.9.1/api/v2"),
        ({"host": "http://localhost:8080/api/v2"}, "http://localhost:8080/api/v2"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080/api/v2"),
        ({"host": "[::1]", "port": 8080, "schema": "http"}, "http://[::1]:8080/api/v2"),
        ({"host": "::1", "port": 8080, "schema": "http"}, "http://[::1]:8080/api/v2"),
        ({"host": " 2001:db8::1 "}, "https://[2001:db8::1]/api/v2"),
        ({"host": "https://gateway.example.com/make"}, "https://gateway.example.com/make/api/v2"),
        ({"host": "https://gateway.example.com/make/api/v2/"}, "https://gateway.example.com/make/api/v2"),
        ({"host": "make.example.com", "port": 8443}, "https://make.example.com:8443/api/v2"),
        ({"host": "make.example.com:8443"}, "https://make.example.com:8443/api/v2"),
        ({"host": "make.example.com:8443", "port": 8443}, "https://make.example.com:8443/api/v2"),
        ({"host": "eu1.make.com", "schema": "https"}, "https://eu1.make.com/api/v2"),
        ({"host": "127.0.0.1", "port": 80, "schema": "http"}, "http://127.0.0.1/api/v2"),
        ({"host": "eu1.make.com", "port": 443}, "https://eu1.make.com/api/v2"),
        ({"host": "http://127.0.0.1:443"}, "http://127.0.0.1:443/api/v2"),
        ({"host": "eu1.make.com", "schema": "api/v2"}, "https://eu1.make.com/api/v2"),
        ({"host": "eu1.make.com", "schema": "/api/v2/"}, "https://eu1.make.com/api/v2"),
        # The host overrides the zone.
        ({"host": "make.example.com", "extra": '{"zone": "us1.make.com"}'}, "https://make.example.com/api/v2"),
    ],
)
def test_base_url_from_host_schema_and_port(fields: dict[str, Any], base_url: str) -> None:
    assert settings(**fields).base_url == base_url


@pytest.mark.parametrize("zone", ZONES)
def test_base_url_from_zone(zone: str) -> None:
    for port in (None, 0, 443):
        connection = settings(host="", port=port, extra=json.dumps({"zone": zone}))
        assert (connection.base_url, connection.zone) == (f"https://{zone}/api/v2", zone)


def test_zone_includes_the_port() -> None:
    assert settings(host="http://127.0.0.1:8080").zone == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"host": "http://eu1.make.com"}, "https"),
        ({"host": "eu1.make.com", "schema": "http"}, "https"),
        ({"host": "http://127.0.0.1.example.com"}, "https"),
        ({"host": "http://10.0.0.1"}, "https"),
        ({"host": "ftp://eu1.make.com"}, "ftp://eu1.make.com"),
        ({"host": "https://"}, "host="),
        ({"host": "[::1]extra"}, "host="),
        ({"host": "http://[::1]2:8080"}, "host="),
        ({"host": "fe80::1%eth0"}, "host="),
        ({"host": "https://[fe80::1%eth0]"}, "host="),
        ({"host": "1:2:3"}, "host="),
        ({"host": "eu1 make.com"}, "host="),
        ({"host": "eu1.make.com:seven"}, "host="),
        ({"host": "eu1.make.com", "schema": "ftp"}, "schema is not valid: expected https"),
        ({"host": "eu1.make.com:8443", "port": 443}, "port=443"),
        ({"port": 8443, "extra": '{"zone": "eu1.make.com"}'}, "port=8443"),
        ({"host": ZONE, "extra": "{"}, "extra"),
        ({"host": ZONE, "extra": "[1]"}, "extra"),
    ],
)
def test_error_names_the_invalid_part_of_the_address(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        settings(**fields)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "https://me:hunter2@eu1.make.com",
        "me:hunter2@eu1.make.com",
        "hunter2@eu1.make.com",
        "https://me:hunter2@eu1.make.com:99999",
        "https://me:hunter2@[bad",
        "https://eu1.make.com/api/v2?token=hunter2",
        "https://eu1.make.com/#hunter2",
    ],
)
def test_credentials_in_the_host_raise_without_being_shown(host: str) -> None:
    with pytest.raises(MakeInputError, match="credentials") as caught:
        settings(host=host)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("extra", [None, "", "{}", '{"zone": null}', '{"zone": ""}', '{"zone": "eu9.make.com"}'])
def test_error_for_missing_zone_and_host_lists_all_zones(extra: str | None) -> None:
    with pytest.raises(MakeInputError) as caught:
        settings(extra=extra)
    assert len(ZONES) == 6
    assert [zone for zone in ZONES if zone not in str(caught.value)] == []


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_extras_are_treated_as_not_set(empty: str | None) -> None:
    names = set(CONNECTION_FIELDS) - {"zone"}
    assert with_extra(**dict.fromkeys(names, empty)) == ConnectionSettings(f"https://{ZONE}/api/v2", TOKEN)


def test_defaults() -> None:
    connection = with_extra()
    assert (connection.authorization, connection.verify, connection.trust_env) == (f"Token {TOKEN}", True, True)
    assert (connection.organization_id, connection.requests_per_minute) == (None, None)
    assert (connection.timeout, connection.cert, dict(connection.proxies)) == (60.0, None, {})


@pytest.mark.parametrize("password", [None, ""])
def test_missing_token_raises(password: str | None) -> None:
    with pytest.raises(MakeInputError, match="token"):
        settings(host=ZONE, password=password)


@pytest.mark.parametrize("malformed", ["{}\n", " {}", "{} ", "{}\r\nX-Evil: 1", "{}\x00", "{}é", "Token {}"])
def test_malformed_token_raises_without_being_shown(malformed: str) -> None:
    with pytest.raises(MakeInputError, match="password") as caught:
        settings(host=ZONE, password=malformed.format(TOKEN))
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value.__cause__) + repr(caught.value.__context__)


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_secrets_are_not_shown_as_text(show: Callable[[object], str]) -> None:
    connection = with_extra(proxies={"https": "http://me:hunter2@proxy:3128"})
    assert dict(connection.proxies) == {"https": "http://me:hunter2@proxy:3128"}
    assert TOKEN not in show(connection)
    assert "hunter2" not in show(connection)


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        (f"make://:{TOKEN}@eu1.make.com/?organization_id=42", "https://eu1.make.com/api/v2"),
        (f"make://:{TOKEN}@eu1.make.com/api/v2?organization_id=42", "https://eu1.make.com/api/v2"),
        (f"make://:{TOKEN}@make.example.com:8443/?organization_id=42", "https://make.example.com:8443/api/v2"),
        (f"make://http://:{TOKEN}@127.0.0.1:8080/?organization_id=42", "http://127.0.0.1:8080/api/v2"),
        (f"make://:{TOKEN}@127.0.0.1:8080/http?organization_id=42", "http://127.0.0.1:8080/api/v2"),
        (f"make://:{TOKEN}@/?zone=us2.make.com&organization_id=42", "https://us2.make.com/api/v2"),
    ],
)
def test_connection_from_uri(airflow_connection: Any, uri: str, base_url: str) -> None:
    from_uri = getattr(airflow_connection, "from_uri", None)  # The model takes the URI as an argument.
    connection = from_uri(uri, conn_id="c") if from_uri else airflow_connection(uri=uri, conn_id="c")
    parsed = ConnectionSettings.from_airflow(connection)
    assert (parsed.base_url, parsed.token, parsed.organization_id) == (base_url, TOKEN, 42)


def test_connection_from_json(airflow_connection: Any) -> None:
    extra = {"zone": "us1.make.com", "organization_id": 42, "verify": False, "timeout": None}
    text = json.dumps({"conn_type": "make", "password": TOKEN, "extra": extra})
    connection = ConnectionSettings.from_airflow(airflow_connection.from_json(text, conn_id="make_default"))
    assert (connection.base_url, connection.token) == ("https://us1.make.com/api/v2", TOKEN)
    assert (connection.organization_id, connection.verify, connection.timeout) == (42, False, 60.0)


@pytest.mark.parametrize(
    ("name", "raw", "parsed"),
    [
        ("organization_id", 42, 42),
        ("organization_id", " 42 ", 42),
        ("auth_scheme", "Bearer", "Bearer"),
        ("requests_per_minute", 60, 60.0),
        ("requests_per_minute", "0.5", 0.5),
        ("timeout", 2.5, 2.5),
        ("timeout", "30", 30.0),
        ("timeout", 86_400, 86_400.0),
        ("requests_per_minute", 0.01, 0.01),
        ("organization_id", 2**63 - 1, 2**63 - 1),
        ("verify", False, False),
        ("verify", "False", False),
        ("verify", "true", True),
        ("verify", "/etc/ca.pem", "/etc/ca.pem"),
        ("trust_env", False, False),
        ("trust_env", "false", False),
        ("cert", "/etc/client.pem", "/etc/client.pem"),
        ("cert", ["/etc/client.crt", "/etc/client.key"], ("/etc/client.crt", "/etc/client.key")),
        ("cert", '["/etc/client.crt", "/etc/client.key"]', ("/etc/client.crt", "/etc/client.key")),
        ("proxies", {"https": "http://proxy:3128"}, {"https": "http://proxy:3128"}),
        ("proxies", '{"https": "http://proxy:3128"}', {"https": "http://proxy:3128"}),
        ("proxies", "http://proxy:3128", {"http": "http://proxy:3128", "https": "http://proxy:3128"}),
    ],
)
def test_extras_may_be_text_or_json(name: str, raw: Any, parsed: Any) -> None:
    value = getattr(with_extra(**{name: raw}), name)
    assert (value, type(value)) == (parsed, type(parsed))


BAD_EXTRAS: dict[str, list[Any]] = {
    "zone": ["eu9.make.com", 5, ["eu1.make.com"], "EU1.MAKE.COM"],
    "organization_id": [0, -1, True, 4.2, "x", "-4", [42], "٤٢", 2**63, str(2**63)],
    "auth_scheme": ["token", "Basic", 5, ["Token"]],
    "requests_per_minute": [0, -1, True, "x", "nan", "inf", [60], 0.0099, 5e-324],
    "timeout": [0, -1, False, "x", "nan", "1e999", 10**400, 1e9, 86_401, {"connect": 1}],
    "verify": [0, 1, [], {"a": 1}],
    "trust_env": ["yes", 1, []],
    "cert": ['["/a.crt", "/a.key"', 5, ["one"], ["a", "b", "c"], ["a", 1], {"a": "b"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_EXTRAS.items() for value in values])
def test_error_names_the_invalid_extra_and_its_value(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        with_extra(**{name: value})
    assert f"{name}={value!r}" in str(caught.value)


@pytest.mark.parametrize(
    "value", [5, ["http://me:hunter2@proxy"], {"https": 5, "http": "me:hunter2@p"}, '{"me:hunter2']
)
def test_error_for_invalid_proxies_does_not_show_their_value(value: Any) -> None:
    with pytest.raises(MakeInputError, match="proxies") as caught:
        with_extra(proxies=value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("form", ["{}", "Token {}", "https://{}", "/a/{}/b", ["{}"], {"https": "http://{}@h"}])
@pytest.mark.parametrize("name", ["host", "schema", *CONNECTION_FIELDS])
@pytest.mark.parametrize("known", [True, False])
def test_token_in_another_field_is_not_shown(name: str, form: Any, known: bool) -> None:
    pasted: Any = json.loads(json.dumps(form).replace("{}", UUID.upper()))
    fields = {"host": pasted} if name == "host" else {"schema": pasted, "host": ZONE} if name == "schema" else {}
    if name in ("host", "schema") and not isinstance(pasted, str):
        pytest.skip("a field of text")
    extra = json.dumps({"zone": ZONE} | ({} if fields else {name: pasted}))
    try:
        settings(**{"extra": extra, "password": UUID if known else TOKEN} | fields)
    except MakeInputError as error:
        assert name in str(error) or "host" in str(error) or "proxy" in str(error)
        assert UUID[:8] not in repr((error, vars(error))).lower()
    else:
        # A path or a proxy may contain another UUID than the token.
        assert not known
        assert name in ("host", "verify", "cert", "proxies")


@pytest.mark.parametrize("form", [UUID, f"Token {UUID}", UUID.upper(), UUID.replace("-", "%2d")])
def test_token_in_the_name_of_an_extra_is_not_shown(form: str) -> None:
    for password in (UUID, TOKEN):
        connection = settings(extra=json.dumps({"zone": ZONE, form: "", "x": form, form + "x": 1}), password=password)
        assert UUID[:8] not in repr(connection).lower()
        assert connection.unknown_extras[0] == "x"


FRAGMENTS = [
    "http://",
    "https://",
    "u:hunter2@",
    "eu1.make.com",
    "..",
    "[",
    "]",
    "::1",
    ":",
    "/",
    "@",
    "%",
    "é",
    "ß",
    "℀",
]
TEXTS = st.lists(
    st.sampled_from([*FRAGMENTS, "\0", " ", "#", "?", "\\", "xn--a", "a" * 64, ":99999", "%E4"]), max_size=6
)


@given(host=TEXTS.map("".join) | st.just("eu1.make.com"), proxy=TEXTS.map("".join) | st.just(""))
def test_any_host_and_proxy_are_usable_or_an_input_error(host: str, proxy: str) -> None:
    try:
        network = Network.from_settings(settings(host=host, extra=json.dumps({"zone": ZONE, "proxies": proxy})))
    except MakeInputError as error:
        assert "hunter2" not in str(error)
        return
    for url in filter(None, (network.settings.base_url, network.proxy)):
        address, authorization = strip_auth_from_url(yarl.URL(url))
        assert (address.raw_host or "").encode("idna")
        assert authorization is None or authorization.encode()
        assert requests.Request("GET", url).prepare().url


def test_unknown_extras_are_listed() -> None:
    connection = with_extra(headers={"X-Mine": "1"}, organization_id=42, colour="red")
    assert connection.unknown_extras == ("headers", "colour")


VARIABLE = "AIRFLOW_CONN_MAKE_DEFAULT"
VALID = json.dumps({"conn_type": "make", "password": TOKEN, "extra": {"zone": "eu1.make.com"}})
NO_URI = "expected a URI such as make://:YOUR_API_TOKEN@eu1.make.com/?organization_id=42"
NO_FIELDS = "expected JSON with only the fields conn_type, "
with_database = pytest.mark.usefixtures("airflow_database")


def look_up() -> ConnectionSettings:
    return MakeHook().settings


def look_up_on_an_event_loop() -> ConnectionSettings:
    hook = MakeHook()
    asyncio.run(hook.load_settings())
    return hook.settings


@with_database
@pytest.mark.parametrize("look_up", [look_up, look_up_on_an_event_loop])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (VALID[:-1], f"its JSON has an error at line 1, column {len(VALID)}: expected"),
        (f"\n{VALID[:-1]},\n", f"its JSON has an error at line 1, column {len(VALID) + 1}: expected"),
        (VALID.replace('"', "'"), "its JSON has an error at line 1, column 2: expected"),
        (VALID.replace("password", "token"), NO_FIELDS),
        (VALID.replace('"conn_type"', '"port": "https", "conn_type"'), NO_FIELDS),
        (f"make://:{TOKEN}@eu1.make.com:port/", NO_URI),
        (f"make://:a/{TOKEN}@eu1.make.com/", NO_URI),
        (f"make://:[{TOKEN}@eu1.make.com/", NO_URI),
    ],
)
def test_error_names_the_connection_and_what_is_expected_but_not_the_value(
    value: str, problem: str, look_up: Callable[[], ConnectionSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(MakeInputError) as caught:
        look_up()
    begin = f"Connection 'make_default': Airflow can't parse the environment variable {VARIABLE}: "
    assert str(caught.value).startswith(begin + problem)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@with_database
@pytest.mark.parametrize("look_up", [look_up, look_up_on_an_event_loop])
@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_leaves_airflows_error(
    value: str | None, look_up: Callable[[], ConnectionSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(AirflowNotFoundException, match="make_default"):
        look_up()


@with_database
@pytest.mark.parametrize("value", [VALID, f" {VALID}", f"make://:{TOKEN}@/?zone=eu1.make.com"])
def test_a_valid_variable_is_read(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert look_up().token == TOKEN


@with_database
@pytest.mark.parametrize(
    ("address", "base_url"),
    [
        ("[::1]:8080/", "https://[::1]:8080/api/v2"),
        ("[::1]:8080/http", "http://[::1]:8080/api/v2"),
        ("[2001:db8::1]", "https://[2001:db8::1]/api/v2"),
        ("http%3A%2F%2F%5B%3A%3A1%5D%3A8080", "http://[::1]:8080/api/v2"),
    ],
)
def test_a_uri_may_have_an_ipv6_address(address: str, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"make://:{TOKEN}@{address}")
    assert look_up().base_url == base_url


@pytest.mark.parametrize(
    "value",
    [
        VALID,
        f"'{VALID}'",
        VALID.replace('"extra"', '"host": "https://eu1.make.com/?a#b", "extra"'),
        f'"make://:{TOKEN}@eu1.make.com/"',
        f"'make://:{TOKEN}@eu1.make.com/?organization_id=42'",
        "{}",
        "eu1.make.com",
        f"make:/:{TOKEN}@eu1.make.com",
        f"Token-{TOKEN}",
    ],
)
def test_what_a_secrets_backend_read_as_a_uri_but_is_none_is_explained(value: str, tmp_path: Path) -> None:
    path = tmp_path / "connections.env"
    path.write_text(f"make_default={value}\n")
    connection: Any = LocalFilesystemBackend(connections_file_path=str(path)).get_connection("make_default")
    with pytest.raises(MakeInputError) as caught:
        check_connection(connection, "make_default", None)
    begin = "Connection 'make_default': Airflow read its value as a URI, which it is not: "
    assert str(caught.value).startswith(begin + NO_URI)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@with_database
def test_each_connection_id_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_US", "{" * 100_000)
    with pytest.raises(MakeInputError, match="'make_us'.*AIRFLOW_CONN_MAKE_US: its JSON"):
        MakeHook("make_us").settings  # noqa: B018
    with pytest.raises(AirflowNotFoundException):
        look_up()

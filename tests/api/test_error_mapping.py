from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_provider_make.api.errors import (
    MAX_RETRY_AFTER,
    error_from_response,
    is_retryable,
    parse_rate_limit_reset,
    parse_retry_after,
)
from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakeIncompleteResultError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)
from airflow_provider_make.text import replace_unprintable

TOKEN = "s3cr3t-t0ken"
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
ERROR_CLASSES: dict[int, type[MakeApiError]] = {
    **dict.fromkeys((301, 302, 304, 307), MakeResponseError),
    **dict.fromkeys((400, 404, 413, 422), MakeRequestError),
    **dict.fromkeys((408, 425, 500, 502, 503, 504), MakeServerError),
    **{401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError},
}
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


def error_for(status: int = 400, body: Any = b"", **headers: str) -> MakeApiError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CaseInsensitiveDict({name.replace("_", "-").title(): value for name, value in headers.items()})
    return error_from_response(status, named, raw, secret=TOKEN, now=NOW)


@pytest.mark.parametrize(("status", "error_class"), ERROR_CLASSES.items())
def test_status_determines_the_error_class(status: int, error_class: type[MakeApiError]) -> None:
    error = error_for(status, {"message": "Oops"})
    assert (type(error), error.status_code) == (error_class, status)
    assert str(error).startswith(f"HTTP {status}: ")
    assert is_retryable(error) == (status in TRANSIENT)


def test_documented_error_body_is_parsed() -> None:
    body = {"detail": "Access denied.", "message": "Permission denied", "code": "SC403"}
    error = error_for(403, body)
    assert {name: getattr(error, name) for name in body} == body
    assert error.suberrors == ()
    assert error.headline() == "HTTP 403: Permission denied (SC403): Access denied."


def test_documented_error_body_with_suberrors_is_parsed() -> None:
    suberrors = [{"message": "dateFrom is too old"}, {"message": "limit is too large", "path": ["pg", "limit"]}]
    error = error_for(400, {"message": "Validation failed", "code": "SC400", "suberrors": suberrors})
    assert (error.detail, error.suberrors) == (None, ("dateFrom is too old", "limit is too large"))
    assert error.headline() == "HTTP 400: Validation failed (SC400): dateFrom is too old: limit is too large"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ([{"message": "in a list"}], "in a list"),
        ("just text", "just text"),
        (None, "null"),
        (17, "17"),
        ({}, "JSON other than Make's errors: {}"),
        ({"message": None, "code": None, "detail": None, "suberrors": None}, "JSON other than Make's errors"),
        ({"code": "IM002"}, "no message (IM002)"),
        ({"message": "Oops", "detail": ["one", "two"]}, "Oops: one; two"),
        ({"detail": "only detail"}, "only detail"),
        ({"message": "Oops", "detail": {"field": ["nested detail"]}}, "nested detail"),
        ({"message": {"text": "nested message"}}, "nested message"),
        ({"message": "Oops", "code": 403}, "(403)"),
        ({"message": "Oops", "suberrors": ["bare text", None, 5, [], {"path": 1}]}, "bare text"),
        ({"message": "one\r\ntwo\tthree"}, "one two three"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "HTML instead of Make's JSON: <html><h1>502 Bad Gateway"),
        (b"upstream connect error", "text instead of Make's JSON: upstream connect error"),
        (b'{"message": "cut o', "text instead of Make's JSON"),
        (b"\xff\xfe\x00", "text instead of Make's JSON"),
        (b"", "an empty body"),
        (b" \n", "an empty body"),
    ],
)
def test_undocumented_error_body_is_shown(body: Any, shown: str) -> None:
    assert shown in str(error_for(400, body))


@pytest.mark.parametrize("suberrors", [None, "not a list", 5, {"message": "not a list"}, []])
def test_suberrors_other_than_a_list_are_ignored(suberrors: Any) -> None:
    assert error_for(400, {"message": "Oops", "suberrors": suberrors}).headline() == "HTTP 400: Oops"


@pytest.mark.parametrize(
    "body",
    [
        {"message": f"Bad token {TOKEN}", "detail": f"Token {TOKEN}", "code": TOKEN, "suberrors": [{"message": TOKEN}]},
        {"message": {"headers": {"authorization": f"Token {TOKEN}"}}},
        {"message": "x" * 290 + TOKEN},
        f"<html>Authorization: Token {TOKEN}</html>".encode(),
        TOKEN.encode(),
        ('{"message": "Bad token ' + "".join(f"\\u{ord(letter):04x}" for letter in TOKEN) + '"}').encode(),
    ],
)
def test_echoed_token_is_masked(body: Any) -> None:
    error = error_for(401, body)
    assert "***" in error.headline()
    text = repr((str(error), vars(error), error.args))
    assert TOKEN not in text
    assert TOKEN[:8] not in text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_echoed_token_is_masked_in_other_encodings(encoding: str) -> None:
    error = error_for(401, json.dumps({"message": f"Bad token {TOKEN.upper()}"}).encode(encoding))
    assert error.headline() == "HTTP 401: Bad token ***"


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [
        (401, {"message": "Unauthorized"}, ["is valid", "is of this zone", "scope analytics:read"]),
        (401, b"", ["is valid", "is of this zone", "scope analytics:read"]),
        (403, {"message": "Permission denied"}, ["Enterprise plan", "role Owner", "scope analytics:read", "zone"]),
        (403, b"error code: 1010", ["firewall", "proxy", "network team", "IP address", "User-Agent"]),
        (403, b"<html>Access denied</html>", ["firewall"]),
        (403, b"", ["firewall"]),
        (403, {"error": "blocked"}, ["firewall"]),
        (404, {"message": "Not found"}, ["organization id", "host", "hide a 403", "plan, role, scope and zone"]),
        (404, b"<html>", ["hide a 403"]),
        (400, {"message": "Bad Request", "suberrors": [{"message": "pg[limit] is too large"}]}, ["lower page_size"]),
        (422, {"message": "Bad Request", "detail": "limit: at most 100"}, ["lower page_size"]),
    ],
)
def test_advice_fits_the_response(status: int, body: Any, named: list[str]) -> None:
    text = str(error_for(status, body)).partition(" — ")[2]
    assert [name for name in named if name not in text] == []


@pytest.mark.parametrize(
    ("status", "body", "other"),
    [
        (403, {"message": "Permission denied"}, "firewall"),
        (403, b"<html>", "Enterprise"),
        (400, {"message": "Bad Request", "suberrors": [{"message": "Invalid pg[sortBy]"}]}, " — "),
        (429, {"message": "Requests limit for organization exceeded"}, "page_size"),
    ],
)
def test_advice_for_other_causes_is_not_given(status: int, body: Any, other: str) -> None:
    assert other not in str(error_for(status, body))


def test_empty_suberrors_are_ignored_and_lone_surrogates_replaced() -> None:
    error = error_for(400, b'{"message": "cut \\ud83d", "suberrors": [null, {"path": 1}, {"message": "real"}]}')
    assert error.suberrors == ('{"path":1}', "real")
    assert str(error).startswith("HTTP 400: cut \N{REPLACEMENT CHARACTER}: {")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_error_for_a_redirect_shows_the_location_without_token_and_query(status: int) -> None:
    error = error_for(status, b"<html>Moved</html>", location=f"https://login.example.com/{TOKEN}?token={TOKEN}")
    assert "https://login.example.com/***, which is not followed" in str(error)
    assert TOKEN not in repr(vars(error))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://h/%73%33cr3t-T0KEN/#x", "https://h/***/, which"),
        ("\x1b[31mhttps://h", "\N{REPLACEMENT CHARACTER}[31mhttps://h, which"),
        ("x" * 5000, "x" * 300 + "…, which"),
    ],
)
def test_location_is_safe_to_show(location: str, shown: str) -> None:
    assert f"a redirect to {shown} is not followed" in str(error_for(302, location=location))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>" + b"x" * 100_000,
        {"message": "m" * 100_000, "detail": "d" * 100_000, "code": "c" * 100_000},
        {"suberrors": [{"message": "s" * 100_000}]},
        b"[" * 100_000,
    ],
)
def test_long_bodies_are_shortened(body: Any) -> None:
    assert 100 < len(str(error_for(400, body))) < 1200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("30", 30.0),
        (" 30 ", 30.0),
        ("600", 600.0),
        ("601", 600.0),
        ("99999999", 600.0),
        ("9" * 400, 600.0),
        ("Mon, 15 Jun 2026 13:00:00 GMT", 600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 600.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("inf", None),
        ("1e3", None),
        ("Mon, 15 Jun 2026 12:01:30 GMT", 90.0),
        ("Mon, 15 Jun 2026 14:01:30 +0200", 90.0),
        ("Monday, 15-Jun-26 12:01:30 GMT", 90.0),
        ("Mon Jun 15 12:01:30 2026", 90.0),
        ("Mon, 15 Jun 2026 11:59:59 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("²", None),
        ("Mon, 99 Jun 2026 12:00:00 GMT", None),
        ("Mon, 15 Jun 2026 12:00:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_in_seconds_or_an_http_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
    headers = {} if value is None else {"retry_after": value}
    assert error_for(429, {"message": "Slow down"}, **headers).retry_after == seconds
    assert error_for(503, **headers).retry_after == seconds


SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (str(SECONDS + 42), 42.0),
        (f" {SECONDS + 42}.5 ", 42.5),
        (str((SECONDS + 42) * 1000), 42.0),
        (str((SECONDS + 42) * 1000 + 250), 42.25),
        ("42", 42.0),
        ("0.5", 0.5),
        ("86400", 600.0),
        (str(SECONDS + 86_400), 600.0),
        ("9" * 400, 600.0),
        ("0", None),
        (str(SECONDS), None),
        (str(SECONDS - 1), None),
        (str((SECONDS - 1) * 1000), None),
        ("1234567", None),
        ("-5", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("Mon, 15 Jun 2026 12:01:30 GMT", None),
    ],
)
def test_rate_limit_reset_is_recognized_by_size(value: str | None, seconds: float | None) -> None:
    assert parse_rate_limit_reset(value, NOW) == seconds
    headers = {} if value is None else {"x_ratelimit_reset": value}
    assert error_for(429, **headers).retry_after == seconds
    assert error_for(503, **headers).retry_after is None


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", 42.0), ("1.5", 42.0)])
def test_retry_after_comes_before_the_rate_limit_reset(retry_after: str, seconds: float) -> None:
    error = error_for(429, retry_after=retry_after, x_ratelimit_reset=str(SECONDS + 42))
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (MakeConnectionError("no response within 60 s"), True),
        (MakeRateLimitError("slow down", status_code=429), True),
        (MakeServerError("trouble", status_code=503), True),
        (MakeResponseError("cut off"), True),
        (MakeResponseError("HTML", status_code=200), True),
        (MakeResponseError("redirect", status_code=302), False),
        (MakeRequestError("no such parameter", status_code=400), False),
        (MakeAuthenticationError("unknown token", status_code=401), False),
        (MakeAccessDeniedError("not yours", status_code=403), False),
        (MakeIncompleteResultError("a row is missing"), True),
        (MakeApiError("whatever"), False),
    ],
)
def test_only_transient_errors_are_retryable(error: MakeApiError, retryable: bool) -> None:
    assert is_retryable(error) is retryable


TEXTS = st.text(st.characters(codec="utf-8")) | st.just(TOKEN)
KEYS = st.sampled_from(["message", "detail", "code", "suberrors", "a"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(
    status=st.integers(300, 599),
    body=st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    retry_after=st.none() | st.text() | st.integers().map(str) | st.floats().map(str),
)
@example(status=429, body=b"", retry_after="9" * 400)
def test_any_response_becomes_a_make_api_error(status: int, body: bytes, retry_after: str | None) -> None:
    headers = {} if retry_after is None else {"retry_after": retry_after, "x_ratelimit_reset": retry_after}
    error = error_for(status, body, **headers)
    assert isinstance(error, MakeApiError)
    assert error.status_code == status
    assert error.retry_after is None or 0 <= error.retry_after <= MAX_RETRY_AFTER
    assert replace_unprintable(str(error)) == str(error)
    assert str(error).startswith(f"HTTP {status}: ")
    assert TOKEN not in str(error)

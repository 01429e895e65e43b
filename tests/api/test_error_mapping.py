from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_provider_make.api.error_mapping import error_from_response, is_retryable, parse_retry_after
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
        ({}, "no message"),
        ({"message": None, "code": None, "detail": None, "suberrors": None}, "no message"),
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


def test_empty_suberrors_are_ignored_and_lone_surrogates_replaced() -> None:
    error = error_for(400, b'{"message": "cut \\ud83d", "suberrors": [null, {"path": 1}, {"message": "real"}]}')
    assert error.suberrors == ("real",)
    assert str(error).encode().startswith(b"HTTP 400: cut ?")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_error_for_a_redirect_shows_the_location_without_token_and_query(status: int) -> None:
    error = error_for(status, b"<html>Moved</html>", location=f"https://login.example.com/{TOKEN}?token={TOKEN}")
    assert "https://login.example.com/***, which is not followed" in str(error)
    assert TOKEN not in repr(vars(error))


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
        ("Mon, 15 Jun 2026 12:01:30 GMT", 90.0),
        ("Mon, 15 Jun 2026 14:01:30 +0200", 90.0),
        ("Monday, 15-Jun-26 12:01:30 GMT", 90.0),
        ("Mon Jun 15 12:01:30 2026", 90.0),
        ("Mon, 15 Jun 2026 11:59:59 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
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
    retry_after=st.none() | st.text() | st.integers().map(str),
)
@example(status=429, body=b"", retry_after="9" * 400)
def test_any_response_becomes_a_make_api_error(status: int, body: bytes, retry_after: str | None) -> None:
    error = error_for(status, body, **({} if retry_after is None else {"retry_after": retry_after}))
    assert isinstance(error, MakeApiError)
    assert error.status_code == status
    assert error.retry_after is None or error.retry_after >= 0
    assert str(error).startswith(f"HTTP {status}: ")
    assert TOKEN not in str(error)

"""Error bodies in any encoding, made safe to show, and the errors raised for them."""

from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_provider_make.api.errors import (
    MAX_RETRY_AFTER,
    ErrorBody,
    decode_body,
    error_from_response,
    is_retryable,
    parse_error_body,
    parse_rate_limit_reset,
    parse_retry_after,
    shorten,
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
from airflow_provider_make.masking import mask_token
from airflow_provider_make.text import replace_unprintable

TOKEN = "c0ffee00-dead-4bad-8f00-d0123456789a"
TEXT = f'{{"message": "Token {TOKEN} is wrong", "code": "SC401"}}'


NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
ERROR_CLASSES: dict[int, type[MakeApiError]] = {
    **dict.fromkeys((301, 302, 304, 307), MakeResponseError),
    **dict.fromkeys((400, 404, 413, 422), MakeRequestError),
    **dict.fromkeys((408, 425, 500, 502, 503, 504), MakeServerError),
    **{401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError},
}
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


def to_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def parse(body: Any, content_type: str = "") -> ErrorBody:
    return parse_error_body(to_bytes(body), content_type, TOKEN)


def error_for(status: int = 400, body: Any = b"", **headers: str) -> MakeApiError:
    named = CaseInsensitiveDict({name.replace("_", "-").title(): value for name, value in headers.items()})
    return error_from_response(status, named, to_bytes(body), secret=TOKEN, now=NOW)


@pytest.mark.parametrize("text", [TEXT, TEXT.upper(), TEXT.replace("-", "\\u002d"), TEXT.replace("-", "%2D")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("content_type", ["", "application/json; charset=utf-8", 'text/plain; Charset="utf-16"'])
def test_repeated_token_is_hidden_in_any_encoding(text: str, encoding: str, mark: bool, content_type: str) -> None:
    body = (codecs.BOM_UTF8.decode() if mark and encoding != "utf-8-sig" else "").encode(encoding) + text.encode(
        encoding
    )
    error = parse(body, content_type)
    shown = repr(error)
    assert "***" in error.message
    assert TOKEN not in shown.lower()
    assert TOKEN[:8] not in shown.lower().replace("\\x00", "")


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("Zugriff nicht möglich".encode(), "text/html; charset=iso-8859-1", "Zugriff nicht möglich"),
        ("Zugriff nicht möglich".encode("latin-1"), "text/html; charset=ISO-8859-1", "Zugriff nicht möglich"),
        ("Отказано".encode("cp1251"), "text/html;charset='windows-1251'", "Отказано"),
        ("拒否".encode("shift_jis"), "text/plain; charset=Shift_JIS", "拒否"),
        ("拒否".encode("utf-16-le"), "text/plain; charset=utf-16le", "拒否"),
        (b"\xe4", "", "\N{REPLACEMENT CHARACTER}"),
        (b"\xe4", "text/plain; charset=", "\N{REPLACEMENT CHARACTER}"),
        (b"\xe4", "text/plain; charset=no-such", "\N{REPLACEMENT CHARACTER}"),
        # These are no encodings of text, slow, or refuse to replace what they can't decode.
        *((b"\xe4", f"text/plain; charset={name}", "\N{REPLACEMENT CHARACTER}") for name in ("hex", "zlib", "rot13")),
        *((b"\xe4", f"text/plain; charset={name}", "\N{REPLACEMENT CHARACTER}") for name in ("punycode", "idna")),
        (b"", "text/plain; charset=utf-16", ""),
        # A token must not be hidden from us by an encoding that is guessed by a single NUL.
        (b"\0Unknown token", "", "\0Unknown token"),
        (b"U\0nknown token", "", "U\0nknown token"),
    ],
)
def test_body_is_decoded_as_what_it_is(body: bytes, content_type: str, text: str) -> None:
    assert decode_body(body, content_type) == text


@given(st.binary() | st.binary().map(lambda body: body * 400), st.text(), st.sampled_from(["", "charset="]))
def test_any_body_is_decoded(body: bytes, charset: str, before: str) -> None:
    assert isinstance(decode_body(body, before + charset), str)
    assert parse(body, before + charset).message


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("one", "one"),
        (["one", "two"], "one; two"),
        (["one", None, "", [], {}], "one"),
        ([{"message": "one", "name": "Error"}, {"field": "limit", "max": [1, True, None]}],
         'one; {"field":"limit","max":[1,true,null]}'),
        ([["a", 1]], '["a",1]'),
        ({"field": ["nötig"]}, '{"field":["nötig"]}'),
        ({"message": "one"}, "one"),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (None, None),
        ([], None),
        ({}, None),
        ("a\x1b[31mb\x00c\u202ed\ud83d", "a\N{REPLACEMENT CHARACTER}[31mb" + "".join(
            f"\N{REPLACEMENT CHARACTER}{letter}" for letter in ("c", "d", ""))),
    ],
)  # fmt: skip
def test_detail_is_text_for_people(value: Any, detail: str | None) -> None:
    error = parse({"message": "Bad Request", "detail": value})
    assert (error.is_from_make, error.message, error.detail) == (True, "Bad Request", detail)
    assert parse({"code": "SC400", "message": value}).message == (detail or "no message")
    assert parse({"code": "SC400", "suberrors": [value]}).suberrors == (() if detail is None else (detail,))


@pytest.mark.parametrize(("count", "last"), [(1, "0"), (10, "9"), (11, "and 1 more"), (5000, "and 4990 more")])
def test_suberrors_are_bounded(count: int, last: str) -> None:
    error = parse({"message": "Bad Request", "suberrors": [{"message": str(number)} for number in range(count)]})
    assert (len(error.suberrors), error.suberrors[-1]) == (min(count, 11), last)


@pytest.mark.parametrize(
    ("body", "is_from_make", "message"),
    [
        ({"detail": "Access denied.", "message": "Permission denied", "code": "SC403"}, True, "Permission denied"),
        ({"code": "SC403"}, True, "no message"),
        ({"message": "one\r\ntwo\tthree"}, True, "one two three"),
        ({"detail": ["Access denied."]}, True, "Access denied."),
        ({}, False, "JSON other than Make's errors: {}"),
        ({"error": "blocked"}, False, 'JSON other than Make\'s errors: {"error":"blocked"}'),
        ({"message": None, "detail": [], "suberrors": []}, False, "JSON other than Make's errors: "),
        ([{"message": "x"}], False, 'JSON other than Make\'s errors: [{"message":"x"}]'),
        (None, False, "JSON other than Make's errors: null"),
        (17, False, "JSON other than Make's errors: 17"),
        ("just text", False, 'JSON other than Make\'s errors: "just text"'),
        (b'{"message": "cut o', False, "text instead of Make's JSON"),
        (b"\xff\xfe\x00", False, "text instead of Make's JSON"),
        (b" \n", False, "an empty body"),
        (b"error code: 1010", False, "text instead of Make's JSON: error code: 1010"),
        (b" <html>\x1b]0;title\x07</html>", False, "HTML instead of Make's JSON: <html>\N{REPLACEMENT CHARACTER}]0;"),
        (b"\x1f\x8b\x08\x00gateway", False, "text instead of Make's JSON: "),
        (b"", False, "an empty body"),
        (b"\xef\xbb\xbf", False, "an empty body"),
        (b"[" * 100_000, False, "text instead of Make's JSON: [["),
        (b"9" * 5000, False, "text instead of Make's JSON: 99"),
    ],
)
def test_bodies_of_make_and_of_others(body: Any, is_from_make: bool, message: str) -> None:
    error = parse(body)
    assert error.is_from_make is is_from_make
    assert error.message.startswith(message)
    assert error.message.isprintable()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": "Validation failed", "suberrors": [{"message": "'pg[limit]' is larger than 1000"}]}, True),
        ({"message": "Bad Request", "suberrors": [{"message": "too large", "path": ["pg", "limit"]}]}, True),
        ({"message": "Bad Request", "detail": ["Limit must be at most 100"]}, True),
        ({"message": "Invalid pg%5Blimit%5D"}, True),
        ({"message": "Bad Request", "detail": "Invalid pg[sortBy]"}, False),
        ({"message": "Unlimited apiLimits"}, False),
        (b"<html>limit</html>", False),
    ],
)
def test_error_about_the_page_limit_is_recognized(body: Any, expected: bool) -> None:
    assert parse(body).names_the_page_limit is expected


def test_large_bodies_are_read_in_part() -> None:
    assert parse(b" " * 2_000_000 + TEXT.encode()).message == "an empty body"
    assert len(parse(b"x" * 50_000_000).message) < 400


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Bad Request", "suberrors": [{"message": f"wrong {number}"} for number in range(20_000)]},
        {"message": "Bad Request", "suberrors": [{"message": TOKEN * 20}] * 1_000},
        {"message": "Bad Request", "suberrors": [{}] * 200_000},
        {"message": "Bad Request", "detail": [str(number) for number in range(100_000)]},
        {"message": "x" * 300_000, "detail": "&#99;" * 60_000, "code": "%25" * 100_000},
        {"error": ["x" * 900_000]},
        b"<html>" + b"x" * 900_000,
    ],
)
def test_a_large_error_takes_little_work_and_space(body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[int] = []

    def mask(text: str, token: str) -> str:
        masked.append(len(text))
        return mask_token(text, token)

    monkeypatch.setattr("airflow_provider_make.api.errors.mask_token", mask)
    error = error_for(400, body)
    assert len(str(error)) < 5_000
    # Each piece in time that a triggerer's event loop can spare.
    assert len(masked) <= 13
    assert max(masked) <= 3_000


def test_a_long_list_of_suberrors_names_how_many_more_there_are() -> None:
    empty_first: list[Any] = [{}] * 5 + [{"message": "wrong"}] * 500
    assert parse({"message": "Bad Request", "suberrors": empty_first}).suberrors == (*["wrong"] * 10, "and 490 more")


@pytest.mark.parametrize("status", [400, 413, 414, 431])
@pytest.mark.parametrize(("of_make", "argument"), [("teamId", "team_id"), ("folderId", "folder_id")])
def test_a_url_that_is_too_long_names_the_argument_with_most_values(status: int, of_make: str, argument: str) -> None:
    parameters = [("status[]", "active"), ("status[]", "invalid"), *[(f"{of_make}[]", str(id_)) for id_ in range(900)]]
    error = error_from_response(status, {}, b"<html>", secret=TOKEN, now=NOW, parameters=parameters)
    assert f"because {argument} has 900 values. Use fewer, or .expand({argument}=[...])" in str(error)
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize(
    ("status", "body", "count"), [(400, b'{"message": "Bad Request"}', 900), (414, b"", 1), (400, b"<html>", 20)]
)
def test_a_url_is_not_blamed_without_reason(status: int, body: bytes, count: int) -> None:
    parameters = [("teamId[]", str(id_)) for id_ in range(count)]
    error = error_from_response(status, {}, body, secret=TOKEN, now=NOW, parameters=parameters)
    assert "team_id" not in str(error)


def test_shortened_text_is_one_safe_line() -> None:
    assert shorten(f" a\r\n\tb {TOKEN}\x9b ", TOKEN) == "a b ***\N{REPLACEMENT CHARACTER}"
    assert shorten("x" * 290 + TOKEN, TOKEN) == "x" * 290 + "***"
    assert shorten("x" * 301, TOKEN) == "x" * 300 + "…"


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


def test_odd_code_and_suberrors_are_shown() -> None:
    error = error_for(400, {"message": "Oops", "code": 403, "suberrors": ["bare text", None, 5, [], {"path": 1}]})
    assert error.headline() == 'HTTP 400: Oops (403): bare text: 5: {"path":1}'


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
    text = str(error_for(status, body)).partition("\n")[2]
    assert [name for name in named if name not in text] == []


@pytest.mark.parametrize(
    ("status", "body", "other"),
    [
        (403, {"message": "Permission denied"}, "firewall"),
        (403, b"<html>", "Enterprise"),
        (400, {"message": "Bad Request", "suberrors": [{"message": "Invalid pg[sortBy]"}]}, "\n"),
        (429, {"message": "Requests limit for organization exceeded"}, "page_size"),
    ],
)
def test_advice_for_other_causes_is_not_given(status: int, body: Any, other: str) -> None:
    assert other not in str(error_for(status, body))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_error_for_a_redirect_shows_the_location_without_token_and_query(status: int) -> None:
    error = error_for(status, b"<html>Moved</html>", location=f"https://login.example.com/{TOKEN}?token={TOKEN}")
    assert "https://login.example.com/***, which is not followed" in str(error)
    assert TOKEN not in repr(vars(error))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://h/%63%30FFEE00-dead-4bad-8f00-d0123456789a/#x", "https://h/***/, which"),
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
        ("1.5", 2.0),
        ("0.001", 1.0),
        ("0.0", 0.0),
        ("1.5.5", None),
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


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", 42.0), ("1.5", 2.0)])
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

"""Read error bodies in any encoding, and make them safe to show."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.errors import ErrorBody, decode_body, parse_error_body, shorten

TOKEN = "c0ffee00-dead-4bad-8f00-d0123456789a"
TEXT = f'{{"message": "Token {TOKEN} is wrong", "code": "SC401"}}'


def parse(body: Any, content_type: str = "") -> ErrorBody:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_error_body(raw, content_type, TOKEN)


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
        ({"detail": ["Access denied."]}, True, "Access denied."),
        ({}, False, "JSON other than Make's errors: {}"),
        ({"error": "blocked"}, False, 'JSON other than Make\'s errors: {"error":"blocked"}'),
        ({"message": None, "detail": [], "suberrors": []}, False, "JSON other than Make's errors: "),
        ([{"message": "x"}], False, 'JSON other than Make\'s errors: [{"message":"x"}]'),
        (None, False, "JSON other than Make's errors: null"),
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


def test_shortened_text_is_one_safe_line() -> None:
    assert shorten(f" a\r\n\tb {TOKEN}\x9b ", TOKEN) == "a b ***\N{REPLACEMENT CHARACTER}"
    assert shorten("x" * 290 + TOKEN, TOKEN) == "x" * 290 + "***"
    assert shorten("x" * 301, TOKEN) == "x" * 300 + "…"

"""Hide tokens in the forms in which servers repeat them."""

from __future__ import annotations

import html
import json
import string
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.masking import contains_token, mask_secrets, mask_token

UUID = "c0ffee00-dead-4bad-8f00-d0123456789a"
TOKEN = "A\"b/c&d\\e'f<g%h=s"
ESCAPED = {
    "as it is": TOKEN,
    "in lower case": TOKEN.lower(),
    "in upper case": TOKEN.upper(),
    "percent-encoded": quote(TOKEN, safe=""),
    "percent-encoded in lower case": quote(TOKEN, safe="").lower(),
    "percent-encoded twice": quote(quote(TOKEN, safe=""), safe=""),
    "percent-encoded wholly": "".join(f"%{ord(character):02X}" for character in TOKEN),
    "in JSON": json.dumps(TOKEN)[1:-1],
    "in JSON in JSON": json.dumps(json.dumps(TOKEN))[3:-3],
    "in JSON with escaped slashes": json.dumps(TOKEN)[1:-1].replace("/", "\\/"),
    "in JSON by code": "".join(f"\\u{ord(character):04X}" for character in TOKEN),
    "in HTML": html.escape(TOKEN),
    "in HTML by decimal code": "".join(f"&#{ord(character)};" for character in TOKEN),
    "in HTML by hexadecimal code": "".join(f"&#x00{ord(character):x};" for character in TOKEN),
    "between NULs": "\0".join(TOKEN),
    "between U+FFFD": "\N{REPLACEMENT CHARACTER}".join(TOKEN),
    "wrapped": f"{TOKEN[:5]}\r\n{TOKEN[5:]}",
    "folded as a header": "\r\n   ".join(TOKEN[begin : begin + 4] for begin in range(0, len(TOKEN), 4)),
}


@pytest.mark.parametrize("form", ESCAPED)
def test_token_is_hidden_in_any_form(form: str) -> None:
    text = f"Bad token {ESCAPED[form]}, sorry"
    assert mask_token(text, TOKEN) == "Bad token ***, sorry"
    assert contains_token(text, TOKEN)


@given(st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1), st.text(), st.text())
def test_any_token_is_hidden(token: str, before: str, after: str) -> None:
    for form in (token, quote(token, safe=""), json.dumps(token)[1:-1]):
        assert "***" in mask_token(before + form + after, token)


@pytest.mark.parametrize("text", ["", "A", TOKEN[:7], f"{TOKEN[-7:]} and more", "c0ffee00-dead-4bad-8f00"])
def test_other_text_is_kept(text: str) -> None:
    assert mask_token(text, TOKEN) == mask_secrets(text) == text
    assert not contains_token(text, TOKEN)
    assert mask_token(text, "") == text


def test_short_token_is_not_searched_in_other_fields() -> None:
    assert not contains_token("1234567", "1234567")
    assert contains_token("12345678", "12345678")


@pytest.mark.parametrize("uuid", [UUID, UUID.upper(), UUID.replace("-", "%2D"), UUID.replace("-", "%2d")])
def test_uuids_are_hidden(uuid: str) -> None:
    assert mask_secrets(f"Token {uuid}.") == "Token ***."


@pytest.mark.parametrize("text", ["\\" * 300_000, "s" * 300_000, "%25" * 100_000, "A\0" * 150_000, "&#0" * 100_000])
def test_hostile_text_is_searched_in_little_time(text: str) -> None:
    began = time.process_time()
    mask_token(text, "s" * 36)
    mask_token(text, "\\" * 36)
    mask_token(text, TOKEN)
    assert time.process_time() - began < 5


ESCAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in lower case": str.lower,
    "in upper case": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded wholly": lambda text: "".join(f"%{ord(character):02X}" for character in text),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "in JSON by code": lambda text: "".join(f"\\u{ord(character):04X}" for character in text),
    "in HTML": html.escape,
    "in HTML by code": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "between U+FFFD": "\N{REPLACEMENT CHARACTER}".join,
    "wrapped": lambda text: f"{text[:5]}\r\n{text[5:]}",
}
# Letters whose length changes with their case, an end in the middle of a letter, and what surrounds a token.
AROUND = st.lists(
    st.sampled_from([*"ßİﬁ\ufffd\0 \"';:.…=<>{}[]", "token", "Token ", "%25 ", "&amp;", "\\u0020"]), max_size=8
).map("".join)
# As tokens are: UUIDs, and those of OAuth2.
TOKENS = st.one_of(
    st.uuids().map(str), st.text(st.sampled_from(string.ascii_letters + string.digits + "-._~+/="), min_size=8)
)


@given(st.data(), TOKENS, AROUND, AROUND, st.sampled_from(sorted(ESCAPES)))
def test_a_piece_of_a_token_is_hidden_wherever_it_is(
    data: st.DataObject, token: str, before: str, after: str, escape: str
) -> None:
    begin = data.draw(st.integers(0, len(token) - 8))
    piece = token[begin : data.draw(st.integers(begin + 8, len(token)))]
    masked = mask_token(before + ESCAPES[escape](piece) + after, token)
    assert "***" in masked
    remaining = html.unescape(unquote(unquote(masked.replace("\\u00", "%")))).lower()
    letters = "".join(character for character in remaining if " " <= character <= "~" and character != "\\")
    assert not any(piece[start : start + 8].lower() in letters for start in range(len(piece) - 7))


def test_what_is_before_and_after_a_piece_is_kept() -> None:
    assert mask_token(f"ßİﬁ Bad token {UUID[:20]}… or {UUID[-12:]}!", UUID) == "ßİﬁ Bad token ***… or ***!"


def test_credentials_in_a_url_are_hidden() -> None:
    assert mask_secrets("http://user:p@ss@proxy:1/x and https://a/b@c") == "http://***@proxy:1/x and https://a/b@c"

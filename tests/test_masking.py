"""Hide tokens in the forms in which servers repeat them."""

from __future__ import annotations

import html
import json
import time
from urllib.parse import quote

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


@pytest.mark.parametrize("text", ["", "A", TOKEN[1:], f"{TOKEN[:-1]} and more", "c0ffee00-dead-4bad-8f00"])
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


@pytest.mark.parametrize("end", ["", "\ufffd"])
def test_a_token_that_is_cut_off_at_the_end_is_hidden(end: str) -> None:
    for length in range(8, len(TOKEN)):
        assert mask_token(f"Bad token {TOKEN[:length]}{end}", TOKEN) == "Bad token ***"


def test_credentials_in_a_url_are_hidden() -> None:
    assert mask_secrets("http://user:p@ss@proxy:1/x and https://a/b@c") == "http://***@proxy:1/x and https://a/b@c"

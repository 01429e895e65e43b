"""The body of a response that is not a success: Make's JSON error, or whatever a server in front of Make sent."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, NamedTuple

from airflow_provider_make.masking import mask_token
from airflow_provider_make.text import replace_unprintable

_MAX_BODY_LENGTH = 1_000_000
_MAX_TEXT_LENGTH = 300
_MAX_SUBERRORS = 10
# {"detail": "Access denied.", "message": "Permission denied", "code": "SC403", "suberrors": [{"message": …}]}
_FIELDS = ("message", "detail", "code", "suberrors")
_PAGE_LIMIT = re.compile(r"\blimit\b|pg%5Blimit", re.IGNORECASE)
# UTF-32 first: its mark begins with that of UTF-16. These decoders remove the mark.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Which of each four bytes of mostly ASCII text are NUL.
_ENCODINGS_BY_NULS = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
# Python has decoders that are slow, or that do not decode text at all.
_KNOWN_ENCODING = re.compile(r"ascii|utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[ru]|shift_jis|euc_\w+|gb\w+|big5")


class ErrorBody(NamedTuple):
    """
    An error that is safe to show: without the token and control characters, and short.

    :param is_from_make: Whether it is Make's JSON, and not from a firewall or a proxy.
    :param names_the_page_limit: Whether it mentions ``pg[limit]``, or any limit.
    :param message: Make's ``message``, else its ``detail``; for another body, what it is and how it begins.
    :param detail: Make's ``detail``.
    :param code: Make's error code.
    :param suberrors: Make's ``suberrors``: ten at most, and then how many more there are.
    """

    is_from_make: bool
    names_the_page_limit: bool
    message: str
    detail: str | None = None
    code: str | None = None
    suberrors: tuple[str, ...] = ()


def parse_error_body(body: bytes, content_type: str, secret: str) -> ErrorBody:
    """
    Parse the body of an error.

    :param body: The body, in any encoding.
    :param content_type: The Content-Type header; empty if the response has none.
    :param secret: The token, which is hidden.
    :return: The error.
    """
    text = decode_body(body[:_MAX_BODY_LENGTH], content_type)
    try:
        return _parse(json.loads(text), secret)
    except (ValueError, RecursionError):
        pass
    if not text.strip():
        return ErrorBody(False, False, "an empty body")
    content = "HTML" if text.lstrip().startswith("<") else "text"
    return ErrorBody(False, False, f"{content} instead of Make's JSON: {shorten(text, secret)}")


def decode_body(body: bytes, content_type: str) -> str:
    """
    Decode a body as the text that people would read in it, so that a token is found in it.

    :param body: The body.
    :param content_type: The Content-Type header, whose charset is used for what is not UTF-8, UTF-16 or UTF-32.
    :return: The text, with U+FFFD in the place of what can't be decoded.
    """
    for mark, marked in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(marked, errors="replace")
    sample = body[: min(len(body), 1000) // 4 * 4]
    first, second, third, fourth = (sample[place::4].count(0) * 8 > len(sample) for place in range(4))
    if encoding := _ENCODINGS_BY_NULS.get((first, second, third, fourth)):
        return body.decode(encoding, errors="replace")
    try:
        # Before the charset: a wrong one would hide a token from us, but not from those who undo it.
        return body.decode()
    except UnicodeDecodeError:
        return body.decode(_charset(content_type), errors="replace")


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    try:
        encoding = codecs.lookup(found[1]).name if found else "utf-8"
    except (LookupError, ValueError):
        encoding = "utf-8"
    return encoding if _KNOWN_ENCODING.fullmatch(encoding) else "utf-8"


def _parse(error: Any, secret: str) -> ErrorBody:
    if not isinstance(error, dict) or not any(error.get(name) for name in _FIELDS):
        return ErrorBody(False, False, f"JSON other than Make's errors: {shorten(_to_json(error), secret)}")
    message, detail, code = (shorten(_to_text(error.get(name)), secret) for name in _FIELDS[:3])
    suberrors = error.get("suberrors")
    texts = [shorten(_to_text(suberror), secret) for suberror in (suberrors if isinstance(suberrors, list) else ())]
    texts = [text for text in texts if text]
    if len(texts) > _MAX_SUBERRORS:
        texts[_MAX_SUBERRORS:] = [f"and {len(texts) - _MAX_SUBERRORS} more"]
    return ErrorBody(
        is_from_make=True,
        names_the_page_limit=any(_PAGE_LIMIT.search(_to_json(error.get(name))) for name in _FIELDS),
        message=message or detail or "no message",
        detail=detail or None,
        code=code or None,
        suberrors=tuple(texts),
    )


def _to_text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(text for text in map(_item_to_text, value) if text)
    return _item_to_text(value)


def _item_to_text(value: Any) -> str:
    if isinstance(value, dict) and isinstance(message := value.get("message"), str) and message:
        return message
    if isinstance(value, str):
        return value
    return "" if value in (None, [], {}) else _to_json(value)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def shorten(text: str, secret: str) -> str:
    """
    Make text of a server safe to show.

    :param text: The text.
    :param secret: The token, which is hidden.
    :return: One line of 300 characters at most, without control characters.
    """
    text = replace_unprintable(" ".join(mask_token(text, secret).split()))
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"

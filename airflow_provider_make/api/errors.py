"""What a response that is not a success means: Make's error body, and the error raised for it."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakeFilterError,
    MakeIncompleteResultError,
    MakePageLimitError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)
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


# Seconds: ten minutes. A longer pause is Airflow's part, by the task's retry_delay; a server may ask for years.
MAX_RETRY_AFTER = 600.0
_TRANSIENT_STATUSES = (408, 425)
# X-RateLimit-Reset has no standard. Numbers up to a day are seconds from now, and those from here on are milliseconds.
_SECONDS_OF_A_DAY = 86_400
_FIRST_MILLISECONDS = 1e11
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")

_FIREWALL_ADVICE = (
    "This is not Make's JSON: it comes from a firewall or a proxy in front of Make, not from the token's rights. "
    "Ask your network team for rules that block the worker's IP address or the User-Agent airflow-provider-make."
)
_NOT_FOUND_ADVICE = (
    "Check the organization id, the filters, and the connection's host. Make may also hide a 403 behind a 404: "
    "check that plan, role, scope and zone allow the token to read this."
)


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
) -> MakeApiError:
    """
    Convert a response that is not a success to an error.

    :param status: The HTTP status.
    :param headers: The headers, case-insensitive.
    :param body: The body: Make's JSON error, or whatever a proxy sent.
    :param secret: The token, which is masked in all text from the response.
    :param now: The present time, aware, for headers with the time of the next request.
    :return: The error, for the caller to raise. Its ``retry_after`` is ``MAX_RETRY_AFTER`` at most.
    """
    error = parse_error_body(body, headers.get("content-type", ""), secret)
    if status in range(300, 400):
        target = headers.get("location", "an unknown location").partition("?")[0].partition("#")[0]
        message = f"a redirect to {shorten(target, secret)}, which is not followed: check the connection's host"
        error = ErrorBody(False, False, message)
    retry_after = parse_retry_after(headers.get("retry-after"), now)
    if retry_after is None and status == 429:
        retry_after = parse_rate_limit_reset(headers.get("x-ratelimit-reset"), now)
    is_about_page_limit = status in (400, 422) and error.names_the_page_limit
    kind = MakePageLimitError if is_about_page_limit else _error_class(status)
    return kind(
        error.message,
        status_code=status,
        code=error.code,
        detail=error.detail,
        suberrors=error.suberrors,
        retry_after=retry_after,
        advice=_advice(status, error),
    )


def is_refused_by_make(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """
    Decide whether Make itself refuses the token: what a firewall or a proxy refuses is not about the token.

    :param status: The HTTP status.
    :param headers: The headers, case-insensitive.
    :param body: The body.
    :return: Whether it is Make's 401 or 403.
    """
    return status in (401, 403) and parse_error_body(body, headers.get("content-type", ""), "").is_from_make


def _error_class(status: int) -> type[MakeApiError]:
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return MakeServerError
    if status in range(400, 500):
        by_status = {401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError}
        return by_status.get(status, MakeRequestError)
    return MakeResponseError


def _advice(status: int, error: ErrorBody) -> str | None:
    if status == 403 and not error.is_from_make:
        return _FIREWALL_ADVICE
    if status == 404:
        return _NOT_FOUND_ADVICE
    return None


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """
    Parse a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3).

    :param value: Seconds, or an HTTP date; None if the header is absent.
    :param now: The present time, aware.
    :return: Seconds from now, from zero to ``MAX_RETRY_AFTER``; None if the header is absent or malformed.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # A date that has passed is no hint: this machine's clock may be fast.
    seconds = (moment - now).total_seconds()
    return min(seconds, MAX_RETRY_AFTER) if seconds > 0 else None


def parse_rate_limit_reset(value: str | None, now: datetime) -> float | None:
    """
    Parse an ``X-RateLimit-Reset`` header: when the rate limit's period ends.

    :param value: Seconds or milliseconds since 1970, or seconds from now, which differ in size; None if the header is
        absent.
    :param now: The present time, aware.
    :return: Seconds from now, above zero and up to ``MAX_RETRY_AFTER``; None if the header is absent or malformed, or
        if that time has passed, so that it is no help.
    """
    if value is None or not _NUMBER.fullmatch(value.strip()):
        return None
    number = float(value)
    if number > _SECONDS_OF_A_DAY:
        number = number / (1000 if number >= _FIRST_MILLISECONDS else 1) - now.timestamp()
    return min(number, MAX_RETRY_AFTER) if number > 0 else None


def is_retryable(error: MakeApiError) -> bool:
    """
    Decide whether a retry of the same request, or of reading the same pages, may succeed.

    :param error: The error of the last try.
    :return: True for rate limits, server errors, dropped or timed-out connections, 200 responses that are truncated,
        HTML or of another shape, and results that are not exact; False for all other errors.
    """
    if isinstance(error, MakeResponseError):
        return error.status_code in (None, 200) and not isinstance(error, MakeFilterError)
    return isinstance(error, (MakeConnectionError, MakeIncompleteResultError, MakeRateLimitError, MakeServerError))

"""What a response that is not a success means: Make's error body, and the error raised for it."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from airflow_provider_make.api.query import FILTERS
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

# Seconds: ten minutes. A longer pause is Airflow's part, by the task's retry_delay; a server may ask for years.
MAX_RETRY_AFTER = 600.0
_TRANSIENT_STATUSES = (408, 425)
# X-RateLimit-Reset has no standard. Numbers up to a day are seconds from now, and those from here on are milliseconds.
_SECONDS_OF_A_DAY = 86_400
_FIRST_MILLISECONDS = 1e11
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"

# Bytes: what is longer is read in part, and so is no JSON.
MAX_ERROR_BYTES = 1_000_000
_MAX_TEXT_LENGTH = 300
# Searching a megabyte for the token would stop the event loop for a second.
_MAX_MASKED_LENGTH = 3_000
_MAX_SUBERRORS = 10
# Of a longer list, only so many items are looked at.
_MAX_ITEMS = 100
# Proxies refuse longer URLs from about this many characters on; few of them with the right status.
_LONG_URL = 2_000
_TOO_LONG_STATUSES = (413, 414, 431)
# {"detail": "Access denied.", "message": "Permission denied", "code": "SC403", "suberrors": [{"message": …}]}
_FIELDS = ("message", "detail", "code", "suberrors")
# Compiled at the first error, as most pulls have none.
_PAGE_LIMIT = r"(?i)\blimit\b|pg%5Blimit"
_CODE_OF_STATUS = r"SC([45][0-9][0-9])"
_CHARSET = r"(?i)charset\s*=\s*[\"']?([\w.:-]+)"
# Python has decoders that are slow, or that do not decode text at all.
_KNOWN_ENCODING = r"ascii|utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[ru]|shift_jis|euc_\w+|gb\w+|big5"

_FIREWALL_ADVICE = (
    "This is not Make's JSON: it comes from a firewall or a proxy in front of Make, not from the token's rights. "
    "Ask your network team for rules that block the worker's IP address or the User-Agent airflow-provider-make."
)
_NOT_FOUND_ADVICE = (
    "Check the organization id, the filters, and the connection's host. Make may also hide a 403 behind a 404: "
    "check that plan, role, scope and zone allow the token to read this."
)


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: str,
    now: datetime,
    parameters: Sequence[tuple[str, str]] = (),
) -> MakeApiError:
    """
    Convert a response that is not a success to an error, in whose texts the token, ``secret``, is hidden.

    The ``parameters`` are those of the request's URL, for one that is too long.
    """
    error = parse_error_body(body, headers.get("content-type", ""), secret)
    if status in range(300, 400):
        target = headers.get("location", "an unknown location").partition("?")[0].partition("#")[0]
        message = f"a redirect to {shorten(target, secret)}, which is not followed: check the connection's host"
        error = ErrorBody(message)
    retry_after = parse_retry_after(headers.get("retry-after"), now)
    if retry_after is None and status == 429:
        retry_after = parse_rate_limit_reset(headers.get("x-ratelimit-reset"), now)
    advice = None
    if status == 403 and not error.is_from_make:
        advice = _FIREWALL_ADVICE
    elif status == 404:
        advice = _NOT_FOUND_ADVICE
    elif status in _TOO_LONG_STATUSES or (status == 400 and not error.is_from_make):
        advice = _advice_on_length(parameters)
    return _error_class(status, error)(
        error.message,
        status_code=status,
        code=error.code,
        detail=error.detail,
        suberrors=error.suberrors,
        retry_after=retry_after,
        advice=advice,
    )


def _advice_on_length(parameters: Sequence[tuple[str, str]]) -> str | None:
    """Name the filter with the most values, which makes a URL long; None for a URL that is not."""
    counts = Counter(name.removesuffix("[]") for name, _ in parameters)
    count, argument = max((counts[of_make], name) for name, of_make in FILTERS.items())
    length = len(urlencode(parameters))
    if count < 2 or length < _LONG_URL:
        return None
    return (
        f"The parameters in the URL have {length:,} characters, because {argument} has {count:,} values. "
        f"Use fewer, or .expand({argument}=[...]) for one task each."
    )


def _error_class(status: int, error: ErrorBody) -> type[MakeApiError]:
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return MakeServerError
    if status in (400, 422) and error.names_the_page_limit:
        return MakePageLimitError
    if status in range(400, 500):
        by_status = {401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError}
        return by_status.get(status, MakeRequestError)
    return MakeResponseError


def status_within_success(headers: Mapping[str, str], body: bytes) -> int | None:
    """Return the status that Make's error in the body of a 200 response stands for; None if it is no such error."""
    return parse_error_body(body, headers.get("content-type", ""), "").apparent_status


def is_refused_by_make(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Decide whether Make itself refuses the token: what a firewall or a proxy refuses is not about the token."""
    return status in (401, 403) and parse_error_body(body, headers.get("content-type", ""), "").is_from_make


def is_retryable(error: MakeApiError) -> bool:
    """Decide whether a retry of the same request, or of reading the same pages, may succeed."""
    if isinstance(error, MakeResponseError):
        # Truncated, HTML, or of another shape; but a redirect stays one.
        return error.status_code in (None, 200) and not isinstance(error, MakeFilterError)
    return isinstance(error, (MakeConnectionError, MakeIncompleteResultError, MakeRateLimitError, MakeServerError))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Parse a ``Retry-After`` header, seconds or a date (RFC 9110, 10.2.3), to seconds; None if it is no help."""
    if value is None:
        return None
    if re.fullmatch(_NUMBER, value.strip()):
        # Some servers send a fraction.
        return math.ceil(min(float(value), MAX_RETRY_AFTER))
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
    """Parse an ``X-RateLimit-Reset`` header, the end of the rate limit's period, to seconds; None if it is no help."""
    if value is None or not re.fullmatch(_NUMBER, value.strip()):
        return None
    number = float(value)
    if number > _SECONDS_OF_A_DAY:
        number = number / (1000 if number >= _FIRST_MILLISECONDS else 1) - now.timestamp()
    return min(number, MAX_RETRY_AFTER) if number > 0 else None


class ErrorBody(NamedTuple):
    """An error that is safe to show: without the token and control characters, and short."""

    # For another body than Make's, what it is and how it begins.
    message: str
    detail: str | None = None
    code: str | None = None
    suberrors: tuple[str, ...] = ()
    # Make's JSON, not that of a firewall or a proxy.
    is_from_make: bool = False
    # Any limit: Make's name of the parameter is not documented.
    names_the_page_limit: bool = False
    # What Make's JSON says of the status, or 200; None for a body that is more than an error.
    apparent_status: int | None = None


def parse_error_body(body: bytes, content_type: str, secret: str) -> ErrorBody:
    """Parse the body of an error in any encoding, and hide the token."""
    text = decode_body(body[:MAX_ERROR_BYTES], content_type)
    try:
        return _parse_json(text, secret)
    except (ValueError, RecursionError):
        pass
    if not text.strip():
        return ErrorBody("an empty body")
    content = "HTML" if text.lstrip().startswith("<") else "text"
    return ErrorBody(f"{content} instead of Make's JSON: {shorten(text, secret)}")


def _parse_json(text: str, secret: str) -> ErrorBody:
    error = json.loads(text)
    if not isinstance(error, dict) or not any(error.get(name) for name in _FIELDS):
        return ErrorBody(f"JSON other than Make's errors: {shorten(_to_json(error), secret)}")
    message, detail, code = (shorten(_to_text(error.get(name)), secret) for name in _FIELDS[:3])
    suberrors = error.get("suberrors")
    suberrors = suberrors if isinstance(suberrors, list) else []
    found = list(filter(None, map(_to_text, suberrors[:_MAX_ITEMS])))
    texts = [shorten(text, secret) for text in found[:_MAX_SUBERRORS]]
    if more := len(found[_MAX_SUBERRORS:]) + len(suberrors[_MAX_ITEMS:]):
        texts.append(f"and {more} more")
    is_only_error = (message and code) or not any(
        isinstance(error[name], (list, dict)) for name in error.keys() - _FIELDS
    )
    return ErrorBody(
        message=message or detail or "no message",
        detail=detail or None,
        code=code or None,
        suberrors=tuple(texts),
        is_from_make=True,
        names_the_page_limit=any(re.search(_PAGE_LIMIT, _to_json(_begin(error.get(name)))) for name in _FIELDS),
        apparent_status=_apparent_status(error) if is_only_error else None,
    )


def _apparent_status(error: Mapping[str, Any]) -> int:
    statuses = [error.get(name) for name in ("statusCode", "status")]
    if found := re.fullmatch(_CODE_OF_STATUS, str(error.get("code"))):
        statuses.insert(0, int(found[1]))
    return next((status for status in statuses if isinstance(status, int) and status in range(400, 600)), 200)


def decode_body(body: bytes, content_type: str) -> str:
    """Decode a body as the text that people would read in it, so that a token is found in it."""
    encoding = json.detect_encoding(body)
    if encoding.endswith(("-le", "-be")) and body.count(0) * 4 < len(body):
        # It guesses by the first NUL, which other text may have, too.
        encoding = "utf-8"
    try:
        # Before the charset: a wrong one would hide a token from us, but not from those who undo it.
        return body.decode(encoding, errors="strict" if encoding == "utf-8" else "replace")
    except UnicodeDecodeError:
        return body.decode(_charset(content_type), errors="replace")


def _charset(content_type: str) -> str:
    found = re.search(_CHARSET, content_type)
    try:
        encoding = codecs.lookup(found[1]).name if found else "utf-8"
    except (LookupError, ValueError):
        encoding = "utf-8"
    return encoding if re.fullmatch(_KNOWN_ENCODING, encoding) else "utf-8"


def _begin(value: Any) -> Any:
    if isinstance(value, list):
        return value[:_MAX_ITEMS]
    return value[:_MAX_MASKED_LENGTH] if isinstance(value, str) else value


def _to_text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(text for text in map(_item_to_text, _begin(value)) if text)
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
    """Make text of a server safe to show: one line of 300 characters, without the token and control characters."""
    text = replace_unprintable(" ".join(mask_token(text[:_MAX_MASKED_LENGTH], secret).split()))
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"

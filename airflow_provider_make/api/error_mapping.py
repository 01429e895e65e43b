"""The error for a response that is not a success, and whether a retry may help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

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

_MAX_TEXT_LENGTH = 300
_TRANSIENT_STATUSES = (408, 425)


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
) -> MakeApiError:
    """
    Convert a response that is not a success to an error.

    :param status: The HTTP status.
    :param headers: The headers, case-insensitive.
    :param body: The body: Make's JSON error, or whatever a proxy sent.
    :param secret: The token, which is masked in all text from the response.
    :param now: The present time, aware, for a ``Retry-After`` that is a date.
    :return: The error, for the caller to raise.
    """
    fields = _parse_error(body.decode("utf-8", errors="replace"), secret)
    if status in range(300, 400):
        target = _shorten(headers.get("location", "an unknown location").partition("?")[0], secret)
        fields = {"message": f"a redirect to {target}, which is not followed: check the connection's host"}
    retry_after = parse_retry_after(headers.get("retry-after"), now)
    return _error_class(status)(status_code=status, retry_after=retry_after, **fields)


def _error_class(status: int) -> type[MakeApiError]:
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return MakeServerError
    if status in range(400, 500):
        by_status = {401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError}
        return by_status.get(status, MakeRequestError)
    return MakeResponseError


def _parse_error(text: str, secret: str) -> dict[str, Any]:
    # {"detail": "Access denied.", "message": "Permission denied", "code": "SC403", "suberrors": [{"message": …}]}
    try:
        error = json.loads(text)
    except (ValueError, RecursionError):
        error = None
    if not isinstance(error, dict):
        content = "HTML" if text.lstrip().startswith("<") else "text"
        return {
            "message": f"{content} instead of Make's JSON: {_shorten(text, secret)}"
            if text.strip()
            else "an empty body"
        }
    message, detail, code = (_shorten(error.get(name), secret) for name in ("message", "detail", "code"))
    suberrors = error.get("suberrors")
    texts = (
        _shorten(suberror.get("message") if isinstance(suberror, dict) else suberror, secret)
        for suberror in (suberrors if isinstance(suberrors, list) else [])
    )
    return {
        "message": message or detail or "no message",
        "detail": detail or None,
        "code": code or None,
        "suberrors": [text for text in texts if text],
    }


def _shorten(value: Any, secret: str) -> str:
    # JSON may contain lone surrogates, which a log can't encode.
    text = ("" if value is None else str(value)).encode("utf-8", errors="replace").decode()
    text = " ".join(text.replace(secret, "***").split())
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """
    Parse a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3).

    :param value: Seconds, or an HTTP date; None if the header is absent.
    :param now: The present time, aware.
    :return: Seconds from now, zero or more; None if the header is absent or malformed.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def is_retryable(error: MakeApiError) -> bool:
    """
    Decide whether a retry of the same request, or of reading the same pages, may succeed.

    :param error: The error of the last try.
    :return: True for rate limits, server errors, dropped or timed-out connections, 200 responses that are truncated,
        HTML or of another shape, and results that are not exact; False for all other errors.
    """
    if isinstance(error, MakeResponseError):
        return error.status_code in (None, 200)
    return isinstance(error, (MakeConnectionError, MakeIncompleteResultError, MakeRateLimitError, MakeServerError))

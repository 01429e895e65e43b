"""What a failed request means: which error it is, and whether another try can mend it."""

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

_LONGEST_TEXT = 300
_TRANSIENT_STATUSES = (408, 425)


def failure(status: int, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> MakeApiError:
    """
    Make an error of any answer that is not a success.

    :param status: The HTTP status.
    :param headers: The answer's headers, looked up by their names in lower case or as usual.
    :param body: The answer's body: Make's JSON error, or whatever a proxy wrote.
    :param secret: The token, blotted out of all that the answer says.
    :param now: The present, aware, for a ``Retry-After`` that is a date.
    :return: The error, to be raised by the caller.
    """
    said = _read_error(body.decode("utf-8", errors="replace"), secret)
    if status in range(300, 400):
        target = _short(headers.get("location", "elsewhere"), secret)
        said = {"message": f"a redirect to {target}, which is not followed: check the connection's host"}
    return _kind(status)(status_code=status, retry_after=read_retry_after(headers.get("retry-after"), now), **said)


def _kind(status: int) -> type[MakeApiError]:
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return MakeServerError
    if status in range(400, 500):
        by_status = {401: MakeAuthenticationError, 403: MakeAccessDeniedError, 429: MakeRateLimitError}
        return by_status.get(status, MakeRequestError)
    return MakeResponseError


def _read_error(text: str, secret: str) -> dict[str, Any]:
    # {"detail": "Access denied.", "message": "Permission denied", "code": "SC403", "suberrors": [{"message": …}]}
    try:
        error = json.loads(text)
    except (ValueError, RecursionError):
        error = None
    if not isinstance(error, dict):
        kind = "HTML" if text.lstrip().startswith("<") else "text"
        return {
            "message": f"{kind} instead of Make's JSON: {_short(text, secret)}" if text.strip() else "an empty body"
        }
    message, detail, code = (_short(error.get(name), secret) for name in ("message", "detail", "code"))
    suberrors = error.get("suberrors")
    texts = (
        _short(suberror.get("message") if isinstance(suberror, dict) else suberror, secret)
        for suberror in (suberrors if isinstance(suberrors, list) else [])
    )
    return {
        "message": message or detail or "no message",
        "detail": detail or None,
        "code": code or None,
        "suberrors": [text for text in texts if text],
    }


def _short(value: Any, secret: str) -> str:
    # JSON may hold lone surrogates, which no log can write.
    text = ("" if value is None else str(value)).encode("utf-8", errors="replace").decode()
    text = " ".join(text.replace(secret, "***").split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """
    Read a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3).

    :param value: Seconds, or an HTTP date; None if there is no such header.
    :param now: The present, aware.
    :return: Seconds from now, zero or more; None if there is nothing readable.
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


def may_mend(error: MakeApiError) -> bool:
    """
    Tell whether the same request, or round of reading, may succeed when it is tried again.

    :param error: What the last try ended with.
    :return: True for rate limits, server errors, dropped or timed-out connections, 200 answers that are cut
        off, HTML or misshapen, and results that were not exact; False for all else.
    """
    if isinstance(error, MakeResponseError):
        return error.status_code in (None, 200)
    return isinstance(error, (MakeConnectionError, MakeIncompleteResultError, MakeRateLimitError, MakeServerError))

"""The error for a response that is not a success, and whether a retry may help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_provider_make.api.error_body import ErrorBody, parse_error_body, shorten
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

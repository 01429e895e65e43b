from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.retry import (
    MAX_BACKOFF,
    MAX_RATE_LIMIT_WAIT,
    Attempts,
    RateLimiter,
    RetryRules,
    minimum_delay,
)
from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakeInputError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)

SERVER_ERROR = MakeServerError("trouble", status_code=503)


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays at their upper bound."""

    def upper_bound(low: float, high: float) -> float:
        assert low == 0.0
        return high

    monkeypatch.setattr(random, "uniform", upper_bound)


def rate_limited(seconds: float) -> MakeApiError:
    return MakeRateLimitError("slow down", status_code=429, retry_after=seconds)


BAD_RULES: dict[str, list[Any]] = {
    "limit": [0, -1, None, True, 2.5, "x", math.inf],
    "delay": [-0.1, -1, None, True, "x", math.nan, math.inf, [1], 10**400],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_RULES.items() for value in values])
def test_error_names_the_invalid_rule(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        RetryRules(**{"limit": 5, "delay": 1.0, name: value})
    assert str(caught.value).startswith(f"api_retry_{name}={value!r} is not valid: expected ")


@pytest.mark.parametrize(
    ("delay", "delays"),
    [
        (1.0, [1, 2, 4, 8, 16, 32, 60, 60]),
        (0.25, [0.25, 0.5, 1, 2]),
        (7, [7, 14, 28, 56, 60]),
        (1000, [60, 60]),
        (0, [0, 0, 0]),
    ],
)
def test_delay_doubles_up_to_the_maximum(delay: float, delays: list[float], no_jitter: None) -> None:
    rules = RetryRules(99, delay)
    assert MAX_BACKOFF == 60
    assert [rules.delay_after(SERVER_ERROR, tries) for tries in range(1, len(delays) + 1)] == delays


def test_delay_after_very_many_tries_is_the_maximum(no_jitter: None) -> None:
    assert RetryRules(10**6, 1.0).delay_after(SERVER_ERROR, 10**6) == MAX_BACKOFF


def test_jitter_is_between_zero_and_the_whole_delay() -> None:
    drawn = [RetryRules(5, 4.0).delay_after(SERVER_ERROR, 2) for _ in range(200)]
    assert 0 <= min(drawn) < 2 < 6 < max(drawn) <= 8


@pytest.mark.parametrize(
    ("error", "shortest", "longest"),
    [
        # Without a hint, a 429 means the rest of a minute.
        (MakeRateLimitError("slow down", status_code=429), 60.0, 66.0),
        (rate_limited(45.0), 45.0, 45.0),
        (rate_limited(600.0), 600.0, 600.0),
        (rate_limited(0.0), 1.0, 1.0),
        (MakeServerError("down", status_code=503, retry_after=2.5), 2.5, 2.5),
        (MakeServerError("down", status_code=503, retry_after=0.0), 0.0, 8.0),
        (SERVER_ERROR, 0.0, 8.0),
    ],
)
def test_what_the_server_asks_for_replaces_the_delay(error: MakeApiError, shortest: float, longest: float) -> None:
    delays = [RetryRules(5, 1.0).delay_after(error, 4) for _ in range(100)]
    assert shortest <= minimum_delay(error)
    assert shortest <= min(delays) <= max(delays) <= longest


def test_attempts_end_at_the_limit_and_record_each_try(no_jitter: None) -> None:
    attempts = Attempts(RetryRules(3, 1.0))
    last = MakeConnectionError("no response within 60 s")
    delays = [attempts.record(error) for error in (SERVER_ERROR, SERVER_ERROR, last)]
    assert delays == [1, 2, None]
    assert last.tries == (*["HTTP 503: trouble"] * 2, "no response within 60 s")
    for text in ("3 tries", "1. HTTP 503: trouble", "2. the same", "3. no response within"):
        assert text in str(last)


def test_rate_limits_use_up_no_tries(no_jitter: None) -> None:
    attempts = Attempts(RetryRules(2, 1.0))
    assert [attempts.record(error) for error in (rate_limited(7), rate_limited(8), SERVER_ERROR)] == [7, 8, 1]
    assert attempts.waited_for_rate_limits == 15
    assert str(attempts) == "Try 1 of 2"
    assert attempts.record(SERVER_ERROR) is None


@pytest.mark.parametrize(
    ("retry_after", "waits"), [(None, 9), (0.0, 14), (1.0, 14), (60.0, 10), (599.0, 1), (600.0, 1)]
)
def test_rate_limits_are_waited_out_for_ten_minutes_in_all(
    retry_after: float | None, waits: int, no_jitter: None
) -> None:
    attempts = Attempts(RetryRules(5, 1.0))
    error = MakeRateLimitError("slow down", status_code=429, retry_after=retry_after)
    delays = []
    while (delay := attempts.record(error)) is not None:
        delays.append(delay)
    assert len(delays) == waits
    assert sum(delays) <= MAX_RATE_LIMIT_WAIT == 600
    assert len(error.tries) == waits + 1


@pytest.mark.parametrize("error", [SERVER_ERROR, rate_limited(1), MakeRateLimitError("slow down", status_code=429)])
def test_limit_of_one_means_no_retry(error: MakeApiError) -> None:
    assert Attempts(RetryRules(1, 1.0)).record(error) is None
    assert "tries" not in str(error)


@pytest.mark.parametrize(
    "permanent",
    [
        MakeAuthenticationError("unknown token", status_code=401),
        MakeAccessDeniedError("not yours", status_code=403),
        MakeRequestError("no such parameter", status_code=400, retry_after=1.0),
        MakeResponseError("redirect", status_code=302),
    ],
)
def test_permanent_error_is_not_retried(permanent: MakeApiError, no_jitter: None) -> None:
    attempts = Attempts(RetryRules(5, 1.0))
    assert attempts.record(SERVER_ERROR) == 1
    assert attempts.record(permanent) is None
    assert permanent.tries == ("HTTP 503: trouble", permanent.headline())


def test_attempts_are_shown_with_the_limit() -> None:
    attempts = Attempts(RetryRules(5, 1.0))
    attempts.record(SERVER_ERROR)
    attempts.record(SERVER_ERROR)
    assert str(attempts) == "Try 2 of 5"


def send_times(limiter: RateLimiter, claimed_at: list[float]) -> list[float]:
    """Return when requests are sent if each sender claims, waits as long as returned, and claims again."""
    claims = sorted(claimed_at)
    sent: list[float] = []
    while claims:
        now = claims.pop(0)
        if wait := limiter.acquire(now):
            claims = sorted([*claims, now + wait])
        else:
            sent.append(now)
    return sent


def test_first_request_is_sent_at_once_and_the_others_are_spaced() -> None:
    assert send_times(RateLimiter(120), [1000.0] * 4) == [1000, 1000.5, 1001, 1001.5]
    assert send_times(RateLimiter(120), [1000.0, 1010.0, 1010.25]) == [1000, 1010, 1010.5]


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e6])
def test_no_limit_means_no_wait(now: float) -> None:
    assert send_times(RateLimiter(None), [now] * 100) == [now] * 100


@pytest.mark.parametrize(("per_minute", "sent"), [(None, [40, 40, 45]), (60, [40, 41, 45])])
def test_pause_delays_all_requests(per_minute: float | None, sent: list[float]) -> None:
    limiter = RateLimiter(per_minute)
    limiter.acquire(0.0)
    limiter.pause(10.0, 30.0)
    assert send_times(limiter, [10.0, 20.0, 45.0]) == sent


def test_shorter_pause_does_not_end_a_longer_one() -> None:
    limiter = RateLimiter(None)
    limiter.pause(0.0, 30.0)
    limiter.pause(1.0, 5.0)
    assert limiter.acquire(1.0) == 29


@given(per_minute=st.integers(1, 1000), claimed_at=st.lists(st.integers(0, 6000), max_size=60).map(lambda few: few * 5))
def test_no_minute_has_more_requests_than_allowed(per_minute: int, claimed_at: list[int]) -> None:
    sent = send_times(RateLimiter(per_minute), [tenths / 10 for tenths in claimed_at])
    assert len(sent) == len(claimed_at)
    # One more may be sent at the very end of the minute.
    assert max((sum(begin <= time <= begin + 60 for time in sent) for begin in sent), default=0) <= per_minute + 1

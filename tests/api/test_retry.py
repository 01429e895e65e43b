from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.retry import MAX_BACKOFF, MAX_RETRY_AFTER, Attempts, RateLimiter, RetryRules
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

TROUBLE = MakeServerError("trouble", status_code=503)


def highest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def asked_to_wait(seconds: float) -> MakeApiError:
    return MakeRateLimitError("slow down", status_code=429, retry_after=seconds)


BAD_RULES: dict[str, list[Any]] = {
    "limit": [0, -1, None, True, 2.0, "x", math.inf],
    "delay": [-0.1, -1, None, True, "x", math.nan, math.inf, [1], 10**400],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_RULES.items() for value in values])
def test_bad_rule_is_named(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        RetryRules(**{"limit": 5, "delay": 1.0, name: value})
    assert str(caught.value).startswith(f"api_retry_{name}={value!r} is not valid: expected ")


@pytest.mark.parametrize(
    ("delay", "pauses"),
    [
        (1.0, [1, 2, 4, 8, 16, 32, 60, 60]),
        (0.25, [0.25, 0.5, 1, 2]),
        (7, [7, 14, 28, 56, 60]),
        (1000, [60, 60]),
        (0, [0, 0, 0]),
    ],
)
def test_pauses_double_up_to_the_cap(delay: float, pauses: list[float]) -> None:
    rules = RetryRules(99, delay, highest)
    assert MAX_BACKOFF == 60
    assert [rules.delay_after(TROUBLE, tries) for tries in range(1, len(pauses) + 1)] == pauses


def test_pause_after_very_many_tries() -> None:
    assert RetryRules(10**6, 1.0, highest).delay_after(TROUBLE, 10**6) == MAX_BACKOFF


def test_jitter_draws_from_zero_to_the_whole_pause() -> None:
    assert RetryRules(5, 4.0, lambda low, high: low + (high - low) / 4).delay_after(TROUBLE, 2) == 2.0
    drawn = [RetryRules(5, 4.0).delay_after(TROUBLE, 1) for _ in range(200)]
    assert 0 <= min(drawn) < 2 < max(drawn) <= 4


WAITS = [(0.0, 0.0), (2.5, 2.5), (300.0, 300.0), (301.0, 300.0), (math.inf, 300.0)]


@pytest.mark.parametrize(("asked", "pause"), WAITS)
def test_retry_after_replaces_the_pause_and_is_capped(asked: float, pause: float) -> None:
    assert MAX_RETRY_AFTER == 300
    assert RetryRules(5, 1.0, highest).delay_after(asked_to_wait(asked), 4) == pause


def fail(attempts: Attempts, error: MakeApiError) -> float | None:
    """Record an error: the delay before the next try, None if there is none."""
    attempts.record(error)
    return attempts.next_delay(error) if attempts.may_retry(error) else None


def test_attempts_end_at_the_limit_and_record_each_try() -> None:
    attempts = Attempts(RetryRules(4, 1.0, highest))
    last = MakeConnectionError("no response within 60 s")
    delays = [fail(attempts, error) for error in (TROUBLE, asked_to_wait(7), asked_to_wait(7), last)]
    assert delays == [1, 7, 7, None]
    assert last.tries == ("HTTP 503: trouble", *["HTTP 429: slow down"] * 2, "no response within 60 s")
    for text in ("4 tries", "1. HTTP 503: trouble", "2. HTTP 429: slow down", "3. the same", "4. no response within"):
        assert text in str(last)


def test_limit_of_one_means_no_second_try() -> None:
    error = MakeServerError("trouble", status_code=500)
    assert fail(Attempts(RetryRules(1, 1.0)), error) is None
    assert str(error) == "HTTP 500: trouble"


@pytest.mark.parametrize(
    "fatal",
    [
        MakeAuthenticationError("unknown token", status_code=401),
        MakeAccessDeniedError("not yours", status_code=403),
        MakeRequestError("no such parameter", status_code=400, retry_after=1.0),
        MakeResponseError("redirect", status_code=302),
    ],
)
def test_no_retry_after_an_error_that_it_cannot_mend(fatal: MakeApiError) -> None:
    attempts = Attempts(RetryRules(5, 1.0, highest))
    assert fail(attempts, TROUBLE) == 1
    assert fail(attempts, fatal) is None
    assert fatal.tries == ("HTTP 503: trouble", fatal.headline())


def test_asking_twice_changes_nothing() -> None:
    attempts = Attempts(RetryRules(2, 1.0, highest))
    attempts.record(TROUBLE)
    assert [attempts.may_retry(TROUBLE) for _ in range(3)] == [True] * 3
    assert [attempts.next_delay(TROUBLE) for _ in range(3)] == [1.0] * 3


def test_attempts_as_text() -> None:
    attempts = Attempts(RetryRules(5, 1.0))
    attempts.record(TROUBLE)
    attempts.record(TROUBLE)
    assert str(attempts) == "Try 2 of 5"


def send_times(pace: RateLimiter, asked_at: list[float]) -> list[float]:
    """Tell when requests go out whose senders ask, wait as told, and ask again."""
    waiting = sorted(asked_at)
    sent: list[float] = []
    while waiting:
        now = waiting.pop(0)
        if wait := pace.claim(now):
            waiting = sorted([*waiting, now + wait])
        else:
            sent.append(now)
    return sent


def test_first_request_is_free_and_the_others_are_spaced() -> None:
    assert send_times(RateLimiter(120), [1000.0] * 4) == [1000, 1000.5, 1001, 1001.5]
    assert send_times(RateLimiter(120), [1000.0, 1010.0, 1010.25]) == [1000, 1010, 1010.5]


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e6])
def test_no_limit_means_no_wait(now: float) -> None:
    assert send_times(RateLimiter(None), [now] * 100) == [now] * 100


@pytest.mark.parametrize(("per_minute", "sent"), [(None, [40, 40, 45]), (60, [40, 41, 45])])
def test_pause_holds_all_requests_back(per_minute: float | None, sent: list[float]) -> None:
    pace = RateLimiter(per_minute)
    pace.claim(0.0)
    pace.pause(10.0, 30.0)
    assert send_times(pace, [10.0, 20.0, 45.0]) == sent


def test_shorter_pause_does_not_end_a_longer_one() -> None:
    pace = RateLimiter(None)
    pace.pause(0.0, 30.0)
    pace.pause(1.0, 5.0)
    assert pace.claim(1.0) == 29


@given(per_minute=st.integers(1, 1000), asked_at=st.lists(st.integers(0, 6000), max_size=60).map(lambda few: few * 5))
def test_no_minute_has_more_requests_than_allowed(per_minute: int, asked_at: list[int]) -> None:
    sent = send_times(RateLimiter(per_minute), [tenths / 10 for tenths in asked_at])
    assert len(sent) == len(asked_at)
    # One more may fall on the very end of the minute.
    assert max((sum(begin <= time <= begin + 60 for time in sent) for begin in sent), default=0) <= per_minute + 1

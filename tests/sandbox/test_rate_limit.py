"""Test the rate limit over real sockets: its window, and what its error responses contain."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import requests

from airflow_provider_make.sandbox import Sandbox, rate_limit
from airflow_provider_make.sandbox.rate_limit import RATE_LIMIT_HINTS, RateLimitHint
from tests.support.sandbox_requests import get_page


class Clock:
    now = 1000.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now

    @classmethod
    def time(cls) -> float:
        return 1_700_000_000.25 + cls.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "now", 1000.0)
    monkeypatch.setattr(rate_limit, "time", Clock)
    return Clock


def limit_headers(response: requests.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower().startswith(("retry", "x-"))}


@pytest.mark.parametrize(
    ("hint", "headers"),
    [
        (None, {}),
        ("retry-after", {"Retry-After": "50"}),
        ("x-ratelimit-reset", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700001061"}),
        ("text", {}),
    ],
)
def test_a_refused_request_has_only_the_chosen_hint(
    hint: RateLimitHint | None, headers: Mapping[str, str], clock: type[Clock]
) -> None:
    with Sandbox(scenarios=1, requests_per_minute=1, rate_limit_hint=hint) as sandbox:
        allowed = get_page(sandbox)
        assert (allowed.status_code, limit_headers(allowed)) == (200, {})
        clock.now += 10.5
        refused = get_page(sandbox)
        assert (refused.status_code, limit_headers(refused)) == (429, headers)
        if hint == "text":
            assert refused.text == "Too many requests."
            assert refused.headers["Content-Type"].startswith("text/plain")
        else:
            assert refused.json() == {
                "detail": "Too many requests.",
                "message": "Requests limit for organization exceeded, please try again later.",
                "code": "SC429",
            }


def test_every_hint_is_tested() -> None:
    assert RATE_LIMIT_HINTS == ("retry-after", "x-ratelimit-reset", "text")


def test_the_window_slides_over_a_minute(clock: type[Clock]) -> None:
    with Sandbox(scenarios=1, requests_per_minute=2, rate_limit_hint="retry-after") as sandbox:
        assert get_page(sandbox).status_code == 200
        clock.now += 40
        assert get_page(sandbox).status_code == 200
        clock.now += 10.5
        assert get_page(sandbox).headers["Retry-After"] == "10"
        clock.now += 9.5
        assert get_page(sandbox).status_code == 200
        assert get_page(sandbox).headers["Retry-After"] == "40"

"""Test that options out of range are rejected, by name."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.sandbox.options import Options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", ""),
        ("latency", -1),
        ("latency", float("nan")),
        ("latency", float("inf")),
        ("page_cap", 0),
        ("max_limit", 0),
        ("requests_per_minute", 0),
        ("misread_filters", "first"),
        ("value_types", "string"),
        ("value_types", None),
        ("fault_rate", 1.1),
        ("fault_rate", -0.1),
        ("rate_limit_hint", "Retry-After"),
        ("rate_limit_hint", ""),
        ("elsewhere", [0]),
        ("token", "two words"),
        ("token", "line\n"),
        ("token", "jeton-é"),
    ],
)
def test_options_out_of_range_are_rejected(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        Options(**{name: value})


def test_the_smallest_values_are_accepted() -> None:
    Options(token="x", latency=0, page_cap=1, max_limit=1, requests_per_minute=1, fault_rate=1)

"""Options out of range are rejected, by name."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_provider_make.sandbox import Sandbox


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", ""),
        ("token", "two words"),
        ("token", "line\n"),
        ("token", "jeton-é"),
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
        ("plan", "free"),
        ("role", "boss"),
        ("scopes", ["user:read", "analytics:write"]),
        ("elsewhere", [0]),
        ("organization_id", 0),
        ("scenarios", -1),
        ("host", ""),
        ("port", -1),
        ("port", 65536),
    ],
)
def test_options_out_of_range_are_rejected(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        Sandbox(**{name: value})


def test_an_organization_is_given_once() -> None:
    with pytest.raises(ValueError, match="^organization 1 is given twice"):
        Sandbox(organizations={1: 5})
    with pytest.raises(ValueError, match="^organization 2 is in both zones"):
        Sandbox(organizations={2: 5}, elsewhere=[3, 2])


def test_the_smallest_values_are_accepted() -> None:
    Sandbox(scenarios=0, token="x", latency=0, page_cap=1, max_limit=1, requests_per_minute=1, fault_rate=1, scopes=[])


def test_the_signature_shows_every_option() -> None:
    parameters = inspect.signature(Sandbox).parameters
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert parameters["scenarios"].default == 250
    with pytest.raises(TypeError, match="unexpected keyword argument 'scenario'"):
        Sandbox(scenario=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("token", 7, "str"),
        ("port", None, "int"),
        ("scenarios", True, "int"),
        ("latency", "1", "float"),
        ("story", 1, "bool"),
        ("page_cap", 1.5, r"int \| None"),
        ("organizations", {1: "x"}, r"Mapping\[int, int\] \| None"),
        ("elsewhere", "12", r"Collection\[int\]"),
        ("scopes", ["analytics:read", 3], r"Collection\[str\]"),
    ],
)
def test_an_option_of_another_type_is_an_error_that_names_it(name: str, value: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be {expected}, not "):
        Sandbox(**{name: value})

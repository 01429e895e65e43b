"""Test that each option for JSON types changes the types that it names, and no value."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox.value_types import VALUE_TYPES, ValueTypes
from tests.support.analytics_openapi import FIGURES, PAGINATION, SCENARIO
from tests.support.sandbox_requests import get_page

RATES = {name for name, schema in FIGURES.items() if schema["type"] == "number"}
# Every count and id that Make documents.
WHOLE_NUMBERS = {
    name
    for name, schema in {**FIGURES, **SCENARIO, **PAGINATION}.items()
    if schema["type"] in ("integer", "number") and name not in RATES
}


def converted(values: dict[str, Any], value_types: ValueTypes) -> dict[str, Any]:
    """Convert the values of an object that has the documented types."""
    expected = dict(values)
    for name, value in values.items():
        if value_types == "text" and name in WHOLE_NUMBERS | RATES:
            expected[name] = str(value)
        if value_types == "float" and name in WHOLE_NUMBERS:
            expected[name] = float(value)
        if value_types == "number" and name == "centicredits":
            expected[name] = int(value)
    return expected


def types(values: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


@pytest.mark.parametrize("value_types", VALUE_TYPES)
def test_only_the_types_change(value_types: ValueTypes) -> None:
    with Sandbox(scenarios=120, value_types=value_types, huge_credits=True) as sandbox:
        body = get_page(sandbox, limit=120, offset=0, count="true").json()
        truth, total = sandbox.truth(), sandbox.truth_total()
    paging = {"sortBy": "operations", "sortDir": "asc", "limit": 120, "offset": 0, "totalCount": 120}
    for received, documented in zip(
        [body["total"], body["pg"], *body["analytics"]], [total, paging, *truth], strict=True
    ):
        expected = converted(documented, value_types)
        if value_types == "null" and documented is not paging:
            expected = dict.fromkeys(RATES) | expected
        assert received == expected
        assert types(received) == types(expected)


def test_every_kind_of_value_occurs() -> None:
    assert {"executions", "operations", "errors", "id", "teamId", "limit", "offset", "totalCount"} == WHOLE_NUMBERS
    assert len(RATES) == 6
    truth = Sandbox(scenarios=120, huge_credits=True).truth()
    # Beyond what a float holds exactly, and without a rate.
    assert max(int(entry["centicredits"]) for entry in truth) > 2**64
    assert any(not RATES & entry.keys() for entry in truth)


@pytest.mark.parametrize(
    ("value_types", "text"),
    [
        ("documented", '"executions":7,'),
        ("text", '"executions":"7",'),
        ("float", '"executions":7.0,'),
        ("number", '"executions":7,'),
        ("null", '"executions":7,'),
    ],
)
def test_types_as_they_are_sent(value_types: ValueTypes, text: str) -> None:
    with Sandbox(scenarios=1, value_types=value_types) as sandbox:
        sandbox.organization().set_counts(7, 0)
        assert text in get_page(sandbox).text

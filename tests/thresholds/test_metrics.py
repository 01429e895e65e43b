"""Metrics: their values from the figures, and how people read them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics
from airflow_provider_make.api.query import SORT_KEYS
from airflow_provider_make.thresholds.rule import METRICS, Metric


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_column_and_no_value_where_that_is_missing(name: str) -> None:
    metric = Metric(name)
    assert metric.column in Metrics.__struct_fields__
    assert metric.value(Metrics(executions=3 if name != "executions" else None)) is None


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_returns_its_own_figure(name: str) -> None:
    metric = Metric(name)
    figures: dict[str, Any] = {"executions": 10, metric.column: "1250" if name == "credits" else 12.5}
    assert metric.value(Metrics(**figures)) == 12.5


def test_make_cannot_sort_by_credits_only() -> None:
    assert {name for name in METRICS if not Metric(name).is_sortable} == {"credits", "credits_change"}
    assert {Metric(name).column for name in METRICS if Metric(name).is_sortable} <= SORT_KEYS.keys()


def test_an_error_rate_without_executions_cannot_be_calculated() -> None:
    assert Metric("error_rate").value(Metrics(executions=0, error_rate=0.0)) is None
    assert Metric("error_rate").value(Metrics(executions=1, error_rate=0.0)) == 0.0
    assert Metric("errors_change").value(Metrics(executions=0, errors_change=-100.0)) == -100.0


@given(st.integers(0, 10**30))
def test_credits_are_hundredths_as_close_as_a_float_is(centicredits: int) -> None:
    assert Metric("credits").value(Metrics(centicredits=str(centicredits))) == centicredits / 100


def test_credits_beyond_any_float_are_the_largest() -> None:
    assert Metric("credits").value(Metrics(centicredits="9" * 1000)) == sys.float_info.max


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("error_rate", 12.5, "12.5 %"),
        ("error_rate", 100 / 3, "33.33 %"),
        ("error_rate", 0, "0 %"),
        ("errors_change", 30, "+30 %"),
        ("errors_change", -30.0, "-30 %"),
        ("errors", 1234567, "1,234,567"),
        ("credits", 1234.5, "1,234.5"),
        ("credits", 100.0, "100"),
        ("credits", 1e300, "1e+300"),
        ("errors_change", -0.001, "0 %"),
    ],
)
def test_values_are_formatted_with_their_unit(name: str, value: float, text: str) -> None:
    assert Metric(name).describe(value) == text


@pytest.mark.parametrize(
    ("value", "apart_from", "text"),
    [
        (19.999, 20, "19.999 %"),
        (20.0, 20, "20 %"),
        (20.0000001, 20, "20.0000001 %"),
        (12.345, 20, "12.35 %"),
        (0.001, 0, "0.001 %"),
        (-0.001, 0, "-0.001 %"),
        (2**53 + 1, float(2**53), "9007199254740992 %"),
    ],
)
def test_a_value_that_differs_from_the_threshold_reads_otherwise(value: float, apart_from: float, text: str) -> None:
    assert Metric("error_rate").describe(value, apart_from) == text

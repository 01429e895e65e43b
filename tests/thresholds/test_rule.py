"""Metrics, and the rule: its arguments, which figures count, which breach the threshold, and which have recovered."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics
from airflow_provider_make.api.query import SORT_KEYS
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.thresholds.rule import METRICS, Metric, ThresholdRule

VALID: dict[str, Any] = {
    "threshold": 5,
    "metric": "error_rate",
    "comparison": ">=",
    "scope": "organization",
    "min_executions": 1,
}


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


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False), ("<", True, False, False)],
)
def test_every_comparison(comparison: str, below: bool, at: bool, above: bool) -> None:
    rule = ThresholdRule(5.0, comparison=comparison)
    assert [rule.breaches(value) for value in (4.999, 5.0, 5.001)] == [below, at, above]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "recovered", "not_recovered"),
    [
        (">=", 0.0, 4.9, 5.0),
        (">", 0.0, 5.0, 5.1),
        ("<", 0.0, 5.0, 4.9),
        ("<=", 0.0, 5.1, 5.0),
        (">=", 2.0, 2.9, 3.0),
        ("<=", 2.0, 7.1, 7.0),
        (">", 2.0, 3.0, 3.1),
        ("<", 2.0, 7.0, 6.9),
    ],
)
def test_a_value_has_recovered_beyond_the_hysteresis(
    comparison: str, hysteresis: float, recovered: float, not_recovered: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    assert [rule.has_recovered(recovered), rule.has_recovered(not_recovered)] == [True, False]


@pytest.mark.parametrize(("executions", "counts"), [(0, False), (9, False), (10, True), (11, True)])
def test_figures_based_on_too_few_executions_do_not_count(executions: int, counts: bool) -> None:
    figures = Metrics(executions=executions, error_rate=50.0)
    assert (ThresholdRule(5.0, min_executions=10).counted_value(figures) is not None) == counts


def test_missing_executions_count_as_zero() -> None:
    errors = Metric("errors")
    assert ThresholdRule(1.0, errors, min_executions=0).counted_value(Metrics(errors=3)) == 3
    assert ThresholdRule(1.0, errors, min_executions=1).counted_value(Metrics(errors=3)) is None


@pytest.mark.parametrize("metric", METRICS)
def test_percentages_need_an_execution_and_amounts_do_not(metric: str) -> None:
    rule = ThresholdRule.from_arguments(**{**VALID, "metric": metric, "min_executions": None})
    assert rule.min_executions == (0 if metric in ("errors", "executions", "operations", "credits") else 1)


def test_numbers_may_be_text() -> None:
    rule = ThresholdRule.from_arguments(**{**VALID, "threshold": " 5.5 ", "min_executions": "10"}, hysteresis="1")
    assert rule == ThresholdRule(5.5, min_executions=10, hysteresis=1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("threshold", value) for value in (None, "", "5%", float("nan"), "inf", True, [5])),
        *(("min_executions", value) for value in (-1, 1.5, "x", True)),
        *(("hysteresis", value) for value in (None, -0.1, "x")),
        *(("metric", value) for value in (None, "", "errorRate", "centicredits", "credits_change_change", 5)),
        *(("comparison", value) for value in (None, "", "==", "=>", 5)),
        *(("scope", value) for value in (None, "", "team", ["scenario"])),
    ],
)
def test_error_names_the_invalid_argument(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=rf"^{name}={repr(value).translate({91: '.', 93: '.'})} is not valid: exp"):
        ThresholdRule.from_arguments(**{**VALID, name: value})


@pytest.mark.parametrize("threshold", ["20%", " 20 % "])
def test_error_about_a_percent_sign_has_the_right_number(threshold: str) -> None:
    with pytest.raises(MakeInputError, match="20 for 20 %"):
        ThresholdRule.from_arguments(**{**VALID, "threshold": threshold})


@pytest.mark.parametrize(
    ("threshold", "metric", "warns"),
    [
        (0.2, "error_rate", True),
        (0.2, "errors_change", True),
        (0, "error_rate", False),
        (1, "error_rate", False),
        (-0.5, "errors_change", False),
        (0.2, "credits", False),
    ],
)
def test_a_percentage_between_0_and_1_is_worth_a_warning(threshold: float, metric: str, warns: bool) -> None:
    warning = ThresholdRule(threshold, Metric(metric)).warning
    assert (warning is not None) == warns
    if warning:
        assert "threshold=0.2 means" in warning
        assert "20 for 20 %" in warning
    assert "means 0.001 %" in (ThresholdRule(0.001).warning or "")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (ThresholdRule(120.0), "0 to 100 %"),
        (ThresholdRule(-5.0, comparison="<"), "0 to 100 %"),
        (ThresholdRule(100.0), None),
        (ThresholdRule(5.0, hysteresis=5.0), "can never recover"),
        (ThresholdRule(5.0, hysteresis=4.9), None),
        (ThresholdRule(95.0, comparison="<", hysteresis=5.0), "can never recover"),
        (ThresholdRule(5.0, Metric("errors"), comparison="<", hysteresis=500.0), None),
        (ThresholdRule(5.0, Metric("errors_change"), hysteresis=50.0), None),
        (ThresholdRule(0.0), None),
    ],
)
def test_a_rule_that_can_cross_once_at_most_is_worth_a_warning(rule: ThresholdRule, text: str | None) -> None:
    assert (rule.warning is None) if text is None else text in (rule.warning or "")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ThresholdRule(0.0, Metric("executions"), min_executions=0), True),
        (ThresholdRule(-1.0, Metric("errors"), comparison=">", min_executions=0), True),
        (ThresholdRule(0.0, Metric("executions"), comparison=">", min_executions=0), False),
        (ThresholdRule(0.0, Metric("executions"), min_executions=1), False),
        (ThresholdRule(1.0, Metric("executions"), min_executions=0), False),
        (ThresholdRule(0.0, Metric("executions"), comparison="<=", min_executions=0), False),
        # These may be without a value, or below zero.
        (ThresholdRule(0.0, min_executions=0), False),
        (ThresholdRule(0.0, Metric("errors_change"), min_executions=0), False),
    ],
)
def test_some_thresholds_are_crossed_by_all_scenarios(rule: ThresholdRule, expected: bool) -> None:
    assert rule.is_breached_by_all == expected

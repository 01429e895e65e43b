"""The threshold rule: its arguments, which figures count, which are beyond, and which are back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.api.page import Metrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.thresholds.rule import METRICS, Metric, ThresholdRule

VALID: dict[str, Any] = {
    "threshold": 5,
    "metric": "error_rate",
    "comparison": ">=",
    "scope": "organization",
    "min_executions": 1,
}


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False), ("<", True, False, False)],
)
def test_every_comparison(comparison: str, below: bool, at: bool, above: bool) -> None:
    rule = ThresholdRule(5.0, comparison=comparison)
    assert [rule.is_beyond(value) for value in (4.999, 5.0, 5.001)] == [below, at, above]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "back", "not_back"),
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
def test_a_value_is_back_beyond_the_hysteresis(
    comparison: str, hysteresis: float, back: float, not_back: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    assert [rule.is_back(back), rule.is_back(not_back)] == [True, False]


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
        (ThresholdRule(5.0, hysteresis=5.0), "can't come back"),
        (ThresholdRule(5.0, hysteresis=4.9), None),
        (ThresholdRule(95.0, comparison="<", hysteresis=5.0), "can't come back"),
        (ThresholdRule(5.0, Metric("errors"), comparison="<", hysteresis=500.0), None),
        (ThresholdRule(5.0, Metric("errors_change"), hysteresis=50.0), None),
        (ThresholdRule(0.0), None),
    ],
)
def test_a_rule_that_can_cross_once_at_most_is_worth_a_warning(rule: ThresholdRule, text: str | None) -> None:
    assert (rule.warning is None) if text is None else text in (rule.warning or "")

"""The rule, what it finds in a reading, and which findings are new crossings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.response import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.thresholds.rule import (
    COMPARISONS,
    METRICS,
    SCOPES,
    CrossingDetector,
    Snapshot,
    ThresholdRule,
    Verdict,
)

FRAME = TimeFrame(datetime(2026, 1, 31, 6, tzinfo=UTC), datetime(2026, 1, 31, 7, tzinfo=UTC))
NOW = datetime(2026, 1, 31, 7, tzinfo=UTC)
RIGHT: dict[str, Any] = {
    "threshold": 5,
    "metric": "error_rate",
    "comparison": ">=",
    "scope": "organization",
    "min_executions": 1,
}


def total(value: float | None, executions: int = 10, metric: str = "error_rate") -> Snapshot:
    figures: dict[str, Any] = {"executions": executions, metric: value}
    return Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(**figures))


def scenarios(*values: float | None | tuple[float | None, int]) -> Snapshot:
    """Scenarios with these error rates, and executions, in this order."""
    entries = []
    for number, given_value in enumerate(values):
        value, executions = given_value if isinstance(given_value, tuple) else (given_value, 10)
        entries.append(ScenarioMetrics(scenario_id=number, error_rate=value, executions=executions))
    return Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(executions=100, error_rate=1.0), entries)


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False), ("<", True, False, False)],
)
@pytest.mark.parametrize("metric", METRICS)
def test_comparisons_of_every_metric(metric: str, comparison: str, below: bool, at: bool, above: bool) -> None:
    rule = ThresholdRule(5.0, metric, comparison)
    assert [rule.evaluate(total(value, metric=metric)).crossed for value in (4.999, 5.0, 5.001)] == [below, at, above]


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_value_that_cannot_be_calculated_neither_crosses_nor_comes_back(comparison: str) -> None:
    finding = ThresholdRule(5.0, comparison=comparison).evaluate(total(None))
    assert (finding.crossed, finding.back, finding.value) == (False, False, None)
    assert "can't be calculated" in str(finding)


@pytest.mark.parametrize(("executions", "crossed"), [(0, False), (9, False), (10, True), (11, True)])
def test_too_few_executions_do_not_count(executions: int, crossed: bool) -> None:
    finding = ThresholdRule(5.0, min_executions=10).evaluate(total(50.0, executions))
    assert (finding.crossed, finding.back) == (crossed, False)
    few = ThresholdRule(5.0, min_executions=10).evaluate(total(0.0, executions))
    assert few.back == crossed


def test_executions_may_be_none_at_all() -> None:
    reading = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(errors=3))
    assert ThresholdRule(1.0, "errors", min_executions=0).evaluate(reading).crossed
    assert not ThresholdRule(1.0, "errors").evaluate(reading).crossed


def test_scenarios_that_cross_are_found_and_the_most_extreme_is_the_value() -> None:
    rule = ThresholdRule(5.0, scope="scenario", min_executions=10)
    finding = rule.evaluate(scenarios(None, (99.0, 1), 60.0, (50.0, 9), 5.0, 4.0))
    assert [entry.scenario_id for entry in finding.scenarios] == [2, 4]
    assert (finding.crossed, finding.value, finding.back) == (True, 60.0, False)
    assert "crossed by 2 scenarios" in str(finding)


@pytest.mark.parametrize(
    ("read", "value", "back"),
    [
        ((), None, False),
        ((None, None), None, False),
        ((4.0,), 4.0, True),
        # The last one settles all behind it, though it has too few executions itself.
        (((99.0, 1), (4.0, 1)), None, True),
        (((99.0, 1),), None, False),
    ],
)
def test_when_all_scenarios_have_come_back(read: tuple[Any, ...], value: float | None, back: bool) -> None:
    finding = ThresholdRule(5.0, scope="scenario", min_executions=10).evaluate(scenarios(*read))
    assert (finding.crossed, finding.value, finding.back) == (False, value, back)


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "settling", "not_settling"),
    [
        (">=", 0.0, 4.9, 5.0),
        (">", 0.0, 5.0, 5.1),
        ("<", 0.0, 5.0, 4.9),
        ("<=", 0.0, 5.1, 5.0),
        (">=", 2.0, 2.9, 3.0),
        ("<=", 2.0, 7.1, 7.0),
    ],
)
def test_which_scenario_settles_the_others(
    comparison: str, hysteresis: float, settling: float, not_settling: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, scope="scenario", hysteresis=hysteresis)
    settled = [rule.bounds_all_after(scenarios((value, 0)).entries[0]) for value in (settling, not_settling, None)]
    assert settled == [True, False, False]


def test_the_result_is_json_of_the_promised_shape() -> None:
    finding = ThresholdRule(5.0, scope="scenario").evaluate(scenarios(60.0, 4.0))
    result = finding.result()
    assert json.loads(json.dumps(result)) == result
    assert list(result) == [
        "organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios", "total",
        "date_from", "date_to", "checked_at",
    ]  # fmt: skip
    (row,) = result.pop("scenarios")
    assert (row["organization_id"], row["scenario_id"], row["error_rate"]) == (42, 0, 60.0)
    assert row["date_from"] == result["date_from"] == "2026-01-31T06:00:00Z"
    assert result.pop("total")["error_rate"] == 1.0
    assert list(result.values()) == [
        42, "scenario", "error_rate", 5.0, ">=", 60.0, "2026-01-31T06:00:00Z", "2026-01-31T07:00:00Z",
        "2026-01-31T07:00:00Z",
    ]  # fmt: skip


def test_a_line_for_the_log() -> None:
    assert str(ThresholdRule(5.0).evaluate(total(3.25))) == (
        "Organization 42 at eu1.make.com, 2026-01-31T06:00:00Z to 2026-01-31T07:00:00Z: "
        "error_rate is 3.25; >= 5 is not crossed"
    )


def tells(rule: ThresholdRule, values: list[float | None], beyond: bool = False) -> list[int]:
    crossings = CrossingDetector(beyond)
    return [number for number, value in enumerate(values) if crossings.is_new(rule.evaluate(total(value)))]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "values", "told"),
    [
        (">=", 0.0, [5.0, 6.0, 4.9, 5.0, None, 5.0, 4.0, 4.0, 7.0], [0, 3, 8]),
        # At the threshold is neither beyond nor below.
        (">", 0.0, [6.0, 5.0, 6.0, 4.9, 6.0], [0, 4]),
        # Dips inside the band, and one out of it.
        (">=", 2.0, [6.0, 4.0, 6.0, 3.0, 6.0, 2.9, 6.0], [0, 6]),
        ("<=", 2.0, [5.0, 6.0, 5.0, 7.0, 5.0, 7.1, 5.0], [0, 6]),
        ("<", 0.0, [None, 9.0, 4.0, 3.0, 5.1, 4.9], [2, 5]),
    ],
)
def test_each_crossing_is_new_once(
    comparison: str, hysteresis: float, values: list[float | None], told: list[int]
) -> None:
    assert tells(ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis), values) == told


def test_what_was_told_before_is_not_new() -> None:
    assert tells(ThresholdRule(5.0), [6.0, 7.0, None, 8.0, 1.0, 6.0], beyond=True) == [5]


@given(
    st.lists(st.none() | st.floats(0, 10)),
    st.sampled_from(list(COMPARISONS)),
    st.floats(0, 3),
)
def test_between_two_crossings_the_value_comes_back(
    values: list[float | None], comparison: str, hysteresis: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    told = tells(rule, values)
    crossing = [number for number, value in enumerate(values) if value is not None and rule.is_beyond(value)]
    assert told[:1] == crossing[:1]
    for one, following in zip(told, told[1:], strict=False):
        assert any(value is not None and rule.is_back(value) for value in values[one:following])


def test_numbers_may_be_text() -> None:
    rule = ThresholdRule.from_arguments(**{**RIGHT, "threshold": " 5.5 ", "min_executions": "10"}, hysteresis="1")
    assert rule == ThresholdRule(5.5, min_executions=10, hysteresis=1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("threshold", value) for value in (None, "", "5%", float("nan"), "inf", True, [5])),
        *(("min_executions", value) for value in (None, -1, 1.5, "x", True)),
        *(("hysteresis", value) for value in (None, -0.1, "x")),
        *(("metric", value) for value in (None, "", "errorRate", "executions", 5)),
        *(("comparison", value) for value in (None, "", "==", "=>", 5)),
        *(("scope", value) for value in (None, "", "team", ["scenario"])),
    ],
)
def test_wrong_arguments_are_named(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=rf"^{name}={repr(value).translate({91: '.', 93: '.'})} is not valid: exp"):
        ThresholdRule.from_arguments(**{**RIGHT, name: value})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", METRICS)
def test_findings_of_no_figures_at_all(metric: str, scope: str) -> None:
    finding: Verdict = ThresholdRule(0.0, metric, scope=scope).evaluate(Snapshot(1, "z", FRAME, NOW, Metrics()))
    assert (finding.crossed, finding.back) == (False, False)

"""The threshold rule, its verdict on a snapshot, and which verdicts are new crossings."""

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
VALID: dict[str, Any] = {
    "threshold": 5,
    "metric": "error_rate",
    "comparison": ">=",
    "scope": "organization",
    "min_executions": 1,
}


def organization_snapshot(value: float | None, executions: int = 10, metric: str = "error_rate") -> Snapshot:
    figures: dict[str, Any] = {"executions": executions, metric: value}
    return Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(**figures))


def scenario_snapshot(*values: float | None | tuple[float | None, int]) -> Snapshot:
    """Create a snapshot of scenarios with these error rates, or error rates and executions, in this order."""
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
def test_every_comparison_of_every_metric(metric: str, comparison: str, below: bool, at: bool, above: bool) -> None:
    rule = ThresholdRule(5.0, metric, comparison)
    verdicts = [rule.evaluate(organization_snapshot(value, metric=metric)) for value in (4.999, 5.0, 5.001)]
    assert [verdict.crossed for verdict in verdicts] == [below, at, above]


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_value_that_cannot_be_calculated_is_neither_crossed_nor_back(comparison: str) -> None:
    verdict = ThresholdRule(5.0, comparison=comparison).evaluate(organization_snapshot(None))
    assert (verdict.crossed, verdict.back, verdict.value) == (False, False, None)
    assert "can't be calculated" in str(verdict)


@pytest.mark.parametrize(("executions", "crossed"), [(0, False), (9, False), (10, True), (11, True)])
def test_figures_based_on_too_few_executions_are_ignored(executions: int, crossed: bool) -> None:
    verdict = ThresholdRule(5.0, min_executions=10).evaluate(organization_snapshot(50.0, executions))
    assert (verdict.crossed, verdict.back) == (crossed, False)
    verdict_below = ThresholdRule(5.0, min_executions=10).evaluate(organization_snapshot(0.0, executions))
    assert verdict_below.back == crossed


def test_missing_executions_count_as_zero() -> None:
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(errors=3))
    assert ThresholdRule(1.0, "errors", min_executions=0).evaluate(snapshot).crossed
    assert not ThresholdRule(1.0, "errors").evaluate(snapshot).crossed


def test_verdict_has_the_crossing_scenarios_and_the_most_extreme_value() -> None:
    rule = ThresholdRule(5.0, scope="scenario", min_executions=10)
    verdict = rule.evaluate(scenario_snapshot(None, (99.0, 1), 60.0, (50.0, 9), 5.0, 4.0))
    assert [entry.scenario_id for entry in verdict.scenarios] == [2, 4]
    assert (verdict.crossed, verdict.value, verdict.back) == (True, 60.0, False)
    assert "crossed by 2 scenarios" in str(verdict)


@pytest.mark.parametrize(
    ("rates", "value", "back"),
    [
        ((), None, False),
        ((None, None), None, False),
        ((4.0,), 4.0, True),
        # The last scenario rules out all after it, even with too few executions.
        (((99.0, 1), (4.0, 1)), None, True),
        (((99.0, 1),), None, False),
    ],
)
def test_verdict_is_back_only_if_all_scenarios_are(rates: tuple[Any, ...], value: float | None, back: bool) -> None:
    verdict = ThresholdRule(5.0, scope="scenario", min_executions=10).evaluate(scenario_snapshot(*rates))
    assert (verdict.crossed, verdict.value, verdict.back) == (False, value, back)


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "ruling_out", "not_ruling_out"),
    [
        (">=", 0.0, 4.9, 5.0),
        (">", 0.0, 5.0, 5.1),
        ("<", 0.0, 5.0, 4.9),
        ("<=", 0.0, 5.1, 5.0),
        (">=", 2.0, 2.9, 3.0),
        ("<=", 2.0, 7.1, 7.0),
    ],
)
def test_which_scenario_rules_out_all_after_it(
    comparison: str, hysteresis: float, ruling_out: float, not_ruling_out: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, scope="scenario", hysteresis=hysteresis)
    results = [
        rule.rules_out_all_after(scenario_snapshot((value, 0)).entries[0])
        for value in (ruling_out, not_ruling_out, None)
    ]
    assert results == [True, False, False]


def test_result_is_json_with_the_documented_keys() -> None:
    verdict = ThresholdRule(5.0, scope="scenario").evaluate(scenario_snapshot(60.0, 4.0))
    result = verdict.result()
    assert json.loads(json.dumps(result)) == result
    assert list(result) == [
        "organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios",
        "scenario_count", "total", "date_from", "date_to", "checked_at",
    ]  # fmt: skip
    (row,) = result.pop("scenarios")
    assert (row["organization_id"], row["scenario_id"], row["error_rate"]) == (42, 0, 60.0)
    assert row["date_from"] == result["date_from"] == "2026-01-31T06:00:00Z"
    assert result.pop("total")["error_rate"] == 1.0
    assert list(result.values()) == [
        42, "scenario", "error_rate", 5.0, ">=", 60.0, 1, "2026-01-31T06:00:00Z", "2026-01-31T07:00:00Z",
        "2026-01-31T07:00:00Z",
    ]  # fmt: skip


def test_result_is_bounded_however_many_scenarios_crossed_and_however_long_their_text_is() -> None:
    text = "x" * 10_000 + "\x00\x1b"
    entries = [
        ScenarioMetrics(scenario_id=id_, executions=1, error_rate=50.0, name=text, status=text, extra=f'"{text}"')
        for id_ in range(100_000)
    ]
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(extra=f'"{text}"'), entries)
    result = ThresholdRule(5.0, scope="scenario").evaluate(snapshot).result()
    assert result["scenario_count"] == 100_000
    assert [row["scenario_id"] for row in result["scenarios"]] == list(range(100))
    assert len(json.dumps(result)) < 200_000


@pytest.mark.parametrize("odd", ["\x00", "\x1b[31m", "\u202e", "\r"])
def test_result_has_no_control_characters(odd: str) -> None:
    entry = ScenarioMetrics(scenario_id=1, executions=1, error_rate=50.0, name=f"a{odd}b", team_name=odd)
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(), [entry])
    (row,) = ThresholdRule(5.0, scope="scenario").evaluate(snapshot).result()["scenarios"]
    assert odd not in row["name"] + row["team_name"]
    assert "\ufffd" in row["name"]


def test_verdict_is_shown_as_a_log_line() -> None:
    assert str(ThresholdRule(5.0).evaluate(organization_snapshot(3.25))) == (
        "Organization 42 at eu1.make.com, 2026-01-31T06:00:00Z to 2026-01-31T07:00:00Z: "
        "error_rate is 3.25; >= 5 is not crossed"
    )


def new_crossings(rule: ThresholdRule, values: list[float | None], beyond: bool = False) -> list[int]:
    detector = CrossingDetector(beyond)
    verdicts = [rule.evaluate(organization_snapshot(value)) for value in values]
    return [number for number, verdict in enumerate(verdicts) if detector.is_new(verdict)]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "values", "expected"),
    [
        (">=", 0.0, [5.0, 6.0, 4.9, 5.0, None, 5.0, 4.0, 4.0, 7.0], [0, 3, 8]),
        # A value at the threshold is neither crossed nor back.
        (">", 0.0, [6.0, 5.0, 6.0, 4.9, 6.0], [0, 4]),
        # Dips within the hysteresis, and one beyond it.
        (">=", 2.0, [6.0, 4.0, 6.0, 3.0, 6.0, 2.9, 6.0], [0, 6]),
        ("<=", 2.0, [5.0, 6.0, 5.0, 7.0, 5.0, 7.1, 5.0], [0, 6]),
        ("<", 0.0, [None, 9.0, 4.0, 3.0, 5.1, 4.9], [2, 5]),
    ],
)
def test_each_crossing_is_new_once(
    comparison: str, hysteresis: float, values: list[float | None], expected: list[int]
) -> None:
    assert new_crossings(ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis), values) == expected


def test_crossing_before_a_restart_is_not_new() -> None:
    assert new_crossings(ThresholdRule(5.0), [6.0, 7.0, None, 8.0, 1.0, 6.0], beyond=True) == [5]


@given(
    st.lists(st.none() | st.floats(0, 10)),
    st.sampled_from(list(COMPARISONS)),
    st.floats(0, 3),
)
def test_value_is_back_between_two_crossings(values: list[float | None], comparison: str, hysteresis: float) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    new = new_crossings(rule, values)
    crossing = [number for number, value in enumerate(values) if value is not None and rule.is_beyond(value)]
    assert new[:1] == crossing[:1]
    for one, following in zip(new, new[1:], strict=False):
        assert any(value is not None and rule.is_back(value) for value in values[one:following])


def test_numbers_may_be_text() -> None:
    rule = ThresholdRule.from_arguments(**{**VALID, "threshold": " 5.5 ", "min_executions": "10"}, hysteresis="1")
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
def test_error_names_the_invalid_argument(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError, match=rf"^{name}={repr(value).translate({91: '.', 93: '.'})} is not valid: exp"):
        ThresholdRule.from_arguments(**{**VALID, name: value})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", METRICS)
def test_missing_figures_are_neither_crossed_nor_back(metric: str, scope: str) -> None:
    verdict: Verdict = ThresholdRule(0.0, metric, scope=scope).evaluate(Snapshot(1, "z", FRAME, NOW, Metrics()))
    assert (verdict.crossed, verdict.back) == (False, False)

"""Verdicts: what crossed, what is not back, and the results made of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.thresholds.evaluation import Snapshot, evaluate
from airflow_provider_make.thresholds.rule import COMPARISONS, METRICS, SCOPES, Metric, ThresholdRule

FRAME = TimeFrame(datetime(2026, 1, 31, 6, tzinfo=UTC), datetime(2026, 1, 31, 7, tzinfo=UTC))
NOW = datetime(2026, 1, 31, 7, tzinfo=UTC)


def of_organization(value: float | None, executions: int = 10) -> Snapshot:
    return Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(executions=executions, error_rate=value))


def of_scenarios(*values: float | None | tuple[float | None, int]) -> Snapshot:
    """Create a snapshot of scenarios with these error rates, or error rates and executions, with ids from 0."""
    entries = []
    for number, given_value in enumerate(values):
        value, executions = given_value if isinstance(given_value, tuple) else (given_value, 10)
        entries.append(ScenarioMetrics(scenario_id=number, error_rate=value, executions=executions))
    return Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(executions=100, error_rate=1.0), entries)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_value_that_cannot_be_calculated_does_not_cross(comparison: str) -> None:
    verdict = evaluate(ThresholdRule(5.0, comparison=comparison), of_organization(None))
    assert (verdict.crossed, verdict.value) == ((), None)
    assert "can't be calculated" in str(verdict)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", METRICS)
def test_missing_figures_do_not_cross(metric: str, scope: str) -> None:
    verdict = evaluate(ThresholdRule(0.0, Metric(metric), scope=scope), Snapshot(1, "z", FRAME, NOW, Metrics()))
    assert (verdict.crossed, verdict.not_back, verdict.beyond_count) == ((), frozenset(), 0)


def test_scenarios_that_crossed_are_sorted_with_the_most_extreme_first() -> None:
    rule = ThresholdRule(5.0, scope="scenario", min_executions=10)
    verdict = evaluate(rule, of_scenarios(None, (99.0, 1), 5.0, (50.0, 9), 60.0, 4.0))
    assert [entry.scenario_id for entry in verdict.scenarios] == [4, 2]
    assert (verdict.value, verdict.beyond_count, set(verdict.not_back)) == (60.0, 2, {2, 4})
    assert "crossed by 2 scenarios" in str(verdict)


def crossings(rule: ThresholdRule, snapshots: list[Snapshot], not_back: frozenset[int] = frozenset()) -> list[set[int]]:
    """Return what crossed at each snapshot: ids of scenarios, or 42 for the organization."""
    found = []
    for snapshot in snapshots:
        verdict = evaluate(rule, snapshot, not_back)
        not_back = verdict.not_back
        found.append({getattr(figures, "scenario_id", 42) for figures in verdict.crossed})
    return found


def crossings_of_organization(rule: ThresholdRule, values: list[float | None]) -> list[int]:
    found = crossings(rule, [of_organization(value) for value in values])
    return [number for number, crossed in enumerate(found) if crossed]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "values", "expected"),
    [
        # What can't be calculated can cross again.
        (">=", 0.0, [5.0, 6.0, 4.9, 5.0, None, 5.0, 4.0, 4.0, 7.0], [0, 3, 5, 8]),
        # Without a hysteresis, a value at the threshold is back where it is not beyond.
        (">", 0.0, [6.0, 5.0, 6.0, 4.9, 6.0], [0, 2, 4]),
        ("<", 0.0, [0.0, 5.0, 0.0, 6.0], [0, 2]),
        # Dips within the hysteresis, and one beyond it.
        (">=", 2.0, [6.0, 4.0, 6.0, 3.0, 6.0, 2.9, 6.0], [0, 6]),
        ("<=", 2.0, [5.0, 6.0, 5.0, 7.0, 5.0, 7.1, 5.0], [0, 6]),
        ("<", 0.0, [None, 9.0, 4.0, 3.0, 5.1, 4.9], [2, 5]),
    ],
)
def test_each_crossing_is_new_once(
    comparison: str, hysteresis: float, values: list[float | None], expected: list[int]
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    assert crossings_of_organization(rule, values) == expected


def test_too_few_executions_change_nothing() -> None:
    rule = ThresholdRule(20.0, scope="scenario", min_executions=10, hysteresis=10.0)
    snapshots = [of_scenarios((50.0, executions)) for executions in (10, 9, 10, 9, 10)]
    assert crossings(rule, snapshots) == [{0}, set(), set(), set(), set()]
    # Nor does a low value of too few.
    assert (
        crossings(rule, [of_scenarios((rate, n)) for rate, n in ((50.0, 10), (0.0, 9), (50.0, 10))])[1:] == [set()] * 2
    )


def test_each_scenario_crosses_for_itself() -> None:
    rule = ThresholdRule(20.0, scope="scenario", hysteresis=5.0)
    snapshots = [
        of_scenarios(50.0, 10.0, 0.0),
        of_scenarios(50.0, 60.0, 0.0),
        of_scenarios(14.0, 16.0, 20.0),
        of_scenarios(50.0, 60.0, 30.0),
        # Gone from the response, or without executions.
        of_scenarios(),
        of_scenarios(50.0, 60.0, (None, 0)),
    ]
    assert crossings(rule, snapshots) == [{0}, {1}, {2}, {0}, set(), {0, 1}]


def test_what_crossed_before_a_restart_does_not_cross_again() -> None:
    found = crossings(ThresholdRule(5.0), [of_organization(v) for v in (6.0, 7.0, 1.0, 6.0)], frozenset({42}))
    assert found == [set(), set(), set(), {42}]


@given(
    st.lists(st.none() | st.floats(0, 10)),
    st.sampled_from(list(COMPARISONS)),
    st.floats(0, 3),
)
def test_value_is_back_between_two_crossings(values: list[float | None], comparison: str, hysteresis: float) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    new = crossings_of_organization(rule, values)
    beyond = [number for number, value in enumerate(values) if value is not None and rule.is_beyond(value)]
    assert new[:1] == beyond[:1]
    for one, following in zip(new, new[1:], strict=False):
        assert any(value is None or rule.is_back(value) for value in values[one:following])
    # And no crossing is missed.
    for number in beyond:
        before = values[number - 1] if number else None
        assert number in new or (before is not None and not rule.is_back(before))


def test_result_is_json_with_the_documented_keys() -> None:
    result = evaluate(ThresholdRule(5.0, scope="scenario"), of_scenarios(60.0, 4.0)).result()
    assert json.loads(json.dumps(result)) == result
    assert list(result) == [
        "organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios",
        "scenario_count", "total", "date_from", "date_to", "checked_at", "message",
    ]  # fmt: skip
    (row,) = result.pop("scenarios")
    assert (row["organization_id"], row["scenario_id"], row["error_rate"]) == (42, 0, 60.0)
    assert row["date_from"] == result["date_from"] == "2026-01-31T06:00:00Z"
    assert result.pop("total")["error_rate"] == 1.0
    assert result.pop("message").startswith("Make organization 42: ")
    assert list(result.values()) == [
        42, "scenario", "error_rate", 5.0, ">=", 60.0, 1, "2026-01-31T06:00:00Z", "2026-01-31T07:00:00Z",
        "2026-01-31T07:00:00Z",
    ]  # fmt: skip


def test_event_is_about_the_scenarios_that_crossed_and_counts_all_beyond() -> None:
    event = evaluate(ThresholdRule(20.0, scope="scenario"), of_scenarios(90.0, 60.0, 30.0, 1.0), {0}).event()
    assert [row["scenario_id"] for row in event["scenarios"]] == [1, 2]
    assert (event["scenario_count"], event["beyond_count"], event["value"]) == (2, 3, 60.0)


def test_result_is_bounded_however_many_scenarios_crossed_and_however_long_their_text_is() -> None:
    text = "x" * 10_000 + "\x00\x1b"
    entries = [
        ScenarioMetrics(scenario_id=id_, executions=1, error_rate=50.0, name=text, status=text, extra=f'"{text}"')
        for id_ in range(100_000)
    ]
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(extra=f'"{text}"'), entries)
    result = evaluate(ThresholdRule(5.0, scope="scenario"), snapshot).result()
    assert result["scenario_count"] == 100_000
    assert [row["scenario_id"] for row in result["scenarios"]] == list(range(100))
    assert len(json.dumps(result)) < 200_000


@pytest.mark.parametrize("odd", ["\x00", "\x1b[31m", "\u202e", "\r"])
def test_result_has_no_control_characters(odd: str) -> None:
    entry = ScenarioMetrics(scenario_id=1, executions=1, error_rate=50.0, name=f"a{odd}b", team_name=odd)
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(), [entry])
    result = evaluate(ThresholdRule(5.0, scope="scenario"), snapshot).result()
    (row,) = result["scenarios"]
    assert odd not in row["name"] + row["team_name"] + result["message"]
    assert "\ufffd" in row["name"]


@pytest.mark.parametrize(
    ("rule", "snapshot", "not_back", "text"),
    [
        (ThresholdRule(5.0), of_organization(3.25), set(), "error_rate is 3.25; >= 5 is not crossed"),
        (ThresholdRule(5.0), of_organization(7.0), set(), "error_rate is 7; >= 5 is crossed"),
        (ThresholdRule(5.0), of_organization(7.0), {42}, "is still crossed: no event until it is back"),
        (ThresholdRule(5.0, hysteresis=2.0), of_organization(4.0), {42}, "not crossed, but the value is not back"),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios(7.0), set(), "is crossed by 1 scenario"),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios(7.0, 8.0), {0}, "by 1 scenario, and 1 were before"),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios((9.0, 0)), set(), "no scenario is beyond error_rate >= 5"),
        (
            ThresholdRule(1234567.0, Metric("operations"), min_executions=0),
            Snapshot(1, "z", FRAME, NOW, Metrics(operations=1234566)),
            set(),
            "operations is 1234566; >= 1234567 is not crossed",
        ),
        (
            ThresholdRule(5.0, scope="scenario", min_executions=10),
            of_scenarios((9.0, 9)),
            set(),
            "no scenario with at least 10 executions is beyond error_rate >= 5",
        ),
    ],
)
def test_verdict_is_shown_as_a_log_line(rule: ThresholdRule, snapshot: Snapshot, not_back: set[int], text: str) -> None:
    line = str(evaluate(rule, snapshot, not_back))
    assert line.startswith(f"Organization {snapshot.organization_id} at {snapshot.zone}, 2026-01-31T06:00:00Z to ")
    assert text in line


def test_any_scenario_is_in_the_message_or_counted() -> None:
    rule = ThresholdRule(5.0, scope="scenario")
    for count in (1, 2, 10, 11, 12, 150):
        message: Any = evaluate(rule, of_scenarios(*[50.0] * count)).result()["message"]
        shown = message.count("\n- ")
        assert shown == min(count, 10)
        assert (f"and {count - shown} more" in message) == (count > shown)

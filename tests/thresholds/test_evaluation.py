"""What crossed, what is firing, and the results and messages made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.query import ScenarioFilters
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.thresholds.evaluation import (
    MAX_MESSAGE_LENGTH,
    NO_EXPLANATION,
    Explanation,
    Snapshot,
    evaluate,
)
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
    evaluation = evaluate(ThresholdRule(5.0, comparison=comparison), of_organization(None))
    assert (evaluation.crossed, evaluation.value) == ((), None)
    assert "can't be calculated" in str(evaluation)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("metric", METRICS)
def test_missing_figures_do_not_cross(metric: str, scope: str) -> None:
    evaluation = evaluate(ThresholdRule(0.0, Metric(metric), scope=scope), Snapshot(1, "z", FRAME, NOW, Metrics()))
    assert (evaluation.crossed, evaluation.firing, evaluation.beyond_count) == ((), frozenset(), 0)


def test_scenarios_that_crossed_are_sorted_with_the_most_severe_first() -> None:
    rule = ThresholdRule(5.0, scope="scenario", min_executions=10)
    evaluation = evaluate(rule, of_scenarios(None, (99.0, 1), 5.0, (50.0, 9), 60.0, 4.0))
    assert [entry.scenario_id for entry in evaluation.scenarios] == [4, 2]
    assert (evaluation.value, evaluation.beyond_count, set(evaluation.firing)) == (60.0, 2, {2, 4})
    assert "crossed by 2 scenarios" in str(evaluation)


def crossings(rule: ThresholdRule, snapshots: list[Snapshot], firing: frozenset[int] = frozenset()) -> list[set[int]]:
    """Return what crossed at each snapshot: ids of scenarios, or 42 for the organization."""
    found = []
    for snapshot in snapshots:
        evaluation = evaluate(rule, snapshot, firing)
        firing = evaluation.firing
        found.append({getattr(figures, "scenario_id", 42) for figures in evaluation.crossed})
    return found


def crossings_of_organization(rule: ThresholdRule, values: list[float | None]) -> list[int]:
    found = crossings(rule, [of_organization(value) for value in values])
    return [number for number, crossed in enumerate(found) if crossed]


@pytest.mark.parametrize(
    ("comparison", "hysteresis", "values", "expected"),
    [
        # What can't be calculated can cross again.
        (">=", 0.0, [5.0, 6.0, 4.9, 5.0, None, 5.0, 4.0, 4.0, 7.0], [0, 3, 5, 8]),
        # Without a hysteresis, a value at the threshold has recovered where it does not breach it.
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
def test_a_value_has_recovered_between_two_crossings(
    values: list[float | None], comparison: str, hysteresis: float
) -> None:
    rule = ThresholdRule(5.0, comparison=comparison, hysteresis=hysteresis)
    new = crossings_of_organization(rule, values)
    breaching = [number for number, value in enumerate(values) if value is not None and rule.breaches(value)]
    assert new[:1] == breaching[:1]
    for crossing, following in zip(new, new[1:], strict=False):
        assert any(value is None or rule.has_recovered(value) for value in values[crossing:following])
    # And no crossing is missed.
    for number in breaching:
        before = values[number - 1] if number else None
        assert number in new or (before is not None and not rule.has_recovered(before))


def test_result_is_json_with_the_documented_keys() -> None:
    result = evaluate(ThresholdRule(5.0, scope="scenario"), of_scenarios(60.0, 4.0)).result()
    assert json.loads(json.dumps(result)) == result
    assert list(result) == [
        "organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios",
        "scenario_count", "total", "date_from", "date_to", "checked_at", "failures", "message",
    ]  # fmt: skip
    (row,) = result.pop("scenarios")
    assert (row["organization_id"], row["scenario_id"], row["error_rate"]) == (42, 0, 60.0)
    assert row["date_from"] == result["date_from"] == "2026-01-31T06:00:00Z"
    assert result.pop("total")["error_rate"] == 1.0
    assert result.pop("message").startswith("Make organization 42: ")
    assert result.pop("failures") == []
    assert list(result.values()) == [
        42, "scenario", "error_rate", 5.0, ">=", 60.0, 1, "2026-01-31T06:00:00Z", "2026-01-31T07:00:00Z",
        "2026-01-31T07:00:00Z",
    ]  # fmt: skip


def test_an_event_is_about_the_scenarios_that_crossed_and_counts_all_that_breach_the_threshold() -> None:
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
    ("rule", "snapshot", "firing", "text"),
    [
        (ThresholdRule(5.0), of_organization(3.25), set(), "error_rate is 3.25 %; >= 5 % is not crossed"),
        (ThresholdRule(5.0), of_organization(7.0), set(), "error_rate is 7 %; >= 5 % is crossed"),
        (ThresholdRule(20.0), of_organization(24.1379310344828), set(), "error_rate is 24.14 %; >= 20 % is crossed"),
        (ThresholdRule(5.0), of_organization(4.9999), set(), "error_rate is 4.9999 %; >= 5 % is not crossed"),
        (ThresholdRule(0.001), of_organization(0.001), set(), "error_rate is 0.001 %; >= 0.001 % is crossed"),
        (ThresholdRule(5.0), of_organization(7.0), {42}, "is still crossed: no further event until it has recovered"),
        (ThresholdRule(5.0, hysteresis=2.0), of_organization(4.0), {42}, "no longer crossed, but not recovered yet"),
        (
            ThresholdRule(5.0, min_executions=1000),
            of_organization(80.0),
            {42},
            "error_rate does not count, with 10 of 1,000 executions; "
            ">= 5 % is no longer crossed, but not recovered yet",
        ),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios(7.0), set(), "is crossed by 1 scenario"),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios(7.0, 8.0), {0}, "by 1 scenario, and 1 crossed before"),
        (ThresholdRule(5.0, scope="scenario"), of_scenarios((9.0, 0)), set(), "no scenario has error_rate >= 5 %"),
        (
            ThresholdRule(1234567.0, Metric("operations"), min_executions=0),
            Snapshot(1, "z", FRAME, NOW, Metrics(operations=1234566)),
            set(),
            "operations is 1,234,566; >= 1,234,567 is not crossed",
        ),
        (
            ThresholdRule(5.0, scope="scenario", min_executions=10),
            of_scenarios((9.0, 9)),
            set(),
            "no scenario with at least 10 executions has error_rate >= 5 %",
        ),
    ],
)
def test_an_evaluation_is_shown_as_a_log_line(
    rule: ThresholdRule, snapshot: Snapshot, firing: set[int], text: str
) -> None:
    line = str(evaluate(rule, snapshot, firing))
    where = (
        f" (organization {snapshot.organization_id} at {snapshot.zone}, 2026-01-31T06:00:00Z to 2026-01-31T07:00:00Z)"
    )
    assert line.endswith(f"{text}{where}")


MONTH = TimeFrame(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, 7, tzinfo=UTC))


def message(
    rule: ThresholdRule,
    total: Metrics,
    *entries: ScenarioMetrics,
    frame: TimeFrame = FRAME,
    explanation: Explanation = NO_EXPLANATION,
    **filters: Any,
) -> str:
    snapshot = Snapshot(42, "eu1.make.com", frame, NOW, total, entries, ScenarioFilters(**filters))
    text: str = evaluate(rule, snapshot).result(explanation)["message"]
    return text


def test_message_about_an_organization() -> None:
    total = Metrics(executions=1200, errors=300, error_rate=25.0)
    assert message(ThresholdRule(20.0), total) == (
        "Make organization 42: error rate 25 % (>= 20 %), 300 errors in 1,200 executions\n"
        "2026-01-31 06:00 to 07:00 UTC (eu1.make.com)"
    )


def test_message_about_a_budget() -> None:
    rule = ThresholdRule(7500.0, Metric("credits"), min_executions=0)
    assert message(rule, Metrics(centicredits="751234", executions=1, errors=1), frame=MONTH) == (
        "Make organization 42: credits 7,512.34 (>= 7,500), 1 error in 1 execution\n"
        "2026-01-01 00:00 to 2026-01-31 07:00 UTC (eu1.make.com)"
    )


def test_message_about_scenarios() -> None:
    entries = [
        ScenarioMetrics(
            scenario_id=9, name="Sync", team_id=7, team_name="Ops", executions=40, errors=30, error_rate=75.0
        ),
        ScenarioMetrics(scenario_id=5, executions=1, error_rate=100.0),
    ]
    assert message(ThresholdRule(20.0, scope="scenario"), Metrics(), *entries).splitlines() == [
        "Make organization 42: error rate >= 20 % in 2 scenarios",
        "2026-01-31 06:00 to 07:00 UTC (eu1.make.com)",
        "- Scenario 5: 100 %, 1 execution",
        "- Sync (Ops): 75 %, 30 errors in 40 executions https://eu1.make.com/7/scenarios/9/edit",
    ]


@pytest.mark.parametrize("odd", ["<!channel>", "<https://evil.example|click>", "a\nb", "\x1b[31m", "\u202e"])
def test_names_inject_neither_markup_nor_lines(odd: str) -> None:
    entry = ScenarioMetrics(scenario_id=1, name=odd, team_id=1, team_name=odd, executions=1, error_rate=50.0)
    text = message(ThresholdRule(20.0, scope="scenario"), Metrics(), entry)
    assert len(text.splitlines()) == 3
    assert not set(text) & set("<\x1b\u202e")


@given(st.integers(1, 200), st.text(max_size=300), st.sampled_from(METRICS))
def test_any_message_is_short_enough_for_slack(count: int, name: str, metric: str) -> None:
    rule = ThresholdRule(-1.0, Metric(metric), scope="scenario", min_executions=0)
    figures: dict[str, Any] = {"executions": 2**62, "errors": 2**62, rule.metric.column: 10**300}
    if metric == "credits":
        figures[rule.metric.column] = "9" * 1000
    entries = [
        ScenarioMetrics(**{"scenario_id": 2**62 + n, "team_id": 2**62, "name": name, "team_name": name, **figures})
        for n in range(count)
    ]
    text = message(rule, Metrics(), *entries)
    assert len(text) <= MAX_MESSAGE_LENGTH
    shown = text.count("\n- ")
    assert shown == count or f"and {count - shown} more" in text


@pytest.mark.parametrize("count", [1, 10, 11, 150])
def test_a_message_shows_ten_scenarios_and_counts_the_others(count: int) -> None:
    text: str = evaluate(ThresholdRule(5.0, scope="scenario"), of_scenarios(*[50.0] * count)).result()["message"]
    assert text.count("\n- ") == min(count, 10)
    assert (f"and {count - 10} more" in text) == (count > 10)


@pytest.mark.parametrize(
    ("metric", "figures", "line"),
    [
        ("errors", {"executions": 1000, "errors": 62}, "62 errors in 1,000 executions"),
        ("errors", {"errors": 62}, "62 errors"),
        ("executions", {"executions": 1, "errors": 0}, "0 errors in 1 execution"),
        ("executions", {"executions": 0}, "0 executions"),
        ("executions", {"executions": 0, "errors": 0}, "0 executions"),
        ("operations", {"operations": 0, "executions": 0, "errors": 2}, "0, 2 errors in 0 executions"),
        ("operations", {"operations": 7, "executions": 3, "errors": 1}, "7, 1 error in 3 executions"),
        ("errors_change", {"errors_change": 30.0, "errors": 9}, "+30 %, 9 errors"),
    ],
)
def test_no_amount_is_written_twice(metric: str, figures: dict[str, Any], line: str) -> None:
    rule = ThresholdRule(100.0, Metric(metric), comparison="<", scope="scenario", min_executions=0)
    text = message(rule, Metrics(), ScenarioMetrics(scenario_id=5, **figures))
    assert text.splitlines()[2] == f"- Scenario 5: {line}"


@pytest.mark.parametrize(
    ("metric", "figures", "headline"),
    [
        ("errors", {"executions": 1000, "errors": 62}, "errors 62 (< 100), 1,000 executions"),
        ("executions", {"executions": 1, "errors": 1}, "executions 1 (< 100), 1 error"),
        ("executions", {"executions": 0, "errors": 0}, "executions 0 (< 100)"),
        (
            "operations",
            {"operations": 7, "executions": 3, "errors": 1},
            "operations 7 (< 100), 1 error in 3 executions",
        ),
    ],
)
def test_no_headline_repeats_its_amount(metric: str, figures: dict[str, Any], headline: str) -> None:
    rule = ThresholdRule(100.0, Metric(metric), comparison="<", min_executions=0)
    assert message(rule, Metrics(**figures)).splitlines()[0] == f"Make organization 42: {headline}"


FAILING = ScenarioMetrics(scenario_id=9, name="Sync", team_id=7, executions=40, errors=30, error_rate=75.0)


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"team_id": 100}, " (team 100)"),
        ({"team_id": [100, 101, 100]}, " (team 100, 101)"),
        ({"status": "active", "folder_id": 3}, " (folder 3, status active)"),
        ({"team_id": list(range(1, 13))}, " (team 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more)"),
        ({"organization_id": 42}, ""),
    ],
)
def test_every_headline_names_the_filters(filters: dict[str, Any], named: str) -> None:
    for scope, what in (
        ("scenario", "error rate >= 20 % in 1 scenario"),
        ("organization", "error rate 75 % (>= 20 %)"),
    ):
        rule, total = ThresholdRule(20.0, scope=scope), Metrics(executions=40, error_rate=75.0)
        headline = message(rule, total, FAILING, **filters).splitlines()[0]
        assert headline.startswith(f"Make organization 42{named}: {what}")


EXISTS = ThresholdRule(0.0, Metric("executions"), scope="scenario", min_executions=0)


@pytest.mark.parametrize(
    ("filters", "count", "headline"),
    [
        ({"status": "invalid"}, 1, ": 1 scenario is invalid: Make has disabled it because of errors"),
        ({"status": ["invalid"]}, 2, ": 2 scenarios are invalid: Make has disabled them because of errors"),
        (
            {"status": "invalid", "team_id": 7},
            2,
            " (team 7): 2 scenarios are invalid: Make has disabled them because of errors",
        ),
        ({"status": "inactive"}, 2, ": 2 scenarios are inactive"),
        ({"status": ["inactive", "invalid"]}, 2, ": 2 scenarios are inactive or invalid"),
        ({}, 2, ": executions >= 0 in 2 scenarios"),
    ],
)
def test_a_threshold_that_all_scenarios_cross_is_about_their_status(
    filters: dict[str, Any], count: int, headline: str
) -> None:
    entries = [ScenarioMetrics(scenario_id=id_, name="Sync", executions=0, errors=0) for id_ in range(count)]
    first, _, *lines = message(EXISTS, Metrics(), *entries, **filters).splitlines()
    assert first == f"Make organization 42{headline}"
    assert lines == ["- Sync"] * count


def test_a_scenario_that_make_has_disabled_may_have_run_before() -> None:
    text = message(EXISTS, Metrics(), FAILING, status="invalid")
    assert text.splitlines()[2] == "- Sync: 30 errors in 40 executions https://eu1.make.com/7/scenarios/9/edit"


def reason(count: int = 1, **values: Any) -> dict[str, Any]:
    defaults = {"name": "DataError", "message": "Missing 'mail'.", "module": None, "last_at": "2026-01-31T06:58:12.5Z"}
    return {
        "count": count,
        **defaults,
        "execution_id": "ab",
        "url": "https://eu1.make.com/7/scenarios/9/logs/ab",
        **values,
    }


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "2 x DataError: Missing 'mail', last 06:58 https://eu1.make.com/7/scenarios/9/logs/ab"),
        (
            {"module": "google-sheets addRow", "message": "[429] Quota exceeded", "last_at": "2026-01-30T06:58:12Z"},
            "2 x DataError in google-sheets addRow: [429] Quota exceeded, last 2026-01-30 06:58 "
            "https://eu1.make.com/7/scenarios/9/logs/ab",
        ),
        ({"last_at": None, "url": None}, "2 x DataError: Missing 'mail'"),
        ({"name": None, "url": None}, "2 x Error: Missing 'mail', last 06:58"),
        ({"message": None, "url": None}, "2 x DataError, last 06:58"),
        ({"name": None, "message": None, "url": None}, "2 x Error: Make gives no reason, last 06:58"),
        ({"message": "x" * 300, "url": None}, f"2 x DataError: {'x' * 300}, last 06:58"),
    ],
)
def test_a_reason_is_a_line_under_its_scenario(values: dict[str, Any], line: str) -> None:
    found = Explanation([{"scenario_id": 9, "count": 2, "errors": [reason(2, **values)]}])
    text = message(ThresholdRule(20.0, scope="scenario"), Metrics(), FAILING, explanation=found)
    assert text.splitlines()[2:] == [
        "- Sync: 75 %, 30 errors in 40 executions https://eu1.make.com/7/scenarios/9/edit",
        f"    {line}",
    ]


def test_the_message_about_an_organization_names_the_scenarios_with_the_most_errors() -> None:
    found = Explanation(
        [{"scenario_id": 9, "count": 1, "errors": [reason(url=None)]}], [FAILING], "Reasons are missing"
    )
    evaluation = evaluate(ThresholdRule(20.0), of_organization(25.0, 100))
    result = evaluation.result(found)
    assert result["message"].splitlines() == [
        "Make organization 42: error rate 25 % (>= 20 %), 100 executions",
        "2026-01-31 06:00 to 07:00 UTC (eu1.make.com)",
        "- Sync: 30 errors in 40 executions https://eu1.make.com/7/scenarios/9/edit",
        "    1 x DataError: Missing 'mail', last 06:58",
        "Reasons are missing",
    ]
    # They have not crossed.
    assert (result["scenarios"], result["scenario_count"], result["failures"]) == ([], 0, found.failures)


@given(
    st.integers(1, 30), st.integers(0, 300), st.integers(0, 3), st.none() | st.integers(0, 280), st.text(max_size=90)
)
def test_a_message_drops_reasons_before_scenarios_and_never_what_is_missing(
    count: int, length: int, groups: int, missing: int | None, name: str
) -> None:
    entries = [
        ScenarioMetrics(scenario_id=id_, name=name, team_id=4202, executions=100, errors=50, error_rate=50.0)
        for id_ in range(count)
    ]
    note = None if missing is None else f"Reasons are missing{'x' * missing}"
    rule = ThresholdRule(20.0, scope="scenario")
    url = f"https://eu1.make.com/4202/scenarios/9/logs/{'a' * 32}"
    errors = [
        reason(30 - number, message="m" * length, module="google-sheets addRow", url=url) for number in range(groups)
    ]
    found = Explanation(
        [{"scenario_id": id_, "count": 50, "errors": errors} for id_ in range(min(count, 10))], (), note
    )
    lines = message(rule, Metrics(), *entries, explanation=found).splitlines()
    assert len("\n".join(lines)) <= MAX_MESSAGE_LENGTH
    without = message(rule, Metrics(), *entries, explanation=Explanation((), (), note)).splitlines()
    assert [line for line in lines if not line.startswith("    ")] == without
    assert (lines[-1] == note) == (note is not None)
    # Names of ordinary length leave room for a reason each.
    if groups and len(name) <= 40:
        shown = sum(line.startswith("    ") for line in lines)
        assert shown >= min(count, 10)

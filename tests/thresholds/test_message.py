"""Messages for people: what they say, that they are short, and that names can't inject markup."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.thresholds.evaluation import MAX_LENGTH, Snapshot, evaluate
from airflow_provider_make.thresholds.rule import METRICS, Metric, ThresholdRule

MORNING = TimeFrame(datetime(2026, 1, 31, 6, tzinfo=UTC), datetime(2026, 1, 31, 7, tzinfo=UTC))
MONTH = TimeFrame(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, 7, tzinfo=UTC))


def message(rule: ThresholdRule, total: Metrics, *entries: ScenarioMetrics, frame: TimeFrame = MORNING) -> str:
    snapshot = Snapshot(42, "eu1.make.com", frame, datetime(2026, 1, 31, 7, tzinfo=UTC), total, entries)
    text: str = evaluate(rule, snapshot).result()["message"]
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
    assert len(text) <= MAX_LENGTH
    shown = text.count("\n- ")
    assert shown == count or f"and {count - shown} more" in text

"""The arguments that the sensor and the triggers have in common."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.thresholds.arguments import ThresholdArguments


def test_names_are_the_fields_in_order() -> None:
    assert ThresholdArguments.names()[:3] == ("threshold", "metric", "comparison")
    assert ThresholdArguments.names()[-1] == "api_retry_delay"


def test_values_create_an_equal_copy() -> None:
    arguments = ThresholdArguments(
        threshold="{{ params.x }}", metric="errors", team_id=[1, "2"], lookback=timedelta(days=1)
    )
    assert ThresholdArguments(**arguments.values()).values() == arguments.values()


def test_arguments_are_collected_from_the_attributes_of_a_task() -> None:
    sensor = MakeAnalyticsSensor(task_id="wait", threshold=5, metric="errors", team_id=7, api_retry_limit=2)
    values = ThresholdArguments.from_task(sensor).values()
    assert (values["threshold"], values["team_id"], values["api_retry_limit"]) == (5, 7, 2)
    assert set(MakeAnalyticsSensor.template_fields) == values.keys() - {
        "api_retry_limit",
        "api_retry_delay",
        "explain",
        "emit_metrics",
    }


def test_missing_attribute_raises() -> None:
    with pytest.raises(AttributeError, match="metric"):
        ThresholdArguments.from_task(SimpleNamespace(threshold=5))


def test_defaults_equal_those_of_the_sensor() -> None:
    sensor = MakeAnalyticsSensor(task_id="wait", threshold=5, metric="errors")
    assert ThresholdArguments.from_task(sensor).values() == ThresholdArguments(threshold=5, metric="errors").values()


def test_templates_are_replaced_by_valid_values_and_others_are_kept() -> None:
    arguments = ThresholdArguments(
        threshold="{{ params.x }}", metric="{% if x %}errors{% endif %}", team_id=["{{ params.team }}", 2], status="x"
    )
    checked = arguments.without_templates()
    assert (checked.threshold, checked.metric, checked.team_id, checked.status) == (1.0, "error_rate", None, "x")
    assert ThresholdArguments(threshold=None, metric="errors").without_templates().threshold is None  # type: ignore[arg-type]

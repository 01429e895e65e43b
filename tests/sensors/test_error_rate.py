"""The sensor for error rates: its metric, its trigger, and what parsing a Dag with it imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger
from tests.support.airflow_versions import HAS_WATCHERS


def test_metric_is_the_error_rate_unless_set(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    make_sandbox.organization().set_counts(100, 50)

    def result(**arguments: Any) -> Any:
        return MakeErrorRateSensor(task_id="wait", threshold=5, **arguments).execute({})

    assert (result()["metric"], result()["value"]) == ("error_rate", 50.0)
    assert (result(metric="errors")["metric"], result(metric="errors")["value"]) == ("errors", 12_500)


def test_arguments_may_be_in_the_default_args_of_a_dag() -> None:
    with DAG("defaults", schedule=None, default_args={"threshold": 7, "scope": "scenario", "make_conn_id": "other"}):
        error_rate = MakeErrorRateSensor(task_id="error_rate")
        arguments: dict[str, Any] = {"metric": "errors", "scope": "organization"}
        errors = MakeAnalyticsSensor(task_id="errors", **arguments)
    assert (error_rate.threshold, error_rate.scope, error_rate.make_conn_id) == (7, "scenario", "other")
    assert (errors.threshold, errors.scope, errors.make_conn_id) == (7, "organization", "other")


def test_it_defers_to_its_own_trigger(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    make_sandbox.organization().set_counts(100, 0)
    with pytest.raises(TaskDeferred) as caught:
        MakeErrorRateSensor(task_id="wait", threshold=5, deferrable=True).execute({})
    assert type(caught.value.trigger) is MakeErrorRateTrigger


def test_what_parsing_a_dag_imports_and_the_default_of_deferrable(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = "MakeErrorRateEventTrigger(threshold=1)" if HAS_WATCHERS else ""
    code = (
        "import sys, airflow.models.taskinstance, airflow.triggers.base, airflow.providers.common.compat.sdk as sdk\n"
        "sdk.BaseSensorOperator, sdk.dag, sdk.Asset, sdk.conf\n"
        "heavy = {'aiohttp', 'requests', 'pyarrow'}; before = heavy & set(sys.modules)\n"
        "from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor\n"
        "from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger\n"
        f"sensor = MakeErrorRateSensor(task_id='x', threshold=1); {watcher}\n"
        "print('imported:', *heavy & set(sys.modules) - before, 'deferrable:', sensor.deferrable)"
    )
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "imported: deferrable: True" in done.stdout
    assert not MakeErrorRateSensor(task_id="x", threshold=1).deferrable

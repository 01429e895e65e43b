"""The triggers for error rates: their metric, and their names in Airflow's database."""

from __future__ import annotations

import pytest

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger, MakeErrorRateTrigger
from tests.support.airflow_versions import HAS_WATCHERS


def test_metric_of_the_trigger_is_the_error_rate_unless_set() -> None:
    path, arguments = MakeErrorRateTrigger(threshold=5).serialize()
    assert path == "airflow_provider_make.triggers.error_rate.MakeErrorRateTrigger"
    assert arguments["metric"] == "error_rate"
    assert MakeErrorRateTrigger(threshold=5, metric="errors").serialize()[1]["metric"] == "errors"


@pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
def test_metric_of_the_watchers_trigger_is_the_error_rate_unless_set() -> None:
    path, arguments = MakeErrorRateEventTrigger(threshold=5).serialize()
    assert path == "airflow_provider_make.triggers.error_rate.MakeErrorRateEventTrigger"
    assert (arguments["metric"], arguments["api_retry_limit"]) == ("error_rate", 1)

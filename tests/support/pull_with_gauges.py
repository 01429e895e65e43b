"""Pull with gauges in a process of its own, whose environment has the settings of the metrics, as a task has."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import timedelta
from importlib import import_module

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# From Airflow 3.2 on, its import initializes the metrics, in the triggerer as well; tasks also do so themselves.
with suppress(ImportError):
    import_module("airflow.sdk.serde")
for organization_id in sys.argv[1:]:
    MakeAnalyticsOperator(
        task_id="pull", organization_id=organization_id, lookback=timedelta(days=1), emit_metrics="team"
    ).execute({})
# Airflow before 3.1.8 exports nothing at the end of a process.
sys.stdin.read()

"""Pull with gauges in a process of its own, whose environment has the settings of the metrics, as a task has."""

from __future__ import annotations

import sys
from datetime import timedelta

from airflow_provider_make.gauges import _initialize_metrics
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

# Airflow does so before it runs a task, from 3.2 on.
_initialize_metrics()
for organization_id in sys.argv[1:]:
    MakeAnalyticsOperator(
        task_id="pull", organization_id=organization_id, lookback=timedelta(days=1), emit_metrics="team"
    ).execute({})
# Airflow before 3.1.8 exports nothing at the end of a process.
sys.stdin.read()

"""Contender: this provider's operator, as the README shows it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from benchmarks.job import MAX_CONCURRENCY, PAGE_SIZE, Job, Pull


def prepare(job: Job) -> Pull:
    """
    Set up the operator.

    :param job: The job.
    :return: A function that executes the operator.
    """
    os.environ["AIRFLOW_CONN_MAKE_DEFAULT"] = json.dumps(
        {"conn_type": "make", "host": job.base_url, "password": job.token}
    )
    pull = MakeAnalyticsOperator(
        task_id="pull",
        organization_id=job.organization_id,
        date_from=job.date_from,
        date_to=job.date_to,
        page_size=PAGE_SIZE,
        max_concurrency=MAX_CONCURRENCY,
        output_path=str(job.output),
        output_format=job.output_format,
    )

    def run() -> list[Path]:
        pull.execute({})
        return [job.output]

    return run

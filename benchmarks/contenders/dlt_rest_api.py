"""Contender: dlt's ``rest_api`` source into its ``filesystem`` destination, with its own defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import dlt
from dlt.sources.helpers.rest_client.auth import APIKeyAuth
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

from benchmarks.job import PAGE_SIZE, Job, Pull, row_maker

# Types that dlt can't infer from the values: it would use a scale of 9, and omit a column without values.
COLUMN_HINTS = {
    "centicredits": {"data_type": "decimal", "precision": 38, "scale": 0},
    "extra": {"data_type": "text"},
}


def prepare(job: Job) -> Pull:
    """
    Set up the pipeline: one resource, paginated by offset until the total count is reached.

    :param job: The job.
    :return: A function that extracts, normalises and loads.
    """
    os.environ.update(
        # Uncompressed lines, like those of the other contenders.
        DATA_WRITER__DISABLE_COMPRESSION="true",
        # It would look up its settings in Airflow's variables, and need twice as long for 10,000 scenarios.
        PROVIDERS__ENABLE_AIRFLOW_SECRETS="false",
        RUNTIME__DLTHUB_TELEMETRY="false",
    )
    folder = job.output.with_suffix("")
    pipeline = dlt.pipeline(
        pipeline_name=folder.name,
        pipelines_dir=str(folder / "pipeline"),
        destination=dlt.destinations.filesystem(bucket_url=str(folder)),
        dataset_name="make",
    )
    configuration = {
        "client": {
            "base_url": job.base_url,
            "auth": APIKeyAuth(name="Authorization", api_key=f"Token {job.token}", location="header"),
            "paginator": OffsetPaginator(
                limit=PAGE_SIZE, offset_param="pg[offset]", limit_param="pg[limit]", total_path="pg.totalCount"
            ),
        },
        "resources": [
            {
                "name": "scenarios",
                "endpoint": {
                    "path": f"analytics/{job.organization_id}",
                    "params": {
                        "timeframe[dateFrom]": job.date_from,
                        "timeframe[dateTo]": job.date_to,
                        "pg[returnTotalCount]": "true",
                    },
                    "data_selector": "analytics",
                },
                "columns": COLUMN_HINTS if job.output_format == "parquet" else {},
                "processing_steps": [{"map": row_maker(job)}],
            }
        ],
    }

    def pull() -> list[Path]:
        source = rest_api_source(cast("RESTAPIConfig", configuration))
        pipeline.run(source, loader_file_format=cast("Any", job.output_format)).raise_on_failed_jobs()
        return sorted((folder / "make" / "scenarios").glob(f"*.{job.output_format}"))

    return pull

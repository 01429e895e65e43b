"""Contender: the HTTP provider's operator with a pagination function, as its documentation shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from airflow.providers.http.operators.http import HttpOperator

from benchmarks.job import PAGE_SIZE, Job, Pull, row_maker


def next_page(response: requests.Response) -> dict[str, Any] | None:
    """
    Choose the next page. It continues after the entries received so far, so it works with a server's shorter pages.

    :param response: The response to the previous request.
    :return: The changed arguments of the next request; None after the last page.
    """
    body = response.json()
    seen = body["pg"]["offset"] + len(body["analytics"])
    return {"data": {"pg[offset]": seen}} if seen < body["pg"]["totalCount"] else None


def write_jsonl(rows: Iterator[dict[str, Any]], output: Path) -> None:
    """
    Write rows as JSON Lines.

    :param rows: The rows.
    :param output: The file.
    """
    with output.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def write_parquet(rows: Iterator[dict[str, Any]], output: Path) -> None:
    """
    Write rows as Parquet.

    :param rows: The rows.
    :param output: The file.
    """
    # Imported here, so that its memory is not counted for JSON Lines.
    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmarks.schema import DICTIONARIES, ROW_GROUP, SCHEMA

    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    pq.write_table(table, output, row_group_size=ROW_GROUP, compression="zstd", use_dictionary=DICTIONARIES)


WRITERS = {"jsonl": write_jsonl, "parquet": write_parquet}


def prepare(job: Job) -> Pull:
    """
    Set up the operator; the token is a header in the connection's extra.

    :param job: The job.
    :return: A function that executes the operator.
    """
    os.environ["AIRFLOW_CONN_MAKE_API"] = json.dumps(
        {"conn_type": "http", "host": job.base_url, "extra": {"Authorization": f"Token {job.token}"}}
    )
    write = WRITERS[job.output_format]

    def write_rows(responses: list[requests.Response]) -> str:
        to_row = row_maker(job)
        entries = (entry for response in responses for entry in response.json()["analytics"])
        write(map(to_row, entries), job.output)
        return str(job.output)

    pull = HttpOperator(
        task_id="pull",
        http_conn_id="make_api",
        method="GET",
        endpoint=f"analytics/{job.organization_id}",
        data={
            "timeframe[dateFrom]": job.date_from,
            "timeframe[dateTo]": job.date_to,
            "pg[limit]": PAGE_SIZE,
            "pg[offset]": 0,
            "pg[returnTotalCount]": "true",
        },
        pagination_function=next_page,
        response_filter=write_rows,
    )

    def run() -> list[Path]:
        pull.execute({})
        return [job.output]

    return run

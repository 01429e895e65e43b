"""A pull as a report: one page of HTML with figures and charts, which needs no network."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from typing import Any

from airflow_provider_make.exceptions import MakeInputError


def write_report(
    source: Any, target: Any = None, *, min_executions: int | str = 20, storage_conn_id: str | None = None
) -> str:
    """
    Write a report of what the operator pulled into a Parquet file; needs the extra ``report``.

    Of the rows only the columns and the batch in use are in memory. The same file makes the same report.

    :param source: Path or URL of the Parquet file, as ``ObjectStoragePath`` reads it: the ``path`` of the operator's
        result.
    :param target: Path or URL of the report, which ends in ``.html``. It appears whole or not at all, over what was
        there. None for one beside the source.
    :param min_executions: The fewest executions for a scenario's error rate to be among the worst; one or more.
    :param storage_conn_id: Airflow connection of the storage; None for the storage's own default.
    :return: Path or URL of the report.
    :raises MakeInputError: An argument is wrong, the file is not one that the operator wrote, or a library is missing.
    """
    # Here, so that a Dag file may import this function.
    from airflow_provider_make.api.query import positive_integer
    from airflow_provider_make.output.atomic_write import publish_file
    from airflow_provider_make.output.object_path import find_object, read_location
    from airflow_provider_make.report.content import find_figures
    from airflow_provider_make.report.page import write_page
    from airflow_provider_make.report.source import EXPECTED, read_pull

    missing = [name for name in ("jinja2", "matplotlib", "pyarrow") if find_spec(name) is None]
    if missing:
        needs = f"A report needs {' and '.join(missing)}"
        raise MakeInputError(f"{needs}, expected: pip install 'airflow-provider-make[report]'.")
    least = positive_integer("min_executions", min_executions)
    pulled = read_location("source", source, f"the path or URL of {EXPECTED}")
    ending = "a path or URL that ends in .html, or None for one beside the source"
    beside = f"{pulled.removesuffix('.parquet')}.html"
    wanted = read_location("target", beside if target is None else target, ending)
    if not wanted.endswith(".html"):
        raise MakeInputError.expected("target", target, ending)
    # Before the source is read, which may take a while.
    written = find_object("target", wanted, storage_conn_id)
    found = find_object("source", pulled, storage_conn_id)
    # Airflow's open has no types.
    with found.open("rb") as file, read_pull(file, pulled) as (summary, rows):  # type: ignore[no-untyped-call]
        page = write_page(find_figures(summary, rows, least))
    with tempfile.TemporaryFile(prefix="make-report-") as spool:
        spool.write(page.encode())
        publish_file(spool, written.fs, written.path)
    return str(written)

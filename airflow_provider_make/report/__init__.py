"""Write a report of a pull: one HTML page with figures and charts, which loads nothing from the network."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from typing import Any

from airflow_provider_make.exceptions import MakeInputError


def write_report(
    source: Any, target: Any = None, *, min_executions: int | str = 20, storage_conn_id: str | None = None
) -> str:
    """
    Write a report of a Parquet file that the operator wrote. Needs the extra ``report``.

    Only the needed columns of one batch of rows are in memory. The same file always results in the same report.

    :param source: Path or URL of the Parquet file, as ``ObjectStoragePath`` accepts it: the ``path`` of the operator's
        result.
    :param target: Path or URL of the report, which ends in ``.html``; None for the source's name with ``.html``. An
        existing object is replaced as a whole, or not at all.
    :param min_executions: Scenarios with fewer executions are not among the worst by error rate; one or more.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :return: Path or URL of the report.
    :raises MakeInputError: An argument is not valid, the operator did not write the file, or a library is missing.
    """
    # Imported here, so that a Dag file can import this function without loading heavy libraries.
    from airflow_provider_make.arguments import parse_positive_integer
    from airflow_provider_make.output.atomic_write import write_atomically
    from airflow_provider_make.output.object_path import parse_object_path, resolve_object
    from airflow_provider_make.report.content import summarize
    from airflow_provider_make.report.page import render_page
    from airflow_provider_make.report.source import EXPECTED, open_pull

    missing = [name for name in ("jinja2", "matplotlib", "pyarrow") if find_spec(name) is None]
    if missing:
        needs = f"A report needs {' and '.join(missing)}"
        raise MakeInputError(f"{needs}. Install: pip install 'airflow-provider-make[report]'.")
    minimum = parse_positive_integer("min_executions", min_executions)
    source_path = parse_object_path("source", source, f"the path or URL of {EXPECTED}")
    default = f"{source_path.removesuffix('.parquet')}.html"
    expectation = "a path or URL that ends in .html, or None for the source's name with .html"
    target_path = parse_object_path("target", default if target is None else target, expectation)
    if not target_path.endswith(".html"):
        raise MakeInputError.expected("target", target, expectation)
    # Resolved before the source is read, which may take a while.
    target_object = resolve_object("target", target_path, storage_conn_id)
    source_object = resolve_object("source", source_path, storage_conn_id)
    # Airflow's open has no types.
    with source_object.open("rb") as file, open_pull(file, source_path) as pull:  # type: ignore[no-untyped-call]
        page = render_page(summarize(*pull, minimum))
    with tempfile.TemporaryFile(prefix="make-report-") as spool:
        spool.write(page.encode())
        write_atomically(spool, target_object.fs, target_object.path)
    return str(target_object)

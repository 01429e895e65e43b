"""Write a report of one or several pulls: one HTML page with figures and charts, without anything from the network."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from typing import Any

from airflow_provider_make.exceptions import MakeInputError


def write_report(
    source: Any,
    target: Any = None,
    *,
    title: str | None = None,
    min_executions: int | str = 20,
    monthly_credits: float | str | None = None,
    storage_conn_id: str | None = None,
) -> str:
    """
    Write a report of Parquet files that the operator wrote. Needs pyarrow: the extra ``parquet``.

    One file makes a page about its time frame. Several files, of a day each or of the same number of days, make a page
    about the course of the figures. Only the needed columns of a few files are in memory. The same files always
    result in the same report.

    :param source: Path or URL of a Parquet file, as ``ObjectStoragePath`` accepts it: the ``path`` of the operator's
        result; or of a folder, which is searched with all folders in it, or a glob such as ``/data/make/*.parquet``;
        or a list of these. All files must be of one organization, and of one filter.
    :param target: Path or URL of the report, which ends in ``.html``; None for the name of the source's file or folder
        with ``.html``. An existing object is replaced as a whole, or not at all.
    :param title: Heading of the page; None for the organization.
    :param min_executions: Error rates of scenarios with fewer executions are ignored; one or more.
    :param monthly_credits: Credits that the organization has for a calendar month, above zero; None for a page
        without a limit. Used for files of a day each.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :return: Path or URL of the report.
    :raises MakeInputError: An argument is not valid, the operator did not write a file, the files don't fit together,
        or a library is missing.
    :raises FileNotFoundError: There is no such file.
    """
    if find_spec("pyarrow") is None:
        raise MakeInputError("A report needs pyarrow. Install it: pip install pyarrow.")
    # Imported here, so that a Dag file can import this function without loading heavy libraries.
    from airflow_provider_make.arguments import parse_number, parse_positive_integer
    from airflow_provider_make.output.atomic_write import write_atomically
    from airflow_provider_make.output.object_path import parse_object_path, resolve_object
    from airflow_provider_make.output.preflight import check_writable
    from airflow_provider_make.report.days import read_days
    from airflow_provider_make.report.days_page import render_days
    from airflow_provider_make.report.pull_files import default_target, find_files
    from airflow_provider_make.report.pull_page import read_pull, render_pull

    minimum = parse_positive_integer("min_executions", min_executions)
    centicredits = None
    if monthly_credits is not None:
        # A float, in hundredths and on an axis: not beyond its limits.
        expectation = "a number of 0.01 or more, and below 1e100"
        number = parse_number("monthly_credits", monthly_credits, expectation, lambda number: 0.01 <= number < 1e100)
        centicredits = round(number * 100)
    if title is not None and (not isinstance(title, str) or not title.strip()):
        raise MakeInputError.expected("title", title, "text that is not empty, or None for the organization")
    # Both are resolved before the source is read, which may take a while.
    files = find_files(source, storage_conn_id)
    target_path = default_target(source, files) if target is None else target
    if target_path is None:
        raise MakeInputError(
            "A report of several sources, or of a glob, needs a name: expected a target (-o in the command), a path or "
            "URL that ends in .html."
        )
    expectation = "a path or URL that ends in .html, or None for the name of the source's file or folder with .html"
    target_path = parse_object_path("target", target_path, expectation)
    if not target_path.endswith(".html"):
        raise MakeInputError.expected("target", target, expectation)
    target_object = resolve_object("target", target_path, storage_conn_id)
    check_writable("target", target_path, target_object)
    if len(files) > 1:
        page = render_days(read_days(files, minimum), title, centicredits)
    else:
        page = render_pull(read_pull(files[0], minimum), title)
    with target_object.errors_named("written to"):
        write_atomically(BytesIO(page.encode()), target_object.fs, target_object.path, "text/html; charset=utf-8")
    return str(target_object)

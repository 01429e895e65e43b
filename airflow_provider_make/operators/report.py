"""The operator that writes a report of pulled files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_make.links import MakeReportLink, StoredLinks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class MakeReportOperator(StoredLinks, BaseOperator):
    """
    Write a report of the Parquet files that ``MakeAnalyticsOperator`` wrote. Needs pyarrow: the extra ``parquet``.

    The arguments are those of ``write_report``, all of them templated; numbers may be rendered as text. If the report
    is on S3 or Google Cloud Storage, the task's page has a link to it. The asset events of the task's ``outlets`` have
    its ``path`` as ``extra``.

    :param source: Path or URL of a Parquet file, of a folder, which is searched with all folders in it, or a glob; the
        ``output`` of a ``MakeAnalyticsOperator``, mapped or not; or a list of these. All files must be of one
        organization, and of one filter.
    :param target: Path or URL of the report, which ends in ``.html``; None for the name of the source's file or folder
        with ``.html``. An existing object is replaced as a whole, or not at all.
    :param title: Heading of the page; None for the organization.
    :param min_executions: Error rates of scenarios with fewer executions are ignored; one or more.
    :param monthly_credits: Credits that the organization has for a calendar month, above zero; None for a page
        without a limit.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :return: To XCom: path or URL of the report.
    :raises MakeInputError: An argument is not valid, a file is not one of ``MakeAnalyticsOperator``, the files don't
        fit together, or a library is missing. Airflow does not retry.
    :raises FileNotFoundError: There is no such file.
    """

    template_fields: Sequence[str] = (
        "source",
        "target",
        "title",
        "min_executions",
        "monthly_credits",
        "storage_conn_id",
    )
    operator_extra_links = (MakeReportLink(),)
    ui_color = "#e8d7fb"

    def __init__(
        self,
        *,
        source: Any,
        target: Any = None,
        title: str | None = None,
        min_executions: int | str = 20,
        monthly_credits: float | str | None = None,
        storage_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target
        self.title = title
        self.min_executions = min_executions
        self.monthly_credits = monthly_credits
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Context) -> str:
        """
        Write the report.

        :param context: Airflow's context.
        :return: Path or URL of the report.
        """
        from airflow_provider_make.arguments import to_plain
        from airflow_provider_make.lineage import Outlets
        from airflow_provider_make.report import write_report

        arguments = {name: to_plain(getattr(self, name)) for name in self.template_fields}
        arguments["source"] = _locations(arguments["source"])
        outlets = Outlets(self.outlets, context)
        outlets.check(None if arguments["target"] is None else str(arguments["target"]))
        path = write_report(**arguments)
        self.log.info("Wrote the report %s.", path)
        self.record_object(context, MakeReportLink, path, arguments["storage_conn_id"])
        outlets.fill_extra({"path": path})
        return path


def _locations(source: Any) -> Any:
    """Replace each pull's summary by its path, and flatten nested lists, such as those of mapped tasks."""
    from airflow_provider_make.arguments import is_collection

    if not is_collection(source):
        return source["path"] if isinstance(source, dict) and "path" in source else source
    found: list[Any] = []
    for each in source:
        located = _locations(each)
        found += located if isinstance(located, list) else [located]
    return found

"""The operator that pulls an organization's scenario analytics into XCom or object storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_make.links import LinksAndLineage, MakeObjectLink, MakeOrganizationLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_make.hooks.make import MakeHook


TEMPLATED = (
    "organization_id",
    "team_id",
    "folder_id",
    "status",
    "date_from",
    "date_to",
    "lookback",
    "sort_by",
    "sort_dir",
    "page_size",
    "max_concurrency",
    "output_path",
    "output_format",
    "if_exists",
    "timezone",
    "storage_conn_id",
    "max_xcom_bytes",
    "make_conn_id",
)
NOT_TEMPLATED = ("csv_safe", "api_retry_limit", "api_retry_delay", "emit_metrics")


class MakeAnalyticsOperator(LinksAndLineage, BaseOperator):
    """
    Pull the analytics of every scenario of an organization, each exactly once.

    The time frame is taken from the first of these that is set: ``date_from``, up to ``date_to`` or now; ``lookback``,
    which ends at ``date_to``, the end of the data interval, or now; ``date_to`` alone, from a year ago; the run's data
    interval, if it is longer than zero. If none is set, the pull is an error: ``schedule="@daily"`` has no intervals on
    Airflow 3.

    ``output_path`` may have the fields ``{organization_id}``, ``{zone}``, ``{date_from:%Y-%m-%d}`` and
    ``{date_to:%Y-%m-%d}``, with any format for strftime. They are filled with what the pull requests, times in
    ``timezone``.

    All arguments but ``csv_safe``, ``api_retry_limit``, ``api_retry_delay`` and ``emit_metrics`` are templated; numbers
    may be rendered as text.

    The asset events of the task's ``outlets`` have the summary without ``rows``, and ``error_rate``, as ``extra``. An
    outlet with a ``partition_key`` in its own ``extra``, a strftime format such as ``%Y-%m-%d``, gets an event with a
    partition key: the start of the time frame in ``timezone``, in that format (Airflow 3.3 and later).

    :param organization_id: The organization; None for the connection's.
    :param team_id: Only scenarios of this team, or of a list of teams; None for all.
    :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
    :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid`` (disabled
        due to errors); None for all.
    :param date_from: Start of the time frame, at most a year ago: a datetime, a date or ISO 8601 text. A date means
        midnight in ``timezone``, and a time without a time zone is in it.
    :param date_to: End of the time frame, in the same forms.
    :param lookback: Length of the time frame, if ``date_from`` is not set: a timedelta or
        an ISO 8601 duration such as ``P1D``. A whole year is ``timedelta(days=365)``. Whole days begin at the same time
        of day in ``timezone``. A lookback as long as the time between two scheduled runs begins when the run before was
        due, so that their time frames join, also where the clocks change.
    :param sort_by: Order of the rows, by column name (``error_rate``) or Make's (``errorRate``). Make can't
        sort by centicredits.
    :param sort_dir: ``asc`` or ``desc``.
    :param page_size: Scenarios to request at a time; two or more. Make may return fewer.
    :param max_concurrency: Maximum number of requests, connections and pages in memory at the same time; one
        or more.
    :param output_path: Path or URL of the object to write, for ``ObjectStoragePath``, with fields. It is written whole
        or not at all. None for rows in XCom.
    :param output_format: ``parquet`` (needs the extra of that name), ``jsonl`` or ``csv``; None to use the suffix
        of ``output_path``: ``.parquet``, ``.jsonl``, ``.csv``, ``.jsonl.gz`` or ``.csv.gz``.
    :param if_exists: What happens if the object exists: ``replace`` (a re-run replaces it, and its mode is kept; with a
        warning if it is a Parquet file of the same pull with more rows, or of another filter), ``skip`` (the task is
        skipped before any request) or ``fail``. A file of another organization or zone is an error; with ``skip`` also
        one of another filter or time frame.
    :param timezone: Time zone of dates and of times without a time zone, of the fields of ``output_path``, and of
        partition keys: a name such as ``Europe/Prague``.
    :param csv_safe: Whether CSV is for spreadsheets: cells that one would run as formulas get an apostrophe in front,
        and the file begins with a byte order mark.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :param max_xcom_bytes: Maximum size of the result as JSON; a larger result is an error.
    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Longest delay before the second try, in seconds, 0 to 3600; doubled for each further one, up
        to 60 s. Each delay is random, from zero to that. A ``Retry-After`` replaces it, up to 600 s.
    :param emit_metrics: ``organization``: the pull sets gauges in Airflow's metrics, of the organization's figures, and
        of rows, requests and seconds; ``team``: also of the figures of its teams. None for no gauges.
    :return: To XCom: ``{"organization_id", "zone", "filters", "date_from", "date_to", "total", "row_count",
        "requests", "path", "format", "bytes", "rows"}``; ``rows`` only without ``output_path``, and then the
        three before it are None.
    :raises MakeInputError: An argument or the connection is not valid, there is no time frame, the path is that of
        another pull, or the object exists and ``if_exists`` is ``fail``, and no request was sent; or the result is too
        large for XCom. Airflow does not retry.
    :raises AirflowSkipException: The object exists, and ``if_exists`` is ``skip``.
    :raises MakeApiError: A page could not be fetched, or the pages do not have every scenario exactly once.
        Nothing was written.
    """

    template_fields: Sequence[str] = TEMPLATED
    operator_extra_links = (MakeOrganizationLink(), MakeObjectLink())
    ui_color = "#e8d7fb"

    def __init__(
        self,
        *,
        organization_id: int | str | None = None,
        team_id: int | str | Sequence[int | str] | None = None,
        folder_id: int | str | Sequence[int | str] | None = None,
        status: str | Sequence[str] | None = None,
        date_from: datetime | date | str | None = None,
        date_to: datetime | date | str | None = None,
        lookback: timedelta | str | None = None,
        sort_by: str = "name",
        sort_dir: str = "asc",
        page_size: int | str = 1000,
        max_concurrency: int | str = 8,
        output_path: str | None = None,
        output_format: str | None = None,
        if_exists: str = "replace",
        timezone: str = "UTC",
        csv_safe: bool = False,
        storage_conn_id: str | None = None,
        max_xcom_bytes: int | str = 1_048_576,
        make_conn_id: str = "make_default",
        api_retry_limit: int = 5,
        api_retry_delay: float = 1.0,
        emit_metrics: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.organization_id = organization_id
        self.team_id = team_id
        self.folder_id = folder_id
        self.status = status
        self.date_from = date_from
        self.date_to = date_to
        self.lookback = lookback
        self.sort_by = sort_by
        self.sort_dir = sort_dir
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.output_path = output_path
        self.output_format = output_format
        self.if_exists = if_exists
        self.timezone = timezone
        self.csv_safe = csv_safe
        self.storage_conn_id = storage_conn_id
        self.max_xcom_bytes = max_xcom_bytes
        self.make_conn_id = make_conn_id
        self.api_retry_limit = api_retry_limit
        self.api_retry_delay = api_retry_delay
        self.emit_metrics = emit_metrics

    @cached_property
    def hook(self) -> MakeHook:
        """The hook. It is imported at first use, because importing it slows down the parsing of a Dag file."""
        from airflow_provider_make.arguments import to_plain
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(to_plain(self.make_conn_id), self.api_retry_limit, self.api_retry_delay)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Pull the analytics.

        :param context: Airflow's context, whose data interval may be the time frame.
        :return: The summary, as described for the class.
        """
        from airflow_provider_make.arguments import to_plain
        from airflow_provider_make.pull import PreparedPull

        arguments = {name: to_plain(getattr(self, name)) for name in (*TEMPLATED, *NOT_TEMPLATED)}
        pull = PreparedPull.from_arguments(arguments, self.outlets, context, self.log)
        self.record_organization(context, pull.settings.zone, pull.query.organization_id)
        self._summary = pull.run()
        if path := self._summary["path"]:
            self.record_object(context, MakeObjectLink, path, arguments["storage_conn_id"])
        pull.outlets.fill_events(self._summary)
        # A task has an operator of its own. Elsewhere, one may be executed again, for another time frame.
        if context.get("ti") is not None:
            for name, value in pull.resolved_arguments().items():
                setattr(self, name, value)
            # Airflow 3 then shows these. After a failure, 3.0 would raise an error, and call no on_retry_callback.
            self.overwrite_rtif_after_execution = True
        return self._summary

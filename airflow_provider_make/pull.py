"""One pull: its arguments, checked before any request; all pages into a destination; and the summary for XCom."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_make.api.client import MakeClient
from airflow_provider_make.api.event_loop import EventLoopThread
from airflow_provider_make.api.page import Metrics, ScenarioMetrics, fraction_warning
from airflow_provider_make.api.query import AnalyticsQuery
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.schedule import Schedule
from airflow_provider_make.api.time_frame import (
    TimeFrame,
    complete_time_frame,
    describe_mismatch,
    describe_unfinished,
    iso,
    parse_timezone,
    resolve_time_frame,
)
from airflow_provider_make.arguments import parse_conn_id, parse_page_size, parse_positive_integer
from airflow_provider_make.connection.settings import (
    ConnectionSettings,
    check_connection,
    explain_unreadable_variable,
)
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.gauges import Gauges, TeamTotals, describe_omission, parse_level, set_gauges
from airflow_provider_make.lineage import Outlets
from airflow_provider_make.output.destination import Destination, open_destination
from airflow_provider_make.output.object_path import PathFields
from airflow_provider_make.output.preflight import check_mapped_tasks
from airflow_provider_make.output.rows import RowBuilder, to_total
from airflow_provider_make.paging.exact_reader import read_exactly
from airflow_provider_make.text import plural

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

SECONDS_BETWEEN_LOG_LINES = 5.0
# Seconds: a server may report any total.
_LONGEST_LEFT = 999 * 86_400


@dataclass(frozen=True)
class PreparedPull:
    """A pull whose arguments are valid; no request was sent so far."""

    settings: ConnectionSettings
    retry_rules: RetryRules
    query: AnalyticsQuery
    page_size: int
    max_concurrency: int
    destination: Destination
    outlets: Outlets
    gauges: Gauges
    log: Any

    @classmethod
    def from_arguments(
        cls, arguments: Mapping[str, Any], outlets: Sequence[Any], context: Context, log: Any
    ) -> PreparedPull:
        """Check the operator's arguments, by name, and the task's outlets; look up the connection."""
        max_concurrency = parse_positive_integer("max_concurrency", arguments["max_concurrency"])
        page_size = parse_page_size(arguments["page_size"])
        emit_metrics = parse_level(arguments["emit_metrics"])
        timezone = parse_timezone(arguments["timezone"])
        now = datetime.now(UTC).replace(microsecond=0)
        time_frame = _choose_time_frame(arguments, context, timezone, now, log)
        retry_rules = RetryRules(arguments["api_retry_limit"], arguments["api_retry_delay"])
        settings = _look_up_settings(parse_conn_id(arguments["make_conn_id"]), log)
        query = AnalyticsQuery.from_arguments(
            organization_id=settings.resolve_organization_id(arguments["organization_id"]),
            time_frame=time_frame,
            **{name: arguments[name] for name in ("team_id", "folder_id", "status", "sort_by", "sort_dir")},
        )
        fields = PathFields(query.organization_id, settings.zone, time_frame, timezone)
        identity = _identify(query, settings.zone)
        run_began = getattr(context.get("dag_run"), "start_date", None)
        if time_frame.date_to == now and run_began is not None:
            # For a retry, "now" is later.
            identity["run_began"] = iso(run_began.astimezone(UTC).replace(microsecond=0))
        destination = open_destination(
            output_path=fields.fill(arguments["output_path"]),
            output_format=arguments["output_format"],
            storage_conn_id=arguments["storage_conn_id"],
            max_xcom_bytes=arguments["max_xcom_bytes"],
            csv_safe=arguments["csv_safe"],
            if_exists=arguments["if_exists"],
            identity=identity,
            timezone=str(timezone),
            log=log,
        )
        if fields.shares_path_with_next(arguments["output_path"]):
            log.warning("The next time frame has the same path %s. Give its fields a longer format.", destination.path)
        checked_outlets = Outlets(outlets, context, time_frame, timezone)
        checked_outlets.check(destination.path)
        if destination.path is not None:
            check_mapped_tasks(context.get("ti"), destination.path, arguments["storage_conn_id"], identity)
        gauges = Gauges(emit_metrics, query.organization_id, settings.zone, query.filters)
        if omission := describe_omission(emit_metrics, query.filters, reads_scenarios=True):
            log.info(omission)
        return cls(settings, retry_rules, query, page_size, max_concurrency, destination, checked_outlets, gauges, log)

    def run(self) -> dict[str, Any]:
        """Read every scenario of the query, exactly once, and publish the rows; return the summary for XCom."""
        began = time.monotonic()
        new_client = partial(MakeClient, self.settings, self.retry_rules, self.log)
        with self.destination, _pull_span() as span, closing(EventLoopThread(new_client)) as event_loop:
            teams = TeamTotals() if self.gauges.level == "team" else None
            progress = _Progress(self.query, self.destination, teams, self.log)
            # The lines fit the log view of Airflow's UI, and the last one has the figures.
            self.log.info("Pulling %s.", self._subject)
            total, result = event_loop.run(partial(self._read, progress, span))
            summary = self.destination.publish(result)
        gauges = self.gauges.of_figures(total, teams.figures() if teams else {})
        gauges += self.gauges.of_pull(
            rows=progress.row_count, requests=summary["requests"], seconds=time.monotonic() - began
        )
        set_gauges(gauges, self.log)
        self.log.info(
            "Pulled %s in %s, %s a second.",
            _count(progress.row_count, "scenario"),
            _count(summary["requests"], "request"),
            f"{progress.rows_per_second():,.0f}",
        )
        if summary["path"] is not None:
            self.log.info("Wrote %s to %s.", _count(summary["bytes"], "byte"), summary["path"])
        self.log.info("%s (%s).", describe_figures(summary["total"]), self._frame)
        return summary

    def resolved_arguments(self) -> dict[str, Any]:
        """Return the operator's arguments that depend on the run or the connection, with their values."""
        identity = _identify(self.query, self.settings.zone)
        resolved = {name: identity[name] for name in ("organization_id", "date_from", "date_to")}
        return {**resolved, "output_path": self.destination.path}

    async def _read(self, progress: _Progress, span: Any, client: MakeClient) -> tuple[Metrics, dict[str, Any]]:
        total = await read_exactly(
            client.fetch_page,
            self.query,
            progress,
            page_size=self.page_size,
            max_concurrency=self.max_concurrency,
            delay=self.retry_rules.delay,
        )
        if warning := fraction_warning(total):
            self.log.warning(warning)
        if span is not None:
            span.set_attributes(
                {
                    "make.organization_id": self.query.organization_id,
                    "make.zone": self.settings.zone,
                    "make.pages": progress.page_count,
                    "make.rows": progress.row_count,
                    "make.retries": client.retries,
                    "make.seconds_waited": round(client.seconds_waited, 3),
                }
            )
        return total, {
            **_identify(self.query, self.settings.zone),
            "total": to_total(total),
            "row_count": progress.row_count,
            "requests": client.requests_sent,
        }

    @property
    def _subject(self) -> str:
        return f"organization {self.query.organization_id} ({self.settings.zone}), {self._frame}"

    @property
    def _frame(self) -> str:
        frame = self.query.time_frame
        return f"{iso(frame.date_from) or 'a year ago'} to {iso(frame.date_to)}"


def _look_up_settings(conn_id: str, log: Any) -> ConnectionSettings:
    # Not with the hook: to import it takes longer than most pulls.
    with explain_unreadable_variable(conn_id):
        return check_connection(BaseHook.get_connection(conn_id), conn_id, log)


def _identify(query: AnalyticsQuery, zone: str) -> dict[str, Any]:
    """Return the first part of the summary: what distinguishes the figures of this pull from those of another."""
    return {
        "organization_id": query.organization_id,
        "zone": zone,
        "filters": query.filters,
        "date_from": iso(query.time_frame.date_from),
        "date_to": iso(query.time_frame.date_to),
    }


def _choose_time_frame(
    arguments: Mapping[str, Any], context: Context, timezone: tzinfo, now: datetime, log: Any
) -> TimeFrame:
    run: dict[str, Any] = {name: context.get(name) for name in ("data_interval_start", "data_interval_end")}
    run["schedule"] = Schedule.of(context.get("dag"))
    explicit = {name: arguments[name] for name in ("date_from", "date_to", "lookback")}
    chosen = resolve_time_frame(now=now, timezone=timezone, **explicit, **run)
    time_frame = complete_time_frame(chosen, now=now, **run)
    if unfinished := describe_unfinished(time_frame, now):
        if arguments["if_exists"] == "skip":
            raise MakeInputError(
                f"{unfinished}: expected one that is over, as if_exists='skip' would keep its figures."
            )
        log.warning("%s: the figures are not complete.", unfinished)
    if arguments["date_from"] is None and (
        mismatch := describe_mismatch(time_frame, timezone=timezone, lookback=arguments["lookback"], **run)
    ):
        log.warning(mismatch)
    return time_frame


def _pull_span() -> AbstractContextManager[Any]:
    """Begin a span within the task's. A process without OpenTelemetry does not load it for that."""
    trace = sys.modules.get("opentelemetry.trace")
    return nullcontext() if trace is None else trace.get_tracer(__name__).start_as_current_span("make.pull")


class _Progress:
    """Passes the entries to the destination, and logs the progress every few seconds."""

    def __init__(self, query: AnalyticsQuery, destination: Destination, teams: TeamTotals | None, log: Any) -> None:
        self._destination = destination
        self._teams = teams
        self._log = log
        self._began = self._logged = time.monotonic()
        frame = query.time_frame
        self._builder = RowBuilder(
            query.organization_id, frame.date_from, frame.date_to, datetime.now(UTC).replace(microsecond=0)
        )
        self._destination.begin(self._builder)
        self.row_count = self.page_count = 0

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        self._destination.add(entries)
        if self._teams is not None:
            self._teams.add(entries)
        self.row_count += len(entries)
        self.page_count += 1
        if time.monotonic() - self._logged >= SECONDS_BETWEEN_LOG_LINES:
            self._logged = time.monotonic()
            self._log.info(
                describe_progress(self.page_count, self.row_count, total_count, time.monotonic() - self._began)
            )
        return True

    def restart(self, error: MakeApiError, delay: float) -> None:
        self._log.warning("The pull starts again in %.1f s: %s.", delay, error.headline().rstrip("."))
        self._destination.begin(self._builder)
        if self._teams is not None:
            self._teams.restart()
        self.row_count = self.page_count = 0
        self._began = time.monotonic() + delay

    def rows_per_second(self) -> float:
        return self.row_count / max(time.monotonic() - self._began, 1e-6)


def describe_progress(page_count: int, row_count: int, total_count: int | None, seconds: float) -> str:
    """Describe how far a pull is: ``57 pages, 56,944 of 250,000 scenarios (22 %), 11,200 a second, 0:00:18 left.``."""
    speed = row_count / max(seconds, 1e-6)
    pages = _count(page_count, "page")
    if not total_count:
        return f"{pages}, {_count(row_count, 'scenario')}, {speed:,.0f} a second."
    percent = min(100, 100 * row_count // total_count)
    left = timedelta(seconds=min(_LONGEST_LEFT, math.ceil(max(0, total_count - row_count) / speed)))
    scenarios = f"{row_count:,} of {_count(total_count, 'scenario')}"
    return f"{pages}, {scenarios} ({percent} %), {speed:,.0f} a second, {left} left."


def describe_figures(total: Mapping[str, Any]) -> str:
    """Describe an organization's figures: ``1,893 executions, 61 errors, error rate 3.22 %, 9,537.76 credits``."""
    counts = [(total[name], name[:-1]) for name in ("executions", "errors")]
    figures = [_count(number, noun) for number, noun in counts if number is not None]
    if total["error_rate"] is not None:
        figures.append(f"error rate {total['error_rate']:.2f} %")
    if total["centicredits"] is not None:
        credits, hundredths = divmod(int(total["centicredits"]), 100)
        figures.append(f"{credits:,}.{hundredths:02} credits")
    return ", ".join(figures) or "no figures"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {plural(number, noun)}"

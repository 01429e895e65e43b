"""One pull: all pages of a query into a destination, and the summary that goes to XCom."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.page import ScenarioMetrics, describe_fraction
from airflow_provider_make.api.query import AnalyticsQuery
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.exceptions import MakeApiError
from airflow_provider_make.output.destination import Destination
from airflow_provider_make.output.rows import RowBuilder, to_total
from airflow_provider_make.paging.exact_reader import read_exactly
from airflow_provider_make.text import plural

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.api.event_loop import EventLoopThread

SECONDS_BETWEEN_LOG_LINES = 5.0


def pull(
    event_loop: EventLoopThread,
    query: AnalyticsQuery,
    *,
    page_size: int,
    max_concurrency: int,
    destination: Destination,
    log: Any,
) -> dict[str, Any]:
    """
    Pull every scenario of a query, exactly once, and publish the rows when the pull is complete.

    :param event_loop: The event loop, with a client of the organization's zone.
    :param query: The query.
    :param page_size: Entries in each page.
    :param max_concurrency: Maximum number of requests at the same time.
    :param destination: The destination of the rows.
    :param log: Logger for the start, the progress every few seconds, and the result.
    :return: The summary, JSON-serialisable: ``organization_id``, ``zone``, ``date_from``, ``date_to``,
        ``total``, ``row_count``, ``requests``, and the destination's ``path``, ``format``, ``bytes``
        and, without a path, ``rows``.
    :raises MakeInputError: The result is too large for its destination.
    :raises MakeApiError: The pull failed; nothing was published.
    """
    with destination:
        progress = _Progress(query, destination, log)

        async def read(client: MakeClient) -> dict[str, Any]:
            requests_before = client.requests_sent
            log.info("Pulling %s: requesting the first page.", _describe(query, client.settings.zone))
            total = await read_exactly(
                client.fetch_page,
                query,
                progress,
                page_size=page_size,
                max_concurrency=max_concurrency,
                delay=client.retry_rules.delay,
            )
            if warning := describe_fraction(total):
                log.warning(warning)
            return {
                "organization_id": query.organization_id,
                "zone": client.settings.zone,
                "date_from": iso(query.time_frame.date_from),
                "date_to": iso(query.time_frame.date_to),
                "total": to_total(total),
                "row_count": progress.row_count,
                "requests": client.requests_sent - requests_before,
            }

        summary = destination.publish(event_loop.run(read))
    log.info(
        "Pulled %d %s of %s in %d %s, %.0f a second, into %s.",
        progress.row_count,
        plural(progress.row_count, "scenario"),
        _describe(query, summary["zone"]),
        summary["requests"],
        plural(summary["requests"], "request"),
        progress.rows_per_second(),
        summary["path"] or "XCom",
    )
    return summary


def _describe(query: AnalyticsQuery, zone: str) -> str:
    frame = query.time_frame
    begin, end = iso(frame.date_from) or "a year ago", iso(frame.date_to) or "now"
    return f"organization {query.organization_id} ({zone}) from {begin} to {end}"


class _Progress:
    """Passes the entries to the destination, and logs the progress."""

    def __init__(self, query: AnalyticsQuery, destination: Destination, log: Any) -> None:
        self._destination = destination
        self._log = log
        self._began = self._logged = time.monotonic()
        frame = query.time_frame
        self._builder = RowBuilder(
            query.organization_id, frame.date_from, frame.date_to, datetime.now(UTC).replace(microsecond=0)
        )
        self._destination.begin(self._builder)
        self.row_count = self._page_count = 0

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        self._destination.add(entries)
        self.row_count += len(entries)
        self._page_count += 1
        if time.monotonic() - self._logged >= SECONDS_BETWEEN_LOG_LINES:
            self._logged = time.monotonic()
            self._log.info(
                describe_progress(self._page_count, self.row_count, total_count, time.monotonic() - self._began)
            )
        return True

    def restart(self, error: MakeApiError, delay: float) -> None:
        self._log.warning("The pull starts again in %.1f s: %s.", delay, error.headline())
        self._destination.begin(self._builder)
        self.row_count = self._page_count = 0
        self._began = time.monotonic() + delay

    def rows_per_second(self) -> float:
        return self.row_count / max(time.monotonic() - self._began, 1e-6)


def describe_progress(page_count: int, row_count: int, total_count: int | None, seconds: float) -> str:
    """
    Describe how far a pull is.

    :param page_count: Pages read.
    :param row_count: Scenarios read, one or more.
    :param total_count: Scenarios of the whole pull; None if Make has not sent the number.
    :param seconds: Seconds since the first request.
    :return: For example ``57 pages, 56944 of 250000 scenarios (22 %), 11200 a second, 0:00:18 left.``
    """
    speed = row_count / max(seconds, 1e-6)
    pages = f"{page_count} {plural(page_count, 'page')}"
    if not total_count:
        return f"{pages}, {row_count} {plural(row_count, 'scenario')}, {speed:.0f} a second."
    percent = min(100, 100 * row_count // total_count)
    left = timedelta(seconds=math.ceil(max(0, total_count - row_count) / speed))
    scenarios = f"{row_count} of {total_count} {plural(total_count, 'scenario')}"
    return f"{pages}, {scenarios} ({percent} %), {speed:.0f} a second, {left} left."

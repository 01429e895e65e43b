"""One pull: all pages of a query into a destination, and the summary that goes to XCom."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.answer import to_rows, to_total
from airflow_provider_make.destination import Destination
from airflow_provider_make.paging import Paging
from airflow_provider_make.query import AnalyticsQuery
from airflow_provider_make.time_frame import iso

if TYPE_CHECKING:
    from airflow_provider_make.hooks.make import MakeHook

SECONDS_BETWEEN_LINES = 5.0


def pull(hook: MakeHook, query: AnalyticsQuery, *, page_size: int, destination: Destination) -> dict[str, Any]:
    """
    Pull every scenario of a query, exactly once, and publish the rows when all are there.

    The hook's log gets a line of progress every few seconds, and one at the end.

    :param hook: The connection.
    :param query: What to pull.
    :param page_size: Entries in each page.
    :param destination: Where the rows go.
    :return: The summary, JSON-serialisable: ``organization_id``, ``zone``, ``date_from``, ``date_to``,
        ``total``, ``row_count``, ``requests``, and the destination's ``path``, ``format``, ``bytes``
        and, without a path, ``rows``.
    :raises MakeInputError: The result is too large for its destination.
    :raises MakeApiError: The pull failed; nothing was published.
    """
    date_from, date_to = iso(query.time_frame.date_from), iso(query.time_frame.date_to)
    extracted_at = iso(datetime.now(UTC).replace(microsecond=0)) or ""
    progress = _Progress(hook.log)
    paging = Paging(page_size)
    requests_before = hook.requests_sent
    with destination:
        for page in hook.iter_pages(query, paging):
            total = page.total
            destination.add(
                to_rows(
                    page.analytics,
                    organization_id=query.organization_id,
                    date_from=date_from,
                    date_to=date_to,
                    extracted_at=extracted_at,
                )
            )
            progress.count(len(page.analytics), paging.total_count)
        summary = destination.publish(
            {
                "organization_id": query.organization_id,
                "zone": hook.settings.zone,
                "date_from": date_from,
                "date_to": date_to,
                "total": to_total(total),
                "row_count": progress.rows,
                "requests": hook.requests_sent - requests_before,
            }
        )
    progress.finish(summary)
    return summary


class _Progress:
    def __init__(self, log: Any) -> None:
        self._log = log
        self._began = self._told = time.monotonic()
        self.pages = self.rows = 0

    def count(self, rows: int, total: int | None) -> None:
        self.pages += 1
        self.rows += rows
        if time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._log.info("%d pages, %d of %s scenarios, %.0f a second.", self.pages, self.rows, total, self._rate())

    def finish(self, summary: dict[str, Any]) -> None:
        self._log.info(
            "Pulled %d scenarios of organization %d from %s in %d pages and %d requests, %.0f a second, into %s.",
            self.rows,
            summary["organization_id"],
            summary["zone"],
            self.pages,
            summary["requests"],
            self._rate(),
            summary["path"] or "XCom",
        )

    def _rate(self) -> float:
        return self.rows / max(time.monotonic() - self._began, 1e-6)

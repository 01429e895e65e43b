"""One pull: all pages of a query into a destination, and the summary that goes to XCom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.event_loop import run
from airflow_provider_make.api.query import AnalyticsQuery
from airflow_provider_make.api.response import Figures, ScenarioFigures
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.exceptions import MakeIncompleteResultError
from airflow_provider_make.output.destination import Destination
from airflow_provider_make.output.rows import RowMaker, to_total
from airflow_provider_make.paging.exact_reader import read_exactly

if TYPE_CHECKING:
    from airflow_provider_make.hooks.make import MakeHook

SECONDS_BETWEEN_LINES = 5.0


def pull(
    hook: MakeHook, query: AnalyticsQuery, *, page_size: int, max_concurrency: int, destination: Destination
) -> dict[str, Any]:
    """
    Pull every scenario of a query, exactly once, and publish the rows when all are there.

    The hook's log gets a line of progress every few seconds, and one at the end.

    :param hook: The connection.
    :param query: What to pull.
    :param page_size: Entries in each page.
    :param max_concurrency: The most requests at the same time.
    :param destination: Where the rows go.
    :return: The summary, JSON-serialisable: ``organization_id``, ``zone``, ``date_from``, ``date_to``,
        ``total``, ``row_count``, ``requests``, and the destination's ``path``, ``format``, ``bytes``
        and, without a path, ``rows``.
    :raises MakeInputError: The result is too large for its destination.
    :raises MakeApiError: The pull failed; nothing was published.
    """
    requests_before = hook.requests_sent
    with destination:
        rows = _Rows(hook.log, query, destination)

        async def read() -> Figures:
            async with hook.connect(max_concurrency) as ask:
                return await read_exactly(
                    ask,
                    query,
                    rows,
                    page_size=page_size,
                    max_concurrency=max_concurrency,
                    delay=hook.rules.delay,
                )

        total = run(read())
        summary = destination.publish(
            {
                "organization_id": query.organization_id,
                "zone": hook.settings.zone,
                "date_from": iso(query.time_frame.date_from),
                "date_to": iso(query.time_frame.date_to),
                "total": to_total(total),
                "row_count": rows.count,
                "requests": hook.requests_sent - requests_before,
            }
        )
    hook.log.info(
        "Pulled %d scenarios of organization %d from %s in %d requests, %.0f a second, into %s.",
        rows.count,
        query.organization_id,
        hook.settings.zone,
        summary["requests"],
        rows.per_second(),
        summary["path"] or "XCom",
    )
    return summary


class _Rows:
    """Hands entries to the destination, and tells the log how it goes."""

    def __init__(self, log: Any, query: AnalyticsQuery, destination: Destination) -> None:
        self._log = log
        self._destination = destination
        self._began = self._told = time.monotonic()
        frame = query.time_frame
        self._maker = RowMaker(
            query.organization_id, frame.date_from, frame.date_to, datetime.now(UTC).replace(microsecond=0)
        )
        self._destination.begin(self._maker)
        self.count = self._pages = 0

    def add(self, entries: Sequence[ScenarioFigures], total_count: int | None) -> None:
        self._destination.add(entries)
        self.count += len(entries)
        self._pages += 1
        if time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._log.info(
                "%d pages, %d of %s scenarios, %.0f a second.", self._pages, self.count, total_count, self.per_second()
            )

    def restart(self, error: MakeIncompleteResultError, pause: float) -> None:
        self._log.warning("The pull begins again in %.1f s: %s.", pause, error.headline())
        self._destination.begin(self._maker)
        self.count = self._pages = 0

    def per_second(self) -> float:
        return self.count / max(time.monotonic() - self._began, 1e-6)

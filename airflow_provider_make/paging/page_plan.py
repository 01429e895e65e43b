"""Which pages to request for all entries of a query, and whether the pages received fit together exactly."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Metrics, ScenarioMetrics
from airflow_provider_make.exceptions import MakeIncompleteResultError

_scenario_id = attrgetter("scenario_id")


class PagePlan:
    """
    The pages of one pass over a query's result. It does no I/O: request the next pages, then accept them in order.

    Neighbouring pages overlap by one entry where that costs no further request, and that entry has to be the same on
    both. So a scenario that is deleted before the reader's position is noticed, even if another one is created after
    it and the total stays the same.

    :param page_size: Entries to request in each page; one or more. The server may return fewer and says so in
        ``pg.limit``; the next pages are planned with that.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        # The page length of the server, known from the first page on.
        self._served_size = page_size
        self._planned = False
        self._seen: set[int] = set()
        self._last: int | None = None
        self._first: AnalyticsPage | None = None
        self.total_count: int | None = None

    @property
    def row_count(self) -> int:
        """The number of entries accepted so far."""
        return len(self._seen)

    @property
    def total(self) -> Metrics:
        """The organization's figures, from the first page."""
        return self._first.total if self._first else Metrics()

    def begins_without(self, column: str) -> bool:
        """
        Decide whether the server sorts entries without a value first.

        :param column: The sort key, by our column name.
        :return: Whether the first entry of the first page lacks it.
        """
        return self._first is not None and any(getattr(entry, column) is None for entry in self._first.analytics[:1])

    def next_pages(self) -> Sequence[PageRequest]:
        """
        Choose the next pages, which may be fetched concurrently.

        :return: The first page alone, which has the total and the server's page length; then all other pages; no
            pages when all entries are accepted.
        """
        if self.total_count is None:
            return [_page(0, self._page_size)]
        if self.row_count == self.total_count:
            return []
        if not self._planned:
            self._planned = True
            return self._plan(self.total_count)
        # The server's limit is one entry lower than planned, which the first page could not show: entries are missing.
        return [_page(self.row_count - 1, self._served_size)]

    def accept(self, request: PageRequest, page: AnalyticsPage) -> list[ScenarioMetrics]:
        """
        Accept the next page, in the order of the requests.

        :param request: The page that was requested.
        :param page: The page that was received.
        :return: The entries that are new, in order.
        :raises MakeIncompleteResultError: The total changed, the pages do not join, an entry is repeated, or entries
            are missing.
        """
        offset, limit = request.offset or 0, request.limit or self._page_size
        total_count = page.pg.total_count
        if total_count is None or self.total_count not in (None, total_count):
            raise self._inexact(f"the total changed from {self.total_count} to {total_count}")
        if self._first is None:
            self._first = page
            self._served_size = min(limit, page.pg.limit or len(page.analytics) or limit)
            self.total_count = total_count
        expected = min(limit, page.pg.limit or limit, max(0, total_count - offset))
        # Without pg.limit, a short page can only be explained by a limit of the server.
        if len(page.analytics) != expected and (page.pg.limit or not 0 < len(page.analytics) < expected):
            raise self._inexact(f"the page at offset {offset} has {len(page.analytics)} entries instead of {expected}")
        if offset > self.row_count:
            raise self._inexact(f"entries {self.row_count} to {offset} are missing: the pages became shorter")
        entries = page.analytics
        if offset < self.row_count:
            if not entries or entries[0].scenario_id != self._last:
                raise self._inexact(f"the page at offset {offset} does not begin with the previous page's last entry")
            entries = entries[1:]
        if not entries and self.row_count < total_count:
            raise self._inexact(f"the page at offset {offset} has no new entries")
        seen_before = self.row_count
        self._seen.update(map(_scenario_id, entries))
        if self.row_count < seen_before + len(entries):
            raise self._inexact(f"the page at offset {offset} repeats scenarios")
        if entries:
            self._last = entries[-1].scenario_id
        return entries

    def _plan(self, total: int) -> list[PageRequest]:
        size = self._served_size
        numbers = range(1, -(-total // size))
        if size > 1 and total - size <= len(numbers) * (size - 1):
            # The last page has room for the entries that the overlaps repeat.
            return [_page(number * (size - 1), size) for number in numbers]
        if size > 1 and size == self._page_size:
            # The last page would be full. The server did not shorten the first page, so request one entry more in each.
            return [_page(number * size - 1, size + 1) for number in numbers]
        return [_page(number * size, size) for number in numbers]

    def _inexact(self, problem: str) -> MakeIncompleteResultError:
        return MakeIncompleteResultError(f"{problem} (after {self.row_count} of {self.total_count} scenarios)")


def _page(offset: int, limit: int) -> PageRequest:
    return PageRequest(offset=offset, limit=limit, return_total_count=True)

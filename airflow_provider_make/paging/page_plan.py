"""Which pages to request for all entries of a query, and whether the pages received fit together exactly."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from airflow_provider_make.api.page import AnalyticsPage, Metrics, ScenarioMetrics
from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.exceptions import MakeIncompleteResultError

_scenario_id = attrgetter("scenario_id")


class PagePlan:
    """
    The pages of one pass over a query's result. It does no I/O: request its pages, and accept them in order.

    Each page begins with the last entry of the page before, and that entry has to be the same on both. So a scenario
    that is deleted before the reader's position is noticed, even if another one is created after it and the total
    stays the same. Pages have two entries or more: those of one can't overlap.

    A caller that mostly needs only the first entries gives the first page a smaller size.
    """

    def __init__(self, page_size: int, first_size: int | None = None) -> None:
        self._page_size = page_size
        self._first_size = min(first_size or page_size, page_size)
        # The page length of the server, known from the first page of the full size on.
        self._served_size = page_size
        self._largest_limit = 0
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

    @property
    def page_cap(self) -> int | None:
        """The page length of a server that returns fewer entries than requested, seen on two pages; None otherwise."""
        is_capped = self._served_size < min(self._page_size, self.row_count)
        return self._served_size if is_capped else None

    def begins_without(self, column: str) -> bool:
        """Decide whether the first entry lacks the column, so that the server sorts entries without a value first."""
        return self._first is not None and any(getattr(entry, column) is None for entry in self._first.analytics[:1])

    def first_page(self) -> PageRequest:
        """Return the first page, without whose total and length no other can be planned."""
        return _page(0, self._first_size)

    def first_full_page(self) -> PageRequest | None:
        """Return the second page after a smaller first one, whose length is the server's; None if needless."""
        if self._served_size < self._first_size or not self._first_size < min(self._page_size, self.total_count or 0):
            return None
        return _page(self.row_count - 1, self._page_size)

    def other_pages(self) -> Iterator[PageRequest]:
        """Choose the pages after those accepted, which may be fetched concurrently."""
        # Each when it is its turn: a server may report any total.
        size, step = self._served_size, self._served_size - 1
        # A page at the last entry or later would have no new entries.
        for offset in range(self.row_count - 1, (self.total_count or 0) - 1, step or 1):
            yield _page(offset, size)

    def accept(self, request: PageRequest, page: AnalyticsPage) -> list[ScenarioMetrics]:
        """
        Accept the next page, in the order of the requests, and return its entries that are new.

        :raises MakeIncompleteResultError: The total changed, the page does not have the expected length, the pages do
            not join, or an entry is repeated.
        """
        offset, limit = request.offset or 0, request.limit or self._page_size
        total_count = page.pg.total_count
        if total_count is None or self.total_count not in (None, total_count):
            raise self._inexact(f"the total changed from {self.total_count} to {total_count}")
        entries, expected = page.analytics, min(limit, max(0, total_count - offset))
        if self._first is None:
            self._first = page
            self.total_count = total_count
        if limit > self._largest_limit:
            self._largest_limit = limit
            self._served_size = limit
            if 0 < len(entries) < expected:
                self._served_size = expected = len(entries)
            if self._served_size == 1 < total_count:
                raise self._inexact("the server returns one entry per page, and such pages can't overlap")
        if len(entries) != expected:
            raise self._inexact(f"the page at offset {offset} has {len(entries)} entries instead of {expected}")
        if offset:
            if entries[0].scenario_id != self._last:
                raise self._inexact(f"the page at offset {offset} does not begin with the previous page's last entry")
            entries = entries[1:]
        seen_before = self.row_count
        self._seen.update(map(_scenario_id, entries))
        if self.row_count < seen_before + len(entries):
            raise self._inexact(f"the page at offset {offset} repeats scenarios")
        if entries:
            self._last = entries[-1].scenario_id
        return entries

    def _inexact(self, problem: str) -> MakeIncompleteResultError:
        return MakeIncompleteResultError(f"{problem} (after {self.row_count} of {self.total_count} scenarios)")


def _page(offset: int, limit: int) -> PageRequest:
    return PageRequest(offset=offset, limit=limit, return_total_count=True)

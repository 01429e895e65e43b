"""One round of reading: which pages make up a query's result, and whether those that came do so exactly."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Figures, ScenarioFigures
from airflow_provider_make.exceptions import MakeIncompleteResultError

_scenario_id = attrgetter("scenario_id")


class Round:
    """
    All pages of a query in one order. No I/O: ask for a batch, then hand in its answers, in order.

    Neighbouring pages overlap by one entry wherever that costs no further request, and the entry has to be
    the same on both. So a scenario deleted behind the reader is noticed even if another one was added ahead,
    which leaves the count alike.

    :param page_size: Entries to ask for in each page; one or more. The server may give fewer; it says so in
        ``pg.limit``, and the following pages go by that.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        # What the first answer shows the server to give: the page that all others go by.
        self._page = page_size
        self._planned = False
        self._seen: set[int] = set()
        self._last: int | None = None
        self._first: AnalyticsPage | None = None
        self.total_count: int | None = None

    @property
    def row_count(self) -> int:
        """Entries accepted so far, each of them once."""
        return len(self._seen)

    @property
    def total(self) -> Figures:
        """The organization's figures, of the first answer."""
        return self._first.total if self._first else Figures()

    def begins_without(self, column: str) -> bool:
        """
        Tell whether the server puts entries without a value first.

        :param column: The sort key, by our column's name.
        :return: Whether the very first entry lacks it.
        """
        return self._first is not None and any(getattr(entry, column) is None for entry in self._first.analytics[:1])

    def next_batch(self) -> Sequence[PageRequest]:
        """
        Choose the next pages, which may be fetched side by side.

        :return: First one page, which tells the total and the server's own page size; then all others; none
            when all entries were accepted.
        """
        if self.total_count is None:
            return [_page(0, self._page_size)]
        if self.row_count == self.total_count:
            return []
        if not self._planned:
            self._planned = True
            return self._plan(self.total_count)
        # The server gave one entry less than asked for, in the one case where that was not known before.
        return [_page(self.row_count - 1, self._page)]

    def accept(self, asked: PageRequest, page: AnalyticsPage) -> list[ScenarioFigures]:
        """
        Take the answer to the next page of the batch.

        :param asked: The page asked for.
        :param page: The answer.
        :return: The entries that are new, in order.
        :raises MakeIncompleteResultError: The total moved, pages do not join, an entry came twice, or entries
            are missing.
        """
        offset, limit = asked.offset or 0, asked.limit or self._page_size
        total_count = page.pg.total_count
        if total_count is None or self.total_count not in (None, total_count):
            raise self._inexact(f"the total moved from {self.total_count} to {total_count}")
        if self._first is None:
            self._first = page
            self._page = min(limit, page.pg.limit or len(page.analytics) or limit)
            self.total_count = total_count
        due = min(limit, page.pg.limit or limit, max(0, total_count - offset))
        # Without pg.limit a short page can only be taken as the server's own limit.
        if len(page.analytics) != due and (page.pg.limit or not 0 < len(page.analytics) < due):
            raise self._inexact(f"the page at {offset} has {len(page.analytics)} entries where {due} are due")
        if offset > self.row_count:
            raise self._inexact(f"entries from {self.row_count} to {offset} are missing: pages became shorter")
        entries = page.analytics
        if offset < self.row_count:
            if not entries or entries[0].scenario_id != self._last:
                raise self._inexact(f"the page at {offset} does not join the one before")
            entries = entries[1:]
        if not entries and self.row_count < total_count:
            raise self._inexact(f"the page at {offset} brings nothing new")
        seen_before = self.row_count
        self._seen.update(map(_scenario_id, entries))
        if self.row_count < seen_before + len(entries):
            raise self._inexact(f"the page at {offset} repeats scenarios")
        if entries:
            self._last = entries[-1].scenario_id
        return entries

    def _plan(self, total: int) -> list[PageRequest]:
        size = self._page
        further = range(1, -(-total // size))
        if size > 1 and total - size <= len(further) * (size - 1):
            # There is room on the last page: each step is one entry shorter than its page.
            return [_page(number * (size - 1), size) for number in further]
        if size > 1 and size == self._page_size:
            # No room, but the server gave all that was asked for: it may give one entry more.
            return [_page(number * size - 1, size + 1) for number in further]
        return [_page(number * size, size) for number in further]

    def _inexact(self, what: str) -> MakeIncompleteResultError:
        return MakeIncompleteResultError(f"{what} (after {self.row_count} of {self.total_count} scenarios)")


def _page(offset: int, limit: int) -> PageRequest:
    return PageRequest(offset=offset, limit=limit, return_total_count=True)

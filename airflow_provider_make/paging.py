"""Which page comes next, and whether the pages seen make up the whole result exactly."""

from __future__ import annotations

from airflow_provider_make.answer import AnalyticsPage
from airflow_provider_make.exceptions import MakeIncompleteResultError
from airflow_provider_make.query import PageRequest


class Paging:
    """
    The pages of one query, one after the other. No I/O: ask for the next page, then hand in its answer.

    :param page_size: Entries to ask for in each page; one or more. The server may give fewer; it says so in
        ``pg.limit``, and the following pages go by that.
    """

    def __init__(self, page_size: int) -> None:
        self._limit = page_size
        self._seen: set[int] = set()
        self._total_count: int | None = None

    @property
    def total_count(self) -> int | None:
        """Entries of the whole query; None before the first answer."""
        return self._total_count

    @property
    def finished(self) -> bool:
        """Whether every entry has been seen."""
        return len(self._seen) == self._total_count

    def next_page(self) -> PageRequest | None:
        """
        Choose the next page.

        :return: What to ask for, or None when every entry has been seen.
        """
        if self.finished:
            return None
        return PageRequest(offset=len(self._seen), limit=self._limit, return_total_count=True)

    def accept(self, page: AnalyticsPage) -> None:
        """
        Take the answer to the page last asked for.

        :param page: The answer.
        :raises MakeIncompleteResultError: The total moved, an entry came twice, or entries are missing:
            scenarios were added, deleted or reordered while the pages were read.
        """
        total_count = page.pg.totalCount
        if total_count is None or self._total_count not in (None, total_count):
            raise self._inexact(f"pg.totalCount moved from {self._total_count} to {total_count}")
        self._total_count = total_count
        if page.pg.limit:
            self._limit = min(self._limit, page.pg.limit)
        offset = len(self._seen)
        ids = {entry["id"] for entry in page.analytics}
        repeated = ids & self._seen
        if repeated or len(ids) < len(page.analytics):
            raise self._inexact(f"the page at offset {offset} repeats scenarios {sorted(repeated)[:5] or ''}")
        expected = min(self._limit, total_count - offset)
        # Without pg.limit a short page can only be taken as the server's own limit.
        if len(ids) != expected and (page.pg.limit or not ids or len(ids) > expected):
            raise self._inexact(f"the page at offset {offset} has {len(ids)} entries where {expected} were due")
        self._seen |= ids

    def _inexact(self, what: str) -> MakeIncompleteResultError:
        return MakeIncompleteResultError(
            f"{what}, after {len(self._seen)} of {self._total_count} scenarios. "
            "They were added, deleted or reordered while the pages were read."
        )

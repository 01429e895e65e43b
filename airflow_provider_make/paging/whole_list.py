"""Read every entry of a list of organizations or teams exactly once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from airflow_provider_make.api.organizations import ListPage
from airflow_provider_make.exceptions import MakeIncompleteResultError

MAX_PASSES = 3
# A server that always has one more entry must not keep a task busy without end.
MAX_PAGES = 1000


class ListPlan:
    """
    Chooses the pages of one pass over a list, and checks that they fit together.

    Make does not say how many entries a list has. So each page begins with the last entry of the page before, and the
    list ends with the page that has no other.
    """

    def __init__(self) -> None:
        self.entries: dict[int, dict[str, Any]] = {}
        self._pages = 0
        self._first_page: list[int] = []

    @property
    def offset(self) -> int:
        """The offset of the next page."""
        return max(0, len(self.entries) - 1)

    def accept(self, page: ListPage) -> bool:
        """
        Add the entries of the next page.

        :param page: The page at ``offset``.
        :return: Whether the list is complete.
        :raises MakeIncompleteResultError: The page does not fit those before, or there are too many pages.
        """
        ids = list(page.entries)
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise MakeIncompleteResultError(f"the list has more than {MAX_PAGES} pages")
        if self._pages == 1:
            self._first_page = ids
            self.entries.update(page.entries)
            return not ids
        if self._pages == 2 and ids == self._first_page:
            return self._end_of_unpaged(page)
        last = next(reversed(self.entries))
        if ids[:1] != [last] or not self.entries.keys().isdisjoint(ids[1:]):
            problem = f"the page at offset {self.offset} does not continue the previous one"
            raise MakeIncompleteResultError(f"{problem} (after {len(self.entries)} entries)")
        self.entries.update(page.entries)
        return len(ids) == 1

    def _end_of_unpaged(self, page: ListPage) -> bool:
        """Decide whether the same page again is the whole list."""
        if len(page.entries) == page.limit:
            raise MakeIncompleteResultError(f"the server repeats its page of {page.limit} entries: there may be more")
        return True


async def read_list(fetch: Callable[[int], Coroutine[Any, Any, ListPage]]) -> list[dict[str, Any]]:
    """
    Read all pages of a list; if they do not fit together, read it again.

    :param fetch: Fetches the page at an offset.
    :return: The entries.
    :raises MakeIncompleteResultError: No pass was exact.
    :raises MakeApiError: A page could not be fetched.
    """
    for number in range(1, MAX_PASSES + 1):
        plan = ListPlan()
        try:
            while not plan.accept(await fetch(plan.offset)):
                pass
        except MakeIncompleteResultError:
            if number == MAX_PASSES:
                raise
        else:
            break
    return list(plan.entries.values())

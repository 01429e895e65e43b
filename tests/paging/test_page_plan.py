"""Which pages are requested, and which of them are accepted, without a server."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Metrics, Pagination, ScenarioMetrics
from airflow_provider_make.exceptions import MakeIncompleteResultError
from airflow_provider_make.paging.page_plan import PagePlan


def page(ids: Iterable[int], total_count: int | None, limit: int | None = None) -> AnalyticsPage:
    entries = [ScenarioMetrics(scenario_id=id_) for id_ in ids]
    return AnalyticsPage(Metrics(errors=7), entries, Pagination(limit=limit, total_count=total_count))


def spans(requests: Iterable[PageRequest]) -> list[tuple[int | None, int | None]]:
    return [(request.offset, request.limit) for request in requests]


def plan_after_first(count: int, page_size: int, limit: int | None = None) -> PagePlan:
    """Return a plan that has accepted the first page of a server with this many entries and this limit."""
    plan = PagePlan(page_size)
    (first,) = plan.next_pages()
    assert (first.offset, first.limit, first.return_total_count) == (0, page_size, True)
    plan.accept(first, page(range(min(count, limit or page_size)), count, limit or page_size))
    return plan


@pytest.mark.parametrize(
    ("count", "page_size", "limit", "expected"),
    [
        (0, 10, None, []),
        (10, 10, None, []),
        # The last page has room: each page begins with the last entry of the one before.
        (19, 10, None, [(9, 10)]),
        (28, 10, None, [(9, 10), (18, 10)]),
        # No room: the pages are one entry longer instead.
        (20, 10, None, [(9, 11)]),
        (30, 10, None, [(9, 11), (19, 11)]),
        # The server returns fewer entries than requested: pages of its length.
        (19, 1000, 10, [(9, 10)]),
        (20, 1000, 10, [(10, 10)]),
        # Pages of one entry can't overlap.
        (3, 1, None, [(1, 1), (2, 1)]),
    ],
)
def test_pages_after_the_first(count: int, page_size: int, limit: int | None, expected: list[tuple[int, int]]) -> None:
    plan = plan_after_first(count, page_size, limit)
    assert spans(plan.next_pages()) == expected


@given(st.integers(0, 400), st.integers(1, 50), st.none() | st.integers(1, 50))
def test_all_pages_together_have_every_entry_once_in_order(count: int, page_size: int, cap: int | None) -> None:
    plan = PagePlan(page_size)
    accepted: list[int] = []
    while requests := plan.next_pages():
        for request in requests:
            limit = min(request.limit or 0, cap or request.limit or 0)
            offset = request.offset or 0
            received = page(range(offset, min(count, offset + limit)), count, limit)
            accepted += [entry.scenario_id for entry in plan.accept(request, received)]
    assert accepted == list(range(count))
    assert (plan.row_count, plan.total_count, plan.total) == (count, count, Metrics(errors=7))


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (page(range(9, 19), 20, 10), "the total changed from 19 to 20"),
        (page(range(9, 19), None, 10), "the total changed from 19 to None"),
        (page(range(9, 18), 19, 10), "has 9 entries instead of 10"),
        (page(range(10, 20), 19, 10), "does not begin with the previous page's last entry"),
        (page([], 19), "has 0 entries instead of 10"),
        (page([9], 19), "has no new entries"),
        (page([9, *range(9)], 19, 10), "repeats scenarios"),
    ],
)
def test_pages_that_do_not_fit_raise(received: AnalyticsPage, problem: str) -> None:
    plan = plan_after_first(19, 10)
    (request,) = plan.next_pages()
    with pytest.raises(MakeIncompleteResultError, match=rf"{problem}.* \(after 10 of 19 scenarios\)"):
        plan.accept(request, received)


def test_gap_after_shorter_pages_raises() -> None:
    plan = plan_after_first(28, 10)
    second, third = plan.next_pages()
    # Without pg.limit, a short page is a limit of the server.
    plan.accept(second, page(range(9, 14), 28))
    with pytest.raises(MakeIncompleteResultError, match="entries 14 to 18 are missing"):
        plan.accept(third, page(range(18, 28), 28))


@pytest.mark.parametrize(("rates", "first"), [([None, 1.0], True), ([1.0, None], False), ([], False)])
def test_plan_detects_whether_entries_without_a_value_are_first(rates: list[float | None], first: bool) -> None:
    plan = PagePlan(10)
    assert not plan.begins_without("error_rate")
    entries = [ScenarioMetrics(scenario_id=number, error_rate=rate) for number, rate in enumerate(rates)]
    plan.accept(plan.next_pages()[0], AnalyticsPage(Metrics(), entries, Pagination(total_count=len(rates))))
    assert plan.begins_without("error_rate") == first

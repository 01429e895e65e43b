"""Which pages are requested, and which of them are accepted, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import AnalyticsPage, Metrics, Pagination, ScenarioMetrics
from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.exceptions import MakeIncompleteResultError
from airflow_provider_make.paging.page_plan import PagePlan


def page(ids: Iterable[int], total_count: int | None, limit: int | None = None) -> AnalyticsPage:
    entries = [ScenarioMetrics(scenario_id=id_) for id_ in ids]
    return AnalyticsPage(Metrics(errors=7), entries, Pagination(limit=limit, total_count=total_count))


def spans(requests: Iterable[PageRequest]) -> list[tuple[int | None, int | None]]:
    return [(request.offset, request.limit) for request in requests]


def plan_after_first(count: int, page_size: int, cap: int | None = None) -> PagePlan:
    """Return a plan that has accepted the first page of a server with this many entries and this page length."""
    plan = PagePlan(page_size)
    first = plan.first_page()
    assert (first.offset, first.limit, first.return_total_count) == (0, page_size, True)
    plan.accept(first, page(range(min(count, cap or page_size)), count, cap or page_size))
    return plan


@pytest.mark.parametrize(
    ("count", "page_size", "cap", "expected"),
    [
        (0, 10, None, []),
        (1, 10, None, []),
        (10, 10, None, []),
        # Each page begins with the last entry of the one before, and none is longer than the page size.
        (11, 10, None, [(9, 10)]),
        (19, 10, None, [(9, 10)]),
        (20, 10, None, [(9, 10), (18, 10)]),
        (28, 10, None, [(9, 10), (18, 10)]),
        (3, 2, None, [(1, 2)]),
        # The server returns fewer entries than requested: pages of its length.
        (19, 1000, 10, [(9, 10)]),
        (20, 1000, 10, [(9, 10), (18, 10)]),
    ],
)
def test_pages_after_the_first(count: int, page_size: int, cap: int | None, expected: list[tuple[int, int]]) -> None:
    assert spans(plan_after_first(count, page_size, cap).other_pages()) == expected


@given(st.integers(0, 10**6))
def test_the_overlap_costs_one_request_at_most_up_to_a_million_scenarios(count: int) -> None:
    requests = 1 + len(list(plan_after_first_of_any_total(count).other_pages()))
    assert requests <= max(1, -(-count // 1000)) + 1


def plan_after_first_of_any_total(count: int) -> PagePlan:
    plan = PagePlan(1000)
    plan.accept(plan.first_page(), page(range(min(count, 1000)), count))
    return plan


@pytest.mark.parametrize("total", [10**9, 10**12, 10**23])
def test_a_total_that_is_too_large_takes_no_memory(total: int) -> None:
    pages = plan_after_first_of_any_total(total).other_pages()
    assert spans(islice(pages, 2)) == [(999, 1000), (1998, 1000)]


@given(st.integers(0, 400), st.integers(2, 50), st.none() | st.integers(2, 50), st.booleans())
def test_all_pages_together_have_every_entry_once_in_order(
    count: int, page_size: int, cap: int | None, sends_limit: bool
) -> None:
    plan = PagePlan(page_size)
    accepted: list[int] = []
    # The server's limit may be an echo of the request, although the page is shorter.
    for request in chain([plan.first_page()], plan.other_pages()):
        offset, limit = request.offset or 0, request.limit or 0
        assert limit <= page_size
        length = min(limit, cap or limit)
        received = page(range(offset, min(count, offset + length)), count, limit if sends_limit else None)
        accepted += [entry.scenario_id for entry in plan.accept(request, received)]
    assert accepted == list(range(count))
    assert (plan.row_count, plan.total_count, plan.total) == (count, count, Metrics(errors=7))


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (page(range(9, 19), 20, 10), "the total changed from 19 to 20"),
        (page(range(9, 19), None, 10), "the total changed from 19 to None"),
        (page(range(9, 18), 19, 10), "has 9 entries instead of 10"),
        (page(range(9, 14), 19, 5), "has 5 entries instead of 10"),
        (page(range(10, 20), 19, 10), "does not begin with the previous page's last entry"),
        (page([], 19), "has 0 entries instead of 10"),
        (page([9, *range(9)], 19, 10), "repeats scenarios"),
    ],
)
def test_pages_that_do_not_fit_raise(received: AnalyticsPage, problem: str) -> None:
    plan = plan_after_first(19, 10)
    (request,) = plan.other_pages()
    with pytest.raises(MakeIncompleteResultError, match=rf"{problem}.* \(after 10 of 19 scenarios\)"):
        plan.accept(request, received)


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (page([], 19), "the page at offset 0 has 0 entries instead of 10"),
        (page(range(3), 2), "has 3 entries instead of 2"),
        (page([1], 2), "the server returns one entry per page, and such pages can't overlap"),
        (page([1, 1], 2), "repeats scenarios"),
    ],
)
def test_a_first_page_that_can_not_be_right_raises(received: AnalyticsPage, problem: str) -> None:
    plan = PagePlan(10)
    with pytest.raises(MakeIncompleteResultError, match=problem):
        plan.accept(plan.first_page(), received)


@pytest.mark.parametrize(
    ("size", "cap", "accepted", "expected"), [(10, None, 2, None), (100, 10, 1, None), (100, 10, 2, 10)]
)
def test_a_cap_is_known_when_two_pages_have_shown_it(
    size: int, cap: int | None, accepted: int, expected: int | None
) -> None:
    plan = plan_after_first(30, size, cap)
    for request in islice(plan.other_pages(), accepted - 1):
        offset = request.offset or 0
        plan.accept(request, page(range(offset, offset + 10), 30))
    assert plan.page_cap == expected


@pytest.mark.parametrize(("rates", "first"), [([None, 1.0], True), ([1.0, None], False), ([], False)])
def test_plan_detects_whether_entries_without_a_value_are_first(rates: list[float | None], first: bool) -> None:
    plan = PagePlan(10)
    assert not plan.begins_without("error_rate")
    entries = [ScenarioMetrics(scenario_id=number, error_rate=rate) for number, rate in enumerate(rates)]
    plan.accept(plan.first_page(), AnalyticsPage(Metrics(), entries, Pagination(total_count=len(rates))))
    assert plan.begins_without("error_rate") == first

"""Every entry of a list exactly once, from servers that page in different ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.organizations import MAX_PAGES, MAX_PASSES, ListPage, read_list
from airflow_provider_make.exceptions import MakeIncompleteResultError

# What a server responds to the request with this number for the page at this offset.
Serve = Callable[[int, int], ListPage]


def page(ids: list[int], limit: int | None = None) -> ListPage:
    return ListPage({id_: {"organization_id": id_} for id_ in ids}, limit)


def read(serve: Serve) -> tuple[list[int], int]:
    """Return the ids of a list, and the number of requests."""
    offsets: list[int] = []

    async def fetch(offset: int) -> ListPage:
        offsets.append(offset)
        return serve(len(offsets), offset)

    entries = asyncio.run(read_list(fetch))
    return [entry["organization_id"] for entry in entries], len(offsets)


@given(count=st.integers(0, 60), size=st.integers(2, 20), says_its_limit=st.sampled_from([None, "size", "more"]))
def test_every_entry_is_read_once_whatever_the_length_of_a_page(
    count: int, size: int, says_its_limit: str | None
) -> None:
    ids = list(range(1, count + 1))
    limit = {None: None, "size": size, "more": 10_000}[says_its_limit]
    found, requests = read(lambda _, offset: page(ids[offset : offset + size], limit))
    assert found == ids
    # A page has one entry of the page before, and the last page no other.
    assert requests <= count // (size - 1) + 2


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_a_server_may_ignore_paging(count: int) -> None:
    ids = list(range(1, count + 1))
    assert read(lambda *_: page(ids))[0] == ids
    assert read(lambda *_: page(ids, 10_000))[0] == ids


def test_a_full_page_again_and_again_may_not_be_the_whole_list() -> None:
    with pytest.raises(MakeIncompleteResultError, match="repeats its page of 100 entries"):
        read(lambda *_: page(list(range(1, 101)), 100))


@pytest.mark.parametrize(
    "change",
    [lambda ids: ids.pop(0), lambda ids: ids.insert(0, 99), lambda ids: ids.reverse()],
    ids=["deleted", "created", "in_another_order"],
)
def test_a_list_that_changes_between_pages_is_read_again(change: Callable[[list[int]], Any]) -> None:
    ids = list(range(1, 11))

    def serve(number: int, offset: int) -> ListPage:
        if number == 2:
            change(ids)
        return page(ids[offset : offset + 5], 5)

    found, _ = read(serve)
    assert found == ids


def test_a_list_that_changes_in_every_pass_is_an_error() -> None:
    passes: list[int] = []

    def serve(number: int, offset: int) -> ListPage:
        passes.extend([number] * (offset == 0))
        return page([number * 10, number * 10 + 1], 2)

    with pytest.raises(MakeIncompleteResultError, match=r"offset 1 does not continue .* \(after 2 entries\)"):
        read(serve)
    assert len(passes) == MAX_PASSES


def test_a_page_that_repeats_an_earlier_entry_is_an_error() -> None:
    pages = {0: [1, 2, 3], 2: [3, 1]}
    with pytest.raises(MakeIncompleteResultError):
        read(lambda _, offset: page(pages[offset]))


def test_a_list_without_an_end_is_an_error() -> None:
    with pytest.raises(MakeIncompleteResultError, match=f"more than {MAX_PAGES} pages"):
        read(lambda _, offset: page([offset + 1, offset + 2]))


def test_pages_of_one_entry_are_an_error() -> None:
    # They can't overlap, so whether there is another entry is unknown.
    with pytest.raises(MakeIncompleteResultError, match="there may be more"):
        read(lambda *_: page([1], 1))

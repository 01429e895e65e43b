"""Exactness, against a model of a server whose data drift, whose ties have no order, and whose pages are capped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Figures, Pagination, ScenarioFigures
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeServerError
from airflow_provider_make.paging.exact_reader import ROUNDS, in_order, plan_round, read_exactly


@dataclass
class Server:
    """A server of so many scenarios: what it does at each request is laid down by its fields."""

    count: int
    cap: int | None = None
    tells_limit: bool = True
    shuffles: bool = False
    seed: int = 0
    absent_first: bool = False
    # By number of the request: how many scenarios are deleted at the front and the end, and added there.
    drift: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    asked: list[PageRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.ids = list(range(1000, 1000 + self.count))
        self.always, self.ever = set(self.ids), set(self.ids)
        self.under_way = self.most_under_way = 0

    def entry(self, id_: int) -> ScenarioFigures:
        return ScenarioFigures(
            scenario_id=id_,
            name=f"Scenario {id_:09d}",
            errors=id_ % 3,
            error_rate=None if id_ % 5 == 0 else float(id_ % 4),
        )

    def truth(self, sort_by: str = "name", sort_dir: str = "asc") -> list[ScenarioFigures]:
        entries = [self.entry(id_) for id_ in self.ids]
        absent = [entry for entry in entries if getattr(entry, sort_by) is None]
        present = [entry for entry in entries if getattr(entry, sort_by) is not None]
        if self.shuffles:
            self.random.shuffle(present)
        present.sort(key=lambda entry: getattr(entry, sort_by), reverse=sort_dir == "desc")
        return absent + present if self.absent_first else present + absent

    def move(self, deleted_first: int, deleted_last: int, added_first: int, added_last: int) -> None:
        self.ids = self.ids[deleted_first : len(self.ids) - deleted_last]
        first, last = (min(self.ever, default=1000), max(self.ever, default=1000))
        self.ids = [*range(first - added_first, first), *self.ids, *range(last + 1, last + 1 + added_last)]
        self.ever |= set(self.ids)
        self.always &= set(self.ids)

    async def ask(self, query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        self.asked.append(page)
        if change := self.drift.get(len(self.asked)):
            self.move(*change)
        limit = min(page.limit or 0, self.cap or page.limit or 0)
        offset = page.offset or 0
        entries = self.truth(query.sort_column, query.sort_dir)[offset : offset + limit]
        self.under_way -= 1
        pagination = Pagination(offset=offset, limit=limit if self.tells_limit else None, total_count=len(self.ids))
        return AnalyticsPage(total=Figures(errors=1), analytics=entries, pg=pagination)


@dataclass
class Rows:
    entries: list[ScenarioFigures] = field(default_factory=list)
    restarts: int = 0

    def add(self, entries: Sequence[ScenarioFigures], total_count: int | None) -> None:
        self.entries += entries

    def restart(self, error: MakeIncompleteResultError, pause: float) -> None:
        self.entries = []
        self.restarts += 1


def read(
    server: Server, page_size: int = 10, max_concurrency: int = 8, sort_by: str = "name", sort_dir: str = "asc"
) -> Rows:
    rows = Rows()
    query = AnalyticsQuery.read(organization_id=1, sort_by=sort_by, sort_dir=sort_dir)
    reading = read_exactly(server.ask, query, rows, page_size=page_size, max_concurrency=max_concurrency, delay=0.0)
    assert asyncio.run(reading) == Figures(errors=1)
    return rows


@st.composite
def servers(draw: Callable[..., Any], drifts: bool) -> tuple[Server, int]:
    """Draw a server, and a page size that makes some dozens of pages at the most."""
    count = draw(st.integers(0, 60) | st.integers(0, 3000))
    least = max(1, count // 40)
    page_size = draw(st.integers(least, least + 12) | st.integers(least, 3200))
    cap = draw(st.none() | st.integers(least, least + 12) | st.just(page_size))
    drift = st.dictionaries(st.integers(2, 90), st.tuples(*[st.integers(0, 3)] * 4), max_size=5)
    server = Server(
        count=count,
        cap=cap,
        tells_limit=draw(st.booleans()),
        shuffles=draw(st.booleans()),
        seed=draw(st.integers(0, 1000)),
        absent_first=draw(st.booleans()),
        drift=draw(drift) if drifts else {},
    )
    return server, page_size


def least_requests(count: int, page: int) -> int:
    return max(1, -(-count // page))


@pytest.mark.timeout(600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_resting_data_are_read_exactly_in_the_fewest_requests(
    drawn: tuple[Server, int], max_concurrency: int, sort_dir: str
) -> None:
    server, page_size = drawn
    rows = read(server, page_size, max_concurrency, sort_dir=sort_dir)
    assert rows.entries == server.truth(sort_dir=sort_dir)
    assert rows.restarts == 0
    page = min(page_size, server.cap or page_size)
    # A server whose cap is the very page size can't be told from one without a cap before it is asked for more.
    unknown = server.cap == page_size and server.count % page == 0 and server.count > page > 1
    assert len(server.asked) == least_requests(server.count, page) + unknown
    assert server.most_under_way <= max_concurrency


@pytest.mark.timeout(600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=True), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_drifting_data_are_exact_or_an_error(drawn: tuple[Server, int], max_concurrency: int, sort_dir: str) -> None:
    server, page_size = drawn
    try:
        entries = read(server, page_size, max_concurrency, sort_dir=sort_dir).entries
    except MakeIncompleteResultError as error:
        assert len(error.tries) == ROUNDS
        return
    ids = [entry.scenario_id for entry in entries]
    assert len(ids) == len(set(ids))
    assert set(ids) <= server.ever
    # A cap that leaves no room, or a page of one, has no overlap that would show a shift.
    if server.cap is None and page_size > 1:
        assert ids == sorted(ids, reverse=sort_dir == "desc")
        assert server.always <= set(ids)
    if max(server.drift, default=0) < server.asked.index(_last_first_page(server)) + 1:
        assert entries == server.truth(sort_dir=sort_dir)


def _last_first_page(server: Server) -> PageRequest:
    return [page for page in server.asked if page.offset == 0][-1]


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(servers(drifts=False), st.sampled_from(["errors", "error_rate"]), st.sampled_from(["asc", "desc"]))
def test_any_sort_key_yields_its_order_though_ties_are_shuffled(
    drawn: tuple[Server, int], sort_by: str, sort_dir: str
) -> None:
    server, page_size = drawn
    entries = read(server, page_size, sort_by=sort_by, sort_dir=sort_dir).entries
    keys = [getattr(entry, sort_by) for entry in entries]
    assert keys == [getattr(entry, sort_by) for entry in server.truth(sort_by, sort_dir)]
    assert sorted(entry.scenario_id for entry in entries) == server.ids


@pytest.mark.parametrize("count", [399, 400, 401])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_one_deleted_behind_the_reader_and_one_added_ahead_are_seen(count: int, number: int) -> None:
    server = Server(count, drift={number: (1, 0, 0, 1)})
    rows = read(server, 100, max_concurrency=1)
    assert rows.restarts == 1
    assert rows.entries == server.truth()


def test_a_server_whose_pages_become_shorter_midway_is_read_again() -> None:
    server = Server(95)

    async def ask(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        server.cap = 7 if len(server.asked) > 3 else None
        return await server.ask(query, page)

    rows = Rows()
    query = AnalyticsQuery.read(organization_id=1, sort_by="name", sort_dir="asc")
    asyncio.run(read_exactly(ask, query, rows, page_size=10, max_concurrency=3, delay=0.0))
    assert rows.restarts == 1
    assert rows.entries == server.truth()


def test_what_never_rests_is_an_error_that_tells_every_round() -> None:
    server = Server(50, drift={number: (1, 0, 0, 0) for number in range(2, 100)})
    with pytest.raises(
        MakeIncompleteResultError, match=r"\[5 tries: 1\. the total moved from 50 to 4. .* 5\. "
    ) as raised:
        read(server)
    assert len(raised.value.tries) == ROUNDS


def test_another_error_ends_the_reading_at_once_and_cancels_what_is_under_way() -> None:
    server = Server(1000)

    async def ask(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        if page.offset:
            raise MakeServerError("down")
        return await server.ask(query, page)

    query = AnalyticsQuery.read(organization_id=1, sort_by="name", sort_dir="asc")
    with pytest.raises(MakeServerError):
        asyncio.run(read_exactly(ask, query, Rows(), page_size=10, max_concurrency=8, delay=0.0))
    assert len(server.asked) == 1


def test_rounds_after_the_first_read_by_name_with_other_borders() -> None:
    query = AnalyticsQuery.read(organization_id=1, sort_by="errors", sort_dir="desc")
    orders = [plan_round(query, 1000, number) for number in range(1, ROUNDS + 1)]
    assert orders[0] == (query, 1000)
    assert {(order.sort_by, order.sort_dir) for order, _ in orders[1:]} == {("name", "asc")}
    assert len({size for _, size in orders[1:]}) == ROUNDS - 1
    by_name = query.model_copy(update={"sort_by": "name"})
    assert plan_round(by_name, 1, 5) == (by_name, 1)


def test_in_order_holds_no_more_than_it_may_and_starts_nothing_early() -> None:
    begun: list[int] = []

    async def call(number: int) -> int:
        begun.append(number)
        await asyncio.sleep(0)
        return number

    async def run() -> list[tuple[int, int]]:
        calls: list[Callable[[], Coroutine[None, None, int]]] = [partial(call, number) for number in range(10)]
        return [(number, len(begun)) async for number in in_order(calls, 3)]

    handed_on = asyncio.run(run())
    assert [number for number, _ in handed_on] == list(range(10))
    assert all(begun_by_then <= number + 3 for number, begun_by_then in handed_on)

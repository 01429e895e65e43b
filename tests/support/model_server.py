"""A model of Make's server: data change between requests, ties have no order, and pages may be capped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from airflow_provider_make.api.page import AnalyticsPage, Metrics, Pagination, ScenarioMetrics
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeApiError


@dataclass
class Server:
    """A server with some scenarios; the fields define its responses."""

    count: int
    cap: int | None = None
    sends_limit: bool = True
    shuffles: bool = False
    seed: int = 0
    absent_first: bool = False
    # By request number: scenarios deleted at the front, deleted at the end, added at the front, added at the end.
    drift: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    requests: list[PageRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.ids = list(range(1000, 1000 + self.count))
        self.always_present, self.ever_present = set(self.ids), set(self.ids)
        self.in_flight = self.max_in_flight = 0

    def entry(self, id_: int) -> ScenarioMetrics:
        return ScenarioMetrics(
            scenario_id=id_,
            name=f"Scenario {id_:09d}",
            errors=id_ % 3,
            error_rate=None if id_ % 5 == 0 else float(id_ % 4),
        )

    def truth(self, sort_by: str = "name", sort_dir: str = "asc") -> list[ScenarioMetrics]:
        entries = [self.entry(id_) for id_ in self.ids]
        absent = [entry for entry in entries if getattr(entry, sort_by) is None]
        present = [entry for entry in entries if getattr(entry, sort_by) is not None]
        if self.shuffles:
            self.random.shuffle(present)
        present.sort(key=lambda entry: getattr(entry, sort_by), reverse=sort_dir == "desc")
        return absent + present if self.absent_first else present + absent

    def apply_drift(self, deleted_first: int, deleted_last: int, added_first: int, added_last: int) -> None:
        self.ids = self.ids[deleted_first : len(self.ids) - deleted_last]
        first, last = (min(self.ever_present, default=1000), max(self.ever_present, default=1000))
        self.ids = [*range(first - added_first, first), *self.ids, *range(last + 1, last + 1 + added_last)]
        self.ever_present |= set(self.ids)
        self.always_present &= set(self.ids)

    async def fetch(self, query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        self.requests.append(page)
        if change := self.drift.get(len(self.requests)):
            self.apply_drift(*change)
        limit = min(page.limit or 0, self.cap or page.limit or 0)
        offset = page.offset or 0
        entries = self.truth(query.sort_column, query.sort_dir)[offset : offset + limit]
        self.in_flight -= 1
        pagination = Pagination(offset=offset, limit=limit if self.sends_limit else None, total_count=len(self.ids))
        return AnalyticsPage(total=Metrics(errors=1), analytics=entries, pg=pagination)


@dataclass
class CollectingSink:
    """A sink that collects entries."""

    entries: list[ScenarioMetrics] = field(default_factory=list)
    restarts: int = 0

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        self.entries += entries
        return True

    def restart(self, error: MakeApiError, delay: float) -> None:
        self.entries = []
        self.restarts += 1


@st.composite
def servers(draw: Callable[..., Any], drifts: bool) -> tuple[Server, int]:
    """Draw a server, and a page size that needs a few dozen pages at most."""
    count = draw(st.integers(0, 60) | st.integers(0, 1200))
    # The number of scenarios exceeds the square of the page length, too.
    smallest = max(2, count // 60)
    page_size = draw(st.integers(smallest, smallest + 12) | st.integers(smallest, 1300))
    cap = draw(st.none() | st.integers(smallest, smallest + 12) | st.just(page_size))
    drift = st.dictionaries(st.integers(2, 90), st.tuples(*[st.integers(0, 3)] * 4), max_size=5)
    server = Server(
        count=count,
        cap=cap,
        sends_limit=draw(st.booleans()),
        shuffles=draw(st.booleans()),
        seed=draw(st.integers(0, 1000)),
        absent_first=draw(st.booleans()),
        drift=draw(drift) if drifts else {},
    )
    return server, page_size

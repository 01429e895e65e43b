"""Response bodies: a page of an organization's analytics, in the shape of Make's API."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from airflow_provider_make.sandbox.data import Scenario, Statistics
from airflow_provider_make.sandbox.organization import Organization, Result, Row
from airflow_provider_make.sandbox.query import Query
from airflow_provider_make.sandbox.refusals import Refusal
from airflow_provider_make.sandbox.value_types import ValueTypes, convert_values

Entry = dict[str, Any]

# Two hundred pages of a thousand entries: a pull of 100,000 scenarios in two orders.
_CACHED_BYTES = 80_000_000


def encode(body: object) -> bytes:
    r"""
    Encode a body as JSON.

    :param body: An object to be encoded.
    :return: JSON in UTF-8; an unpaired surrogate is an escape such as ``\ud83d``, as ``JSON.stringify`` prints it.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # UTF-8 can encode all characters but surrogates, so these are the only ones replaced.
    return text.encode(errors="backslashreplace")


class Page(NamedTuple):
    """The encoded body of a page, and its number of entries."""

    body: bytes
    entries: int


class PageCache:
    """
    Build encoded pages, and cache recent ones: a fast client reads a long page faster than it is built.

    Not thread-safe.

    :param page_cap: As for :func:`page_body`.
    :param shuffle: As for :func:`page_body`; disables the cache.
    :param value_types: As for :func:`convert_values`.
    """

    def __init__(
        self,
        *,
        page_cap: int | None = None,
        shuffle: random.Random | None = None,
        value_types: ValueTypes = "documented",
    ) -> None:
        self._page_cap = page_cap
        self._shuffle = shuffle
        self._value_types = value_types
        self._cached: OrderedDict[tuple[int, int, Query], Page] = OrderedDict()
        self._bytes = 0

    def get(self, organization: Organization, query: Query) -> Page:
        """
        Return the page of a query, in the current state of the organization.

        :param organization: The requested organization.
        :param query: The query.
        :return: The page.
        :raises Refusal: As :func:`page_body` does.
        """
        # The revision is read first: if another thread changes the organization after that, the newer page is cached
        # under an old revision, which is never requested again.
        key = (organization.organization_id, organization.revision, query)
        page = self._cached.get(key)
        if page is None:
            body = page_body(organization, query, page_cap=self._page_cap, shuffle=self._shuffle)
            page = Page(encode(convert_values(body, self._value_types)), len(body["analytics"]))
            if self._shuffle is None:
                self._add(key, page)
        else:
            self._cached.move_to_end(key)
        return page

    def _add(self, key: tuple[int, int, Query], page: Page) -> None:
        self._cached[key] = page
        self._bytes += len(page.body)
        while self._bytes > _CACHED_BYTES:
            self._bytes -= len(self._cached.popitem(last=False)[1].body)


def page_body(
    organization: Organization, query: Query, *, page_cap: int | None = None, shuffle: random.Random | None = None
) -> dict[str, Any]:
    """
    Build the page of a query.

    :param organization: The requested organization.
    :param query: The query.
    :param page_cap: Maximum entries of a page, whatever limit is requested; ``None`` (default) for no cap.
    :param shuffle: Shuffles entries with equal sort keys; ``None`` (default) orders them by id.
    :return: The body, an object to be encoded as JSON.
    :raises Refusal: A 400 if ``pg[last]`` is neither the key nor the id of an entry of the query.
    """
    result = organization.select(query.selection)
    rows = result.rows if shuffle is None else _shuffle_ties(result, shuffle)
    limit = query.limit if page_cap is None else min(query.limit, page_cap)
    start = query.offset if query.last is None else _position_after(rows, query.last)
    page = rows[start : start + limit]
    paging: dict[str, object] = {
        "sortBy": query.selection.sort_by,
        "sortDir": query.selection.sort_dir,
        "limit": limit,
    }
    if query.last is None:
        paging["offset"] = query.offset
    else:
        paging["last"] = _key(page[-1].scenario) if page else query.last
        if query.show_last is not None:
            paging["showLast"] = query.show_last
    if query.return_total_count:
        paging["totalCount"] = len(rows)
    return {"total": total(result.total), "analytics": [entry(row) for row in page], "pg": paging}


def entry(row: Row) -> Entry:
    """
    Build the entry of a scenario.

    :param row: The scenario and its statistics.
    :return: The entry; rates and changes that can't be calculated are absent.
    """
    scenario = row.scenario
    return {
        **total(row.statistics),
        "imtId": scenario.imt_id,
        "id": scenario.id,
        "name": scenario.name,
        "status": scenario.status,
        "teamId": scenario.team_id,
        "teamName": scenario.team_name,
    }


def total(statistics: Statistics) -> Entry:
    """
    Convert statistics to the names and types of the API.

    :param statistics: The statistics of a scenario or an organization.
    :return: The values by name; rates and changes that can't be calculated are absent.
    """
    values = {
        "executions": statistics.executions,
        "operations": statistics.operations,
        "centicredits": str(statistics.centicredits),
        "errors": statistics.errors,
        "errorRate": statistics.error_rate,
        "executionsChange": statistics.executions_change,
        "operationsChange": statistics.operations_change,
        "centicreditsChange": statistics.centicredits_change,
        "errorsChange": statistics.errors_change,
        "errorRateChange": statistics.error_rate_change,
    }
    return {name: value for name, value in values.items() if value is not None}


def _shuffle_ties(result: Result, shuffle: random.Random) -> list[Row]:
    rows = list(result.rows)
    for start, end in result.ties:
        tied = rows[start:end]
        shuffle.shuffle(tied)
        rows[start:end] = tied
    return rows


def _key(scenario: Scenario) -> str:
    # The form of keys at Make's other endpoints. A client that takes them for numbers, or for ids, is exposed.
    return f"{int(scenario.imt_id, 16):013d}_scenario.{scenario.id}"


def _position_after(rows: Sequence[Row], last: str) -> int:
    for position, row in enumerate(rows):
        if last in (str(row.scenario.id), _key(row.scenario)):
            return position + 1
    # An empty page would look like the end of the result.
    raise Refusal(400, [f"Invalid value {last!r} of parameter 'pg[last]': no entry has this key or id."])

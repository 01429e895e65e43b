"""Response bodies: a page of an organization's analytics, in the shape of Make's API."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Options, ValueTypes
from airflow_provider_make.sandbox.organization import Organization, Result, Row
from airflow_provider_make.sandbox.query import Query
from airflow_provider_make.sandbox.scenarios import Scenario, Statistics

# A pull of 100,000 scenarios in two orders: about 80 MB in pages of a thousand entries. Longer ones are not cached.
CACHED_PAGES, LONGEST_CACHED_PAGE = 200, 1000
_INTEGERS = (
    *("executions", "operations", "errors", "id", "teamId", "limit", "offset", "totalCount"),
    *("organizationId", "timezoneId"),
    # Of executions, whose credits are numbers, and whose ids are text.
    *("status", "duration", "transfer", "authorId", "centicredits"),
)
_CHANGES = ("executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange")
_RATES = ("errorRate", *_CHANGES)
# In the order of the statistics.
_FIGURES = ("executions", "operations", "centicredits", "errors", *_RATES)

Values = dict[str, Any]


def encode(body: object) -> bytes:
    r"""Encode a body as JSON in UTF-8; an unpaired surrogate is an escape such as ``\ud83d``, as in Node."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # UTF-8 can encode all characters but surrogates, so these are the only ones replaced.
    return text.encode(errors="backslashreplace")


class Page(NamedTuple):
    """The encoded body of a page, and its number of entries."""

    body: bytes
    entries: int


class Pages:
    """Build encoded pages, and cache recent ones: a fast client reads a long page faster than it is built."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shuffle = random.Random(f"ties/{options.seed}") if options.shuffle_ties else None
        self._cached = lru_cache(CACHED_PAGES)(self._build)

    def get(self, organization: Organization, query: Query) -> Page:
        """Return the page of a query, in the current state of the organization."""
        if self._shuffle is not None or query.limit > LONGEST_CACHED_PAGE:
            return self._build(organization, 0, query)
        # The revision is read first: if another thread changes the organization after that, the newer page is cached
        # under an old revision, which is never requested again.
        return self._cached(organization, organization.revision, query)

    def _build(self, organization: Organization, revision: int, query: Query) -> Page:
        body = page_body(organization, query, page_cap=self._options.page_cap, shuffle=self._shuffle)
        if self._options.value_types != "documented":
            body = convert(body, self._options.value_types)
        return Page(encode(body), len(body["analytics"]))


def page_body(
    organization: Organization, query: Query, *, page_cap: int | None = None, shuffle: random.Random | None = None
) -> Values:
    """Build the page of a query; refuse ``pg[last]`` if it is neither the key nor the id of an entry of the query."""
    result = organization.select(query.criteria)
    rows = result.rows if shuffle is None else _shuffle_ties(result, shuffle)
    limit = query.limit if page_cap is None else min(query.limit, page_cap)
    offset = query.offset or 0
    start = offset if query.last is None else _position_after(rows, query.last)
    page = rows[start : start + limit]
    paging: Values = {"sortBy": query.sort_by, "sortDir": query.sort_dir, "limit": limit}
    if query.last is None:
        paging["offset"] = offset
    else:
        paging["last"] = _key(page[-1].scenario) if page else query.last
        if query.show_last is not None:
            paging["showLast"] = query.show_last
    if query.return_total_count:
        paging["totalCount"] = len(rows)
    return {"total": figures(result.total), "analytics": [entry(row) for row in page], "pg": paging}


def entry(row: Row) -> Values:
    """Build the entry of a scenario."""
    scenario = row.scenario
    return {
        **figures(row.statistics),
        "imtId": scenario.imt_id,
        "id": scenario.id,
        "name": scenario.name,
        "status": scenario.status,
        "teamId": scenario.team_id,
        "teamName": scenario.team_name,
    }


def figures(statistics: Statistics) -> Values:
    """Convert statistics to the names and types of the API; what can't be calculated is absent."""
    values: Values = dict(zip(_FIGURES, statistics, strict=True))
    values["centicredits"] = str(statistics.centicredits)
    return {name: value for name, value in values.items() if value is not None}


def convert(body: Values, value_types: ValueTypes) -> Values:
    """Convert a body, and the objects in it, from the documented types to others."""
    # Rates belong to the total and the entries, not to the pagination.
    converted: Values = dict.fromkeys(_RATES) if value_types == "null" and "executions" in body else {}
    for name, value in body.items():
        if isinstance(value, dict):
            converted[name] = convert(value, value_types)
        elif isinstance(value, list):
            converted[name] = [convert(item, value_types) for item in value]
        elif value_types == "text" and name in (*_INTEGERS, *_RATES):
            converted[name] = str(value)
        elif value_types == "float" and name in _INTEGERS and isinstance(value, int):
            # Exact up to 2**53.
            converted[name] = float(value)
        elif value_types == "number" and name == "centicredits":
            converted[name] = int(value)
        else:
            converted[name] = value
    return converted


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

"""The bodies of answers: one page of an organization's analytics, in the shape of Make's API."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from airflow_provider_make.sandbox.data import Figures
from airflow_provider_make.sandbox.organization import Organization, Result, Row
from airflow_provider_make.sandbox.query import Query
from airflow_provider_make.sandbox.refusals import Refusal

Entry = dict[str, Any]

# Two hundred pages of a thousand entries: a pull of 100,000 scenarios in two orders.
_REMEMBERED_BYTES = 80_000_000


def encode(body: object) -> bytes:
    """
    Write a body as JSON.

    :param body: An object ready for JSON.
    :return: Its bytes.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class EncodedAnswers:
    """
    Answers as bytes, the recent ones remembered. Not safe to use from several threads.

    To make a long page takes longer than a fast client needs to read it.

    :param page_cap: As for :func:`answer`.
    :param shuffle: As for :func:`answer`; with it nothing is remembered.
    """

    def __init__(self, *, page_cap: int | None = None, shuffle: random.Random | None = None) -> None:
        self._page_cap = page_cap
        self._shuffle = shuffle
        self._remembered: OrderedDict[tuple[int, int, Query], bytes] = OrderedDict()
        self._bytes = 0

    def give(self, organization: Organization, query: Query) -> bytes:
        """
        Answer a query with a page, as the organization is at this moment.

        :param organization: The organization asked for.
        :param query: What is asked for.
        :return: The body.
        :raises Refusal: As :func:`answer` does.
        """
        # The revision is read first: should another thread change the organization from here on, the newer
        # answer is remembered for a revision that nobody will ask for again.
        key = (organization.organization_id, organization.revision, query)
        body = self._remembered.get(key)
        if body is None:
            body = encode(answer(organization, query, page_cap=self._page_cap, shuffle=self._shuffle))
            if self._shuffle is None:
                self._remember(key, body)
        else:
            self._remembered.move_to_end(key)
        return body

    def _remember(self, key: tuple[int, int, Query], body: bytes) -> None:
        self._remembered[key] = body
        self._bytes += len(body)
        while self._bytes > _REMEMBERED_BYTES:
            self._bytes -= len(self._remembered.popitem(last=False)[1])


def answer(
    organization: Organization,
    query: Query,
    *,
    page_cap: int | None = None,
    shuffle: random.Random | None = None,
) -> dict[str, object]:
    """
    Answer a query with a page.

    :param organization: The organization asked for.
    :param query: What is asked for.
    :param page_cap: Longest page given, however many entries the client wants; ``None`` (default) for no cap.
    :param shuffle: Puts entries with equal sort keys into a new order; ``None`` (default) orders them by id.
    :return: The body, an object ready for JSON.
    :raises Refusal: A 400 if ``pg[last]`` is not the id of an entry that the query finds.
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
        paging["last"] = str(page[-1].scenario.id if page else query.last)
        paging["showLast"] = start + limit < len(rows)
    if query.return_total_count:
        paging["totalCount"] = len(rows)
    return {"total": total(result.total), "analytics": [entry(row) for row in page], "pg": paging}


def entry(row: Row) -> Entry:
    """
    Give the entry of a scenario.

    :param row: The scenario and its figures.
    :return: The entry; rates and changes that can't be calculated are absent.
    """
    scenario = row.scenario
    return {
        **total(row.figures),
        "imtId": scenario.imt_id,
        "id": scenario.id,
        "name": scenario.name,
        "status": scenario.status,
        "teamId": scenario.team_id,
        "teamName": scenario.team_name,
    }


def total(figures: Figures) -> Entry:
    """
    Give figures under the names of the API.

    :param figures: The figures of a scenario or an organization.
    :return: The figures; rates and changes that can't be calculated are absent.
    """
    named: Entry = {
        "executions": figures.executions,
        "operations": figures.operations,
        "centicredits": str(figures.centicredits),
        "errors": figures.errors,
    }
    for name, value in (
        ("errorRate", figures.error_rate),
        ("executionsChange", figures.executions_change),
        ("operationsChange", figures.operations_change),
        ("centicreditsChange", figures.centicredits_change),
        ("errorsChange", figures.errors_change),
        ("errorRateChange", figures.error_rate_change),
    ):
        if value is not None:
            named[name] = value
    return named


def _shuffle_ties(result: Result, shuffle: random.Random) -> list[Row]:
    rows = list(result.rows)
    for start, end in result.ties:
        tied = rows[start:end]
        shuffle.shuffle(tied)
        rows[start:end] = tied
    return rows


def _position_after(rows: Sequence[Row], scenario_id: int) -> int:
    for position, row in enumerate(rows):
        if row.scenario.id == scenario_id:
            return position + 1
    # An empty page instead would look like the end of the result.
    raise Refusal(400, [f"Invalid value '{scenario_id}' of parameter 'pg[last]': no entry has this id."])

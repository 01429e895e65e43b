"""Contender: how fast it could be. A script optimised by hand that checks nothing and tries nothing again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from benchmarks.job import MAX_CONCURRENCY, PAGE_SIZE, Job, Pull, now


class Entry(msgspec.Struct, rename="camel", gc=False):
    """An entry of ``analytics``."""

    id: int
    imt_id: str
    name: str
    status: str
    team_id: int
    team_name: str
    executions: int
    operations: int
    centicredits: str
    errors: int
    error_rate: float | None = None
    executions_change: float | None = None
    operations_change: float | None = None
    centicredits_change: float | None = None
    errors_change: float | None = None
    error_rate_change: float | None = None


class Pagination(msgspec.Struct, rename="camel"):
    """The ``pg`` of an answer."""

    total_count: int


class Page(msgspec.Struct):
    """An answer."""

    analytics: list[Entry]
    pg: Pagination


class Row(msgspec.Struct, gc=False):
    """A line of the file."""

    organization_id: int
    scenario_id: int
    imt_id: str
    name: str
    status: str
    team_id: int
    team_name: str
    executions: int
    operations: int
    centicredits: str
    errors: int
    error_rate: float | None
    executions_change: float | None
    operations_change: float | None
    centicredits_change: float | None
    errors_change: float | None
    error_rate_change: float | None
    date_from: str
    date_to: str
    extracted_at: str
    extra: str | None


def write_jsonl(output: Path) -> tuple[Callable[[list[Row]], object], Callable[[], object]]:
    """
    Open a file of JSON Lines.

    :param output: The file.
    :return: What writes the rows of a page, and what closes the file.
    """
    file = output.open("wb")
    encode = msgspec.json.Encoder().encode_lines
    return lambda rows: file.write(encode(rows)), file.close


WRITERS = {"jsonl": write_jsonl}


async def fetch_all(job: Job) -> None:
    """
    Fetch the first page, which tells how many there are, and then the others over eight connections.

    :param job: The job.
    """
    decode = msgspec.json.Decoder(Page).decode
    add, close = WRITERS[job.output_format](job.output)
    organization_id, date_from, date_to, extracted_at = job.organization_id, job.date_from, job.date_to, now()
    url = f"{job.base_url}/analytics/{organization_id}"
    parameters: dict[str, str | int] = {
        "timeframe[dateFrom]": date_from,
        "timeframe[dateTo]": date_to,
        "pg[limit]": PAGE_SIZE,
        "pg[returnTotalCount]": "true",
    }

    async with aiohttp.ClientSession(
        headers={"Authorization": f"Token {job.token}"}, connector=aiohttp.TCPConnector(limit=MAX_CONCURRENCY)
    ) as session:

        async def fetch(offset: int) -> int:
            async with session.get(url, params={**parameters, "pg[offset]": offset}) as response:
                page = decode(await response.read())
            add(
                [
                    Row(
                        organization_id,
                        entry.id,
                        entry.imt_id,
                        entry.name,
                        entry.status,
                        entry.team_id,
                        entry.team_name,
                        entry.executions,
                        entry.operations,
                        entry.centicredits,
                        entry.errors,
                        entry.error_rate,
                        entry.executions_change,
                        entry.operations_change,
                        entry.centicredits_change,
                        entry.errors_change,
                        entry.error_rate_change,
                        date_from,
                        date_to,
                        extracted_at,
                        None,
                    )
                    for entry in page.analytics
                ]
            )
            return page.pg.total_count

        offsets = iter(range(PAGE_SIZE, await fetch(0), PAGE_SIZE))

        async def fetch_share() -> None:
            for offset in offsets:
                await fetch(offset)

        await asyncio.gather(*(fetch_share() for _ in range(MAX_CONCURRENCY)))
    close()


def prepare(job: Job) -> Pull:
    """
    Set up nothing.

    :param job: The job.
    :return: Does it.
    """

    def pull() -> list[Path]:
        asyncio.run(fetch_all(job))
        return [job.output]

    return pull

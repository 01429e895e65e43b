"""Contender: the floor, a hand-optimised script without checks and retries, which shows how fast a pull can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

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
    """The ``pg`` of a response."""

    total_count: int


class Page(msgspec.Struct):
    """A response."""

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


class Writer(Protocol):
    """Writes the output file."""

    def add(self, entries: list[Entry]) -> None:
        """Add the entries of a page."""

    def close(self) -> None:
        """Write what is buffered, and close the file."""


class JsonLinesWriter:
    """
    Write a line of JSON for each entry.

    :param job: The job.
    """

    def __init__(self, job: Job) -> None:
        self._file = job.output.open("wb")
        self._encode = msgspec.json.Encoder().encode_lines
        self._organization_id = job.organization_id
        self._times = (job.date_from, job.date_to, now())

    def add(self, entries: list[Entry]) -> None:
        """
        Write the entries of a page.

        :param entries: The entries.
        """
        organization_id = self._organization_id
        date_from, date_to, extracted_at = self._times
        rows = [
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
            for entry in entries
        ]
        self._file.write(self._encode(rows))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ParquetWriter:
    """
    Convert each page to Arrow arrays, and write row groups in a thread.

    :param job: The job.
    """

    def __init__(self, job: Job) -> None:
        # Imported here, so that its memory is not counted for JSON Lines.
        import pyarrow as pa
        import pyarrow.parquet as pq

        from benchmarks.schema import DICTIONARIES, ROW_GROUP, SCHEMA

        self._pa = pa
        self._row_group = ROW_GROUP
        self._writer = pq.ParquetWriter(job.output, SCHEMA, compression="zstd", use_dictionary=DICTIONARIES)
        self._schema = SCHEMA
        # Arrow converts text to decimals in half the time that it needs for Python's decimals.
        position = SCHEMA.get_field_index("centicredits")
        self._as_sent = SCHEMA.set(position, pa.field("centicredits", pa.string()))
        times = [datetime.fromisoformat(text) for text in (job.date_from, job.date_to, now())]
        self._first = pa.scalar(job.organization_id, pa.int64())
        self._last = [*(pa.scalar(time, pa.timestamp("us", tz="UTC")) for time in times), pa.scalar(None, pa.string())]
        self._batches: list[Any] = []
        self._rows = 0
        # Arrow writes without the GIL, while the next pages are decoded.
        self._thread = ThreadPoolExecutor(1)
        self._written: list[Future[None]] = []

    def add(self, entries: list[Entry]) -> None:
        """
        Convert the entries of a page to arrays. The fields of a struct are in the order of the columns.

        :param entries: The entries.
        """
        array, repeat, count = self._pa.array, self._pa.repeat, len(entries)
        columns = zip(*map(msgspec.structs.astuple, entries), strict=True)
        arrays = [
            repeat(self._first, count),
            *map(array, columns, self._as_sent.types[1:]),
            *(repeat(scalar, count) for scalar in self._last),
        ]
        self._batches.append(self._pa.RecordBatch.from_arrays(arrays, schema=self._as_sent))
        self._rows += count
        if self._rows >= self._row_group:
            self._write()

    def close(self) -> None:
        """Write the last row group, and close the file."""
        if self._batches:
            self._write()
        for group in self._written:
            group.result()
        self._writer.close()

    def _write(self) -> None:
        table = self._pa.Table.from_batches(self._batches).cast(self._schema)
        self._written.append(self._thread.submit(self._writer.write_table, table, row_group_size=len(table)))
        self._batches, self._rows = [], 0


WRITERS: dict[str, Callable[[Job], Writer]] = {"jsonl": JsonLinesWriter, "parquet": ParquetWriter}


async def fetch_all(job: Job) -> None:
    """
    Fetch the first page, which has the total, and then the others over eight connections.

    :param job: The job.
    """
    decode = msgspec.json.Decoder(Page).decode
    writer = WRITERS[job.output_format](job)
    url = f"{job.base_url}/analytics/{job.organization_id}"
    parameters: dict[str, str | int] = {
        "timeframe[dateFrom]": job.date_from,
        "timeframe[dateTo]": job.date_to,
        "pg[limit]": PAGE_SIZE,
        "pg[returnTotalCount]": "true",
    }

    async with aiohttp.ClientSession(
        headers={"Authorization": f"Token {job.token}"}, connector=aiohttp.TCPConnector(limit=MAX_CONCURRENCY)
    ) as session:

        async def fetch(offset: int) -> bytes:
            async with session.get(url, params={**parameters, "pg[offset]": offset}) as response:
                return await response.read()

        first = decode(await fetch(0))
        rest = range(PAGE_SIZE, first.pg.total_count, PAGE_SIZE)
        offsets = iter(rest)
        # A queue, so that a connection can request its next page before this one is decoded.
        bodies: asyncio.Queue[bytes] = asyncio.Queue()

        async def fetch_share() -> None:
            for offset in offsets:
                bodies.put_nowait(await fetch(offset))

        async def write_all() -> None:
            writer.add(first.analytics)
            for _ in rest:
                writer.add(decode(await bodies.get()).analytics)

        await asyncio.gather(write_all(), *(fetch_share() for _ in range(MAX_CONCURRENCY)))
    writer.close()


def prepare(job: Job) -> Pull:
    """
    Prepare the job. There is nothing to set up.

    :param job: The job.
    :return: A function that runs it.
    """

    def pull() -> list[Path]:
        asyncio.run(fetch_all(job))
        return [job.output]

    return pull

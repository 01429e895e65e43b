"""Reading back what a contender wrote: which scenarios are in its files, repeated ones repeated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow.parquet as pq


class _Row(msgspec.Struct):
    scenario_id: int


def _read_jsonl(file: Path) -> list[int]:
    rows = msgspec.json.Decoder(_Row).decode_lines(file.read_bytes())
    return [row.scenario_id for row in rows]


def _read_parquet(file: Path) -> list[int]:
    ids: list[int] = pq.read_table(file, columns=["scenario_id"])["scenario_id"].to_pylist()
    return ids


# By format, how its files are read. A contender has the writers under the same names.
FORMATS = {"parquet": _read_parquet, "jsonl": _read_jsonl}
# What they are called in table and picture.
FORMAT_NAMES = {"parquet": "Parquet", "jsonl": "JSON Lines"}


def read_ids(files: Iterable[Path], output_format: str) -> list[int]:
    """
    Read the ids of the scenarios in the files of one pull.

    :param files: The files.
    :param output_format: One of ``FORMATS``.
    :return: An id for each row.
    """
    return [scenario_id for file in files for scenario_id in FORMATS[output_format](file)]

"""Read the scenario ids from the files that a contender wrote."""

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


# The reader of each format. The contenders use the same names for their writers.
FORMATS = {"parquet": _read_parquet, "jsonl": _read_jsonl}
# The names in tables and picture.
FORMAT_NAMES = {"parquet": "Parquet", "jsonl": "JSON Lines"}


def read_ids(files: Iterable[Path], output_format: str) -> list[int]:
    """
    Read the ids of the scenarios in the files of one pull.

    :param files: The files.
    :param output_format: One of ``FORMATS``.
    :return: An id for each row; duplicates are kept.
    """
    return [scenario_id for file in files for scenario_id in FORMATS[output_format](file)]

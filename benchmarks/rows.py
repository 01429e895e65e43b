"""Reading back what a contender wrote: which scenarios are in its files, repeated ones repeated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec


class _Row(msgspec.Struct):
    scenario_id: int


def _read_jsonl(file: Path) -> list[int]:
    rows = msgspec.json.Decoder(_Row).decode_lines(file.read_bytes())
    return [row.scenario_id for row in rows]


# By format, how its files are read. A contender has the writers under the same names.
FORMATS = {"jsonl": _read_jsonl}


def read_ids(files: Iterable[Path], output_format: str) -> list[int]:
    """
    Read the ids of the scenarios in the files of one pull.

    :param files: The files.
    :param output_format: One of ``FORMATS``.
    :return: An id for each row.
    """
    return [scenario_id for file in files for scenario_id in FORMATS[output_format](file)]

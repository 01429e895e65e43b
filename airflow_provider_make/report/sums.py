"""Add up the figures of scenarios and teams over the files of several days, one file at a time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow

# The columns that are added up.
SUM_COLUMNS = ("scenario_id", "team_id", "team_name", "executions", "operations", "centicredits", "errors")
# Rows that wait to be added up; fewer are slower, more take more memory.
_MAX_WAITING = 200_000
_PARTS = ("recent", "before")
_COUNTS = ("executions", "operations", "errors")
_AGGREGATES = {
    "first": "min",
    "last": "max",
    **dict.fromkeys((*_COUNTS, "centicredits"), "sum"),
    **{f"{part}_{name}": "sum" for part in _PARTS for name in ("executions", "errors")},
}


class Sums:
    """
    The sums of scenarios and teams.

    :ivar teams: Hundredths of credits by team id, in a dict for each frame, by number; teams without any have none.
    :ivar team_names: The latest name of each team, by id.
    """

    def __init__(self) -> None:
        self.teams: defaultdict[int, dict[int | None, int]] = defaultdict(dict)
        self.team_names: dict[int | None, str | None] = {}
        self._tables: list[pyarrow.Table] = []

    def add(self, rows: pyarrow.Table, frame: int, part: Literal["recent", "before"] | None) -> None:
        """
        Add the rows of a frame.

        :param rows: The rows, with ``SUM_COLUMNS``.
        :param frame: The number of the frame; frames are added in order.
        :param part: Which of two parts that are compared the frame belongs to; None for neither.
        """
        import pyarrow

        # Sums of 64 bits, and of a decimal128 with all its digits, may overflow without an error.
        count = pyarrow.decimal128(38, 0)
        columns = {
            "scenario_id": rows["scenario_id"],
            "first": pyarrow.repeat(pyarrow.scalar(frame, pyarrow.int32()), len(rows)),
            "last": pyarrow.repeat(pyarrow.scalar(frame, pyarrow.int32()), len(rows)),
            **{name: rows[name].cast(count) for name in _COUNTS},
        }
        for one in _PARTS:
            for name in ("executions", "errors"):
                columns[f"{one}_{name}"] = columns[name] if part == one else pyarrow.nulls(len(rows), count)
        columns["centicredits"] = rows["centicredits"].cast(pyarrow.decimal256(76, 0))
        self._add_teams(rows, columns["centicredits"], frame)
        self._tables.append(pyarrow.table({name: columns[name] for name in ("scenario_id", *_AGGREGATES)}))
        if sum(map(len, self._tables[1:])) > max(_MAX_WAITING, len(self._tables[0])):
            self._tables = [_sum_up(self._tables)]

    def scenarios(self) -> pyarrow.Table:
        """
        Return the sums of scenarios.

        :return: A row for each scenario, sorted by ``scenario_id``: ``first`` and ``last``, the numbers of the frames;
            ``executions``, ``operations``, ``errors`` and ``centicredits``, and ``executions`` and ``errors`` of each
            part, such as ``recent_errors``: decimals, null where no frame has a value.
        """
        self._tables = [_sum_up(self._tables)]
        return self._tables[0].sort_by("scenario_id")

    def _add_teams(self, rows: pyarrow.Table, centicredits: pyarrow.ChunkedArray, frame: int) -> None:
        import pyarrow

        keys = ["team_id", "team_name"]
        credits = pyarrow.table({**{key: rows[key] for key in keys}, "centicredits": centicredits})
        # Without threads, the order of the groups, and so the choice between two names, is always the same.
        groups = credits.group_by(keys, use_threads=False).aggregate([("centicredits", "sum")])
        by_team = self.teams[frame]
        for team, name, used in zip(
            *(groups[column].to_pylist() for column in (*keys, "centicredits_sum")), strict=True
        ):
            self.team_names[team] = name
            by_team[team] = by_team.get(team, 0) + int(used or 0)


def _sum_up(tables: list[pyarrow.Table]) -> pyarrow.Table:
    import pyarrow

    rows = pyarrow.concat_tables(tables)
    sums = rows.group_by("scenario_id", use_threads=False).aggregate(list(_AGGREGATES.items()))
    return sums.select(["scenario_id", *(f"{name}_{how}" for name, how in _AGGREGATES.items())]).rename_columns(
        ["scenario_id", *_AGGREGATES]
    )

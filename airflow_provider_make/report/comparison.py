"""Add up scenarios and teams over files, and select the scenarios that a page shows, such as those that changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_make.report.formatting import count_of, team_name

if TYPE_CHECKING:
    import pyarrow

# Scenarios of a list.
MAX_SCENARIOS = 10
# A scenario fails if at least this percentage of its executions has errors.
FAILING = 5.0
# It began to fail or recovered if the rate was, or is, lower by this factor.
FACTOR = 2.0
# Fewer errors are chance: of 1,000 healthy scenarios, many have one error in 20 executions in some week.
MIN_ERRORS = 5
# The columns that are added up.
SUM_COLUMNS = ("scenario_id", "team_id", "team_name", "executions", "operations", "centicredits", "errors")
# Rows that wait to be added up; fewer are slower, more take more memory.
_MAX_WAITING = 200_000
# Rows that are grouped at a time.
_MAX_GROUPED = 200_000
_COUNTS = ("executions", "operations", "errors")
# How columns are added up, others than amounts.
_HOW = {"first": "min", "last": "max", "name": "last"}
_BY_FILE = ["team_id", "file"]
Part = Literal["recent", "before"]
_PARTS: tuple[Part, ...] = ("recent", "before")


@dataclass(frozen=True)
class Team:
    """A team, or all others together, and hundredths of credits by file."""

    name: str
    centicredits: tuple[int, ...]
    are_others: bool = False

    @property
    def total(self) -> int:
        return sum(self.centicredits)


class TeamCredits:
    """Adds up the credits of teams, which may be as many as scenarios."""

    def __init__(self) -> None:
        # Rows of a team and file, some of them partial sums.
        self._tables: list[pyarrow.Table] = []

    def add(self, rows: pyarrow.Table, file: int) -> None:
        """Add the rows of a file, or some of them; the latest name of a team is kept."""
        import pyarrow

        columns = {
            "team_id": rows["team_id"],
            "file": pyarrow.repeat(pyarrow.scalar(file, "int32"), len(rows)),
            "name": rows["team_name"].fill_null(""),
            # Sums of a decimal128 may overflow without an error.
            "centicredits": rows["centicredits"].cast(pyarrow.decimal256(76, 0)),
        }
        self._tables.append(_sum_up([pyarrow.table(columns)], _BY_FILE))
        if _are_many(self._tables):
            self._tables = [_sum_up(self._tables, _BY_FILE)]

    def largest(self, most: int, files: int) -> list[Team]:
        """Return the teams that used the most credits, the most first, and all others that used any as one."""
        import pyarrow
        import pyarrow.compute as pc

        if not self._tables:
            return []
        by_file = pyarrow.concat_tables(self._tables)
        teams = _sum_up([by_file.drop_columns(["file"])], ["team_id"])
        nothing = pyarrow.scalar(0, teams["centicredits"].type)
        number = pc.sum(pc.greater(teams["centicredits"], nothing)).as_py() or 0
        order = [("centicredits", "descending"), ("name", "ascending"), ("team_id", "ascending")]
        shown = _first_rows(teams, most, order).filter(pc.field("centicredits") > nothing)
        used: defaultdict[int | None, Counter[int]] = defaultdict(Counter)
        for row in by_file.filter(pc.is_in(by_file["team_id"], shown["team_id"])).to_pylist():
            used[row["team_id"]][row["file"]] += int(row["centicredits"])
        result = [
            Team(team_name(row["team_id"], row["name"]), tuple(used[row["team_id"]][file] for file in range(files)))
            for row in shown.to_pylist()
        ]
        if others := number - len(shown):
            totals = _sum_up([by_file.select(["file", "centicredits"])], ["file"]).to_pylist()
            rest = {row["file"]: int(row["centicredits"]) for row in totals}
            together = tuple(
                rest.get(file, 0) - sum(team.centicredits[file] for team in result) for file in range(files)
            )
            result.append(Team(count_of(others, "other team"), together, are_others=True))
        return result


class ScenarioSums:
    """Adds up the figures of scenarios, one file at a time."""

    def __init__(self) -> None:
        self._tables: list[pyarrow.Table] = []

    def add(self, rows: pyarrow.Table, file: int, part: Part | None) -> None:
        """Add the rows of a file, by its number, and by which of two parts that are compared it belongs to."""
        import pyarrow

        # Sums of 64 bits, and of a decimal128 with all its digits, may overflow without an error.
        count = pyarrow.decimal128(38, 0)
        counts = {name: rows[name].cast(count) for name in _COUNTS}
        number, nothing = pyarrow.repeat(pyarrow.scalar(file, "int32"), len(rows)), pyarrow.nulls(len(rows), count)
        columns = {"scenario_id": rows["scenario_id"], "first": number, "last": number, **counts}
        columns["centicredits"] = rows["centicredits"].cast(pyarrow.decimal256(76, 0))
        for compared in _PARTS:
            for name in ("executions", "errors"):
                columns[f"{compared}_{name}"] = counts[name] if part == compared else nothing
        self._tables.append(pyarrow.table(columns))
        if _are_many(self._tables):
            self._tables = [_sum_up(self._tables, ["scenario_id"])]

    def table(self) -> pyarrow.Table:
        """Return a row for each scenario, with the first and last file's number, and sums as decimals."""
        self._tables = [_sum_up(self._tables, ["scenario_id"])]
        return self._tables[0]


def _are_many(tables: list[pyarrow.Table]) -> bool:
    return sum(map(len, tables[1:])) > max(_MAX_WAITING, len(tables[0]))


def _sum_up(tables: list[pyarrow.Table], keys: list[str]) -> pyarrow.Table:
    import pyarrow
    import pyarrow.compute as pc

    rows = pyarrow.concat_tables(tables)
    # Groups take more memory than their rows, so not all of many at a time: they are chosen by the last bits of an id.
    bits = (len(rows) // _MAX_GROUPED).bit_length()
    part = pc.bit_wise_and(rows[keys[0]].fill_null(0), pyarrow.scalar(2**bits - 1, rows[keys[0]].type))
    return pyarrow.concat_tables(_group(rows.filter(pc.equal(part, number)), keys) for number in range(2**bits))


def _group(rows: pyarrow.Table, keys: list[str]) -> pyarrow.Table:
    import pyarrow.compute as pc

    how = [(name, _HOW.get(name, "sum")) for name in rows.column_names if name not in keys]
    # The sum of no value is zero.
    options = pc.ScalarAggregateOptions(min_count=0)
    # Without threads, the order of the groups, and so which of two names is the last, is always the same.
    groups = rows.group_by(keys, use_threads=False).aggregate([(name, kind, options) for name, kind in how])
    names = [*keys, *(name for name, _ in how)]
    return groups.select([*keys, *(f"{name}_{kind}" for name, kind in how)]).rename_columns(names)


def count_compared(files: int, length: int) -> tuple[int, int]:
    """Count the recent files, of ``length`` days each, and those before them that they are compared with."""
    # A week, but at least one file, and at most half of all; before them four weeks, as far as there are so many.
    recent = min(max(7 // length, 1), files // 2)
    return recent, min(max(28 // length, 1), files - recent)


def compare(sums: pyarrow.Table, min_executions: int) -> dict[str, tuple[list[dict[str, Any]], int]]:
    """
    Select the rows of each list of scenarios from the table of their sums: at most ``MAX_SCENARIOS``, and count all.

    A scenario fails if its error rate is ``FAILING`` or more, with ``MIN_ERRORS`` errors or more. It began to fail if
    it fails in the recent files, and its rate is more than ``FACTOR`` times the rate before; it recovered if it is the
    other way round. Both need ``min_executions`` executions in the recent files, and before. Files without any
    scenario don't count.
    """
    import pyarrow
    import pyarrow.compute as pc

    for part in _PARTS:
        executions, errors = (sums[f"{part}_{name}"].cast("float64") for name in ("executions", "errors"))
        rate = pc.divide(pc.multiply(errors, 100.0), executions)
        # A comparison with a rate that is not known selects nothing.
        sums = sums.append_column(
            f"{part}_rate", pc.if_else(pc.greater_equal(executions, float(min_executions)), rate, None)
        )
    recent, before = pc.field("recent_rate"), pc.field("before_rate")
    fails, failed = (
        (pc.field(f"{part}_rate") >= FAILING) & (pc.field(f"{part}_errors") >= float(MIN_ERRORS)) for part in _PARTS
    )
    chosen = {
        "consumers": (pc.field("centicredits") > pyarrow.scalar(0, sums["centicredits"].type), ("centicredits",)),
        "worst": (recent > 0, ("recent_rate", "recent_errors")),
        "began": (fails & (recent > before * FACTOR), ("recent_errors",)),
        "recovered": (failed & (before > recent * FACTOR), ("before_errors",)),
        "new": (pc.field("first") > pc.min(sums["first"]), ("first", "executions")),
        "gone": (pc.field("last") < pc.max(sums["last"]), ("last", "executions")),
    }
    lists = {}
    for name, (condition, order) in chosen.items():
        rows = sums.filter(condition)
        lists[name] = top_rows(rows, order).to_pylist(), len(rows)
    return lists


def top_rows(rows: pyarrow.Table, columns: Sequence[str]) -> pyarrow.Table:
    """Select the rows of the scenarios with the highest values in the first column, then in the next."""
    # Ids break ties.
    order = [*((column, "descending") for column in columns), ("scenario_id", "ascending")]
    return _first_rows(rows, MAX_SCENARIOS, order)


def _first_rows(rows: pyarrow.Table, most: int, order: Sequence[tuple[str, str]]) -> pyarrow.Table:
    import pyarrow.compute as pc

    if not len(rows):
        # select_k_unstable of pyarrow 17 fails.
        return rows
    # An unstable sort is enough without ties. take() copies; a slice would keep the whole batch in memory.
    return rows.take(pc.select_k_unstable(rows, k=most, sort_keys=order))

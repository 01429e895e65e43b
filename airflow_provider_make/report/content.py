"""The content of a report: figures from the rows of a pull, and its summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    import pyarrow

# The columns that a report uses.
COLUMNS = (
    "scenario_id",
    "name",
    "status",
    "team_id",
    "team_name",
    "executions",
    "operations",
    "centicredits",
    "errors",
    "error_rate",
    "extracted_at",
)
# Maximum scenarios, or teams, in a chart.
MAX_BARS = 10
_BY_ERROR_RATE = (("error_rate", "descending"), ("errors", "descending"), ("scenario_id", "ascending"))
_BY_ERRORS = (("errors", "descending"), ("error_rate", "descending"), ("scenario_id", "ascending"))


class Totals(Struct, frozen=True):
    """The organization's figures in a pull's summary; None if absent or not calculable."""

    executions: int | None = None
    operations: int | None = None
    centicredits: Annotated[str, Meta(pattern="^[0-9]+$")] | None = None
    errors: int | None = None
    error_rate: float | None = None
    executions_change: float | None = None
    operations_change: float | None = None
    centicredits_change: float | None = None
    errors_change: float | None = None
    error_rate_change: float | None = None


class Summary(Struct, frozen=True):
    """The part of a pull's summary, in the Parquet file's metadata, that a report uses."""

    organization_id: int
    zone: str
    total: Totals
    provider_version: str
    date_from: datetime | None = None
    date_to: datetime | None = None
    # The time zone whose days the frame covers; files of older versions have none.
    timezone: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A scenario's row, with the columns that a report shows."""

    scenario_id: int
    name: str | None
    status: str | None
    team_id: int | None
    team_name: str | None
    executions: int | None
    operations: int | None
    centicredits: int | None
    errors: int | None
    error_rate: float | None


@dataclass(frozen=True)
class Team:
    """A team, and the credits that its scenarios used."""

    team_id: int | None
    name: str | None
    centicredits: int


@dataclass(frozen=True)
class Content:
    """
    The content of a report.

    :param summary: The pull's summary.
    :param extracted_at: When the pull began; None if it found no scenario.
    :param min_executions: Scenarios with fewer executions are not in ``by_error_rate``.
    :param statuses: Number of scenarios by status, the most frequent first; None is an absent status.
    :param by_error_rate: At most ``MAX_BARS`` scenarios with errors and enough executions, the worst rate first.
    :param by_errors: At most ``MAX_BARS`` scenarios with errors, the most errors first.
    :param teams: At most ``MAX_BARS`` teams, the most credits first.
    :param other_teams: The number of teams not in ``teams``.
    :param other_centicredits: The sum of the other teams.
    """

    summary: Summary
    extracted_at: datetime | None
    min_executions: int
    statuses: tuple[tuple[str | None, int], ...]
    by_error_rate: tuple[Scenario, ...]
    by_errors: tuple[Scenario, ...]
    teams: tuple[Team, ...]
    other_teams: int
    other_centicredits: int


def summarize(summary: Summary, batches: Iterable[pyarrow.RecordBatch], min_executions: int) -> Content:
    """
    Calculate a report's content in one pass over the rows of a pull.

    :param summary: The pull's summary.
    :param batches: The rows, with ``COLUMNS``; one batch at a time is in memory.
    :param min_executions: Scenarios with fewer executions are not among the worst by error rate.
    :return: The content.
    """
    import pyarrow
    import pyarrow.compute as pc

    has_errors = pc.field("errors") > 0
    has_error_rate = (pc.field("error_rate") > 0) & (pc.field("executions") >= min_executions)
    # Results of the batches so far: a table each, or none.
    by_error_rate: list[pyarrow.Table] = []
    by_errors: list[pyarrow.Table] = []
    teams: list[pyarrow.Table] = []
    statuses: Counter[str | None] = Counter()
    extracted_at: datetime | None = None
    for batch in batches:
        rows = pyarrow.Table.from_batches([batch])
        by_error_rate = [_top(pyarrow.concat_tables([*by_error_rate, rows.filter(has_error_rate)]), _BY_ERROR_RATE)]
        by_errors = [_top(pyarrow.concat_tables([*by_errors, rows.filter(has_errors)]), _BY_ERRORS)]
        teams = [_sum_by_team(pyarrow.concat_tables([*teams, _credits(rows)]))]
        for status in pc.value_counts(batch["status"]).to_pylist():
            statuses[status["values"]] += status["counts"]
        if extracted_at is None and len(batch):
            extracted_at = batch["extracted_at"][0].as_py()
    sorted_teams = _to_teams(teams)
    return Content(
        summary=summary,
        extracted_at=extracted_at,
        min_executions=min_executions,
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0] or ""))),
        by_error_rate=_to_scenarios(by_error_rate),
        by_errors=_to_scenarios(by_errors),
        teams=tuple(sorted_teams[:MAX_BARS]),
        other_teams=len(sorted_teams[MAX_BARS:]),
        other_centicredits=sum(team.centicredits for team in sorted_teams[MAX_BARS:]),
    )


def _top(rows: pyarrow.Table, order: Sequence[tuple[str, str]]) -> pyarrow.Table:
    import pyarrow.compute as pc

    if not len(rows):
        # select_k_unstable of pyarrow 17 fails.
        return rows
    # An unstable sort is enough, as ids break ties. take() copies; a slice would keep the whole batch in memory.
    return rows.take(pc.select_k_unstable(rows, k=MAX_BARS, sort_keys=order))


def _credits(rows: pyarrow.Table) -> pyarrow.Table:
    import pyarrow

    # Sums of a decimal128 may overflow without an error.
    wide = rows["centicredits"].cast(pyarrow.decimal256(76, 0))
    return pyarrow.table({"team_id": rows["team_id"], "team_name": rows["team_name"], "centicredits": wide})


def _sum_by_team(credits: pyarrow.Table) -> pyarrow.Table:
    team = ["team_id", "team_name"]
    sums = credits.group_by(team).aggregate([("centicredits", "sum")])
    return sums.select([*team, "centicredits_sum"]).rename_columns([*team, "centicredits"])


def _to_teams(sums: Iterable[pyarrow.Table]) -> list[Team]:
    rows = [row for table in sums for row in table.to_pylist() if row["centicredits"] is not None]
    teams = [Team(row["team_id"], row["team_name"], int(row["centicredits"])) for row in rows]
    return sorted(teams, key=lambda team: (-team.centicredits, team.name or "", team.team_id or 0))


def _to_scenarios(tables: Iterable[pyarrow.Table]) -> tuple[Scenario, ...]:
    rows = [row for table in tables for row in table.drop_columns(["extracted_at"]).to_pylist()]
    return tuple(Scenario(**{**row, "centicredits": _to_int(row["centicredits"])}) for row in rows)


def _to_int(value: Decimal | None) -> int | None:
    return None if value is None else int(value)

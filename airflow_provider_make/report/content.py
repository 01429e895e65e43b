"""What a report says: the figures that it takes from the rows of a pull, and from its summary."""

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

# The columns that a report reads.
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
# Scenarios, or teams, of a chart.
MOST = 10
_BY_ERROR_RATE = (("error_rate", "descending"), ("errors", "descending"), ("scenario_id", "ascending"))
_BY_ERRORS = (("errors", "descending"), ("error_rate", "descending"), ("scenario_id", "ascending"))


class Totals(Struct, frozen=True):
    """The organization's figures, as a pull's summary has them; None where absent or not calculable."""

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
    """What a Parquet file keeps of its pull's summary, as far as a report tells it."""

    organization_id: int
    zone: str
    total: Totals
    provider_version: str
    date_from: datetime | None = None
    date_to: datetime | None = None


@dataclass(frozen=True)
class Scenario:
    """A scenario and its figures, as its row has them."""

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
    """What a team's scenarios took."""

    team_id: int | None
    name: str | None
    centicredits: int


@dataclass(frozen=True)
class Report:
    """
    What a report says.

    :param summary: The pull's summary.
    :param extracted_at: When the pull began; None where it found no scenario.
    :param min_executions: The fewest executions for an error rate to be among the worst.
    :param statuses: Number of scenarios by status, the most first; None is a status that is absent.
    :param by_error_rate: At most ``MOST`` scenarios with errors and enough executions, the worst rate first.
    :param by_errors: At most ``MOST`` scenarios with errors, the most errors first.
    :param teams: At most ``MOST`` teams, the most credits first.
    :param further_teams: How many teams there are beside.
    :param further_centicredits: What the further teams took together.
    """

    summary: Summary
    extracted_at: datetime | None
    min_executions: int
    statuses: tuple[tuple[str | None, int], ...]
    by_error_rate: tuple[Scenario, ...]
    by_errors: tuple[Scenario, ...]
    teams: tuple[Team, ...]
    further_teams: int
    further_centicredits: int


def find_figures(summary: Summary, batches: Iterable[pyarrow.RecordBatch], min_executions: int) -> Report:
    """
    Go once through the rows of a pull.

    :param summary: The pull's summary.
    :param batches: The rows, with ``COLUMNS``; one batch at a time is held in memory.
    :param min_executions: The fewest executions for an error rate to be among the worst.
    :return: What is to be said about them.
    """
    import pyarrow
    import pyarrow.compute as pc

    failed = pc.field("errors") > 0
    failed_often = (pc.field("error_rate") > 0) & (pc.field("executions") >= min_executions)
    # Of the batches so far.
    by_error_rate: list[pyarrow.Table] = []
    by_errors: list[pyarrow.Table] = []
    teams: list[pyarrow.Table] = []
    statuses: Counter[str | None] = Counter()
    extracted_at: datetime | None = None
    for batch in batches:
        rows = pyarrow.Table.from_batches([batch])
        by_error_rate = [_first(pyarrow.concat_tables([*by_error_rate, rows.filter(failed_often)]), _BY_ERROR_RATE)]
        by_errors = [_first(pyarrow.concat_tables([*by_errors, rows.filter(failed)]), _BY_ERRORS)]
        teams = [_add_up(pyarrow.concat_tables([*teams, _credits(rows)]))]
        for found in pc.value_counts(batch["status"]).to_pylist():
            statuses[found["values"]] += found["counts"]
        if extracted_at is None and len(batch):
            extracted_at = batch["extracted_at"][0].as_py()
    in_order = _teams(teams)
    return Report(
        summary=summary,
        extracted_at=extracted_at,
        min_executions=min_executions,
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0] or ""))),
        by_error_rate=_scenarios(by_error_rate),
        by_errors=_scenarios(by_errors),
        teams=tuple(in_order[:MOST]),
        further_teams=len(in_order[MOST:]),
        further_centicredits=sum(team.centicredits for team in in_order[MOST:]),
    )


def _first(rows: pyarrow.Table, order: Sequence[tuple[str, str]]) -> pyarrow.Table:
    import pyarrow.compute as pc

    # The ids in the order leave no ties. And it is a copy, where a slice would keep the whole batch in memory.
    return rows.take(pc.select_k_unstable(rows, k=MOST, sort_keys=order))


def _credits(rows: pyarrow.Table) -> pyarrow.Table:
    import pyarrow

    # Sums of a decimal128 may overflow, and nobody is told.
    wide = rows["centicredits"].cast(pyarrow.decimal256(76, 0))
    return pyarrow.table({"team_id": rows["team_id"], "team_name": rows["team_name"], "centicredits": wide})


def _add_up(credits: pyarrow.Table) -> pyarrow.Table:
    import pyarrow

    sums = credits.group_by(["team_id", "team_name"]).aggregate([("centicredits", "sum")])
    names = {"team_id": "team_id", "team_name": "team_name", "centicredits": "centicredits_sum"}
    return pyarrow.table({name: sums[found] for name, found in names.items()})


def _teams(sums: Iterable[pyarrow.Table]) -> list[Team]:
    found = [row for table in sums for row in table.to_pylist() if row["centicredits"] is not None]
    teams = [Team(row["team_id"], row["team_name"], int(row["centicredits"])) for row in found]
    return sorted(teams, key=lambda team: (-team.centicredits, team.name or "", team.team_id or 0))


def _scenarios(rows: Iterable[pyarrow.Table]) -> tuple[Scenario, ...]:
    found = [row for table in rows for row in table.drop_columns(["extracted_at"]).to_pylist()]
    return tuple(Scenario(**{**row, "centicredits": _whole(row["centicredits"])}) for row in found)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)

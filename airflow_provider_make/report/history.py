"""The content of a report over several days: sums by day, scenario and team, from one file at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_make.report.changes import Selection, count_compared, select_scenarios
from airflow_provider_make.report.files import SourceFile
from airflow_provider_make.report.frames import Frame, arrange_frames
from airflow_provider_make.report.source import Pull, open_pull
from airflow_provider_make.report.sums import SUM_COLUMNS, Sums

if TYPE_CHECKING:
    import pyarrow

# Teams in a chart; the colors of more would look alike.
MAX_TEAMS = 6
# Files that are read at the same time: those of an object storage take a while to arrive.
_CONCURRENCY = 4
_NAMES = ("scenario_id", "name", "status", "team_id", "team_name")
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class ScenarioHistory:
    """
    A scenario over several days: name, status and team as in the last file with it.

    :param first: The first day with it.
    :param last: The last day with it.
    :param recent_executions: Executions in the recent frames.
    :param recent_errors: Errors in the recent frames.
    :param before_executions: Executions in the frames that those are compared with.
    :param before_errors: Errors in these.
    """

    scenario_id: int
    name: str | None
    status: str | None
    team_id: int | None
    team_name: str | None
    first: date
    last: date
    executions: int
    operations: int
    errors: int
    centicredits: int
    recent_executions: int
    recent_errors: int
    before_executions: int
    before_errors: int


@dataclass(frozen=True)
class Scenarios:
    """The first scenarios of a list, and how many there are."""

    shown: tuple[ScenarioHistory, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class TeamHistory:
    """Hundredths of credits of a team, by frame and in all."""

    team_id: int | None
    name: str | None
    centicredits: tuple[int, ...]
    total: int


@dataclass(frozen=True)
class History:
    """
    The content of a report over several days.

    :param frames: The time frames, in order.
    :param recent: The number of frames at the end that are compared with those before.
    :param before: The number of those before.
    :param min_executions: Error rates of fewer executions are ignored.
    :param extracted_at: When the last pull with a scenario began; None if there is none.
    :param scenarios: The number of scenarios in the last frame.
    :param centicredits: The sum of all scenarios.
    :param teams: At most ``MAX_TEAMS`` teams that used credits, the most first.
    :param other_teams: The number of other teams that used credits.
    :param others: Their sum.
    """

    frames: tuple[Frame, ...]
    recent: int
    before: int
    min_executions: int
    extracted_at: datetime | None = None
    scenarios: int = 0
    centicredits: int = 0
    teams: tuple[TeamHistory, ...] = ()
    other_teams: int = 0
    others: TeamHistory = field(default_factory=lambda: TeamHistory(None, None, (), 0))
    consumers: Scenarios = Scenarios()
    worst: Scenarios = Scenarios()
    began: Scenarios = Scenarios()
    ceased: Scenarios = Scenarios()
    new: Scenarios = Scenarios()
    gone: Scenarios = Scenarios()


def read_history(files: Sequence[SourceFile], min_executions: int) -> History:
    """
    Read the content of a report over several days.

    Each file is read twice: its metadata, to know the order of the days, and the columns that are added up.

    :param files: The files of the pulls.
    :param min_executions: Error rates of fewer executions are ignored.
    :return: The content.
    :raises MakeInputError: A file is not the operator's, or the files don't fit together.
    """
    with ThreadPoolExecutor(_CONCURRENCY, "make-report") as executor:

        def each(function: Callable[[SourceFile], _Out], chosen: Iterable[SourceFile]) -> Iterator[_Out]:
            return _map_ahead(executor, function, chosen)

        frames = arrange_frames(each(lambda file: (file.location, _read(file, lambda pull: pull.summary)), files))
        by_location = {file.location: file for file in files}
        in_order = [by_location[frame.location] for frame in frames]
        recent, before = count_compared(len(frames), frames[0].length)
        first_recent = len(frames) - recent
        sums = Sums()
        with_rows: list[int] = []
        count = 0
        for number, rows in enumerate(each(lambda file: _read(file, lambda pull: pull.read(SUM_COLUMNS)), in_order)):
            is_before = first_recent - before <= number < first_recent
            sums.add(rows, number, "recent" if number >= first_recent else "before" if is_before else None)
            count = len(rows)
            if len(rows):
                with_rows.append(number)
        scenarios = sums.scenarios()
        changes = select_scenarios(scenarios, min_executions, with_rows)
        selections = vars(changes).values()
        rows_shown = {row for selection in selections for row in selection.rows}
        figures = {row: scenarios.slice(row, 1).to_pylist()[0] for row in rows_shown}
        by_file: dict[int, list[int]] = {}
        for one in figures.values():
            by_file.setdefault(one["last"], []).append(one["scenario_id"])
        names: dict[int, dict[str, Any]] = {}
        numbers = sorted(by_file)
        readings = each(lambda file: _read(file, lambda pull: pull.read(_NAMES)), [in_order[n] for n in numbers])
        for number, rows in zip(numbers, readings, strict=True):
            names |= _rows_by_id(rows, by_file[number])
        extracted_at = _read(in_order[with_rows[-1]], _extracted_at) if with_rows else None
    shown = {row: _scenario(one, names[one["scenario_id"]], frames) for row, one in figures.items()}

    def listed(selection: Selection) -> Scenarios:
        return Scenarios(tuple(shown[row] for row in selection.rows), selection.count)

    teams = _teams(sums, len(frames))
    return History(
        frames=frames,
        recent=recent,
        before=before,
        min_executions=min_executions,
        extracted_at=extracted_at,
        scenarios=count,
        centicredits=sum(team.total for team in teams),
        teams=tuple(teams[:MAX_TEAMS]),
        other_teams=len(teams[MAX_TEAMS:]),
        others=_add_up(teams[MAX_TEAMS:], len(frames)),
        **{name: listed(selection) for name, selection in vars(changes).items()},
    )


def _read(file: SourceFile, read: Callable[[Pull], _Out]) -> _Out:
    # Airflow's open has no types.
    with file.path.open("rb") as stream, open_pull(stream, file.location) as pull:  # type: ignore[no-untyped-call]
        return read(pull)


def _map_ahead(executor: ThreadPoolExecutor, function: Callable[[_In], _Out], values: Iterable[_In]) -> Iterator[_Out]:
    """Map in order, with few results waiting: Executor.map would keep those of all files in memory."""
    waiting: deque[Future[_Out]] = deque()
    for value in values:
        waiting.append(executor.submit(function, value))
        if len(waiting) >= _CONCURRENCY:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _rows_by_id(rows: pyarrow.Table, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    import pyarrow.compute as pc

    return {row["scenario_id"]: row for row in rows.filter(pc.field("scenario_id").isin(ids)).to_pylist()}


def _extracted_at(pull: Pull) -> datetime | None:
    value: datetime | None = pull.read(["extracted_at"])["extracted_at"][0].as_py()
    return value


def _scenario(figures: dict[str, Any], names: dict[str, Any], frames: Sequence[Frame]) -> ScenarioHistory:
    first, last = frames[figures.pop("first")].day, frames[figures.pop("last")].last_day
    numbers = {name: int(value or 0) for name, value in figures.items()}
    return ScenarioHistory(**{**names, **numbers}, first=first, last=last)


def _teams(sums: Sums, count: int) -> list[TeamHistory]:
    ids = {team for by_team in sums.teams.values() for team in by_team}
    teams = []
    for team in ids:
        used = tuple(sums.teams[number].get(team, 0) for number in range(count))
        if total := sum(used):
            teams.append(TeamHistory(team, sums.team_names[team], used, total))
    return sorted(teams, key=lambda team: (-team.total, team.name or "", team.team_id or 0))


def _add_up(teams: Sequence[TeamHistory], count: int) -> TeamHistory:
    used = tuple(sum(team.centicredits[number] for team in teams) for number in range(count))
    return TeamHistory(None, None, used, sum(used))

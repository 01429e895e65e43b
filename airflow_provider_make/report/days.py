"""The content of a report over several days: from files of a day each, or each of the same number of days."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, pairwise
from typing import Any, TypeVar

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.comparison import (
    SUM_COLUMNS,
    Part,
    ScenarioSums,
    Team,
    TeamCredits,
    compare,
    count_compared,
)
from airflow_provider_make.report.formatting import count_of, describe_filters, enumerate_words, moment, percentage
from airflow_provider_make.report.pull_files import PullFile, Scenario, SourceFile, Summary, open_pull

# Teams in a chart; the colors of more would look alike.
MAX_TEAMS = 6
# A range of fewer days would say little.
MIN_USUAL = 10
# Of figures that vary at random, about one in 25 is further from the median.
SPREAD = 3
# Files that are read at the same time: those of an object storage take a while to arrive.
_CONCURRENCY = 4
_NAMES = ("scenario_id", "name", "status", "team_id", "team_name")
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
# A day has an hour more or less when daylight saving time changes.
_TOLERANCE = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


@dataclass(frozen=True)
class DayFile:
    """A file with the summary of its pull, its first day, and the number of its days, mostly one."""

    file: SourceFile
    summary: Summary
    first: date
    length: int

    @property
    def last(self) -> date:
        return self.first + (self.length - 1) * _DAY


@dataclass(frozen=True, kw_only=True)
class DaysScenario(Scenario):
    """A scenario over all days, with its first and last day; name, status and team as in the last file with it."""

    executions: int
    operations: int
    centicredits: int
    errors: int
    first: date
    last: date
    # In the recent files, and in those that they are compared with.
    recent_executions: int
    recent_errors: int
    before_executions: int
    before_errors: int


@dataclass(frozen=True)
class Scenarios:
    """The first scenarios of a list, and how many there are."""

    shown: tuple[DaysScenario, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Days:
    """The content of a report over several days."""

    # In the order of their days.
    files: tuple[DayFile, ...]
    # The number of files at the end that are compared with those before, and of those.
    recent: int
    before: int
    # Error rates of fewer executions are ignored.
    min_executions: int
    # When the last pull with a scenario began; None if there is none.
    extracted_at: datetime | None = None
    # The number of scenarios in the last file.
    scenarios: int = 0
    # At most MAX_TEAMS that used credits, the most first, and all others as one.
    teams: tuple[Team, ...] = ()
    consumers: Scenarios = Scenarios()
    worst: Scenarios = Scenarios()
    began: Scenarios = Scenarios()
    recovered: Scenarios = Scenarios()
    new: Scenarios = Scenarios()
    gone: Scenarios = Scenarios()

    @property
    def unit(self) -> str:
        """What each file is about: all have time frames of the same length."""
        return {1: "day", 7: "week"}.get(self.files[0].length, "period")

    @property
    def centicredits(self) -> int:
        """The sum of all scenarios."""
        return sum(team.total for team in self.teams)

    def figures(self, name: str) -> list[Any]:
        """Return a figure of the organization by file, as Make calculated it; None where it has none."""
        return [getattr(file.summary.total, name) for file in self.files]


def read_days(files: Sequence[SourceFile], min_executions: int) -> Days:
    """
    Read the content of a report from files that must fit together.

    Each file is read twice: its metadata, to know the order of the days, and the columns that are added up. Names are
    read for the scenarios that are shown.
    """
    import pyarrow.compute as pc

    with ThreadPoolExecutor(_CONCURRENCY, "make-report") as executor:

        def read(chosen: Iterable[SourceFile], of_pull: Callable[[PullFile], _T]) -> Iterator[_T]:
            return _map_ahead(executor, lambda file: _read(file, of_pull), chosen)

        day_files = arrange(zip(files, read(files, lambda pull: pull.summary), strict=True))
        in_order = [file.file for file in day_files]
        recent, before = count_compared(len(files), day_files[0].length)
        first_recent = len(files) - recent
        scenarios, teams, count = ScenarioSums(), TeamCredits(), 0
        for number, rows in enumerate(read(in_order, lambda pull: pull.read(SUM_COLUMNS))):
            is_before = first_recent - before <= number < first_recent
            part: Part | None = "recent" if number >= first_recent else "before" if is_before else None
            scenarios.add(rows, number, part)
            teams.add(rows, number)
            count = len(rows)
        sums = scenarios.table()
        lists = compare(sums, min_executions)
        # The ids of the scenarios that are shown, by the last file with them.
        ids: defaultdict[int, set[int]] = defaultdict(set)
        for row in chain.from_iterable(rows for rows, _ in lists.values()):
            ids[row["last"]].add(row["scenario_id"])
        names: dict[int, dict[str, Any]] = {}
        named = read((in_order[number] for number in ids), lambda pull: pull.read(_NAMES))
        for chosen, rows in zip(ids.values(), named, strict=True):
            found = rows.filter(pc.field("scenario_id").isin(list(chosen)))
            names |= {row["scenario_id"]: row for row in found.to_pylist()}
        last = pc.max(sums["last"]).as_py()
        extracted_at = None if last is None else _read(in_order[last], _extracted_at)

    def scenario(row: dict[str, Any]) -> DaysScenario:
        values: dict[str, Any] = {name: int(value) for name, value in row.items() if not name.endswith("_rate")}
        values |= names[row["scenario_id"]]
        values["first"], values["last"] = day_files[row["first"]].first, day_files[row["last"]].last
        return DaysScenario(**values, error_rate=percentage(values["errors"], values["executions"]))

    return Days(
        files=day_files,
        recent=recent,
        before=before,
        min_executions=min_executions,
        extracted_at=extracted_at,
        scenarios=count,
        teams=tuple(teams.largest(MAX_TEAMS, len(files))),
        **{name: Scenarios(tuple(map(scenario, rows)), number) for name, (rows, number) in lists.items()},
    )


def _read(file: SourceFile, of_pull: Callable[[PullFile], _T]) -> _T:
    with open_pull(file) as pull:
        return of_pull(pull)


def _extracted_at(pull: PullFile) -> datetime | None:
    value: datetime | None = pull.read(["extracted_at"])["extracted_at"][0].as_py()
    return value


def _map_ahead(
    executor: ThreadPoolExecutor, function: Callable[[SourceFile], _T], files: Iterable[SourceFile]
) -> Iterator[_T]:
    """Map in order, with few results waiting: Executor.map would keep those of all files in memory."""
    waiting: deque[Future[_T]] = deque()
    for file in files:
        waiting.append(executor.submit(function, file))
        if len(waiting) >= _CONCURRENCY:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def arrange(pulls: Iterable[tuple[SourceFile, Summary]]) -> tuple[DayFile, ...]:
    """
    Arrange pulls by day, and check that they fit together.

    A file belongs to the day on which the first twelve hours of its time frame end, in its time zone, else in UTC:
    that is the local day even if the time zone is unknown, in the zones from UTC-12 to UTC+12.
    """
    pulls = list(pulls)
    _check_organization(pulls)
    _check_filters(pulls)
    files = sorted((_day_file(*pull) for pull in pulls), key=lambda file: (file.first, file.file.location))
    by_length = {file.length: file.file.location for file in reversed(files)}
    if len(by_length) > 1:
        texts = [f"{count_of(length, 'day')} in {by_length[length]!r}" for length in sorted(by_length)]
        raise _invalid(
            f"its files have time frames of different length: {enumerate_words(texts)}. "
            "Expected files of the same length: select them with a folder, a glob or a list"
        )
    for before, after in pairwise(files):
        overlap = (before.summary.date_to or _EPOCH) - (after.summary.date_from or _EPOCH)
        if (after.first - before.first).days < before.length or overlap > _TOLERANCE:
            raise _invalid(
                f"the time frames of {before.file.location!r} ({_interval(before.summary)}) and "
                f"{after.file.location!r} ({_interval(after.summary)}) overlap, and executions would count twice. "
                "Remove one of them, or select the files with a glob or a list"
            )
    return tuple(files)


def _check_organization(pulls: Sequence[tuple[SourceFile, Summary]]) -> None:
    files = {(summary.organization_id, summary.zone): file.location for file, summary in reversed(pulls)}
    if len(files) > 1:
        texts = [f"{number} of {zone} in {files[number, zone]!r}" for number, zone in sorted(files)]
        shown = texts[:5] + [f"{len(texts) - 5} more"] * (len(texts) > 5)
        raise _invalid(
            f"its files are of several organizations: {enumerate_words(shown)}. Select one, for example with "
            f"the folder organization_id={min(files)[0]}"
        )


def _check_filters(pulls: Sequence[tuple[SourceFile, Summary]]) -> None:
    files: dict[str, str] = {}
    for file, summary in pulls:
        # Those of older versions are not known.
        if summary.filters is not None:
            files.setdefault(describe_filters(summary.filters) or "all scenarios", file.location)
    if len(files) > 1:
        texts = [f"{filters} in {location!r}" for filters, location in files.items()]
        shown = texts[:5] + [f"{len(texts) - 5} more"] * (len(texts) > 5)
        raise _invalid(
            f"its files have different filters: {enumerate_words(shown)}. Expected files of one filter: select them "
            "with a folder, a glob or a list"
        )


def _day_file(file: SourceFile, summary: Summary) -> DayFile:
    if summary.date_from is None or summary.date_to is None:
        raise _invalid(f"{file.location!r} has a time frame without a begin or an end, and several files need both")
    length = summary.date_to - summary.date_from
    days = round(length / _DAY)
    if days < 1 or abs(length - days * _DAY) > _TOLERANCE:
        raise _invalid(f"the time frame of {file.location!r} ({_interval(summary)}) is not a number of whole days")
    first = (summary.date_from.astimezone(UTC) + _DAY / 2).astimezone(summary.time_zone).date()
    return DayFile(file, summary, first, days)


def _interval(summary: Summary) -> str:
    begin, end = summary.date_from, summary.date_to
    return f"{begin and moment(begin)} to {end and moment(end)} UTC"


def _invalid(problem: str) -> MakeInputError:
    return MakeInputError(f"source is not valid: {problem}.")


def describe_time_zones(files: Iterable[DayFile]) -> str:
    """Describe whose days the files have, such as "Europe/Prague" or "beginning at 06:00 UTC"."""
    zones, starts = set(), set()
    for file in files:
        begin = file.summary.date_from or _EPOCH
        zone = file.summary.time_zone
        # Not midnight: in some zones, summer time begins then, and the day at one o'clock.
        is_midnight = begin.astimezone(zone).date() > (begin - _SECOND).astimezone(zone).date()
        if file.summary.timezone and is_midnight:
            zones.add(str(zone))
        else:
            starts.add(f"{begin.astimezone(UTC):%H:%M}")
    if starts == {"00:00"}:
        zones, starts = {*zones, "UTC"}, set()
    texts = sorted(zones)
    texts += [f"beginning at {enumerate_words(sorted(starts))} UTC"] if starts else []
    return enumerate_words(texts)


def usual_range(values: Sequence[float | None]) -> tuple[float, float] | None:
    """
    Return the range of usual values: the median, and ``SPREAD`` times the median distance from it on either side.

    Medians, as unusual values don't shift them, even if up to half of all are unusual. None if fewer than
    ``MIN_USUAL`` values are known.
    """
    known = [value for value in values if value is not None]
    if len(known) < MIN_USUAL:
        return None
    median = statistics.median(known)
    distance = SPREAD * statistics.median(abs(value - median) for value in known)
    return max(median - distance, 0.0), median + distance

"""Write Parquet files like the operator, and calculate the content of their reports in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.output.rows import RowBuilder, to_total
from airflow_provider_make.report.comparison import Team
from airflow_provider_make.report.formatting import count_of, team_name
from airflow_provider_make.report.pull_files import Scenario, Summary, Totals
from airflow_provider_make.report.pull_page import PullContent
from tests.support.destinations import destination_for

FROM, TO = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
EXTRACTED = datetime(2026, 11, 23, 6, 0, 30, tzinfo=UTC)

NO_METRICS = Metrics()


def write_pull(
    path: Path,
    pages: Iterable[Sequence[ScenarioMetrics]],
    total: Metrics = NO_METRICS,
    *,
    organization_id: int = 42,
    zone: str = "eu1.make.com",
    date_from: datetime | None = FROM,
    date_to: datetime | None = TO,
    timezone: str = "UTC",
    extracted_at: datetime = EXTRACTED,
) -> Path:
    """Write a pull's file with the operator's own destination."""
    destination = destination_for(path, timezone=timezone)
    count = 0
    with destination:
        destination.begin(RowBuilder(organization_id, date_from, date_to, extracted_at))
        for page in pages:
            destination.add(page)
            count += len(page)
        destination.publish(
            {
                "organization_id": organization_id,
                "zone": zone,
                "date_from": iso(date_from),
                "date_to": iso(date_to),
                "total": to_total(total),
                "row_count": count,
                "requests": 1,
            }
        )
    return path


def write_day(folder: Path, day: date, entries: Sequence[ScenarioMetrics], **arguments: Any) -> Path:
    """Write the file of a day where the example Dags write it, with totals that fit the entries."""
    total = Metrics(
        executions=sum(one.executions or 0 for one in entries),
        operations=sum(one.operations or 0 for one in entries),
        centicredits=str(sum(int(one.centicredits or 0) for one in entries)),
        errors=sum(one.errors or 0 for one in entries),
    )
    if total.executions:
        total = msgspec.structs.replace(total, error_rate=100 * (total.errors or 0) / total.executions)
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    path = folder / "organization_id=42" / f"date={day}" / "analytics.parquet"
    path.parent.mkdir(parents=True)
    return write_pull(path, [entries], total, date_from=begin, date_to=begin + timedelta(days=1), **arguments)


def totals(*, centicredits: int | None = None, **figures: Any) -> Totals:
    """Return an organization's figures as a file has them."""
    return Totals(centicredits_text=None if centicredits is None else str(centicredits), **figures)


def summary(**figures: Any) -> Summary:
    """Return a summary with some totals."""
    return Summary(42, "eu1.make.com", totals(**figures), "0.1.0", FROM, TO)


def expected_content(entries: Sequence[ScenarioMetrics], summary: Summary, min_executions: int) -> PullContent:
    """Return the content of a report of some entries."""
    rated = [entry for entry in entries if (entry.error_rate or 0) > 0 and (entry.executions or 0) >= min_executions]
    # Absent values are last.
    rated.sort(key=lambda one: (-(one.error_rate or 0), one.errors is None, -(one.errors or 0), one.scenario_id))
    failed = [entry for entry in entries if (entry.errors or 0) > 0]
    failed.sort(key=lambda one: (-(one.errors or 0), one.error_rate is None, -(one.error_rate or 0), one.scenario_id))
    statuses = Counter(entry.status for entry in entries)
    return PullContent(
        summary=summary,
        extracted_at=EXTRACTED if entries else None,
        min_executions=min_executions,
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0] or ""))),
        by_error_rate=tuple(map(_scenario, rated[:10])),
        by_errors=tuple(map(_scenario, failed[:10])),
        teams=tuple(expected_teams([entries], 10)),
    )


def expected_teams(files: Sequence[Sequence[ScenarioMetrics]], most: int) -> list[Team]:
    """Return the teams of a chart; a team's name is the last one."""
    names = {entry.team_id: entry.team_name for entries in files for entry in entries}
    used = {
        team: tuple(sum(int(one.centicredits or 0) for one in entries if one.team_id == team) for entries in files)
        for team in names
    }
    ids = sorted(
        (team for team in used if sum(used[team])), key=lambda team: (-sum(used[team]), names[team] or "", team or 0)
    )
    teams = [Team(team_name(team, names[team]), used[team]) for team in ids[:most]]
    if others := ids[most:]:
        sums = tuple(sum(used[team][number] for team in others) for number in range(len(files)))
        teams.append(Team(count_of(len(others), "other team"), sums, are_others=True))
    return teams


def _scenario(entry: ScenarioMetrics) -> Scenario:
    return Scenario(
        scenario_id=entry.scenario_id,
        name=entry.name,
        status=entry.status,
        team_id=entry.team_id,
        team_name=entry.team_name,
        executions=entry.executions,
        operations=entry.operations,
        centicredits=None if entry.centicredits is None else int(entry.centicredits),
        errors=entry.errors,
        error_rate=entry.error_rate,
    )

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
from airflow_provider_make.output.destination import open_destination
from airflow_provider_make.output.rows import RowBuilder, to_total
from airflow_provider_make.report.content import Content, Scenario, Summary, Team, Totals

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
    destination = open_destination(
        output_path=path, output_format="parquet", storage_conn_id=None, max_xcom_bytes=1_000_000, timezone=timezone
    )
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


def summary(**total: Any) -> Summary:
    """Return a summary with some totals."""
    return Summary(42, "eu1.make.com", Totals(**total), "0.1.0", FROM, TO)


def expected_content(entries: Sequence[ScenarioMetrics], summary: Summary, min_executions: int) -> Content:
    """Return the content of a report of some entries."""
    rated = [
        one
        for one in entries
        if one.error_rate is not None
        and one.error_rate > 0
        and one.executions is not None
        and one.executions >= min_executions
    ]
    # Absent values are last.
    rated.sort(key=lambda one: (-(one.error_rate or 0), one.errors is None, -(one.errors or 0), one.scenario_id))
    failed = [one for one in entries if one.errors]
    failed.sort(key=lambda one: (-(one.errors or 0), one.error_rate is None, -(one.error_rate or 0), one.scenario_id))
    credits: Counter[tuple[int | None, str | None]] = Counter()
    for one in entries:
        if one.centicredits is not None:
            credits[one.team_id, one.team_name] += int(one.centicredits)
    teams = [Team(*team, centicredits) for team, centicredits in credits.items()]
    teams.sort(key=lambda team: (-team.centicredits, team.name or "", team.team_id or 0))
    statuses = Counter(one.status for one in entries)
    return Content(
        summary=summary,
        extracted_at=EXTRACTED if entries else None,
        min_executions=min_executions,
        statuses=tuple(sorted(statuses.items(), key=lambda item: (-item[1], item[0] or ""))),
        by_error_rate=tuple(map(_scenario, rated[:10])),
        by_errors=tuple(map(_scenario, failed[:10])),
        teams=tuple(teams[:10]),
        other_teams=len(teams[10:]),
        other_centicredits=sum(team.centicredits for team in teams[10:]),
    )


def _scenario(one: ScenarioMetrics) -> Scenario:
    return Scenario(
        scenario_id=one.scenario_id,
        name=one.name,
        status=one.status,
        team_id=one.team_id,
        team_name=one.team_name,
        executions=one.executions,
        operations=one.operations,
        centicredits=None if one.centicredits is None else int(one.centicredits),
        errors=one.errors,
        error_rate=one.error_rate,
    )

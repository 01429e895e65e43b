"""Write a Parquet file for each day of a sandbox's organization, as a daily pull would have written them.

``python -m tests.support.daily_files FOLDER 365 2500`` writes the last 365 days of 2,500 scenarios.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.sandbox import Organization
from airflow_provider_make.sandbox.query import Criteria
from airflow_provider_make.sandbox.responses import entry, figures
from tests.support.pulled_files import write_pull

_DAY = timedelta(days=1)


def write_days(folder: Path, organization: Organization, first: date, days: int) -> list[Path]:
    """
    Write a file for each day.

    :param folder: An existing folder; the files are named by their day, such as ``2026-05-31.parquet``.
    :param organization: The organization, such as ``Organization(42, 2500, story=True)``. The days may be older than
        the year that the sandbox's server accepts.
    :param first: The first day, from midnight to midnight UTC.
    :param days: The number of days.
    :return: The paths, the first day's first.
    """
    paths = []
    for number in range(days):
        begin = datetime(first.year, first.month, first.day, tzinfo=UTC) + number * _DAY
        result = organization.select(Criteria(date_from=begin, date_to=begin + _DAY, sort_by="name"))
        path = write_pull(
            folder / f"{begin:%Y-%m-%d}.parquet",
            [msgspec.convert([entry(row) for row in result.rows], list[ScenarioMetrics])],
            msgspec.convert(figures(result.total), Metrics),
            organization_id=organization.organization_id,
            date_from=begin,
            date_to=begin + _DAY,
            extracted_at=begin + _DAY + timedelta(hours=6),
        )
        paths.append(path)
    return paths


def main(folder: Path, days: int, scenarios: int) -> None:
    """Write the days until yesterday."""
    folder.mkdir(parents=True, exist_ok=True)
    first = datetime.now(UTC).date() - days * _DAY
    write_days(folder, Organization(42, scenarios, story=True), first, days)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

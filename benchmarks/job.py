"""The job of every contender: pull all scenarios of one organization into one local file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

PAGE_SIZE = 1000
MAX_CONCURRENCY = 8

# Runs the job, and returns the files with the rows.
Pull = Callable[[], list[Path]]


@dataclass(frozen=True)
class Job:
    """
    What to pull, and into which file.

    :param base_url: URL of the API, ends in ``/api/v2``.
    :param token: The API token.
    :param organization_id: The organization to pull.
    :param date_from: Start of the time frame, ISO 8601.
    :param date_to: End of the time frame, ISO 8601.
    :param output: The file to write.
    :param output_format: One of ``benchmarks.rows.FORMATS``.
    """

    base_url: str
    token: str
    organization_id: int
    date_from: str
    date_to: str
    output: Path
    output_format: str


# Columns by Make's field names. Before them is organization_id; after them are the columns with the same value in all
# rows of a pull.
COLUMNS = {
    "id": "scenario_id",
    "imtId": "imt_id",
    "name": "name",
    "status": "status",
    "teamId": "team_id",
    "teamName": "team_name",
    "executions": "executions",
    "operations": "operations",
    "centicredits": "centicredits",
    "errors": "errors",
    "errorRate": "error_rate",
    "executionsChange": "executions_change",
    "operationsChange": "operations_change",
    "centicreditsChange": "centicredits_change",
    "errorsChange": "errors_change",
    "errorRateChange": "error_rate_change",
}


def yesterday() -> tuple[str, str]:
    """
    Return the time frame of a daily pull.

    :return: Start and end of yesterday (UTC), ISO 8601.
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return _iso(today - timedelta(days=1)), _iso(today)


def now() -> str:
    """
    Return the present time, for the column ``extracted_at``.

    :return: The time, ISO 8601.
    """
    return _iso(datetime.now(UTC).replace(microsecond=0))


def row_maker(job: Job) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """
    Create a function that builds rows with the provider's columns, as a user's own Python would.

    :param job: The job. For JSON Lines, centicredits and times are text; for Parquet, decimals and timestamps.
    :return: A function from an entry of ``analytics`` to a row.
    """
    typed = job.output_format == "parquet"
    times = {"date_from": job.date_from, "date_to": job.date_to, "extracted_at": now()}
    constants = {name: datetime.fromisoformat(text) if typed else text for name, text in times.items()}

    def to_row(entry: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {"organization_id": job.organization_id}
        for name, column in COLUMNS.items():
            row[column] = entry.get(name)
        if typed:
            row["centicredits"] = Decimal(row["centicredits"])
        row.update(constants)
        row["extra"] = None
        return row

    return to_row


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")

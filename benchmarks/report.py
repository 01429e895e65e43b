"""Measure a report: over days, or of one file with ``python -m benchmarks.report --days 1 --scenarios 1000000``."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.output.formats import ParquetWriter
from airflow_provider_make.output.rows import RowBuilder

ORGANIZATION = 1
LAST_DAY = date(2026, 6, 20)
# Print the seconds, those of the processors, and the peak memory in MiB of a report, imports included.
MEASURED = """
import re, sys, time
from pathlib import Path
began = time.perf_counter()
from airflow_provider_make.report import write_report
write_report(sys.argv[1], sys.argv[2], monthly_credits=1_000_000)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(f"{time.perf_counter() - began:.1f} {time.process_time():.1f} {peak // 1024}")
"""


def write_days(folder: Path, days: int, scenarios: int, teams: int) -> None:
    """
    Write a file for each day, as the operator writes them.

    :param folder: The root folder.
    :param days: The number of files.
    :param scenarios: The number of rows in each.
    :param teams: The number of teams that the scenarios belong to.
    """
    draw = random.Random(1)
    sizes = [draw.randint(0, 400) for _ in range(scenarios)]
    for number in range(days):
        day = LAST_DAY - timedelta(days=days - 1 - number)
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = begin + timedelta(days=1)
        rows = [_row(scenario, scenario % teams, size, draw) for scenario, size in enumerate(sizes)]
        path = folder / f"organization_id={ORGANIZATION}" / f"date={day}" / "analytics.parquet"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            writer = ParquetWriter(file, RowBuilder(ORGANIZATION, begin, end, end + timedelta(hours=6)))
            for start in range(0, scenarios, 1000):
                writer.write(rows[start : start + 1000])
            frame = {"date_from": iso(begin), "date_to": iso(end)}
            summary = {"organization_id": ORGANIZATION, "zone": "eu1.make.com", "total": _total(rows), **frame}
            writer.close(summary)


def _row(scenario: int, team: int, size: int, draw: random.Random) -> ScenarioMetrics:
    executions = draw.randint(size // 2, size)
    errors = draw.randint(0, executions // 20)
    return ScenarioMetrics(
        scenario_id=10_000 + scenario,
        imt_id=f"imt-{scenario}",
        name=f"Scenario {scenario} of a customer",
        status="active",
        team_id=team,
        team_name=f"Team {team}",
        executions=executions,
        operations=executions * 7,
        centicredits=str(executions * 700),
        errors=errors,
        error_rate=100 * errors / executions if executions else None,
    )


def _total(rows: Sequence[ScenarioMetrics]) -> dict[str, int | float | str | None]:
    executions, errors = sum(row.executions or 0 for row in rows), sum(row.errors or 0 for row in rows)
    return {
        "executions": executions,
        "operations": executions * 7,
        "centicredits": str(executions * 700),
        "errors": errors,
        "error_rate": 100 * errors / executions if executions else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files, and measure a report of them in a new process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=main.__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--scenarios", type=int, default=2500)
    parser.add_argument("--teams", type=int, default=12)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="benchmark-report-") as folder:
        write_days(Path(folder) / "days", options.days, options.scenarios, options.teams)
        target = Path(folder) / "report.html"
        command = [sys.executable, "-c", MEASURED, f"{folder}/days", str(target)]
        environment = {**os.environ, "AIRFLOW_HOME": f"{folder}/airflow"}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        seconds, busy, peak = done.stdout.split()[-3:]
        size = f"{target.stat().st_size // 1024} KiB of HTML"
        sys.stdout.write(
            f"{options.days} x {options.scenarios:,} scenarios, {options.teams:,} teams: "
            f"{seconds} s ({busy} s of CPU), {peak} MiB at most, {size}\n"
        )


if __name__ == "__main__":
    main()

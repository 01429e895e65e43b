"""The program that makes docs/images/report.png: a report of a sandbox's week, as a browser shows it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from airflow_provider_make.api.response import Figures, ScenarioFigures
from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Sandbox
from tests.support.pulled_files import FROM, TO, write_pull


def main(picture: Path) -> None:
    """Write the picture with Chromium."""
    sandbox = Sandbox(organization_id=42, scenarios=2500, seed=1)
    organization = sandbox.organization()
    # Those that take credits beyond 64 bits, one in a hundred, leave nothing to see of the other teams.
    huge = [scenario.id for scenario in organization.scenarios if scenario.centicredits_per_execution > 2**63]
    organization.delete_scenarios(huge)
    entries = msgspec.convert(sandbox.truth(date_from=FROM, date_to=TO), list[ScenarioFigures])
    total = msgspec.convert(sandbox.truth_total(date_from=FROM, date_to=TO), Figures)
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(write_pull(Path(folder) / "week.parquet", [entries], total))
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += ["--window-size=1280,1085", f"--screenshot={picture.resolve()}", f"file://{page}"]
        subprocess.run(command, check=True, capture_output=True, timeout=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

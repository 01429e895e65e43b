"""Create docs/images/report.png: a browser's screenshot of a report of a sandbox's week."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from airflow_provider_make.api.response import Metrics, ScenarioMetrics
from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Sandbox
from tests.support.pulled_files import FROM, TO, write_pull


def main(picture: Path) -> None:
    """Take the screenshot with Chromium."""
    sandbox = Sandbox(organization_id=42, scenarios=2500, story=True)
    entries = msgspec.convert(sandbox.truth(date_from=FROM, date_to=TO), list[ScenarioMetrics])
    total = msgspec.convert(sandbox.truth_total(date_from=FROM, date_to=TO), Metrics)
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(write_pull(Path(folder) / "week.parquet", [entries], total))
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += ["--window-size=1280,1085", f"--screenshot={picture.resolve()}", f"file://{page}"]
        subprocess.run(command, check=True, capture_output=True, timeout=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Create a picture of a report: a browser's screenshot of the story of a sandbox's organization, day by day."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Organization
from tests.support.daily_files import write_days

# Six weeks, and the last day is one on which scenarios fail.
LAST, DAYS = date(2026, 5, 17), 42
MONTHLY_CREDITS = 55_000_000
SIZE = "1280,1470"


def main(picture: Path) -> None:
    """Take the screenshot with Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        organization = Organization(42, 2500, story=True)
        files = write_days(Path(folder), organization, LAST - timedelta(days=DAYS - 1), DAYS)
        # The server was down for two days.
        del files[16:18]
        page = write_report(files, f"{folder}/report.html", monthly_credits=MONTHLY_CREDITS)
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += [f"--window-size={SIZE}", f"--screenshot={picture.resolve()}", f"file://{page}"]
        subprocess.run(command, check=True, capture_output=True, timeout=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Create pictures of a report: a browser's screenshots of the story of a sandbox's organization, day by day."""

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
# Without names at the top that need a font for Japanese.
SEED = 4
MONTHLY_CREDITS = 55_000_000
SIZE = "1280,1470"
# README's: its beginning as on a phone, because nobody enlarges a picture there.
PART_SIZE = "500,462"
DARK = "--blink-settings=preferredColorScheme=0"
PART = """<style>
body { padding: 1rem } .charts { margin-top: .75rem } figcaption { margin-bottom: 0 } header .note { display: none }
.headlines li:nth-child(odd), .tiles, main > .note, figure:nth-of-type(n + 2) { display: none }
main > section, main > details, main ~ * { display: none }
</style>"""


def main(folder: Path) -> None:
    """Take the screenshots with Chromium: a report and its beginning, each on a light and on a dark screen."""
    with tempfile.TemporaryDirectory() as temporary:
        organization = Organization(42, 2500, story=True, seed=SEED)
        files = write_days(Path(temporary), organization, LAST - timedelta(days=DAYS - 1), DAYS)
        # The server was down for two days.
        del files[16:18]
        page = Path(write_report(files, f"{temporary}/report.html", monthly_credits=MONTHLY_CREDITS))
        _photograph(page, folder / "report.png", SIZE)
        _photograph(page, folder / "report-dark.png", SIZE, DARK)
        page.write_text(page.read_text().replace("</head>", f"{PART}</head>"))
        _photograph(page, folder / "report-part.png", PART_SIZE, "--force-device-scale-factor=2")
        _photograph(page, folder / "report-part-dark.png", PART_SIZE, "--force-device-scale-factor=2", DARK)


def _photograph(page: Path, picture: Path, size: str, *options: str) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={page.parent}/profile"]
    command += [f"--window-size={size}", *options, f"--screenshot={picture.resolve()}", f"file://{page}"]
    subprocess.run(command, check=True, capture_output=True, timeout=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

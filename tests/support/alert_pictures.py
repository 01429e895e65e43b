"""Create the pictures of an alert on a phone: the mail and the post in Slack that the examples make of a message."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from tests.support.documents import ROOT, blocks

# In CSS pixels; a phone has two or three pixels for each.
WIDTH = 390
PAGE = """<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
html {{ background: #fff; }}
body {{ box-sizing: border-box; width: {width}px; margin: 0; padding: 14px; }}
body {{ font: 16px/1.4 sans-serif; color: #1d1c1d; }}
header {{ margin-bottom: 10px; color: #616061; }}
header b {{ color: #1d1c1d; }}
pre {{ font-size: 14px; }}
a {{ color: #1264a3; }}
</style><body>{body}"""


def mail(message: str) -> str:
    """Return the body of a page that shows the mail."""
    headline, _, _ = message.partition("\n")
    html = runpy.run_path(str(ROOT / "example_dags" / "make_alert_mail.py"))["to_html"](message, "make_alert_mail")
    return f"<header><b>{escape(headline)}</b><br>airflow@example.com</header>{html}"


def post(message: str) -> str:
    """Return the body of a page that shows the post: Slack shows a link's name, and keeps spaces and lines."""
    text = runpy.run_path(str(ROOT / "example_dags" / "make_alert_slack.py"))["to_mrkdwn"](message)
    text = re.sub(r"<(https://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', text)
    style = "white-space: pre-wrap; overflow-wrap: anywhere"
    return f'<header><b># make-alerts</b></header><b>Airflow</b> 10:00<div style="{style}">{text}</div>'


def main(folder: Path) -> None:
    """Take the screenshots with Chromium, of the message in the documents."""
    message = blocks(ROOT / "docs" / "alerting.md")[0].text.rstrip("\n")
    for name, body, height in (("alert-mail", mail(message), 430), ("alert-slack", post(message), 408)):
        with tempfile.TemporaryDirectory() as profile:
            page = Path(profile) / "page.html"
            page.write_text(PAGE.format(width=WIDTH, body=body))
            command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
            command += ["--force-device-scale-factor=2", f"--window-size={WIDTH},{height}"]
            command += [f"--screenshot={(folder / name).resolve()}.png", f"file://{page}"]
            subprocess.run(command, check=True, capture_output=True, timeout=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

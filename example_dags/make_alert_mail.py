"""
Mail the scenarios that begin to fail, and why. Needs Airflow 3.0 or later, and apache-airflow-providers-smtp.

The connection smtp_default has the mail server, and in its extra from_email. The reasons need the scope scenarios:read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

RECIPIENTS = ["on-call@example.com"]
# Long lines wrap on a phone.
PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'
# What to do now, for those who receive the mail: your page, or your copy of docs/alert-received.md.
GUIDE = "https://wiki.example.com/make-alerts"

failing = Asset(
    "make_scenarios_failing",
    watchers=[
        AssetWatcher(
            name="error_rate",
            # One event for the scenarios that cross 20 percent since the last poll. Each of them can cross again after
            # its error rate has been below 15 percent.
            trigger=MakeErrorRateEventTrigger(
                scope="scenario",
                threshold=20.0,
                hysteresis=5.0,
                min_executions=10,
                lookback=timedelta(hours=1),
                poke_interval=60.0,
                explain=True,
            ),
        )
    ],
)


def to_html(message: str, dag_id: str) -> str:
    """Convert a message, which is plain text: its addresses become short links, and long lines wrap on a phone."""
    lines = re.sub(r"https://\S+$", r'<a href="\g<0>">open</a>', escape(message), flags=re.MULTILINE)
    return f'{PRE}{lines}</pre><p><a href="{GUIDE}">What to do now</a>. Dag: {dag_id}</p>'


@dag(
    schedule=[failing],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["make", "example"],
)
def make_alert_mail() -> None:
    """Send one mail for each event."""

    @task
    def messages(triggering_asset_events: Any = None) -> list[str]:
        # Usually one event; several if they were emitted before this run began.
        return [event.extra["payload"]["message"] for events in triggering_asset_events.values() for event in events]

    @task
    def mail(message: str, ti: Any = None) -> None:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        headline, _, _ = message.partition("\n")
        with SmtpHook() as hook:
            hook.send_email_smtp(to=RECIPIENTS, subject=headline, html_content=to_html(message, ti.dag_id))

    # Mapped, so that a retry repeats only the mail that failed.
    mail.expand(message=messages())


example = make_alert_mail()

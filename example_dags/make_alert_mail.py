"""
Mail the scenarios that begin to fail. Needs Airflow 3.0 or later, and apache-airflow-providers-smtp.

The connection smtp_default has the mail server, and in its extra from_email.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

RECIPIENTS = ["on-call@example.com"]

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
            ),
        )
    ],
)


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
    def compose(triggering_asset_events: Any = None) -> list[str]:
        # Usually one event; several if they were emitted before this run began.
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        # A message is plain text, and a mail is HTML.
        return [f"<pre>{escape(payload['message'])}</pre>" for payload in payloads]

    # Mapped, so that a retry repeats only the mail that failed. Not by expand_kwargs(), which renders templates in
    # values of other tasks: in the names of scenarios, too.
    EmailOperator.partial(task_id="mail", to=RECIPIENTS, subject="Make: scenarios fail").expand(html_content=compose())


example = make_alert_mail()

"""
Mail when 75, 90 and 100 percent of a month's credits are spent.

Needs Airflow 3.0 or later, and apache-airflow-providers-smtp. The connection smtp_default has the mail server, and in
its extra from_email.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger

MONTHLY_CREDITS = 100_000
LEVELS = (75, 90, 100)
RECIPIENTS = ["finance@example.com"]
# Long lines wrap on a phone.
PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'

budget = Asset(
    "make_credit_budget",
    # On Airflow 3.3, the three watchers share one poll.
    watchers=[
        AssetWatcher(
            name=f"credits_{level}",
            # Credits are counted from the first of the month (UTC), so each level is crossed once a month at most.
            trigger=MakeAnalyticsEventTrigger(
                metric="credits", threshold=MONTHLY_CREDITS * level / 100, since="month", poke_interval=900.0
            ),
        )
        for level in LEVELS
    ],
)


@dag(
    schedule=[budget],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["make", "example"],
)
def make_credit_budget() -> None:
    """Send one mail for each level."""

    @task
    def compose(triggering_asset_events: Any = None, ti: Any = None) -> list[str]:
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        # A message is plain text, and a mail is HTML.
        return [
            f"{PRE}{payload['threshold'] / MONTHLY_CREDITS:.0%} of the month's {MONTHLY_CREDITS:,} credits are spent."
            f"\n\n{escape(payload['message'])}</pre><p>Dag: {ti.dag_id}</p>"
            for payload in payloads
        ]

    # Mapped, so that a retry repeats only the mail that failed.
    EmailOperator.partial(task_id="mail", to=RECIPIENTS, subject="Make: credits of the month").expand(
        html_content=compose()
    )


example = make_credit_budget()

"""
Mail the scenarios that Make has disabled, because of errors in a row or an expired account, and their last errors.

Needs Airflow 3.0 or later, and apache-airflow-providers-smtp. The connection smtp_default has the mail server, and in
its extra from_email. The reasons need the scope scenarios:read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger

RECIPIENTS = ["on-call@example.com"]
# Long lines wrap on a phone.
PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'

disabled = Asset(
    "make_scenarios_disabled",
    watchers=[
        AssetWatcher(
            name="invalid",
            # A scenario that Make has disabled is invalid. Any number of executions is 0 or more, so each scenario that
            # turns invalid crosses, and can cross again after it has been repaired.
            trigger=MakeAnalyticsEventTrigger(
                metric="executions",
                threshold=0,
                status="invalid",
                scope="scenario",
                lookback=timedelta(days=1),
                poke_interval=300.0,
                explain=True,
            ),
        )
    ],
)


@dag(
    schedule=[disabled],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["make", "example"],
)
def make_disabled_scenarios() -> None:
    """Send one mail for each event."""

    @task
    def messages(triggering_asset_events: Any = None) -> list[str]:
        # The first event has all that are invalid already.
        return [event.extra["payload"]["message"] for events in triggering_asset_events.values() for event in events]

    @task
    def mail(message: str, ti: Any = None) -> None:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        headline, _, _ = message.partition("\n")
        # A message is plain text, and a mail is HTML, in which addresses are links.
        lines = re.sub(r"https://\S+$", r'<a href="\g<0>">open</a>', escape(message), flags=re.MULTILINE)
        html = f"{PRE}{lines}</pre><p>Dag: {ti.dag_id}</p>"
        with SmtpHook() as hook:
            hook.send_email_smtp(to=RECIPIENTS, subject=headline, html_content=html)

    mail.expand(message=messages())


example = make_disabled_scenarios()

"""
Mail and post to Slack when an organization fails often, and when it has recovered. Needs Airflow 3.0 or later.

Needs apache-airflow-providers-smtp and apache-airflow-providers-slack; remove the task that you don't use. The
connection smtp_default has the mail server, and in its extra from_email; slack_default, of type slackwebhook, has the
token of an incoming webhook as its password. The reasons need the scope scenarios:read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.providers.slack.operators.slack_webhook import SlackWebhookOperator
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger

RECIPIENTS = ["on-call@example.com"]
# Long lines wrap on a phone.
PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'

# Opposite crossings: 10 percent or more, and less than 8. Neither repeats itself before the other one.
failing = Asset(
    "make_error_rate_high",
    watchers=[
        AssetWatcher(
            name="high",
            trigger=MakeErrorRateEventTrigger(threshold=10.0, hysteresis=2.0, min_executions=100, explain=True),
        )
    ],
)
recovered = Asset(
    "make_error_rate_low",
    watchers=[
        AssetWatcher(
            name="low",
            trigger=MakeErrorRateEventTrigger(comparison="<", threshold=8.0, hysteresis=2.0, min_executions=100),
        )
    ],
)


@dag(
    schedule=(failing | recovered),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["make", "example"],
)
def make_alert_recovered() -> None:
    """Send one message for each event, and for a recovery only after an alert."""

    @task(inlets=[failing, recovered])
    def messages(triggering_asset_events: Any = None, inlet_events: Any = None) -> list[str]:
        alerts, recoveries = ([event.timestamp for event in inlet_events[asset]] for asset in (failing, recovered))
        texts = []
        for event in [event for events in triggering_asset_events.values() for event in events]:
            payload = event.extra["payload"]
            if payload["comparison"] == ">=":
                texts.append(payload["message"])
                continue
            # The first poll of a watcher is a crossing, too: usually, nothing has failed before it.
            earlier = max((moment for moment in recoveries if moment < event.timestamp), default=None)
            if any(moment < event.timestamp and (earlier is None or moment > earlier) for moment in alerts):
                texts.append(f"Recovered: {payload['message']}")
        return texts

    @task
    def mail(message: str, ti: Any = None) -> None:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        headline, _, _ = message.partition("\n")
        # A message is plain text, and a mail is HTML, in which addresses are links.
        lines = re.sub(r"https://\S+$", r'<a href="\g<0>">open</a>', escape(message), flags=re.MULTILINE)
        html = f"{PRE}{lines}</pre><p>Dag: {ti.dag_id}</p>"
        with SmtpHook() as hook:
            hook.send_email_smtp(to=RECIPIENTS, subject=headline, html_content=html)

    @task
    def for_slack(texts: list[str]) -> list[str]:
        return [escape(text, quote=False) for text in texts]

    texts = messages()
    mail.expand(message=texts)
    SlackWebhookOperator.partial(task_id="post", slack_webhook_conn_id="slack_default").expand(message=for_slack(texts))


example = make_alert_recovered()

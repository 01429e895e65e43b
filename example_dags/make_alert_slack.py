"""
Post to Slack the scenarios with many errors today, and why.

Needs Airflow 3.0 or later, and apache-airflow-providers-slack. The connection slack_default, of type slackwebhook, has
the token of an incoming webhook, T…/B…/…, as its password. The reasons need the scope scenarios:read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.providers.slack.operators.slack_webhook import SlackWebhookOperator
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger

erroneous = Asset(
    "make_scenarios_with_errors",
    watchers=[
        AssetWatcher(
            name="errors",
            # Errors are counted from midnight (UTC), so each scenario crosses once a day at most.
            trigger=MakeAnalyticsEventTrigger(
                metric="errors", scope="scenario", threshold=10, since="day", poke_interval=300.0, explain=True
            ),
        )
    ],
)

# Lines that end with an address: a scenario has its name before its figures, an error has its name after its count.
SCENARIO = re.compile(r"^(- )(.+?)((?:: [^:]*\d[^:]*)?) (https://\S+)$", re.MULTILINE)
ERROR = re.compile(r"^( +\S+ x )(.+?)((?:: .*|, last .*)?) (https://\S+)$", re.MULTILINE)


def to_mrkdwn(message: str) -> str:
    """Convert a message, which is plain text: &, < and > are escaped, and names become links."""
    text = escape(message, quote=False)
    for line in (SCENARIO, ERROR):
        text = line.sub(r"\1<\4|\2>\3", text)
    return text


@dag(
    schedule=[erroneous],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["make", "example"],
)
def make_alert_slack() -> None:
    """Post one message for each event."""

    @task
    def messages(triggering_asset_events: Any = None) -> list[str]:
        # Usually one event; several if they were emitted before this run began.
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return [to_mrkdwn(payload["message"]) for payload in payloads]

    # Mapped, so that a retry repeats only the message that failed. Not by expand_kwargs(), which renders templates in
    # values of other tasks: in the names of scenarios, too.
    SlackWebhookOperator.partial(task_id="post", slack_webhook_conn_id="slack_default").expand(message=messages())


example = make_alert_slack()

"""
A dead-man's switch: mail each morning which active scenarios have not run for a day.

Needs apache-airflow-providers-smtp. The connection smtp_default has the mail server, and in its extra from_email.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.smtp.operators.smtp import EmailOperator

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor

RECIPIENTS = ["on-call@example.com"]
# Long lines wrap on a phone.
PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'


@dag(
    schedule="0 7 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Silence must mean that all is well, so a mail is sent also if this Dag itself fails.
    default_args={"on_failure_callback": SmtpNotifier(to=RECIPIENTS)},
    tags=["make", "example"],
)
def make_stopped_scenarios() -> None:
    """Fail if nothing runs at all, or Make refuses the token; else list the scenarios that have stopped."""
    any_runs = MakeAnalyticsSensor(
        task_id="any_runs",
        metric="executions",
        comparison=">=",
        threshold=1,
        lookback=timedelta(days=1),
        poke_interval=300,
        timeout=1800,
        deferrable=True,
    )
    # Choose the scenarios that have to run each day with team_id or folder_id.
    pull = MakeAnalyticsOperator(
        task_id="pull", status="active", lookback=timedelta(days=1), max_xcom_bytes=5_000_000, retries=3
    )

    @task
    def compose(summary: dict[str, Any], ti: Any = None) -> list[str]:
        stopped = [row for row in summary["rows"] if not row["executions"]]
        # Names are plain text, and a mail is HTML. Without any, the mail is skipped.
        text = escape("\n".join(f"{row['name']} ({row['team_name']})" for row in stopped))
        return [f"{PRE}{text}</pre><p>Dag: {ti.dag_id}</p>"] if stopped else []

    mail = EmailOperator.partial(
        task_id="mail", to=RECIPIENTS, subject="Make: active scenarios without executions", retries=3
    ).expand(html_content=compose(pull.output))
    any_runs >> pull >> mail


example = make_stopped_scenarios()

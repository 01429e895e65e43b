"""
A dead-man's switch: mail each morning which active scenarios have not run for a day.

Needs apache-airflow-providers-smtp. The connection smtp_default has the mail server, and in its extra from_email.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import dag
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.smtp.operators.smtp import EmailOperator

from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor

RECIPIENTS = ["on-call@example.com"]


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
    # Checks once. If every active scenario has run, this task and the mail are skipped. Choose the scenarios that have
    # to run each day with team_id or folder_id.
    stopped = MakeAnalyticsSensor(
        task_id="stopped",
        metric="executions",
        comparison="<",
        threshold=1,
        scope="scenario",
        status="active",
        lookback=timedelta(days=1),
        timeout=0,
        soft_fail=True,
    )
    mail = EmailOperator(
        task_id="mail",
        to=RECIPIENTS,
        subject="Make: active scenarios without executions: {{ ti.xcom_pull('stopped')['scenario_count'] }}",
        # The message is plain text, and a mail is HTML.
        html_content="<pre>{{ ti.xcom_pull('stopped')['message'] | e }}</pre>",
        retries=3,
    )
    any_runs >> stopped >> mail


example = make_stopped_scenarios()

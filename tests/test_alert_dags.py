"""The example Dags that write to people, from Make's figures to the text in an inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.sandbox import Sandbox, Scenario
from tests.support.airflow_versions import HAS_WATCHERS, load_dag, run_dag
from tests.support.documents import first_payload
from tests.support.inboxes import MailServer, Webhook
from tests.support.triggered_runs import run_triggered_dag, watchers

EXAMPLES = Path(__file__).parents[1] / "example_dags"
# Markup of chats, HTML, Jinja, and characters outside ASCII.
ODD_NAME = "<!channel> <b>R&amp;D</b> {{ 7 * 7 }} “Grüße” 🚀"
# As messages have it.
CLEAN_NAME = "‹!channel› ‹b›R&amp;D‹/b› {{ 7 * 7 }} “Grüße” 🚀"

pytestmark = [pytest.mark.usefixtures("airflow_database"), pytest.mark.timeout(300)]
watchers_only = pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")


@pytest.fixture(autouse=True)
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection_json)
        yield server


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with Webhook() as receiver:
        fields = {
            "conn_type": "slackwebhook",
            "schema": "http",
            "host": f"{receiver.netloc}/services",
            "password": "T0001/B0002/webhook-token",
        }
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(fields))
        yield receiver


def load(name: str) -> Any:
    return load_dag(EXAMPLES / f"{name}.py", "example")


def scenario_with_odd_name(sandbox: Sandbox, number: int = 7) -> Scenario:
    scenario = [scenario for scenario in sandbox.organization().scenarios if scenario.status == "active"][number]
    sandbox.organization().rename_scenario(scenario.id, ODD_NAME)
    return scenario


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def received(server: MailServer) -> list[tuple[list[str], str, str]]:
    """Return recipients, subject and text of the mails, in the order of their texts."""
    mails = []
    for recipients, mail in server.mails:
        assert (mail["From"], mail["To"]) == ("airflow@example.com", ", ".join(recipients))
        body = mail.get_body(("html",))
        assert body is not None
        html = body.get_content()
        assert html.startswith("<pre>") and html.rstrip("\n").endswith("</pre>")
        text = html.rstrip("\n").removeprefix("<pre>").removesuffix("</pre>")
        # A mail program shows the message, not its own reading of it as HTML.
        assert "<" not in text
        mails.append((recipients, str(mail["Subject"]), unescape(text)))
    return sorted(mails, key=lambda mail: mail[2])


@watchers_only
def test_failing_scenarios_are_mailed(make_sandbox: Sandbox, mail_server: MailServer) -> None:
    example = load("make_alert_mail")
    (watcher,) = watchers(example)
    scenario = scenario_with_odd_name(make_sandbox)
    make_sandbox.organization().set_counts(100, 1)
    make_sandbox.organization().set_counts(1000, 300, [scenario.id])
    first = first_payload(watcher.trigger)
    make_sandbox.organization().set_counts(100, 40, [each.id for each in make_sandbox.organization().scenarios[-12:]])
    second = first_payload(watcher.trigger)
    run = run_triggered_dag(example, first, second)
    assert states(run) == {"compose": "success", "mail": "success"}
    assert received(mail_server) == [
        (["on-call@example.com"], "Make: scenarios fail", payload["message"]) for payload in (first, second)
    ]
    headline, _, line = first["message"].splitlines()
    assert headline == "Make organization 1: error rate >= 20 % in 1 scenario"
    assert f"{CLEAN_NAME} ({scenario.team_name}): 30 %, 300 errors in 1,000 executions http" in line
    assert f"/{scenario.team_id}/scenarios/{scenario.id}/edit" in line
    assert second["message"].splitlines()[-1] == "… and 3 more scenarios"


@watchers_only
def test_scenarios_with_errors_are_posted_to_slack(make_sandbox: Sandbox, webhook: Webhook) -> None:
    example = load("make_alert_slack")
    (watcher,) = watchers(example)
    scenario = scenario_with_odd_name(make_sandbox)
    make_sandbox.organization().set_counts(100, 9)
    make_sandbox.organization().set_counts(100, 10, [scenario.id])
    first = first_payload(watcher.trigger)
    make_sandbox.organization().set_counts(100, 11)
    second = first_payload(watcher.trigger)
    run = run_triggered_dag(example, first, second)
    assert states(run) == {"messages": "success", "post": "success"}
    expected = [("/services/T0001/B0002/webhook-token", {"text": each["message"]}) for each in (first, second)]
    assert sorted(webhook.posts, key=str) == sorted(expected, key=str)
    headline, frame, line = first["message"].splitlines()
    assert headline == "Make organization 1: errors >= 10 in 1 scenario"
    assert frame.startswith(f"{datetime.now(UTC):%Y-%m-%d} 00:00 to ")
    assert f"{CLEAN_NAME} ({scenario.team_name}): 10, 10 errors in 100 executions http" in line
    assert len(second["message"]) <= 3000


@watchers_only
@pytest.mark.parametrize(("spent", "levels"), [(0.5, []), (0.95, [75, 90]), (1.5, [75, 90, 100])])
def test_each_level_of_the_budget_is_mailed(
    spent: float,
    levels: list[int],
    make_sandbox_factory: Any,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if (now - month).total_seconds() < 3600:
        pytest.skip("in the first hour of a month, credits grow too fast")
    # The first ten scenarios spend like real ones; the twelfth spends more credits than fit into 64 bits.
    sandbox: Sandbox = make_sandbox_factory(scenarios=10)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    credits = int(sandbox.truth_total(date_from=month, date_to=now)["centicredits"]) / 100
    source = (EXAMPLES / "make_credit_budget.py").read_text()
    budget = round(credits / spent)
    edited = tmp_path / "make_credit_budget.py"
    edited.write_text(source.replace("MONTHLY_CREDITS = 100_000", f"MONTHLY_CREDITS = {budget}"))
    example = load_dag(edited, "example")
    triggers = {watcher.name: watcher.trigger for watcher in watchers(example)}
    assert list(triggers) == ["credits_75", "credits_90", "credits_100"]
    thresholds = [trigger.serialize()[1]["threshold"] for trigger in triggers.values()]
    assert thresholds == pytest.approx([0.75 * budget, 0.9 * budget, budget])
    payloads = [first_payload(triggers[f"credits_{level}"]) for level in levels]
    # In any order, as the triggerer emits them.
    run = run_triggered_dag(example, *reversed(payloads))
    assert states(run)["mail"] == ("success" if levels else "skipped")
    mails = [
        (
            ["finance@example.com"],
            "Make: credits of the month",
            f"{level}% of the month's {budget:,} credits are spent.\n\n{payload['message']}",
        )
        for level, payload in zip(levels, payloads, strict=True)
    ]
    assert received(mail_server) == sorted(mails, key=lambda mail: mail[2])
    for payload in payloads:
        assert f"credits {payload['value']:,.2f}".rstrip("0").rstrip(".") in payload["message"]


def test_stopped_scenarios_are_mailed(make_sandbox: Sandbox, mail_server: MailServer) -> None:
    organization = make_sandbox.organization()
    scenario = scenario_with_odd_name(make_sandbox)
    organization.set_counts(5, 0)
    # Of an inactive scenario, nothing else is expected.
    inactive = [each.id for each in organization.scenarios if each.status == "inactive"]
    organization.set_counts(0, 0, [scenario.id, *inactive])
    assert inactive
    run = run_dag(load("make_stopped_scenarios"))
    assert states(run) == dict.fromkeys(("any_runs", "pull", "compose", "mail"), "success")
    ((recipients, subject, text),) = received(mail_server)
    assert (recipients, subject) == (["on-call@example.com"], "Make: active scenarios without executions")
    assert text == f"{ODD_NAME} ({scenario.team_name})"


def test_no_mail_is_sent_while_all_scenarios_run(make_sandbox: Sandbox, mail_server: MailServer) -> None:
    make_sandbox.organization().set_counts(5, 0)
    run = run_dag(load("make_stopped_scenarios"))
    assert states(run) == {
        **dict.fromkeys(("any_runs", "pull", "compose"), "success"),
        "mail": "skipped",
    }
    assert mail_server.mails == []


@pytest.mark.parametrize("fault", [None, "401"])
def test_a_mail_is_sent_if_nothing_runs_or_the_token_is_refused(
    fault: str | None, make_sandbox: Sandbox, mail_server: MailServer
) -> None:
    make_sandbox.organization().set_counts(0 if fault is None else 5, 0)
    make_sandbox.fail(*[fault] * 5 if fault else [])
    example = load("make_stopped_scenarios")
    example.get_task("any_runs").timeout = 0
    run = run_dag(example)
    assert states(run) == {"any_runs": "failed", **dict.fromkeys(("pull", "compose", "mail"), "upstream_failed")}
    ((recipients, mail),) = mail_server.mails
    assert recipients == ["on-call@example.com"]
    assert "make_stopped_scenarios - Task any_runs" in str(mail["Subject"])

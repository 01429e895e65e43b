"""The example Dags that write to people, from Make's figures to the text in an inbox."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.sandbox import Sandbox, Scenario
from tests.support.airflow_versions import HAS_WATCHERS, load_dag, run_dag
from tests.support.documents import first_payload
from tests.support.inboxes import MailServer, Webhook, html_of
from tests.support.triggered_runs import run_triggered_dag, watchers

EXAMPLES = Path(__file__).parents[1] / "example_dags"
# Markup of chats, HTML, Jinja, and characters outside ASCII.
ODD_NAME = "<!channel> <b>R&amp;D</b> {{ 7 * 7 }} “Grüße” 🚀"
# As messages have it.
CLEAN_NAME = "‹!channel› ‹b›R&amp;D‹/b› {{ 7 * 7 }} “Grüße” 🚀"

LINK = re.compile(r'<a href="(https://[^"]+)">open</a>')
PREFORMATTED = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">'
MODULE = {"name": "addRow", "appName": "google-sheets"}
QUOTA = {"name": "RateLimitError", "message": "Quota <b> & {{ 7 * 7 }}", "causeModule": MODULE}
DATA = {"name": "DataError", "message": "Missing value: 'mail'"}

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
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", receiver.connection_json)
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
        html = html_of(mail)
        # A phone wraps long lines.
        assert html.startswith(PREFORMATTED)
        text, _, rest = html.removeprefix(PREFORMATTED).partition("</pre>")
        # Whoever is woken by a mail knows which Dag to pause.
        guide = '<a href="https://wiki.example.com/make-alerts">What to do now</a>. '
        assert re.fullmatch(rf"<p>({re.escape(guide)})?Dag: make_\w+</p>", rest.strip())
        # Mail programs do not make links of addresses.
        assert "https://" not in LINK.sub("", text)
        text = LINK.sub(r"\1", text)
        # A mail program shows the message, not its own reading of it as HTML.
        assert "<" not in text
        mails.append((recipients, str(mail["Subject"]), unescape(text)))
    return sorted(mails, key=lambda mail: mail[2])


@watchers_only
def test_failing_scenarios_are_mailed_with_their_reasons(make_sandbox: Sandbox, mail_server: MailServer) -> None:
    example = load("make_alert_mail")
    (watcher,) = watchers(example)
    organization = make_sandbox.organization()
    scenario = scenario_with_odd_name(make_sandbox)
    organization.set_counts(100, 1)
    organization.set_counts(1000, 300, [scenario.id])
    organization.set_errors(QUOTA, QUOTA, DATA, ids=[scenario.id])
    first = first_payload(watcher.trigger)
    organization.set_counts(100, 40, [each.id for each in organization.scenarios[-12:]])
    second = first_payload(watcher.trigger)
    run = run_triggered_dag(example, first, second)
    assert states(run) == {"messages": "success", "mail": "success"}
    messages = sorted(payload["message"] for payload in (first, second))
    # The subject is the headline.
    assert received(mail_server) == [(["on-call@example.com"], text.splitlines()[0], text) for text in messages]
    headline, _, line, *reasons = first["message"].splitlines()
    assert headline == "Make organization 1: error rate >= 20 % in 1 scenario"
    assert f"{CLEAN_NAME} ({scenario.team_name}): 30 %, 300 errors in 1,000 executions http" in line
    assert f"/{scenario.team_id}/scenarios/{scenario.id}/edit" in line
    quota, data = reasons
    # Of the newest 50 entries, nine are events.
    assert quota.startswith("    28 x RateLimitError in google-sheets addRow: Quota ‹b› & {{ 7 * 7 }}, last ")
    assert data.startswith("    13 x DataError: Missing value: 'mail', last ")
    assert "… and 3 more scenarios" in second["message"].splitlines()


@watchers_only
def test_scenarios_with_errors_are_posted_to_slack_with_their_reasons(make_sandbox: Sandbox, webhook: Webhook) -> None:
    example = load("make_alert_slack")
    (watcher,) = watchers(example)
    organization = make_sandbox.organization()
    scenario = scenario_with_odd_name(make_sandbox)
    organization.set_counts(100, 9)
    organization.set_counts(100, 10, [scenario.id])
    organization.set_errors(QUOTA, DATA, ids=[scenario.id])
    began = datetime.now(UTC)
    first = first_payload(watcher.trigger)
    organization.set_counts(100, 11)
    second = first_payload(watcher.trigger)
    run = run_triggered_dag(example, first, second)
    assert states(run) == {"messages": "success", "post": "success"}
    assert {path for path, _ in webhook.posts} == {"/services/T0001/B0002/webhook-token"}
    texts = sorted((post["text"] for _, post in webhook.posts), key=len)
    # As Slack shows it, the message is the same, but for the addresses.
    shown = [unescape(re.sub(r"<https://[^|>]+\|([^>]+)>", r"\1", text)) for text in texts]
    assert shown == [re.sub(r" https://\S+$", "", each["message"], flags=re.MULTILINE) for each in (first, second)]
    headline, frame, line, *reasons = texts[0].splitlines()
    assert headline == "Make organization 1: errors &gt;= 10 in 1 scenario"
    days = [f"{day:%Y-%m-%d} 00:00 to " for day in (began, datetime.now(UTC))]
    assert frame.startswith(tuple(days))
    address = rf"https://\S+/{scenario.team_id}/scenarios/{scenario.id}/"
    name = re.escape(f"{CLEAN_NAME} ({scenario.team_name})".replace("&", "&amp;"))
    assert re.fullmatch(rf"- <{address}edit\|{name}>: 10 errors in 100 executions", line)
    quota = r"    5 x <ADDRESS\|RateLimitError in google-sheets addRow>: Quota ‹b› &amp; {{ 7 \* 7 }}, last [\d:]+"
    data = r"    5 x <ADDRESS\|DataError>: Missing value: 'mail', last [\d:]+"
    for pattern, reason in zip((quota, data), reasons, strict=True):
        assert re.fullmatch(pattern.replace("ADDRESS", rf"{address}logs/[0-9a-f]{{32}}"), reason)
    assert len(second["message"]) <= 3000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("- a: 1 (b): 2 % URL", "- <URL|a: 1 (b)>: 2 %"),
        # Of a scenario that has not run.
        ("- a (b) URL", "- <URL|a (b)>"),
        ("- a: b (c) URL", "- <URL|a: b (c)>"),
        ("- a (b): 2 %", "- a (b): 2 %"),
        ("    1,000 x E URL", "    1,000 x <URL|E>"),
        ("    1 x E in a b: c: d, last 09:58 URL", "    1 x <URL|E in a b>: c: d, last 09:58"),
        ("    1 x E, last 09:58 URL", "    1 x <URL|E>, last 09:58"),
        ("    1 x E: see https://a.b/c, last 09:58", "    1 x E: see https://a.b/c, last 09:58"),
    ],
)
@watchers_only
def test_names_are_links_in_slack(line: str, expected: str) -> None:
    to_mrkdwn = runpy.run_path(str(EXAMPLES / "make_alert_slack.py"))["to_mrkdwn"]
    url = "https://eu1.make.com/4202/scenarios/4846/edit"
    assert to_mrkdwn(line.replace("URL", url)) == expected.replace("URL", url)


@watchers_only
def test_scenarios_that_make_has_disabled_are_mailed(make_sandbox: Sandbox, mail_server: MailServer) -> None:
    example = load("make_disabled_scenarios")
    (watcher,) = watchers(example)
    organization = make_sandbox.organization()
    organization.set_status("active", [scenario.id for scenario in organization.scenarios])
    scenario = scenario_with_odd_name(make_sandbox)
    organization.set_counts(2, 2, [scenario.id])
    organization.set_status("invalid", [scenario.id])
    payload = first_payload(watcher.trigger)
    assert payload["scenario_count"] == 1
    run = run_triggered_dag(example, payload)
    assert states(run) == {"messages": "success", "mail": "success"}
    ((recipients, subject, text),) = received(mail_server)
    assert (recipients, text) == (["on-call@example.com"], payload["message"])
    assert subject == "Make organization 1: 1 scenario is invalid: Make has disabled it because of errors"
    assert f"{CLEAN_NAME} ({scenario.team_name})" in text
    assert "2 x AccountValidationError in " in text


@watchers_only
def test_a_recovery_is_reported_after_an_alert_only(
    make_sandbox: Sandbox, mail_server: MailServer, webhook: Webhook
) -> None:
    example = load("make_alert_recovered")
    high, low = [watcher.trigger for watcher in watchers(example)]
    organization = make_sandbox.organization()

    def texts(*payloads: dict[str, Any]) -> list[str]:
        mail_server.mails.clear()
        webhook.posts.clear()
        run_triggered_dag(example, *payloads)
        mails = received(mail_server)
        assert [subject for _, subject, _ in mails] == [text.splitlines()[0] for _, _, text in mails]
        assert sorted(unescape(post["text"]) for _, post in webhook.posts) == [text for _, _, text in mails]
        return [text for _, _, text in mails]

    organization.set_counts(1000, 10)
    assert texts(first_payload(low)) == []
    organization.set_counts(1000, 110)
    alert = first_payload(high)
    assert texts(alert) == [alert["message"]]
    organization.set_counts(1000, 70)
    back = first_payload(low)
    assert texts(back) == [f"Recovered: {back['message']}"]
    assert "error rate 7 % (< 8 %)" in back["message"]
    # Of a watcher that was started again.
    assert texts(back) == []


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

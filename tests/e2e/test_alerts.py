"""Alerts on a real Airflow: no race, the same end in all modes, 400 triggers in one triggerer, and mail and Slack."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import Engine

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger
from tests.e2e.dags.alerts import CASES, MODES
from tests.e2e.metadata_database import defer_all, states
from tests.e2e.rates import Rates
from tests.e2e.rest import FINAL, Rest
from tests.e2e.stack import TOKEN, WRONG_TOKEN, AirflowStack, blocked_seconds, free_port, wait_for
from tests.support.inboxes import MailServer, Webhook, html_of

RUNS, SENSORS = 3, 30
TRIGGERS, INTERVAL = 400, 15.0
QUOTA = {"name": "RateLimitError", "message": "Quota <b> & {{ 7 * 7 }}", "causeModule": {"name": "addRow"}}
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(scenarios=20, organizations=dict.fromkeys([3, *range(10, 15)], 20), token=TOKEN) as running:
        rest.add_connection("make_alerts", running)
        rest.add_connection("make_refused", running, password=WRONG_TOKEN)
        rest.add_connection("make_down", running, host=f"http://127.0.0.1:{free_port()}")
        yield running


def test_sensors_whose_condition_holds_succeed_without_a_deferral(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    with Rates(sandbox, {1: [50.0]}) as rates:
        rest.pause("alerts_hold", False)
        began = time.monotonic()
        runs = [rest.trigger("alerts_hold") for _ in range(RUNS)]
        wait_for(
            "All have ended",
            lambda: sum(states(database, "alerts_hold").get(state, 0) for state in FINAL) == RUNS * SENSORS,
            600,
        )
        requests = len(rates.arrivals(1))
    tasks = [task for run in runs for task in rest.tasks("alerts_hold", run)]
    print(
        f"\n{len(tasks)} mapped deferrable sensors whose condition holds, in {len(runs)} runs: "
        f"{dict(Counter(task['state'] for task in tasks))}, {time.monotonic() - began:.0f} s in all, "
        f"{statistics.median(task['duration'] for task in tasks):.1f} s each at the median"
    )
    assert Counter((task["state"], task["try_number"]) for task in tasks) == {("success", 1): RUNS * SENSORS}
    # One poke of each sensor, on the worker.
    assert requests == RUNS * SENSORS
    logs = list((stack.home / "logs" / "dag_id=alerts_hold").rglob("*.log*"))
    assert len(logs) == RUNS * SENSORS
    assert not [path for path in logs if ".trigger." in path.name or "Waiting in the triggerer" in path.read_text()]


def test_all_three_modes_end_in_the_same_state_with_the_same_result(sandbox: Sandbox, rest: Rest) -> None:
    # The success is one of the fourth poke.
    scripts = {10: [1.0], **{number: [1.0, 4.9, 0.0, 5.0] for number in (11, 12, 13)}}
    for number in (11, 12, 13):
        sandbox.organization(number).set_errors(QUOTA)
    with Rates(sandbox, scripts) as rates:
        rest.pause("alerts_modes", False)
        run = rest.trigger("alerts_modes")
        rest.wait_for_run("alerts_modes", run, "failed", seconds=400)
        # With one for the scenarios with the most errors.
        assert [len(rates.arrivals(number)) for number in (11, 12, 13)] == [5, 5, 5]
    tasks = {task["task_id"]: task for task in rest.tasks("alerts_modes", run)}
    table = {case: [tasks[f"{case}-{mode}"]["state"] for mode in MODES] for case in CASES}
    print("\n" + "".join(f"{name:20}" for name in ("case", *MODES)))
    for case, row in table.items():
        print("".join(f"{name:20}" for name in (case, *row)))
    assert table == {
        "success": ["success"] * 3,
        "timeout": ["failed"] * 3,
        "timeout_soft_fail": ["skipped"] * 3,
        "refused": ["failed"] * 3,
        "refused_soft_fail": ["skipped"] * 3,
        "down": ["failed"] * 3,
        "down_soft_fail": ["skipped"] * 3,
    }
    # A retry can mend none of them.
    assert {task_id: task["try_number"] for task_id, task in tasks.items() if task["try_number"] != 1} == {}
    logs = {task_id: rest.log("alerts_modes", run, task_id) for task_id in tasks}
    for task_id, log in logs.items():
        case, _, mode = task_id.partition("-")
        assert ("Skipped because of soft_fail" in log) == case.endswith("soft_fail"), task_id
        assert ("HTTP 401" in log) == case.startswith("refused"), task_id
        assert ("The figures could not be fetched" in log) == case.startswith("down"), task_id
        waits = not case.startswith("refused") and mode == "deferrable"
        assert ("Waiting in the triggerer" in log) == waits, task_id
    assert "AirflowSensorTimeout" in logs["timeout-deferrable"]
    log = logs["success-deferrable"]
    assert re.search("Waiting in the triggerer until error_rate >= 5 %, for at most [0-9]+ s; next poke in 5 s", log)
    assert re.search(r"error_rate is 4.9 %; >= 5 % is not crossed \(organization .*\); next poke in 5 s", log)
    results = [rest.xcom("alerts_modes", run, f"success-{mode}") for mode in MODES]
    assert [result.pop("organization_id") for result in results] == [11, 12, 13]
    for result in results:
        message = result.pop("message")
        assert "error rate 5 % (>= 5 %), 1,000 errors in 20,000 executions" in message
        assert len(re.findall(r"[0-9]+ x RateLimitError in addRow: Quota ‹b› & {{ 7 \* 7 }}, last ", message)) == 10
        assert [len(failure["errors"]) for failure in result.pop("failures")] == [1] * 10
        # Operations and credits differ between organizations.
        assert result.pop("total")["error_rate"] == 5.0
        for moment in ("date_from", "date_to", "checked_at"):
            del result[moment]
    assert results[0] == results[1] == results[2]
    assert results[0]["value"] == 5.0


def test_alerts_that_say_why_reach_a_mailbox_and_slack(sandbox: Sandbox, rest: Rest) -> None:
    organization = sandbox.organization(14)
    organization.set_counts(100, 1)
    bad = organization.scenarios[0]
    organization.rename_scenario(bad.id, "<!channel> R&D {{ 7 * 7 }}")
    organization.set_errors(QUOTA, QUOTA, {"name": "DataError", "message": "Missing value: 'mail'"}, ids=[bad.id])
    with MailServer() as mail_server, Webhook() as webhook:
        rest.add_connection("smtp_default", mail_server)
        rest.add_connection("slack_default", webhook)
        requests_before = len(sandbox.requests)

        def requests(part: str) -> list[float]:
            return [each.arrived_at for each in sandbox.requests[requests_before:] if part in each.path]

        rest.start_watchers("explained_mail", "explained_slack")
        wait_for("Both watchers poll", lambda: len(requests("/analytics/14")) >= 8, 120)
        assert requests("/logs") == []
        organization.set_counts(100, 30, [bad.id])
        wait_for("The mail and the post arrive", lambda: mail_server.mails and webhook.posts, 240)
        polls = len(requests("/analytics/14"))
        wait_for("The watchers poll again", lambda: len(requests("/analytics/14")) >= polls + 4, 120)
        rest.stop_watchers("explained_mail", "explained_slack")
    # One request at each crossing, none between crossings.
    assert len(requests("/logs")) == 2
    ((_, mail),), ((path, post),) = mail_server.mails, webhook.posts
    messages = {}
    for asset in ("explained_failing", "explained_errors"):
        (event,) = rest.asset_events(asset)
        payload = event["extra"]["payload"]
        assert [failure["scenario_id"] for failure in payload["failures"]] == [bad.id]
        messages[asset] = payload["message"]
    assert str(mail["Subject"]) == "Make organization 14: error rate >= 20 % in 1 scenario"
    html = unescape(html_of(mail))
    text = re.sub(r'<a href="(https://[^"]+)">open</a>', r"\1", html.partition(">")[2].partition("</pre>")[0])
    assert text == messages["explained_failing"]
    assert path == "/services/T0001/B0002/webhook-token"
    assert unescape(re.sub(r"<https://[^|>]+\|([^>]+)>", r"\1", post["text"])) == re.sub(
        r" https://\S+$", "", messages["explained_errors"], flags=re.MULTILINE
    )
    address = rf"https://\S+/{bad.team_id}/scenarios/{bad.id}"
    assert re.search(rf"^- <{address}/edit\|‹!channel› R&amp;D {{{{ 7 \* 7 }}}} ", post["text"], re.MULTILINE)
    for shown in (text, unescape(post["text"])):
        assert re.search(r"20 x .*RateLimitError in addRow.*: Quota ‹b› & {{ 7 \* 7 }}, last \d\d:\d\d", shown)
        assert re.search(r"10 x .*DataError.*: Missing value: 'mail', last \d\d:\d\d", shown)
    print(f"\n{text}\n{post['text']}")


def test_four_hundred_triggers_do_not_block_one_triggerer(
    sandbox: Sandbox, stack: AirflowStack, rest: Rest, database: Engine
) -> None:
    def trigger(index: int) -> MakeErrorRateTrigger:
        # As sensors that deferred one after the other within an interval.
        return MakeErrorRateTrigger(
            threshold=5.0,
            organization_id=3,
            make_conn_id="make_alerts",
            api_retry_limit=1,
            poke_interval=INTERVAL,
            first_poke=datetime.now(UTC) + timedelta(seconds=INTERVAL * (1 + index / TRIGGERS)),
            deadline=datetime.now(UTC) + timedelta(hours=1),
        )

    rest.call("POST", "pools", json={"name": "closed", "slots": 0})
    with Rates(sandbox, {3: [1.0]}) as rates:

        def polls(count: int) -> float:
            """Wait for a number of polls, and return the seconds that they took."""
            seen, since = len(rates.arrivals(3)), time.monotonic()
            wait_for("The triggers poll", lambda: len(rates.arrivals(3)) >= seen + count, 180, 0.1)
            return time.monotonic() - since

        rest.pause("alerts_many", False)
        rest.trigger("alerts_many")
        wait_for("All are scheduled", lambda: states(database, "alerts_many") == {"scheduled": TRIGGERS}, 120)
        defer_all(database, "alerts_many", (trigger(index).serialize() for index in range(TRIGGERS)))
        # At the start and the end, hundreds at once keep Airflow's own part of the loop busy.
        polls(TRIGGERS)
        log_before = len(stack.log("triggerer"))
        seconds = polls(TRIGGERS)
        log = stack.log("triggerer")[log_before:]
        assert states(database, "alerts_many") == {"deferred": TRIGGERS}
        rates.set(3, 50.0)
        # The pool is closed: what has resumed stays scheduled.
        wait_for("All have resumed", lambda: states(database, "alerts_many") == {"scheduled": TRIGGERS}, 120)
    blocked = blocked_seconds(log)
    print(f"\n{TRIGGERS} triggers in one triggerer: a poll of each in {seconds:.1f} s; blocked for {blocked} s")
    # None polls more often than it should. On a busy machine they are late, but not by their number.
    assert max(blocked, default=0.0) < 5.0
    assert 0.75 * INTERVAL < seconds < 3 * INTERVAL

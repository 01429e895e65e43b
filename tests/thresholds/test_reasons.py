"""Why figures crossed: what is asked, how long it may take, and what an alert says if reasons are missing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.client import MakeClient
from airflow_provider_make.api.executions import LONG_LOOKBACK, ExecutionError, FailedExecution
from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.query import ScenarioFilters
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.api.transport import HttpResponse
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeInputError
from airflow_provider_make.thresholds import reasons
from airflow_provider_make.thresholds.evaluation import Evaluation, Explanation, Snapshot, evaluate
from airflow_provider_make.thresholds.reasons import MAX_GROUPS, TIME_LIMIT, explain, to_failure
from airflow_provider_make.thresholds.rule import Metric, ThresholdRule
from tests.support.virtual_time import run_in_virtual_time

TOKEN = "c0ffee00-token"
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
FRAME = TimeFrame(NOW - timedelta(hours=1), NOW)
QUOTA = {"name": "RateLimitError", "message": "[429] Quota exceeded", "causeModule": {"name": "addRow"}}
MAIL = {"name": "DataError", "message": "Missing value of required parameter 'mail'."}
Respond = Callable[[str], Any]


def crossing(count: int = 3, rule: ThresholdRule | None = None) -> Evaluation:
    """Create an evaluation in which scenarios crossed, with ids from 1, the most severe first."""
    entries = [
        ScenarioMetrics(
            scenario_id=id_, team_id=7, name=f"S{id_}", executions=100, errors=90 - id_, error_rate=90 - id_
        )
        for id_ in range(1, count + 1)
    ]
    filters = ScenarioFilters(team_id=7)
    total = Metrics(executions=1000, errors=200, error_rate=20.0)
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, total, entries, filters)
    return evaluate(rule or ThresholdRule(5.0, scope="scenario"), snapshot)


def entry(number: int, error: Any = None, **values: Any) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=number)).isoformat()
    return {"id": f"{number:032x}", "duration": 5, "status": 3, "timestamp": at, "error": error, **values}


def log(*entries: Any) -> dict[str, Any]:
    return {"scenarioLogs": entries, "pg": {"limit": 50}}


class Make:
    """Make, as a transport of a client: what it responds to a path is JSON, a status, or an error; in virtual time."""

    def __init__(self, respond: Respond, seconds: float = 0.5) -> None:
        self.respond = respond
        self.seconds = seconds
        self.paths: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.active = self.most_active = 0

    @property
    def scenarios(self) -> list[int]:
        """The scenarios of the requests, in order."""
        return [int(path.split("/")[1]) for path in self.paths if path.startswith("scenarios/")]

    async def __aenter__(self) -> Make:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def get(self, path: str, parameters: Sequence[tuple[str, str]]) -> HttpResponse:
        self.paths.append(path)
        self.queries.append(dict(parameters))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.active -= 1
        outcome = self.respond(path)
        if isinstance(outcome, MakeApiError):
            raise outcome
        if isinstance(outcome, int):
            return HttpResponse(outcome, {}, json.dumps({"message": "Access denied", "code": f"SC{outcome}"}).encode())
        return HttpResponse(200, {}, outcome if isinstance(outcome, bytes) else json.dumps(outcome).encode())


def client(make: Make, requests_per_minute: float | None = None) -> MakeClient:
    settings = ConnectionSettings("https://eu1.make.com/api/v2", TOKEN, requests_per_minute=requests_per_minute)
    # Rules under which an alert would wait for minutes.
    client = MakeClient(settings, RetryRules(5, 60.0), logging.getLogger(__name__))
    client._transport = make  # type: ignore[assignment]
    return client


def explained(
    make: Make, evaluation: Evaluation, seconds: float = TIME_LIMIT, requests_per_minute: float | None = None
) -> tuple[Explanation, float]:
    """Return the explanation, and the seconds that it took."""

    async def run() -> tuple[Explanation, float]:
        found = await explain(nullcontext(client(make, requests_per_minute)), evaluation, seconds)
        return found, asyncio.get_running_loop().time()

    return run_in_virtual_time(run())


def test_each_scenario_costs_a_request_the_first_alone_and_the_others_a_few_at_a_time() -> None:
    make = Make(lambda path: log(entry(2, QUOTA), entry(5, MAIL), entry(7, QUOTA)))
    found, seconds = explained(make, crossing(12))
    assert make.scenarios == list(range(1, 11))
    assert (make.most_active, seconds) == (3, 2.0)
    assert found.missing is None
    assert [failure["scenario_id"] for failure in found.failures] == list(range(1, 11))
    assert found.failures[0] == {
        "scenario_id": 1,
        "count": 3,
        "errors": [
            {
                "count": 2,
                "name": "RateLimitError",
                "message": "[429] Quota exceeded",
                "module": "addRow",
                "last_at": "2026-11-24T09:58:00Z",
                "execution_id": f"{2:032x}",
                "url": f"https://eu1.make.com/7/scenarios/1/logs/{2:032x}",
            },
            {
                "count": 1,
                "name": "DataError",
                "message": "Missing value of required parameter 'mail'.",
                "module": None,
                "last_at": "2026-11-24T09:55:00Z",
                "execution_id": f"{5:032x}",
                "url": f"https://eu1.make.com/7/scenarios/1/logs/{5:032x}",
            },
        ],
    }


@pytest.mark.parametrize("metric", ["error_rate", "errors", "error_rate_change", "errors_change", "executions"])
def test_the_failed_executions_are_those_of_the_check_or_for_executions_of_a_month(metric: str) -> None:
    rule = ThresholdRule(0.0, Metric(metric), scope="organization", min_executions=0)
    figures: dict[str, Any] = {Metric(metric).column: 50}
    snapshot = Snapshot(42, "eu1.make.com", FRAME, NOW, Metrics(**figures))
    make = Make(lambda path: log(entry(2, QUOTA)) if "logs" in path else {"total": {}, "analytics": [
        {"id": 1, "errors": 5}], "pg": {}})  # fmt: skip
    explained(make, evaluate(rule, snapshot))
    begin = NOW - LONG_LOOKBACK if metric == "executions" else FRAME.date_from
    assert begin is not None
    analytics, logs = make.queries
    assert analytics["timeframe[dateFrom]"] == begin.isoformat().replace("+00:00", "Z")
    assert (int(logs["from"]), int(logs["to"])) == (begin.timestamp() * 1000, NOW.timestamp() * 1000)


def test_for_an_organization_the_scenarios_with_the_most_errors_are_found_first() -> None:
    # As a server may sort them.
    analytics = [{"id": 3, "errors": 5}, {"id": 1, "errors": 31, "teamId": 7}, {"id": 2, "errors": 0}, {"id": 4}]

    def respond(path: str) -> Any:
        return log(entry(2, QUOTA)) if "logs" in path else {"total": {}, "analytics": analytics, "pg": {}}

    make = Make(respond)
    found, _ = explained(make, crossing(0, ThresholdRule(5.0)))
    assert make.scenarios == [1, 3]
    query = make.queries[0]
    assert (query["pg[sortBy]"], query["pg[sortDir]"], query["pg[limit]"], query["teamId"]) == (
        "errors",
        "desc",
        "10",
        "7",
    )
    assert [scenario.scenario_id for scenario in found.scenarios] == [1, 3]
    assert [failure["scenario_id"] for failure in found.failures] == [1, 3]


def test_an_organization_without_errors_has_no_reasons() -> None:
    make = Make(lambda path: {"total": {}, "analytics": [{"id": 1, "errors": 0}], "pg": {}})
    found, _ = explained(make, crossing(0, ThresholdRule(5.0)))
    assert found == Explanation([], (), "Reasons are missing: no scenario has errors")
    assert len(make.paths) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_without_the_scope_costs_one_request(status: int) -> None:
    make = Make(lambda path: status)
    found, _ = explained(make, crossing(10))
    assert make.scenarios == [1]
    assert len(make.paths) == 1
    assert found.failures == []
    needs = "the token needs the scope scenarios:read"
    assert found.missing == f"Reasons are missing: {needs} (HTTP {status}: Access denied (SC{status}))"


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (429, "HTTP 429: Access denied"),
        (503, "HTTP 503: Access denied"),
        (400, "HTTP 400: Access denied"),
        (MakeConnectionError("eu1.make.com could not be reached"), "eu1.make.com could not be reached"),
        (b"<html>", "the response is HTML, not JSON"),
        (b'{"total": {}}', "no list scenarioLogs"),
    ],
)
def test_while_make_is_down_or_limits_the_rate_one_request_is_enough(outcome: Any, text: str) -> None:
    make = Make(lambda path: outcome)
    found, seconds = explained(make, crossing(10))
    assert (len(make.paths), seconds, found.failures) == (1, 0.5, [])
    assert found.missing is not None
    assert text in found.missing


def test_a_firewall_is_not_taken_for_a_missing_scope() -> None:
    make = Make(lambda path: log())

    async def firewall(path: str, parameters: object) -> HttpResponse:
        return HttpResponse(403, {}, b"error code: 1010")

    make.get = firewall  # type: ignore[method-assign]
    found, _ = explained(make, crossing(2))
    assert found.missing == "Reasons are missing: HTTP 403: text instead of Make's JSON: error code: 1010"


@pytest.mark.parametrize("outcome", [401, 403, 404, b"{}"])
def test_once_make_has_answered_a_refusal_is_about_one_scenario(outcome: Any) -> None:
    make = Make(lambda path: outcome if "/3/" in path else log(entry(1, QUOTA)))
    found, _ = explained(make, crossing(5))
    assert make.scenarios == [1, 2, 3, 4, 5]
    assert [failure["scenario_id"] for failure in found.failures] == [1, 2, 4, 5]
    assert found.missing is not None
    assert found.missing.startswith("Reasons are missing for 1 of 5 scenarios: ")


@pytest.mark.parametrize("outcome", [429, 503, MakeConnectionError("dropped")])
def test_no_further_scenario_is_asked_for_once_make_is_down(outcome: Any) -> None:
    make = Make(lambda path: outcome if "/2/" in path else log(entry(1, QUOTA)))
    found, _ = explained(make, crossing(10))
    # Those that were under way.
    assert make.scenarios == [1, 2, 3, 4]
    assert [failure["scenario_id"] for failure in found.failures] == [1, 3, 4]
    assert found.missing is not None
    assert found.missing.startswith("Reasons are missing for 7 of 10 scenarios: ")


def test_a_scenario_without_failed_executions_is_named() -> None:
    make = Make(lambda path: log() if "/1/" in path else log(entry(1, QUOTA)))
    found, _ = explained(make, crossing(2))
    assert found.missing == "Reasons are missing for 1 of 2 scenarios: Make lists no failed execution"
    assert [failure["scenario_id"] for failure in found.failures] == [2]


def test_an_execution_counts_once_and_fifty_are_the_most_whatever_the_server_lists() -> None:
    twice = [entry(1), entry(1, QUOTA), entry(2, MAIL)]
    # Without an id, two may be two.
    without_id = [entry(number, QUOTA, id=None) for number in (1, 2)]
    logs = {"1": twice, "2": without_id, "3": [entry(number, QUOTA) for number in range(1, 56)]}
    found, _ = explained(Make(lambda path: log(*logs[path.split("/")[1]])), crossing(3))
    counts = [[failure["count"], *(error["count"] for error in failure["errors"])] for failure in found.failures]
    assert counts == [[2, 1, 1], [2, 2], [50, 50]]
    assert found.missing is None


def test_only_a_log_without_any_error_costs_a_second_request() -> None:
    logs = {"1": [entry(1), entry(2), entry(3)], "2": [entry(4), entry(5, QUOTA)]}

    def respond(path: str) -> Any:
        details = {"status": "ERROR", "outputs": {"iban": "DE02"}, "error": MAIL}
        return details if "executions" in path else log(*logs[path.split("/")[1]])

    make = Make(respond)
    found, _ = explained(make, crossing(2))
    assert make.paths == ["scenarios/1/logs", f"scenarios/1/executions/{1:032x}", "scenarios/2/logs"]
    first, second = ([(e["count"], e["name"]) for e in failure["errors"]] for failure in found.failures)
    # What Make gives no error for comes last, however often it is.
    assert first == [(1, "DataError"), (2, None)]
    assert second == [(1, "RateLimitError"), (1, None)]
    assert found.failures[0]["count"] == 3
    assert "DE02" not in json.dumps(found.failures)


@pytest.mark.parametrize(("outcome", "missing"), [(413, 1), (403, 1), (404, 0), (503, 3)])
def test_details_that_cannot_be_read_leave_the_executions(outcome: int, missing: int) -> None:
    make = Make(lambda path: outcome if "executions" in path else log(entry(1, None if "/1/" in path else QUOTA)))
    found, _ = explained(make, crossing(3))
    assert found.failures[0]["errors"][0]["execution_id"] == f"{1:032x}"
    assert found.failures[0]["errors"][0]["message"] is None
    assert (found.missing or "").startswith(f"Reasons are missing for {missing} of 3" if missing else "")
    assert (found.missing is None) == (missing == 0)


def test_an_alert_waits_twenty_seconds_at_most_and_has_the_reasons_that_came_in_time() -> None:
    make = Make(lambda path: log(entry(1, QUOTA)), seconds=8.0)
    found, seconds = explained(make, crossing(10))
    assert seconds == TIME_LIMIT == 20.0
    assert [failure["scenario_id"] for failure in found.failures] == [1, 2, 3, 4]
    assert found.missing == "Reasons are missing for 6 of 10 scenarios: Make did not answer within 20 s"
    assert make.active == 0


def test_the_rate_of_the_connection_is_kept_also_if_reasons_are_missing_then() -> None:
    make = Make(lambda path: log(entry(1, QUOTA)), seconds=0.0)
    found, seconds = explained(make, crossing(10), requests_per_minute=10)
    assert (seconds, make.scenarios) == (20.0, [1, 2, 3, 4])
    assert found.missing is not None


@pytest.mark.parametrize(
    ("limit", "problem"), [(0.0, "no time was left to ask Make"), (3.0, "Make did not answer within 3 s")]
)
def test_a_task_that_has_less_time_waits_less(limit: float, problem: str) -> None:
    make = Make(lambda path: log(entry(1, QUOTA)), seconds=60.0)
    found, seconds = explained(make, crossing(10), seconds=limit)
    assert seconds == limit
    assert found.missing == f"Reasons are missing: {problem}"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MakeInputError("The connection has no token"), "The connection has no token"),
        (RuntimeError("postgres://user:secret@db"), "RuntimeError"),
        (TimeoutError(), "Make did not answer within 20 s"),
    ],
)
def test_a_client_that_cannot_be_opened_never_fails_the_alert(
    error: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Opening(nullcontext[Any]):
        async def __aenter__(self) -> Any:
            raise error

    found = run_in_virtual_time(explain(Opening(), crossing()))
    assert found == Explanation([], (), f"Reasons are missing: {text}")
    # A known error is one line in the log.
    assert ("Traceback" in caplog.text) == isinstance(error, RuntimeError)


@pytest.mark.parametrize("place", ["respond", "parse"])
def test_a_bug_never_fails_the_alert(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(path: str) -> Any:
        if place == "respond" and "/3/" in path:
            raise ZeroDivisionError
        return log(entry(1, QUOTA))

    if place == "parse":
        monkeypatch.setattr(reasons, "to_failure", lambda *_: 1 / 0)
    found, _ = explained(Make(respond), crossing(5))
    assert found.missing is not None
    assert [failure["scenario_id"] for failure in found.failures][:1] == ([1] if place == "respond" else [])


def test_a_task_that_ends_meanwhile_is_not_held_back() -> None:
    make = Make(lambda path: log(), seconds=60.0)

    async def run() -> None:
        task = asyncio.create_task(explain(nullcontext(client(make)), crossing()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.get_running_loop().time() == 1

    run_in_virtual_time(run())
    assert make.active == 0


def test_watchers_that_share_a_poll_ask_once_for_each_time_frame() -> None:
    make = Make(lambda path: log(entry(1, QUOTA)))
    snapshot = crossing(3).snapshot
    rules = [ThresholdRule(limit, scope="scenario") for limit in (5.0, 6.0)]
    rules += [ThresholdRule(limit, Metric("executions"), scope="scenario") for limit in (5.0, 6.0)]

    async def run() -> list[Explanation]:
        openings: list[AbstractAsyncContextManager[MakeClient]] = [nullcontext(client(make)) for _ in rules]
        waiting = [explain(o, evaluate(rule, snapshot)) for o, rule in zip(openings, rules, strict=True)]
        return await asyncio.gather(*waiting)

    found = run_in_virtual_time(run())
    assert len(make.paths) == 6
    assert found[0] is found[1]
    assert found[2] is found[3]


def test_whoever_waits_for_another_watcher_is_not_delayed_twice() -> None:
    make = Make(lambda path: log(entry(1, QUOTA)), seconds=60.0)
    evaluation = crossing(3)

    async def run() -> float:
        first = asyncio.create_task(explain(nullcontext(client(make)), evaluation))
        await asyncio.sleep(1)
        second = asyncio.create_task(explain(nullcontext(client(make)), evaluation))
        await asyncio.sleep(15)
        # The triggerer moves the first to another machine.
        first.cancel()
        await second
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(run()) == 21.0


_ERRORS = st.builds(ExecutionError, *[st.none() | st.sampled_from("abcd")] * 3)


@given(st.lists(st.none() | _ERRORS, min_size=1, max_size=50))
def test_groups_are_the_most_frequent_errors_with_their_newest_execution(errors: list[ExecutionError | None]) -> None:
    times = [NOW - timedelta(minutes=number) for number in range(len(errors))]
    failures = [
        FailedExecution(f"id{number}", times[number], 7, "auto", error, {}) for number, error in enumerate(errors)
    ]
    scenario = ScenarioMetrics(scenario_id=1)
    found = to_failure(failures, "eu1.make.com", scenario)
    assert found["count"] == len(errors)
    keys = [ExecutionError(group["name"], group["message"], group["module"]) for group in found["errors"]]
    assert 1 <= len(set(keys)) == len(keys) <= MAX_GROUPS
    all_keys = [error or ExecutionError() for error in errors]
    for key, group in zip(keys, found["errors"], strict=True):
        assert group["count"] == all_keys.count(key)
        assert group["execution_id"] == f"id{all_keys.index(key)}"
    counts = [group["count"] for key, group in zip(keys, found["errors"], strict=True) if any(key)]
    assert counts == sorted(counts, reverse=True)
    left_out = {key for key in all_keys if key not in keys and any(key)}
    assert all(all_keys.count(key) <= min(counts) for key in left_out)
    assert not any(any(key) for key in keys[len(counts) :])


def test_the_link_has_the_team_of_the_execution_or_of_the_scenario() -> None:
    for own, of_scenario, expected in ((7, 8, 7), (None, 8, 8), (None, None, None)):
        failures = [FailedExecution("a", NOW, own, None, None, {})]
        scenario = ScenarioMetrics(scenario_id=1, team_id=of_scenario)
        (group,) = to_failure(failures, "eu1.make.com", scenario)["errors"]
        url = f"https://eu1.make.com/{expected}/scenarios/1/logs/a"
        assert group["url"] == (None if expected is None else url)


@pytest.mark.parametrize("character", ["x ", "é ", "漢 ", "🚀 ", "\x00 ", "<&>"])
def test_a_payload_of_long_errors_is_bounded_and_can_be_stored(character: str) -> None:
    texts = [character * (3500 // len(character)) + str(number) for number in range(3)]
    # Different where it is cut.
    errors = [{**QUOTA, "message": f"{number} {text}"} for number, text in enumerate(texts)]
    make = Make(lambda path: log(*(entry(number, errors[number % 3]) for number in range(50))))
    evaluation = crossing(10)
    found, _ = explained(make, evaluation)
    payload = evaluation.event(found)
    text = json.dumps(payload, ensure_ascii=False)
    assert [len(failure["errors"]) for failure in payload["failures"]] == [3] * 10
    assert len(text.encode()) < 64 * 1024
    assert "\\u0000" not in json.dumps(payload)
    assert len(payload["message"]) <= 3000
    # Each scenario, with a reason.
    assert payload["message"].count("\n- ") == payload["message"].count("\n    ") == 10

"""The sandbox's endpoints about executions: they agree with the analytics, and are as strict as Make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sandbox.executions import Executions
from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sandbox.query import Criteria
from tests.support.sandbox_requests import TOKEN
from tests.support.time_frames import MIDNIGHT

Start = Callable[..., Sandbox]
# Within a year, and before anything happens in the month's story.
FROM = (MIDNIGHT - timedelta(days=60)).replace(day=3)
TO = FROM + timedelta(days=1)
ORGANIZATION = Organization(1, 40, story=True)
QUOTA = {"name": "RateLimitError", "message": "[429] Quota", "causeModule": {"name": "addRow", "appName": "sheets"}}
DATA = {"name": "DataError", "message": "Missing value"}


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def get(sandbox: Sandbox, path: str, **parameters: object) -> requests.Response:
    named = {{"start": "from", "end": "to"}.get(name, name): str(value) for name, value in parameters.items()}
    named = {
        f"pg[{name}]" if name in ("limit", "offset", "last", "sortBy", "sortDir") else name: value
        for name, value in named.items()
    }
    return requests.get(f"{sandbox.base_url}/scenarios/{path}", params=named, headers=TOKEN, timeout=10)


def log(sandbox: Sandbox, scenario_id: int, **parameters: object) -> Any:
    response = get(sandbox, f"{scenario_id}/logs", **{"start": ms(FROM), "end": ms(TO), **parameters})
    assert response.status_code == 200, response.text
    return response.json()


def pages(sandbox: Sandbox, scenario_id: int, *, by_last: bool = False, **parameters: object) -> list[dict[str, Any]]:
    """Read all entries in pages, by offset or after the last one."""
    entries: list[dict[str, Any]] = []
    following: dict[str, object] = {}
    while True:
        body = log(sandbox, scenario_id, **parameters, **following)
        if not body["scenarioLogs"]:
            return entries
        entries += body["scenarioLogs"]
        following = {"last": body["pg"]["last"]} if by_last else {"offset": len(entries)}


def failing(sandbox: Sandbox) -> int:
    """Return the id of the scenario with the most errors in the frame."""
    return max(sandbox.truth(date_from=FROM, date_to=TO), key=lambda entry: int(entry["errors"]))["id"]  # type: ignore[no-any-return]


MINUTES = st.integers(0, 60 * 24 * 60)


@settings(max_examples=50)
@given(
    st.sampled_from(ORGANIZATION.scenarios),
    st.lists(MINUTES, min_size=2, max_size=2, unique=True).map(sorted),
    st.booleans(),
)
def test_the_log_has_as_many_executions_as_the_analytics(scenario: Any, frame: list[int], fixed: bool) -> None:
    date_from = datetime(2026, 5, 1, tzinfo=UTC) + frame[0] * timedelta(minutes=1)
    date_to = date_from + min(timedelta(minutes=frame[1] - frame[0]), timedelta(days=1))
    organization = ORGANIZATION
    if fixed:
        organization = Organization(1, 40)
        organization.set_counts(50, 21)
    rows = organization.select(Criteria(date_from=date_from, date_to=date_to)).rows
    counted = {row.scenario.id: row.statistics for row in rows}
    course = organization.course(scenario.id)
    if course is None or scenario.id not in counted:
        return
    logs = Executions(Options(scenarios=40))

    def entries(**parameters: str) -> list[dict[str, Any]]:
        query = {"from": str(ms(date_from)), "to": str(ms(date_to)), **parameters}
        found: list[dict[str, Any]] = []
        while True:
            following = {**query, "pg[offset]": str(len(found))}
            page = logs.respond(f"scenarios/{scenario.id}/logs", following.items(), course, 0)["scenarioLogs"]
            if not page:
                return [entry for entry in found if "eventType" in entry]
            found += page

    everything, failed = entries(), entries(status="3")
    statistics = counted[scenario.id]
    assert (len(everything), len(failed)) == (statistics.executions, statistics.errors)
    assert failed == [entry for entry in everything if entry["status"] == 3]
    assert everything == list(reversed(entries(**{"pg[sortDir]": "asc"})))
    keys, ids = [entry["imtId"] for entry in everything], {entry["id"] for entry in everything}
    assert keys == sorted(keys, reverse=True) and len(ids) == len(keys)
    for entry in everything:
        assert date_from <= datetime.fromisoformat(entry["timestamp"]) < date_to
    for entry in everything[:2]:
        details = logs.respond(f"scenarios/{scenario.id}/executions/{entry['id']}", [], course, 0)
        assert details["status"] == {1: "SUCCESS", 2: "WARNING", 3: "ERROR"}[entry["status"]]
        assert details.get("error") == entry.get("error")
    if not fixed and everything:
        sums = [sum(entry[name] for entry in everything) for name in ("operations", "centicredits")]
        assert sums == [statistics.operations, statistics.centicredits]


def test_an_entry_has_the_fields_of_make(make_sandbox: Sandbox) -> None:
    scenario_id = failing(make_sandbox)
    body = log(make_sandbox, scenario_id, status=3)
    execution = next(entry for entry in body["scenarioLogs"] if "eventType" in entry)
    assert execution["eventType"] == "EXECUTION_END" and len(execution["id"]) == 32
    assert execution["timestamp"].endswith("Z") and len(execution["timestamp"]) == 24
    for name in ("duration", "operations", "centicredits", "transfer", "organizationId", "teamId", "authorId"):
        assert isinstance(execution[name], int)
    assert {"name", "message"} <= execution["error"].keys()
    last = body["scenarioLogs"][-1]["imtId"]
    assert body["pg"] == {"sortBy": "imtId", "sortDir": "desc", "last": last, "showLast": False, "limit": 50}


@pytest.mark.parametrize("by_last", [False, True])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_the_log_is_paged(by_last: bool, direction: str, make_sandbox: Sandbox) -> None:
    scenario = make_sandbox.organization().scenarios[0]
    make_sandbox.organization().set_counts(1000, 120, [scenario.id])
    entries = pages(make_sandbox, scenario.id, status=3, by_last=by_last, sortDir=direction)
    keys = [entry["imtId"] for entry in entries]
    assert keys == sorted(keys, reverse=direction == "desc") and len(set(keys)) == len(keys)
    # Events are in it, and count.
    assert sum("eventType" in entry for entry in entries) == 120 < len(entries)
    assert len(log(make_sandbox, scenario.id, status=3)["scenarioLogs"]) == 50
    paged = pages(make_sandbox, scenario.id, status=3, by_last=by_last, sortDir=direction, limit=7)
    assert paged == entries


def test_errors_and_events_are_in_the_log_unless_an_option_says_otherwise(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(errors_in_log=False, events_in_log=False)
    scenario = sandbox.organization().scenarios[0]
    sandbox.organization().set_counts(20, 20, [scenario.id])
    entries = log(sandbox, scenario.id)["scenarioLogs"]
    assert len(entries) == 20 and all("error" not in entry and "detail" not in entry for entry in entries)
    details = get(sandbox, f"{scenario.id}/executions/{entries[0]['id']}").json()
    assert details["status"] == "ERROR" and details["error"]["name"]
    full = make_sandbox_factory()
    full.organization().set_counts(20, 20, [scenario.id])
    entries = log(full, scenario.id)["scenarioLogs"]
    assert len(entries) == 24
    events = [entry for entry in entries if "eventType" not in entry]
    assert {event["type"] for event in events} == {"modify", "warning"}
    assert all({"duration", "status", "error"}.isdisjoint(event) and "detail" in event for event in events)
    assert sum("error" in entry for entry in entries) == 20


@pytest.mark.parametrize(("types", "of_number"), [("text", str), ("float", float)])
def test_numbers_may_have_other_types(types: str, of_number: type, make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(value_types=types)
    body = log(sandbox, int(failing(sandbox)), status=3)
    execution = next(entry for entry in body["scenarioLogs"] if "eventType" in entry)
    for name in ("status", "duration", "operations", "centicredits", "organizationId", "teamId"):
        assert type(execution[name]) is of_number, name
    assert type(body["pg"]["limit"]) is of_number and type(execution["id"]) is str


def test_set_errors_chooses_the_errors_of_failed_executions(make_sandbox: Sandbox) -> None:
    organization = make_sandbox.organization()
    scenario, other = organization.scenarios[:2]
    organization.set_counts(10, 4)
    before = log(make_sandbox, other.id, status=3)
    organization.set_errors(QUOTA, QUOTA, DATA, None, ids=[scenario.id])
    entries = [each for each in log(make_sandbox, scenario.id, status=3)["scenarioLogs"] if "eventType" in each]
    assert [entry.get("error") for entry in entries] == [QUOTA, QUOTA, DATA, None]
    details = [get(make_sandbox, f"{scenario.id}/executions/{entry['id']}").json() for entry in entries]
    assert [each.get("error") for each in details] == [QUOTA, QUOTA, DATA, None]
    assert log(make_sandbox, other.id, status=3) == before
    organization.set_errors(ids=[scenario.id])
    entries = log(make_sandbox, scenario.id, status=3)["scenarioLogs"]
    assert all(entry["error"] not in (QUOTA, DATA) for entry in entries if "eventType" in entry)


def test_set_status_is_seen_by_filters(make_sandbox: Sandbox) -> None:
    organization = make_sandbox.organization()
    ids = [scenario.id for scenario in organization.scenarios]
    organization.set_status("active", ids)
    organization.set_status("invalid", ids[3:5])
    assert {entry["id"] for entry in make_sandbox.truth(status="invalid")} == set(ids[3:5])
    organization.set_counts(5, 5, ids[3:4])
    entries = log(make_sandbox, ids[3], status=3)["scenarioLogs"]
    assert {entry["error"]["name"] for entry in entries if "eventType" in entry} == {"AccountValidationError"}
    with pytest.raises(ValueError, match="no scenario"):
        organization.set_status("active", [1])
    with pytest.raises(ValueError, match="must be one of active, invalid, inactive, not 'paused'"):
        organization.set_status("paused", ids)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"limit": 51}, "expected at most 50"),
        ({"limit": 0}, "at least 1"),
        ({"status": 4}, "'status'"),
        ({"status": "error"}, "expected an integer"),
        ({"start": -1}, "'from'"),
        ({"start": "2026-06-03T00:00:00Z"}, "expected an integer"),
        ({"end": ms(FROM)}, "not later than 'from'"),
        ({"showCheckRuns": "yes"}, "'true' or 'false'"),
        ({"sortBy": "id"}, "'pg[sortBy]'"),
        ({"sortDir": "down"}, "'pg[sortDir]'"),
        ({"last": "12"}, "no entry has this key"),
        ({"offset": 1, "last": "12"}, "exclude each other"),
        ({"statuses": 3}, "Unknown parameter 'statuses'"),
        ({"pg[showLast]": "true"}, "Unknown parameter"),
        ({"timeframe[dateFrom]": "2026-06-03T00:00:00Z"}, "Unknown parameter"),
    ],
)
def test_what_make_does_not_document_is_refused(
    parameters: dict[str, object], problem: str, make_sandbox: Sandbox
) -> None:
    scenario_id = make_sandbox.organization().scenarios[0].id
    response = get(make_sandbox, f"{scenario_id}/logs", **{"start": ms(FROM), "end": ms(TO), **parameters})
    assert response.status_code == 400
    assert problem in " ".join(each["message"] for each in response.json()["suberrors"])


def test_a_repeated_status_is_refused(make_sandbox: Sandbox) -> None:
    url = f"{make_sandbox.base_url}/scenarios/{make_sandbox.organization().scenarios[0].id}/logs?status=3&status=1"
    assert requests.get(url, headers=TOKEN, timeout=10).status_code == 400


def test_times_in_seconds_are_in_1970(make_sandbox: Sandbox) -> None:
    scenario_id = failing(make_sandbox)
    seconds = {"start": ms(FROM) // 1000, "end": ms(TO) // 1000}
    assert log(make_sandbox, scenario_id, **seconds)["scenarioLogs"] == []
    make_sandbox.organization().set_counts(5, 5)
    assert log(make_sandbox, scenario_id, **seconds)["scenarioLogs"] == []
    # Only the beginning: everything until then.
    assert log(make_sandbox, scenario_id, start=seconds["start"])["scenarioLogs"]


def test_a_scenario_that_did_not_exist_yet_has_no_log() -> None:
    with Sandbox(scenarios=250, story=True) as sandbox:
        created_later = sandbox.organization()._scenarios[-1]
        statuses = [get(sandbox, f"{created_later.id}/logs", end=ms(TO)).status_code for _ in range(2)]
    assert statuses == [404, 404]


def test_details_that_do_not_exist_or_are_too_large_are_refused(make_sandbox: Sandbox) -> None:
    first, second = make_sandbox.organization().scenarios[:2]
    make_sandbox.organization().set_counts(5, 5)
    execution = log(make_sandbox, first.id)["scenarioLogs"][1]["id"]
    path = f"{first.id}/executions/{execution}"
    assert get(make_sandbox, path).json().keys() == {"status", "outputs", "error"}
    assert get(make_sandbox, path, maxBytes=10).status_code == 413
    assert get(make_sandbox, path, maxBytes=10_000).status_code == 200
    assert get(make_sandbox, path, limit=1).status_code == 400
    for wrong in (
        f"{second.id}/executions/{execution}",
        f"{first.id}/executions/{'0' * 32}",
        f"{first.id}/executions/1",
    ):
        assert get(make_sandbox, wrong).status_code == 404
    make_sandbox.organization().set_counts(0, 0)
    assert get(make_sandbox, path).status_code == 404


def test_what_is_no_scenario_is_not_found(make_sandbox: Sandbox) -> None:
    scenario = make_sandbox.organization().scenarios[0]
    assert get(make_sandbox, f"{scenario.id}/logs").status_code == 200
    make_sandbox.organization().delete_scenarios([scenario.id])
    for path in (f"{scenario.id}/logs", "1/logs", f"1/executions/{'0' * 32}"):
        assert get(make_sandbox, path).status_code == 404
    assert get(make_sandbox, "one/logs").status_code == 400
    for path in ("1", "1/log", "1/logs/2", "1/executions"):
        assert get(make_sandbox, path).status_code == 404
    url = f"{make_sandbox.base_url}/scenarios/{scenario.id}/logs"
    assert requests.post(url, headers=TOKEN, timeout=10).status_code == 405
    assert requests.get(url, timeout=10).status_code == 401


def test_organizations_have_no_scenario_in_common(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(scenarios=2000, organizations={2: 2000, 3: 2000})
    organizations = [sandbox.organization(number) for number in (1, 2, 3)]
    ids = [scenario.id for organization in organizations for scenario in organization.scenarios]
    assert len(set(ids)) == len(ids)
    for number, organization in enumerate(organizations, start=1):
        organization.set_counts(number, number)
        assert log(sandbox, organization.scenarios[0].id, status=3)["scenarioLogs"][-1]["organizationId"] == number


def test_executions_count_for_the_rate_limit(make_sandbox_factory: Start) -> None:
    sandbox = make_sandbox_factory(requests_per_minute=2)
    scenario_id = sandbox.organization().scenarios[0].id
    assert [get(sandbox, f"{scenario_id}/logs").status_code for _ in range(3)] == [200, 200, 429]


def test_the_log_line_has_the_number_of_entries(make_sandbox: Sandbox) -> None:
    lines: list[str] = []
    make_sandbox.log_requests(lines.append)
    make_sandbox.organization().set_counts(3, 0)
    log(make_sandbox, make_sandbox.organization().scenarios[0].id)
    assert "200, 3 entries" in lines[0]


def test_the_story_says_why_scenarios_fail() -> None:
    organization = Organization(1, 250, story=True)
    logs = Executions(Options())

    def errors(scenario_id: int, date_from: datetime, date_to: datetime) -> list[str]:
        course = organization.course(scenario_id)
        assert course is not None
        query = {"from": str(ms(date_from)), "to": str(ms(date_to)), "status": "3"}
        entries = logs.respond(f"scenarios/{scenario_id}/logs", query.items(), course, 0)["scenarioLogs"]
        return [entry["error"]["name"] for entry in entries if "eventType" in entry]

    def rows(day: int, **filters: Any) -> list[Any]:
        date_from = datetime(2026, 6, day, tzinfo=UTC)
        return organization.select(Criteria(date_from=date_from, date_to=date_from + timedelta(days=1), **filters)).rows

    earlier = {row.scenario.id: row.statistics.errors for row in rows(11)}
    fails = max(rows(14), key=lambda row: row.statistics.errors - earlier.get(row.scenario.id, 0)).scenario.id
    names = errors(fails, datetime(2026, 6, 14, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC))
    assert names.count("RateLimitError") > len(names) / 2 > 10
    invalid = frozenset({"invalid"})
    before, after = ({row.scenario.id for row in rows(day, statuses=invalid)} for day in (24, 25))
    (turned,) = after - before
    # Its last execution has failed, and so has none after it.
    assert errors(turned, datetime(2026, 6, 25, tzinfo=UTC), datetime(2026, 6, 28, tzinfo=UTC)) == [
        "AccountValidationError"
    ]
    (row,) = [row for row in rows(26) if row.scenario.id == turned]
    assert (row.scenario.status, row.statistics.executions) == ("invalid", 0)
    (row,) = [row for row in rows(28) if row.scenario.id == turned]
    assert row.scenario.status == "active" and row.statistics.executions > 0

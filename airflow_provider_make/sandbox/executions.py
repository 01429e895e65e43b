"""The sandbox's endpoints about a scenario's executions: its log, and the details of one execution."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sandbox.organization import Course, Organization
from airflow_provider_make.sandbox.query import (
    Flag,
    Integer,
    Last,
    Limit,
    Offset,
    Parameters,
    SortDirection,
    check_end,
    group_by_name,
    parse_integer,
    parse_parameters,
)
from airflow_provider_make.sandbox.responses import Values, convert
from airflow_provider_make.sandbox.scenarios import Counts, Scenario

# As at Make: a larger pg[limit] is refused.
LARGEST_LIMIT = 50
_CACHED_LOGS = 64
_SUCCESS, _WARNING, _FAILED = 1, 2, 3
_PATH = re.compile(r"scenarios/([^/]+)/(?:logs|executions/([^/]+))")
_LAST = re.compile(r"\d{13}_scenario\.\d+\.\d{10}(\.event)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_BEGINNING = (datetime(2020, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_END = (datetime(2100, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
# An id is a number, spread over 128 bits by a factor that can be inverted: all that it stands for is in it.
_SPREAD, _IDS = 0x9E3779B97F4A7C15F39CC0605CEDC835, 2**128
_UNSPREAD = pow(_SPREAD, -1, _IDS)
_FIXED = 2**63
_AUTHOR = {"id": 1, "name": "Sandbox"}
# Every so many executions, one ends with a warning; so many errors, and an event follows.
_WARNINGS, _EVENTS = 50, 5
# A client that keeps them would store its customers' data.
_OUTPUTS = {"customer": {"mail": "jane.doe@example.com", "iban": "DE02120300000000202051"}}


def _error(name: str, message: str, app: str | None = None, module: str | None = None) -> Values:
    cause = {} if app is None else {"causeModule": {"name": module, "appName": app}}
    return {"name": name, "message": message, **cause}


QUOTA = _error(
    "RateLimitError",
    "[429] Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user'.",
    "google-sheets",
    "addRow",
)
EXPIRED_ACCOUNT = _error(
    "AccountValidationError",
    "Failed to verify connection 'Sales mailbox'. Invalid refresh token.",
    "google-email",
    "sendAnEmail",
)
# Some without a module; some texts have what clients must not pass on: markup, lines, and a key.
_OTHERS = (
    QUOTA,
    _error("DataError", "Missing value of required parameter 'mail'."),
    _error("ConnectionError", "connect ETIMEDOUT 203.0.113.7:443", "http", "ActionSendData"),
    _error(
        "RuntimeError", "[500] <b>Internal Server Error</b>\nPlease try again later.", "hubspotcrm", "createContact"
    ),
    _error("ModuleTimeoutError", "The operation timed out after 40 seconds.", "shopify", "searchOrders"),
    _error("InvalidConfigurationError", f"[403] The key {'5ac1d0e2' * 8} is not valid.", "http", "ActionSendData"),
    _error("Error", "[400] The field 'Amount' accepts numbers only.", "airtable", "ActionCreateRecord"),
)


class _Log(Parameters):
    """Which executions of a scenario: from a time on, until before another one, in milliseconds since 1970."""

    status: Annotated[Literal[1, 2, 3], BeforeValidator(parse_integer)] | None = None
    start: Annotated[Integer, Field(ge=0)] = Field(_BEGINNING, alias="from")
    end: Annotated[Integer, Field(ge=0), check_end("start", "from")] = Field(alias="to")
    # Without effect: the sandbox has no check runs.
    show_check_runs: Flag = Field(False, alias="showCheckRuns")
    offset: Offset | None = Field(None, alias="pg[offset]")
    last: Last | None = Field(None, alias="pg[last]")
    limit: Limit = Field(LARGEST_LIMIT, alias="pg[limit]")
    sort_by: Literal["imtId"] = Field("imtId", alias="pg[sortBy]")
    sort_dir: SortDirection = Field("desc", alias="pg[sortDir]")


class _Details(Parameters):
    max_bytes: Annotated[Integer, Field(ge=0)] | None = Field(None, alias="maxBytes")


class _Execution(NamedTuple):
    # In the order of time.
    number: int
    # The millisecond since 1970.
    at: int
    # None if it did not fail.
    error_number: int | None


def is_executions_path(path: str) -> bool:
    """Whether a path, relative to the base URL, is one of these endpoints."""
    return _PATH.fullmatch(path) is not None


def find_scenario(path: str, organizations: Mapping[int, Organization]) -> tuple[Organization, Course]:
    """Return the organization and the course of a path's scenario; refuse one that no organization has."""
    text = path.split("/")[1]
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refusal(400, [f"Invalid value {text!r} of 'scenarioId': expected an integer."])
    for organization in organizations.values():
        if (course := organization.course(int(text))) is not None:
            return organization, course
    raise Refusal(404)


class Executions:
    """Build the responses of these endpoints."""

    def __init__(self, options: Options) -> None:
        self._options = options
        # A client reads page after page of the same one.
        self._logs: dict[tuple[object, ...], _Lazily] = {}

    def respond(self, path: str, parameters: Iterable[tuple[str, str]], course: Course, revision: int) -> Values:
        """Build the body of a response about a scenario; refuse parameters that are not valid, and what is unknown."""
        received = group_by_name(parameters)
        execution_id = path.split("/")[3:]
        if execution_id:
            details = parse_parameters(_Details, received)
            return self._details(course, execution_id[0], details.max_bytes)
        now = (datetime.now(UTC) - _EPOCH) // _MILLISECOND
        largest = min(LARGEST_LIMIT, self._options.max_limit or LARGEST_LIMIT)
        defaults = {"to": now, "pg[limit]": largest}
        query = parse_parameters(_Log, received, defaults, max_limit=largest)
        return convert(self._page(course, revision, query), self._options.value_types)

    def _page(self, course: Course, revision: int, query: _Log) -> Values:
        limit = min(query.limit, self._options.page_cap or query.limit)
        key = (course.organization_id, course.scenario.id, revision, query.status, query.start, query.end)
        if len(self._logs) > _CACHED_LOGS:
            self._logs.clear()
        # As it was at the end of the time frame.
        scenario = course.seen_at(_hours(query.end))
        if scenario is None:
            raise Refusal(404)
        entries = self._logs.setdefault(key, _Lazily(self._entries(course, scenario, query)))
        if query.sort_dir == "asc":
            entries = _Lazily(reversed(list(entries)))
        start = query.offset or 0
        if query.last is not None:
            start = _position_after(entries, query.last, query.sort_dir)
        page = list(islice(entries, start, start + limit))
        last = page[-1]["imtId"] if page else query.last
        paging: Values = {"sortBy": "imtId", "sortDir": query.sort_dir, "showLast": False, "limit": limit}
        if last is not None:
            paging["last"] = last
        return {"scenarioLogs": page, "pg": paging}

    def _entries(self, course: Course, scenario: Scenario, query: _Log) -> Iterator[Values]:
        """Yield entries, the newest first."""
        source, status = _fixed if course.fixed else _generated, query.status
        executions = source(course, max(query.start, _BEGINNING), query.end, status)
        for execution in executions:
            its_status = _status(execution)
            if status is not None and its_status != status:
                continue
            key = f"{execution.at:013d}_scenario.{scenario.id}.{execution.number:010d}"
            error_number = execution.error_number
            if self._options.events_in_log and error_number is not None and error_number % _EVENTS == 0:
                yield {"imtId": f"{key}.event", **self._event(course, scenario, execution)}
            yield {"imtId": key, **self._entry(course, scenario, execution, its_status)}

    def _entry(self, course: Course, scenario: Scenario, execution: _Execution, status: int) -> Values:
        counts = _counts(course, scenario, execution)
        entry: Values = {
            "id": _to_id(scenario.id, execution.number, is_fixed=course.fixed is not None),
            "eventType": "EXECUTION_END",
            "type": "auto" if scenario.status == "active" else "manual",
            "status": status,
            "timestamp": _iso(execution.at),
            "duration": 300 + execution.at * 7919 % 9000,
            "operations": counts.operations,
            "centicredits": counts.centicredits,
            "transfer": 512 * counts.operations,
            "organizationId": course.organization_id,
            "teamId": scenario.team_id,
            "authorId": _AUTHOR["id"],
            "authorName": _AUTHOR["name"],
            "instant": False,
        }
        error = _reason(course, scenario, execution)
        return entry if error is None or not self._options.errors_in_log else {**entry, "error": error}

    def _event(self, course: Course, scenario: Scenario, execution: _Execution) -> Values:
        """Build an event, which is no execution: as when somebody edits the scenario after it has failed."""
        author = {"name": _AUTHOR["name"]}
        is_edit = (execution.error_number or 0) // _EVENTS % 2 == 0
        detail = {"author": author} if is_edit else {"reason": "Several errors in a row", "delay": 900}
        return {
            "id": _to_id(scenario.id, -1 - execution.number, is_fixed=course.fixed is not None),
            "type": "modify" if is_edit else "warning",
            "timestamp": _iso(execution.at),
            "organizationId": course.organization_id,
            "teamId": scenario.team_id,
            "detail": detail,
        }

    def _details(self, course: Course, execution_id: str, max_bytes: int | None) -> Values:
        execution = _find(course, execution_id)
        scenario = None if execution is None else course.seen_at(_hours(execution.at + 1))
        if execution is None or scenario is None:
            raise Refusal(404)
        if max_bytes is not None and len(json.dumps(_OUTPUTS)) > max_bytes:
            raise Refusal(413)
        name = {_SUCCESS: "SUCCESS", _WARNING: "WARNING", _FAILED: "ERROR"}[_status(execution)]
        error = _reason(course, scenario, execution)
        return {"status": name, "outputs": _OUTPUTS, **({} if error is None else {"error": error})}


class _Lazily:
    """What an iterator yields, read once and as far as needed."""

    def __init__(self, source: Iterator[Values]) -> None:
        self._source = source
        self._read: list[Values] = []

    def __iter__(self) -> Iterator[Values]:
        yield from self._read
        for entry in self._source:
            self._read.append(entry)
            yield entry


def _position_after(entries: Iterable[Values], last: str, sort_dir: SortDirection) -> int:
    if not _LAST.fullmatch(last):
        raise Refusal(400, [f"Invalid value {last!r} of parameter 'pg[last]': no entry has this key."])
    position = 0
    for entry in entries:
        if entry["imtId"] < last if sort_dir == "desc" else entry["imtId"] > last:
            break
        position += 1
    return position


def _generated(course: Course, start: int, end: int, status: int | None) -> Iterator[_Execution]:
    """Yield the executions that the figures count, the newest first: as many in each time frame, and as many failed."""
    if end <= start:
        return
    before = course.count(0.0, _hours(start))

    def count_until(at: int) -> Counts:
        counts = course.count(_hours(start), _hours(at))
        return Counts(*(sum(both) for both in zip(before, counts, strict=True)))

    # Those that failed are found without the others.
    counted = "errors" if status == _FAILED else "executions"
    number, first = (getattr(counts, counted) for counts in (count_until(end), before))
    while number > first:
        # It is the last millisecond before which it has not been counted.
        times = range(start, end + 1)
        end = times[bisect_left(times, number, key=lambda at: getattr(count_until(at), counted))]
        until, after = count_until(end - 1), count_until(end)
        for position in range(number - getattr(until, counted), 0, -1):
            is_failed = position <= after.errors - until.errors
            yield _Execution(until.executions + position, end - 1, until.errors + position if is_failed else None)
        number, end = getattr(until, counted), end - 1


def _fixed(course: Course, start: int, end: int, status: int | None) -> Iterator[_Execution]:
    """Yield as many executions as were set for every time frame, evenly spread over it, the newest first."""
    executions, _ = course.fixed or (0, 0)
    if end <= start:
        return
    for position in range(executions):
        yield _fixed_execution(course, position, end - 1 - (end - start) * position // executions)


def _fixed_execution(course: Course, position: int, at: int) -> _Execution:
    # The errors are evenly spread, too, and the newest execution has failed. The newest has the largest number.
    executions, errors = course.fixed or (0, 0)
    error_number, remainder = divmod(position * errors, executions)
    return _Execution(executions - position, at, error_number if remainder < errors else None)


def _find(course: Course, execution_id: str) -> _Execution | None:
    decoded = _from_id(execution_id)
    if decoded is None or decoded[0] != course.scenario.id:
        return None
    _, number, is_fixed = decoded
    if is_fixed:
        now = (datetime.now(UTC) - _EPOCH) // _MILLISECOND
        executions = 0 if course.fixed is None else course.fixed[0]
        return _fixed_execution(course, executions - number, now) if 0 < number <= executions else None
    times = range(_BEGINNING, _END)
    position = bisect_left(times, number, key=lambda at: course.count(0.0, _hours(at)).executions)
    if number < 1 or position == len(times):
        return None
    at = times[position] - 1
    until = course.count(0.0, _hours(at))
    failed = course.count(_hours(at), _hours(at + 1)).errors
    place = number - until.executions
    return _Execution(number, at, until.errors + place if place <= failed else None)


def _status(execution: _Execution) -> int:
    if execution.error_number is not None:
        return _FAILED
    return _SUCCESS if execution.number % _WARNINGS else _WARNING


def _counts(course: Course, scenario: Scenario, execution: _Execution) -> Counts:
    if course.fixed is None:
        counts = course.count(_hours(execution.at), _hours(execution.at + 1))
        return Counts(*(number // counts.executions for number in counts))
    return Counts(1, round(scenario.operations_per_execution), scenario.centicredits_per_execution, 0)


def _reason(course: Course, scenario: Scenario, execution: _Execution) -> Mapping[str, object] | None:
    number = execution.error_number
    if number is None:
        return None
    if course.errors:
        return course.errors[number % len(course.errors)]
    trouble = course.trouble_at(_hours(execution.at + 1))
    if trouble == "account" or scenario.status == "invalid":
        return EXPIRED_ACCOUNT
    frequent, rare = _OTHERS[scenario.id % len(_OTHERS)], _OTHERS[scenario.id // len(_OTHERS) % len(_OTHERS)]
    if number % 4 == 3:
        return rare
    return QUOTA if trouble == "quota" else frequent


def _to_id(scenario_id: int, number: int, *, is_fixed: bool) -> str:
    value = scenario_id << 64 | (_FIXED if is_fixed else 0) | number % _FIXED
    return f"{value * _SPREAD % _IDS:032x}"


def _from_id(text: str) -> tuple[int, int, bool] | None:
    """Return the scenario's id, the execution's number, and whether it is one of those set for every time frame."""
    if not re.fullmatch("[0-9a-f]{32}", text):
        return None
    value = int(text, 16) * _UNSPREAD % _IDS
    return value >> 64, value % _FIXED, bool(value & _FIXED)


def _hours(at: int) -> float:
    return max(0, at - _BEGINNING) / 3_600_000


def _iso(at: int) -> str:
    moment = _EPOCH + at * _MILLISECOND
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"

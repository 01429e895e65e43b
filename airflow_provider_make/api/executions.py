"""The failed executions of a scenario: their requests, their errors, made safe to show, and all of their pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from airflow_provider_make.api.access import Access
from airflow_provider_make.api.client import ApiRequest
from airflow_provider_make.api.page import check_size
from airflow_provider_make.api.parsing import (
    decode,
    describe,
    describe_not_json,
    encode,
    to_id,
    to_text,
    to_whole_number,
)
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeRequestError, MakeResponseError
from airflow_provider_make.masking import HIDDEN, mask_token
from airflow_provider_make.text import to_plain_line

SCENARIOS_SCOPE = "scenarios:read"
# Make refuses a larger page with a 400.
PAGE_SIZE = 50
# A server that always has one more entry must not keep a task busy without end.
MAX_PAGES = 1000
# Make disables a scenario that fails, and what it failed with lies before any short time frame.
LONG_LOOKBACK = timedelta(days=30)
MAX_ERROR_LENGTH = 300
# Names of errors, apps and modules.
_MAX_NAME_LENGTH = 80
# Of the characters of a text, more than these are not worth the time to search them for the token.
_MAX_SEARCHED = 1_500
_FAILED = 3
_EXECUTION = "EXECUTION_END"
_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")
# What may be a key: hexadecimal, base64, or its form for URLs, of which UUIDs and the parts of a JWT are examples.
_KEY_CHARACTERS = "[0-9A-Za-z+/_-]"
_KEY = re.compile(f"{_KEY_CHARACTERS}{{32,}}={{0,2}}")
_CUT_OFF = re.compile(f"{_KEY_CHARACTERS}*={{0,2}}$")
# Times outside the time frame by more than this show that the server misread it: an execution may begin before it.
_TOLERANCE = timedelta(hours=1)
# A number from here on is milliseconds since 1970; a smaller one, seconds.
_FIRST_MILLISECONDS = 10**11


def clean_error_text(text: str, secret: str, length: int = MAX_ERROR_LENGTH) -> str:
    """
    Make the text of a customer's error safe to show: one line, cut, without markup, the token, and what may be a key.

    Such errors repeat headers, addresses and passwords of the customer's own systems.
    """
    if len(text) > _MAX_SEARCHED:
        # A key that is cut off here may no longer be long enough to be seen as one.
        text = _CUT_OFF.sub(HIDDEN, text[:_MAX_SEARCHED])
    return to_plain_line(_KEY.sub(HIDDEN, mask_token(text, secret)), length)


class ExecutionError(NamedTuple):
    """Why an execution failed, as far as Make says; all text is safe to show."""

    name: str | None = None
    message: str | None = None
    # The app and the module: "google-sheets addRow".
    module: str | None = None


@dataclass(frozen=True)
class FailedExecution:
    """An entry of a scenario's log that is an execution with an error."""

    # None where Make has none, or one that fits into no URL.
    execution_id: str | None
    # None where Make does not say.
    failed_at: datetime | None
    team_id: int | None
    # Make's word for how it was started.
    type: str | None
    # None where the log has no errors.
    error: ExecutionError | None
    # Everything, as Make sent it.
    values: Mapping[str, Any]

    def to_row(self) -> dict[str, Any]:
        """
        Return its time and figures by our names, JSON-serialisable, as exactly as Make sent them.

        :raises MakeResponseError: It has no id, or a value is not what it should be.
        """
        if self.execution_id is None:
            raise _wrong("id", self.values.get("id"))
        if self.failed_at is None and self.values.get("timestamp") is not None:
            raise _wrong("timestamp", self.values["timestamp"])
        name, message, module = self.error or ExecutionError()
        return {
            "execution_id": self.execution_id,
            "failed_at": iso(self.failed_at),
            "duration": _to_count("duration", self.values),
            "operations": _to_count("operations", self.values),
            "centicredits": _to_digits("centicredits", self.values),
            "type": self.type,
            "error_name": name,
            "error_message": message,
            "module": module,
        }


# MakeClient.fetch, or what calls it.
Fetch = Callable[[ApiRequest[Any]], Coroutine[Any, Any, Any]]


class LogPage(NamedTuple):
    """A page of a scenario's log: its failed executions, and how many entries of any kind it has."""

    failures: list[FailedExecution]
    size: int
    # How many entries it has at most, if the server says so.
    limit: int | None


@dataclass(frozen=True)
class FailureQuery:
    """The failed executions of one scenario in a time frame."""

    scenario_id: int
    time_frame: TimeFrame
    # The token, to hide it.
    secret: str = field(repr=False)
    # Whether to ask Make why, if it refuses the token.
    is_diagnosed: bool = True

    def page(self, offset: int = 0) -> ApiRequest[LogPage]:
        """Build the request for a page, the newest executions first."""
        frame = self.time_frame
        pairs: list[tuple[str, Any]] = [
            ("status", _FAILED),
            ("from", _to_milliseconds(frame.date_from)),
            ("to", _to_milliseconds(frame.date_to)),
            ("pg[sortBy]", "imtId"),
            ("pg[sortDir]", "desc"),
            ("pg[offset]", offset),
            ("pg[limit]", PAGE_SIZE),
        ]
        parameters = [(name, str(value)) for name, value in pairs if value is not None]
        parse = partial(parse_log, time_frame=frame, secret=self.secret)
        return self._request("logs", parameters, parse)

    def error(self, execution_id: str) -> ApiRequest[ExecutionError | None]:
        """Build the request for the error of an execution, whose id is one that the log has."""
        return self._request(f"executions/{execution_id}", [], partial(parse_details, secret=self.secret))

    def _request(self, path: str, parameters: list[tuple[str, str]], parse: Callable[[bytes], Any]) -> ApiRequest[Any]:
        path, access = f"scenarios/{self.scenario_id}/{path}", Access(SCENARIOS_SCOPE)
        return ApiRequest(path, parameters, access, parse, self.is_diagnosed)


def parse_log(body: bytes, time_frame: TimeFrame, secret: str) -> LogPage:
    """
    Parse a page of a log, and leave out what is no failed execution of the time frame, whatever the server returns.

    :raises MakeResponseError: The response is not JSON, or has no log.
    """
    decoded = _decode(body)
    log = decoded.get("scenarioLogs") if isinstance(decoded, dict) else None
    if not isinstance(log, list):
        raise MakeResponseError("the response has no list scenarioLogs", status_code=200)
    listed = [_to_failure(entry, secret) for entry in log if isinstance(entry, dict) and _is_failure(entry)]
    failures: dict[str | int, FailedExecution] = {}
    for number, failure in enumerate(each for each in listed if _is_in(time_frame, each.failed_at)):
        # Each once, even if the server lists it twice. Those without an id are all kept.
        key = failure.execution_id or number
        if key not in failures or failures[key].error is None:
            failures[key] = failure
    paging = decoded.get("pg")
    limit = to_id(paging.get("limit")) if isinstance(paging, dict) else None
    return LogPage([*failures.values()], len(log), limit)


class _Details(Struct):
    error: Any = None


_decode_details = msgspec.json.Decoder(_Details).decode


def parse_details(body: bytes, secret: str) -> ExecutionError | None:
    """
    Parse the error of an execution, and nothing else: outputs are the customer's data, and may be large.

    :raises MakeResponseError: The response is not a JSON object.
    """
    try:
        return _to_error(_decode_details(body).error, secret)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = _decode(body)
    if not isinstance(decoded, dict):
        raise MakeResponseError("the response is no execution", status_code=200)
    return _to_error(decoded.get("error"), secret)


class FailureList:
    """Chooses the pages of a log, and collects its failed executions, each once, up to a number of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[str | None, FailedExecution] = {}
        self._pages = 0
        # The offset of the next page.
        self.offset = 0

    @property
    def failures(self) -> list[FailedExecution]:
        """The failed executions so far, the newest first."""
        return newest_first(list(self._found.values()))[: self._most]

    def accept(self, page: LogPage) -> bool:
        """
        Add the page at ``offset``, and return whether it is the last one that is needed.

        :raises MakeIncompleteResultError: There are too many pages, or the server repeats one.
        """
        self._pages += 1
        self.offset += page.size
        # New executions shift those before them to the next page.
        new = [failure for failure in page.failures if failure.execution_id not in self._found]
        self._found.update((failure.execution_id, failure) for failure in new)
        if page.size < min(page.limit or PAGE_SIZE, PAGE_SIZE) or len(self._found) >= self._most:
            return True
        if self._pages >= MAX_PAGES:
            raise MakeIncompleteResultError(f"the log has more than {MAX_PAGES} pages")
        if page.failures and not new:
            raise MakeIncompleteResultError(f"the server repeats a page of {page.size} entries: there may be more")
        return False


async def read_failures(fetch: Fetch, query: FailureQuery, most: int) -> list[FailedExecution]:
    """
    Read the newest failed executions with their errors, one of which is a request where the log has none.

    :raises MakeIncompleteResultError: The pages do not fit together.
    :raises MakeApiError: A page could not be fetched.
    """
    found = FailureList(most)
    while not found.accept(await fetch(query.page(found.offset))):
        pass
    return [await with_error(fetch, query, failure) for failure in found.failures]


async def with_error(fetch: Fetch, query: FailureQuery, failure: FailedExecution) -> FailedExecution:
    """
    Fetch the error of an execution if the log has none, and Make still has the execution.

    :raises MakeApiError: It could not be fetched.
    """
    if failure.error is not None or failure.execution_id is None:
        return failure
    try:
        return replace(failure, error=await fetch(query.error(failure.execution_id)))
    except MakeRequestError as error:
        if error.status_code != 404:
            raise
        return failure


def newest_first(failures: list[FailedExecution]) -> list[FailedExecution]:
    """Sort by time; what has none comes last, and equal times stay in Make's order."""
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(failures, key=lambda failure: failure.failed_at or oldest, reverse=True)


def _decode(body: bytes) -> Any:
    check_size(body, PAGE_SIZE)
    try:
        return decode(body)
    except (ValueError, RecursionError) as error:
        raise MakeResponseError(describe_not_json(body, error), status_code=200) from None


def _is_failure(entry: Mapping[str, Any]) -> bool:
    """Decide whether an entry is an execution that failed: the log also has events, such as changes of a scenario."""
    kind, status = entry.get("eventType"), to_whole_number(entry.get("status"))
    if kind is None:
        # Make's documentation has no eventType, and events have neither a duration nor an error.
        is_execution = entry.get("duration") is not None or isinstance(entry.get("error"), (dict, str))
    else:
        is_execution = isinstance(kind, str) and kind.upper() == _EXECUTION
    return is_execution and (status in (_FAILED, None) or (isinstance(status, str) and status.upper() == "ERROR"))


def _to_failure(entry: Mapping[str, Any], secret: str) -> FailedExecution:
    execution_id = to_text(entry.get("id"))
    return FailedExecution(
        execution_id=execution_id if execution_id and _ID.fullmatch(execution_id) else None,
        failed_at=_to_time(entry.get("timestamp")),
        team_id=to_id(entry.get("teamId")),
        type=_short(entry.get("type"), secret),
        error=_to_error(entry.get("error"), secret),
        values=entry,
    )


def _to_error(error: Any, secret: str) -> ExecutionError | None:
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    message = clean_error_text(to_text(error.get("message")) or "", secret)
    found = ExecutionError(_short(error.get("name"), secret), message or None, _to_module(error, secret))
    return found if any(found) else None


def _to_module(error: Mapping[str, Any], secret: str) -> str | None:
    cause = error.get("causeModule")
    if not isinstance(cause, dict):
        return _short(cause, secret)
    app, module = _short(cause.get("appName"), secret), _short(cause.get("name"), secret)
    # A module's name may begin with that of its app.
    parts = [module] if app and module and module.startswith(app) else [app, module]
    return " ".join(filter(None, parts)) or None


def _short(value: Any, secret: str) -> str | None:
    return clean_error_text(to_text(value) or "", secret, _MAX_NAME_LENGTH) or None


def _to_time(value: Any) -> datetime | None:
    number = to_whole_number(value)
    try:
        if isinstance(number, int) and not isinstance(number, bool):
            seconds = number / 1000 if abs(number) >= _FIRST_MILLISECONDS else number
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _is_in(frame: TimeFrame, moment: datetime | None) -> bool:
    if moment is None or frame.date_from is None or frame.date_to is None:
        return True
    return frame.date_from - _TOLERANCE <= moment <= frame.date_to + _TOLERANCE


def _to_milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) * 1000


def _to_count(name: str, values: Mapping[str, Any]) -> int | None:
    number = to_whole_number(values.get(name))
    if number is None or (isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**63):
        return number
    raise _wrong(name, number)


def _to_digits(name: str, values: Mapping[str, Any]) -> str | None:
    number = to_whole_number(values.get(name))
    # A fraction of a centicredit is kept as Make wrote it.
    text = number if number is None or isinstance(number, str) else encode(number)
    if text is None or re.fullmatch(r"[0-9]{1,1000}(\.[0-9]{1,1000})?", text):
        return text
    raise _wrong(name, number)


def _wrong(name: str, value: Any) -> MakeResponseError:
    return MakeResponseError(f"an execution's {name} is not valid (received {describe(value)})", status_code=200)

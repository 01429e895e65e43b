"""The log of a scenario: its requests, every reading of its answers, and the text of errors made safe."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_make.api.client import ApiRequest
from airflow_provider_make.api.executions import (
    MAX_ERROR_LENGTH,
    MAX_PAGES,
    PAGE_SIZE,
    ExecutionError,
    FailedExecution,
    FailureQuery,
    clean_error_text,
    parse_details,
    parse_log,
    read_failures,
)
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeRequestError, MakeResponseError

TOKEN = "c0ffee00-dead-4bad-8f00-d0123456789a"
FRAME = TimeFrame(datetime(2026, 11, 24, 9, tzinfo=UTC), datetime(2026, 11, 24, 10, tzinfo=UTC))
QUERY = FailureQuery(4846, FRAME, TOKEN)
ID = "28a4794e85894c80a483777d6958160f"
QUOTA = {
    "name": "RateLimitError",
    "message": "[429] Quota exceeded",
    "causeModule": {"name": "addRow", "appName": "google-sheets"},
}
# As programs of users have seen it.
SEEN = {
    "id": ID,
    "imtId": "1632371803593_scenario.1229",
    "eventType": "EXECUTION_END",
    "type": "auto",
    "status": 3,
    "timestamp": "2026-11-24T09:58:12.345Z",
    "duration": 1234,
    "operations": 5,
    "centicredits": 700,
    "teamId": 4202,
    "error": QUOTA,
}
# As Make documents it.
DOCUMENTED = {name: value for name, value in SEEN.items() if name not in ("eventType", "error")}
EVENT = {"imtId": "1_scenario.1", "type": "modify", "timestamp": SEEN["timestamp"], "detail": {"reason": "x"}}


def log(*entries: Any, **paging: Any) -> bytes:
    return json.dumps({"scenarioLogs": entries, "pg": paging}).encode()


def failures(*entries: Any) -> list[FailedExecution]:
    return parse_log(log(*entries), FRAME, TOKEN).failures


def test_a_request_has_milliseconds_and_at_most_fifty_entries() -> None:
    request = QUERY.page(50)
    assert request.path == "scenarios/4846/logs"
    assert dict(request.parameters) == {
        "status": "3",
        "from": "1795510800000",
        "to": "1795514400000",
        "pg[sortBy]": "imtId",
        "pg[sortDir]": "desc",
        "pg[offset]": "50",
        "pg[limit]": "50",
    }
    assert request.access == ("scenarios:read", None)
    assert QUERY.error(ID)[:2] == (f"scenarios/4846/executions/{ID}", [])


@pytest.mark.parametrize(
    ("entry", "has_error"),
    [
        (SEEN, True),
        (DOCUMENTED, False),
        ({**SEEN, "id": "0b4c1f36-5f0e-4a3b-9a4f-5a5d0c7f1e2d"}, True),
        ({**SEEN, "id": 17}, True),
        ({**SEEN, "status": "3"}, True),
        ({**SEEN, "status": 3.0}, True),
        ({**SEEN, "status": "ERROR"}, True),
        ({**SEEN, "status": None, "duration": None}, True),
        ({**DOCUMENTED, "duration": None, "error": {"message": "x"}}, True),
        ({**DOCUMENTED, "error": "x"}, True),
        ({**DOCUMENTED, "error": None}, False),
        ({**DOCUMENTED, "error": {}}, False),
        ({**SEEN, "error": {"message": {"code": 7}}}, True),
        ({**SEEN, "error": {"name": "Error", "message": None, "causeModule": None}}, True),
        ({**SEEN, "timestamp": 1795514292345, "duration": "1234", "operations": "5", "new": [1]}, True),
        ({**SEEN, "timestamp": None}, True),
        ({**SEEN, "timestamp": "soon", "duration": "long", "operations": -1}, True),
    ],
)
def test_every_reading_of_a_failed_execution_is_one(entry: dict[str, Any], has_error: bool) -> None:
    (failure,) = failures(EVENT, entry, "x", None)
    assert failure.execution_id == str(entry["id"])
    assert (failure.error is not None) == has_error


@pytest.mark.parametrize(
    "entry",
    [
        EVENT,
        {**EVENT, "id": ID, "status": 3},
        {**EVENT, "duration": None, "eventType": None},
        {**SEEN, "eventType": "EXECUTION_START"},
        {**SEEN, "eventType": 7},
        {**SEEN, "status": 1},
        {**SEEN, "status": "SUCCESS"},
        # A server that ignores or misreads the time frame.
        {**SEEN, "timestamp": "2026-10-24T09:58:12.345Z"},
        {**SEEN, "timestamp": "2026-11-24T12:00:00Z"},
    ],
)
def test_what_is_no_failed_execution_of_the_time_frame_is_left_out(entry: dict[str, Any]) -> None:
    assert failures(entry) == []


def test_a_row_has_what_make_sent() -> None:
    (failure,) = failures(SEEN)
    assert failure.to_row() == {
        "execution_id": ID,
        "failed_at": "2026-11-24T09:58:12.345000Z",
        "duration": 1234,
        "operations": 5,
        "centicredits": "700",
        "type": "auto",
        "error_name": "RateLimitError",
        "error_message": "[429] Quota exceeded",
        "module": "google-sheets addRow",
    }
    assert failure.team_id == 4202


def test_a_row_without_values_has_none() -> None:
    (failure,) = failures({"id": ID, "eventType": "EXECUTION_END"})
    assert {name for name, value in failure.to_row().items() if value is not None} == {"execution_id"}


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("duration", "12", 12),
        ("duration", 12.0, 12),
        ("operations", "5.0", 5),
        ("centicredits", "7", "7"),
        ("centicredits", 7.0, "7"),
        ("centicredits", 7.25, "7.25"),
        ("centicredits", 10**30, str(10**30)),
        ("timestamp", "2026-11-24T10:58:12+01:00", "2026-11-24T09:58:12Z"),
        ("timestamp", "2026-11-24T09:58:12", "2026-11-24T09:58:12Z"),
        ("timestamp", "1795514292", "2026-11-24T09:58:12Z"),
    ],
)
def test_a_row_keeps_numbers_and_times_of_any_form_exactly(name: str, sent: Any, kept: Any) -> None:
    (failure,) = failures({**SEEN, name: sent})
    assert failure.to_row()["failed_at" if name == "timestamp" else name] == kept


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("duration", 1.5),
        ("duration", "long"),
        ("duration", -1),
        ("operations", True),
        ("operations", 2**63),
        ("centicredits", "1e3"),
        ("centicredits", -1),
        ("timestamp", "soon"),
        ("timestamp", [1]),
        ("id", None),
        ("id", "../../users/me"),
        ("id", "a b"),
    ],
)
def test_a_row_is_exact_or_an_error_that_names_the_field(name: str, sent: Any) -> None:
    (failure,) = failures({**SEEN, name: sent})
    with pytest.raises(MakeResponseError, match=f"an execution's {name} is not valid"):
        failure.to_row()


@pytest.mark.parametrize(
    ("cause", "module"),
    [
        ({"name": "addRow", "appName": "google-sheets"}, "google-sheets addRow"),
        ({"name": "google-sheets:addRow", "appName": "google-sheets"}, "google-sheets:addRow"),
        ({"name": None, "appName": "http"}, "http"),
        ({"name": "addRow"}, "addRow"),
        ({}, None),
        ("http", "http"),
        (None, None),
        (7, "7"),
    ],
)
def test_the_module_is_named_with_its_app(cause: Any, module: str | None) -> None:
    (failure,) = failures({**SEEN, "error": {**QUOTA, "causeModule": cause}})
    assert failure.error is not None
    assert failure.error.module == module


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"scenarioLogs": null}', b'{"scenarioLogs": {}}', b"[" * 100_000]
)
def test_a_log_of_another_shape_is_an_error(body: bytes) -> None:
    with pytest.raises(MakeResponseError):
        parse_log(body, FRAME, TOKEN)


def test_a_log_with_far_too_many_values_is_an_error() -> None:
    with pytest.raises(MakeResponseError, match="far more"):
        parse_log(b'{"scenarioLogs": [' + b"{}," * 100_000 + b"{}]}", FRAME, TOKEN)


@pytest.mark.parametrize("paging", [b"", b', "pg": null', b', "pg": []', b', "pg": {"limit": null}'])
def test_a_log_may_be_without_paging(paging: bytes) -> None:
    assert parse_log(b'{"scenarioLogs": []' + paging + b"}", FRAME, TOKEN) == ([], 0, None)


def test_details_have_the_error_and_never_outputs() -> None:
    body = json.dumps({"status": "ERROR", "outputs": {"iban": "DE02"}, "error": QUOTA}).encode()
    found = parse_details(body, TOKEN)
    assert found == ExecutionError("RateLimitError", "[429] Quota exceeded", "google-sheets addRow")
    assert parse_details(b'{"status": "RUNNING", "outputs": {"iban": "DE02"}}', TOKEN) is None
    # However large they are.
    large = b'{"outputs": [' + b"{}," * 100_000 + b'{}], "error": {"message": "a\\u0000\x01b \xff"}}'
    assert parse_details(large.replace(b"\x01", b"").replace(b" \xff", b""), TOKEN) == (None, "a\ufffdb", None)
    assert parse_details(b'{"error": {"message": "a\x01b \xff"}}', TOKEN) == (None, "a\ufffdb \ufffd", None)
    for body in (b"[]", b"", b"<html>", b"[" * 100_000):
        with pytest.raises(MakeResponseError):
            parse_details(body, TOKEN)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Missing value of 'mail'.", "Missing value of 'mail'."),
        ("a\r\n  b\tc", "a b c"),
        ("<!channel> <https://evil.example|click>", "‹!channel› ‹https://evil.example|click›"),
        ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"),
        (f"key {'5ac1d0e2' * 8}!", "key ***!"),
        ("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.x", "Bearer ***.x"),
        (f"{'A' * 30}==", f"{'A' * 30}=="),
        (f"{'A/+_-0' * 6}==", "***"),
        (f"id {TOKEN} and {TOKEN[:12]}", "id *** and ***"),
        # Another key in the form of a UUID.
        ("0b4c1f36-5f0e-4a3b-9a4f-5a5d0c7f1e2d", "***"),
        ("x " * 1000, f"{('x ' * 1000)[:299]}…"),
    ],
)
def test_the_text_of_an_error_is_safe_to_show(text: str, cleaned: str) -> None:
    assert clean_error_text(text, TOKEN) == cleaned


_KEY = st.text("0123456789abcdef", min_size=32, max_size=80) | st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=32, max_size=80
)
_ODD = st.sampled_from(["<", ">", "\x00", "\n", "\u202e", "\ud83d", "x " * 745, TOKEN, TOKEN.upper()])


@given(st.lists(_KEY | _ODD | st.text()))
@example([("a" * 40 + " ") * 36, "b" * 60])
@example(["b" * 31, " ", "a" * 1467, "c" * 31])
def test_no_error_text_has_more_than_a_message_may_show(parts: list[str]) -> None:
    text = "".join(parts)
    cleaned = clean_error_text(text, TOKEN)
    assert len(cleaned) <= MAX_ERROR_LENGTH
    assert cleaned == " ".join(cleaned.split())
    assert not re.search("[\x00-\x1f\x7f-\x9f<>\u2028-\u202e\ud800-\udfff]", cleaned)
    assert not re.search("[0-9a-zA-Z+/]{32}", cleaned)
    assert TOKEN.casefold() not in cleaned.casefold()
    # No piece of a key that began before the end of what is read.
    for run in re.findall("[0-9a-zA-Z+/_-]{32,}", text):
        assert run[:20] not in cleaned


class Server:
    """A log whose pages are read: it adds executions or changes its behaviour between requests."""

    def __init__(self, count: int, **options: Any) -> None:
        self.ids = [f"{number:032x}" for number in range(count)]
        self.options = options
        self.requests: list[str] = []

    async def fetch(self, request: ApiRequest[Any]) -> Any:
        self.requests.append(request.path)
        if "/executions/" in request.path:
            if self.options.get("forgets"):
                raise MakeRequestError("gone", status_code=404)
            return request.parse(json.dumps({"status": "ERROR", "error": QUOTA}).encode())
        offset = 0 if self.options.get("ignores_offset") else int(dict(request.parameters)["pg[offset]"])
        limit = self.options.get("page_cap", PAGE_SIZE)
        # New ones shift all others to later pages.
        new = self.options.get("arriving", 0) * len(self.requests)
        ids = [*(f"new{number}" for number in range(new, 0, -1)), *self.ids][offset : offset + limit]
        begin = FRAME.date_to or datetime.now(UTC)
        entries: list[Any] = []
        for id_ in ids:
            place = -int(id_[3:]) if id_.startswith("new") else int(id_, 16)
            moment = (begin - timedelta(seconds=place)).isoformat()
            error = {} if self.options.get("without_errors") else {"error": QUOTA}
            entries.append({"id": id_, "duration": 1, "timestamp": moment, **error})
        if self.options.get("events"):
            # Half of each page.
            entries = [EVENT if number % 2 else entry for number, entry in enumerate(entries)]
        return request.parse(log(*entries, limit=limit))


def read(server: Server, most: int) -> list[str | None]:
    found = asyncio.run(read_failures(server.fetch, QUERY, most))
    assert all(failure.error for failure in found) or server.options.get("forgets")
    times = [failure.failed_at for failure in found if failure.failed_at]
    assert times == sorted(times, reverse=True)
    return [failure.execution_id for failure in found]


@pytest.mark.parametrize(
    ("count", "most", "requests"),
    [(0, 50, 1), (49, 50, 1), (50, 50, 1), (51, 50, 1), (50, 51, 2), (120, 1000, 3), (150, 1000, 4), (150, 101, 3)],
)
def test_as_many_pages_are_read_as_it_takes(count: int, most: int, requests: int) -> None:
    server = Server(count)
    assert read(server, most) == server.ids[:most]
    assert len(server.requests) == requests


def test_a_server_with_smaller_pages_is_read_to_the_end() -> None:
    server = Server(45, page_cap=10)
    assert read(server, 1000) == server.ids


def test_events_do_not_count() -> None:
    server = Server(100, events=True)
    assert read(server, 1000) == server.ids[::2]


def test_executions_that_are_added_meanwhile_repeat_none_and_lose_none() -> None:
    server = Server(120, arriving=3)
    found = read(server, 1000)
    assert len(found) == len(set(found))
    assert set(server.ids) <= set(found)


def test_a_server_that_repeats_its_page_is_an_error_rather_than_the_whole_log() -> None:
    with pytest.raises(MakeIncompleteResultError, match="repeats a page of 50 entries"):
        read(Server(120, ignores_offset=True), 1000)


def test_a_log_without_end_is_an_error() -> None:
    with pytest.raises(MakeIncompleteResultError, match=f"more than {MAX_PAGES} pages"):
        read(Server(3000, page_cap=1), 5000)


def test_errors_that_the_log_lacks_cost_a_request_each() -> None:
    server = Server(3, without_errors=True)
    assert read(server, 2) == server.ids[:2]
    assert server.requests == ["scenarios/4846/logs", *(f"scenarios/4846/executions/{id_}" for id_ in server.ids[:2])]


def test_an_execution_that_make_has_forgotten_has_no_error() -> None:
    server = Server(2, without_errors=True, forgets=True)
    assert read(server, 50) == server.ids

"""Events of triggers: the task returns the same result or raises the same error, and rejects unknown events."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_make import exceptions
from airflow_provider_make.exceptions import MakeAccessDeniedError, MakeApiError, MakeInputError, MakeServerError
from airflow_provider_make.text import replace_unprintable
from airflow_provider_make.triggers.event_payload import (
    VERSION,
    error_payload,
    parse_event,
    success_payload,
    timeout_payload,
)


def through_json(event: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json.dumps(event))
    return parsed


def test_result_survives_the_round_trip() -> None:
    result = {"organization_id": 42, "value": 7.5, "scenarios": [{"name": "🐎"}]}
    event = success_payload(result)
    assert (event["status"], event["version"]) == ("success", 1)
    assert parse_event(through_json(event)) == result


def test_timeout_raises_sensor_timeout() -> None:
    with pytest.raises(AirflowSensorTimeout, match="not crossed"):
        parse_event(through_json(timeout_payload("error_rate >= 5 was not crossed")))


ERROR_CLASSES = [
    value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, MakeApiError)
]


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_api_errors_keep_their_class_and_details(error_class: type[MakeApiError]) -> None:
    error = error_class(
        "Permission denied", status_code=403, code="SC403", detail="Access denied.", suberrors=["no scope"]
    )
    error.tries = ("HTTP 500", "HTTP 403")
    with pytest.raises(error_class) as caught:
        parse_event(through_json(error_payload(error)))
    assert type(caught.value) is error_class
    assert str(caught.value) == str(error)
    assert (caught.value.status_code, caught.value.code, caught.value.suberrors) == (403, "SC403", ("no scope",))


def test_input_error_keeps_its_class() -> None:
    with pytest.raises(MakeInputError, match="zone='x' is not valid"):
        parse_event(through_json(error_payload(MakeInputError("zone='x' is not valid"))))


def test_any_other_error_fails_the_task_whatever_soft_fail_is() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'total'"):
        parse_event(through_json(error_payload(KeyError("total"))))


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        {"status": "running", "version": VERSION},
        {"status": "success", "version": VERSION + 1},
        {"status": "success"},
        {"status": ["success"], "version": VERSION},
        "success",
    ],
)
def test_unknown_event_fails_the_task_whatever_soft_fail_is(event: Any) -> None:
    with pytest.raises(RuntimeError, match="does not know"):
        parse_event(event)


def test_advice_survives_the_event() -> None:
    error = MakeAccessDeniedError("text instead of Make's JSON", status_code=403, advice="Ask your network team.")
    with pytest.raises(MakeAccessDeniedError, match=r"HTTP 403: text .*\nAsk your network team\."):
        parse_event(json.loads(json.dumps(error_payload(error))))


@pytest.mark.parametrize("error", [MakeServerError("\x00\x1b\u202e" * 9), ValueError("\x00\x1b" * 5000)])
def test_event_of_an_error_is_bounded_and_has_no_control_characters(error: Exception) -> None:
    if isinstance(error, MakeServerError):
        error.tries = tuple(f"{number}. {error.headline()}" for number in range(600))
    text = json.dumps(error_payload(error), ensure_ascii=False)
    assert len(text) < 5000
    assert text == replace_unprintable(text)
    assert not re.search(r"\\u00|\\u202e", text)

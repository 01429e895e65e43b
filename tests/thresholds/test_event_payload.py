"""Events: what a trigger says comes out of the task as the same thing, and nothing else passes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_make import exceptions
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.thresholds.event_payload import (
    VERSION,
    error_payload,
    parse_event,
    success_payload,
    timeout_payload,
)


def through_json(event: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(event))
    return read


def test_a_result_comes_out_as_it_went_in() -> None:
    result = {"organization_id": 42, "value": 7.5, "scenarios": [{"name": "🐎"}]}
    event = success_payload(result)
    assert (event["status"], event["version"]) == ("success", 1)
    assert parse_event(through_json(event)) == result


def test_a_timeout() -> None:
    with pytest.raises(AirflowSensorTimeout, match="not crossed"):
        parse_event(through_json(timeout_payload("error_rate >= 5 was not crossed")))


KINDS = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, MakeApiError)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_keep_their_kind_and_what_make_said(kind: type[MakeApiError]) -> None:
    error = kind("Permission denied", status_code=403, code="SC403", detail="Access denied.", suberrors=["no scope"])
    error.tries = ("HTTP 500", "HTTP 403")
    with pytest.raises(kind) as caught:
        parse_event(through_json(error_payload(error)))
    assert type(caught.value) is kind
    assert str(caught.value) == str(error)
    assert (caught.value.status_code, caught.value.code, caught.value.suberrors) == (403, "SC403", ("no scope",))


def test_wrong_input_keeps_its_kind() -> None:
    with pytest.raises(MakeInputError, match="zone='x' is not valid"):
        parse_event(through_json(error_payload(MakeInputError("zone='x' is not valid"))))


def test_any_other_error_fails_the_task_for_good() -> None:
    with pytest.raises(AirflowFailException, match="KeyError: 'total'"):
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
def test_what_is_not_known_fails_closed(event: Any) -> None:
    with pytest.raises(AirflowFailException, match="does not know"):
        parse_event(event)

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_make.exceptions import (
    MakeAccessDeniedError,
    MakeApiError,
    MakeAuthenticationError,
    MakeConnectionError,
    MakeFilterError,
    MakeIncompleteResultError,
    MakeInputError,
    MakePageLimitError,
    MakeRateLimitError,
    MakeRequestError,
    MakeResponseError,
    MakeServerError,
)

FATAL = (MakeAuthenticationError, MakeAccessDeniedError, MakeFilterError, MakePageLimitError, MakeRequestError)
TRANSIENT = (
    MakeApiError,
    MakeConnectionError,
    MakeIncompleteResultError,
    MakeRateLimitError,
    MakeResponseError,
    MakeServerError,
)


def error_with_all_attributes(error_class: type[MakeApiError]) -> MakeApiError:
    error = error_class(
        "Permission denied",
        status_code=403,
        code="SC403",
        detail="Access denied.",
        suberrors=["wrong team", "wrong zone"],
        retry_after=2.5,
        advice="Check the firewall.",
    )
    error.tries = ("HTTP 503: trouble", "HTTP 503: trouble", "HTTP 403: Permission denied")
    return error


@pytest.mark.parametrize("error_class", [*FATAL, *TRANSIENT])
def test_every_api_error_is_an_airflow_exception(error_class: type[MakeApiError]) -> None:
    assert issubclass(error_class, MakeApiError)
    assert issubclass(error_class, AirflowException)
    assert issubclass(error_class, AirflowFailException) == (error_class in FATAL)


def test_input_error_stops_airflows_retries() -> None:
    assert issubclass(MakeInputError, AirflowFailException)
    assert issubclass(MakeInputError, ValueError)
    assert not issubclass(MakeInputError, MakeApiError)


def test_input_error_names_argument_value_and_expectation() -> None:
    error = MakeInputError.expected("page_size", "many", "a positive integer")
    assert str(error) == "page_size='many' is not valid: expected a positive integer."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 5000, f"'{'x' * 499}…"),
        ("c0ffee00-dead-4bad-8f00-d0123456789a", "'***'"),
        (["Token C0FFEE00-DEAD-4BAD-8F00-D0123456789A"], "['Token ***']"),
        ("a\x1b\u202e\n", r"'a\x1b\u202e\n'"),
        (Path("a/b"), "PosixPath('a/b')"),
    ],
)
def test_input_error_shows_a_safe_value(value: Any, shown: str) -> None:
    assert str(MakeInputError.expected("zone", value, "a zone")) == f"zone={shown} is not valid: expected a zone."


def test_input_error_shows_the_type_of_what_has_no_text() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise KeyError

    assert str(MakeInputError.expected("zone", Unprintable(), "a zone")).startswith("zone=(Unprintable) is not valid")
    # Python prints no integer of more than 4300 digits.
    assert str(MakeInputError.expected("zone", 10**5000, "a zone")).startswith("zone=(int) is not valid")


def test_control_characters_are_replaced_in_every_text() -> None:
    error = MakeApiError("a\x00", code="b\x1b", detail="c\u202e", suberrors=["d\x9b", "e\ud800"], advice="Check it.")
    assert str(error) == "a\ufffd (b\ufffd): c\ufffd: d\ufffd: e\ufffd\nCheck it."
    assert error.args == ("a\ufffd",)


def test_attributes_are_not_set_by_default() -> None:
    error = MakeApiError("Oops")
    unset = {"status_code": None, "code": None, "detail": None, "suberrors": (), "retry_after": None, "tries": ()}
    assert vars(error) == {"message": "Oops", **unset}
    assert str(error) == "Oops"


@pytest.mark.parametrize("error_class", [*FATAL, *TRANSIENT])
def test_text_contains_all_parts(error_class: type[MakeApiError]) -> None:
    error = error_with_all_attributes(error_class)
    headline = "HTTP 403: Permission denied (SC403): Access denied.: wrong team: wrong zone"
    assert error.headline() == headline
    advice = "\nCheck the firewall."
    tries = "\n[3 tries: 1. HTTP 503: trouble; 2. the same; 3. HTTP 403: Permission denied]"
    assert str(error) == headline + advice + tries


def test_repeated_messages_are_shown_once() -> None:
    error = MakeApiError("Access denied.", detail="Access denied.", suberrors=("Access denied.", "", "other"))
    assert str(error) == "Access denied.: other"


def test_single_try_is_not_listed() -> None:
    error = MakeApiError("Oops", status_code=500)
    error.tries = ("HTTP 500: Oops",)
    assert str(error) == "HTTP 500: Oops"


@pytest.mark.parametrize(
    ("error_class", "names"),
    [
        (MakeAccessDeniedError, ["Enterprise plan", "role Owner", "scope analytics:read", "zone"]),
        (MakeAuthenticationError, ["token", "valid", "of this zone", "scope analytics:read", "Bearer"]),
        (MakeRateLimitError, ["requests_per_minute", "pool"]),
    ],
)
def test_advice_names_what_to_check(error_class: type[MakeApiError], names: list[str]) -> None:
    assert [name for name in names if name not in str(error_class("No."))] == []


def pickled(error: MakeApiError) -> MakeApiError:
    again: MakeApiError = pickle.loads(pickle.dumps(error))
    return again


@pytest.mark.parametrize("error_class", [*FATAL, *TRANSIENT])
@pytest.mark.parametrize("clone", [pickled, copy.copy, copy.deepcopy])
def test_copies_keep_attributes_and_text(
    error_class: type[MakeApiError], clone: Callable[[MakeApiError], MakeApiError]
) -> None:
    error = error_with_all_attributes(error_class)
    again = clone(error)
    assert type(again) is error_class
    assert vars(again) == vars(error)
    assert (str(again), again.args) == (str(error), error.args)


def test_input_error_survives_pickling() -> None:
    error = MakeInputError.expected("status", ["paused"], "one of active, invalid, inactive")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (MakeInputError, str(error))


def test_equal_errors_of_many_tries_are_listed_once() -> None:
    error = MakeRateLimitError("limit", status_code=429)
    error.tries = ("reset", *["HTTP 429: limit"] * 9, "reset", "reset")
    assert str(error).endswith(
        "\n[12 tries: 1. reset; 2. HTTP 429: limit; 3. to 10. the same; 11. reset; 12. the same]"
    )
    error.tries = ("HTTP 429: limit",) * 5
    assert str(error).startswith("HTTP 429: limit\n")
    assert str(error).endswith("\n[5 tries: all with this error]")

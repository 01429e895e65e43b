"""Parse integers and numbers from arguments."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_make.arguments import (
    MAX_INTEGER,
    parse_non_negative_integer,
    parse_number,
    parse_page_size,
    parse_positive_integer,
    to_integer,
)
from airflow_provider_make.exceptions import MakeInputError

NOT_INTEGERS: list[Any] = [None, True, False, 1.0, "1.0", "x", "", "-1", "1e3", [1], math.inf, "٣"]
TOO_LARGE: list[Any] = [2**63, "9223372036854775808", 10**19, "9" * 19, "9" * 5000, f" {10**30}\n"]


@given(st.integers(1, MAX_INTEGER))
@example(MAX_INTEGER)
def test_integers_may_be_text_as_templates_render_them(number: int) -> None:
    for value in (number, str(number), f" {number}\n", f"{number:030}"):
        assert parse_positive_integer("page_size", value) == number == parse_non_negative_integer("offset", value)


@pytest.mark.parametrize("value", [*NOT_INTEGERS, 0, "0", -1])
def test_other_values_than_positive_integers_raise(value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        parse_positive_integer("page_size", value)
    assert str(caught.value) == f"page_size={value!r} is not valid: expected a positive integer."


@pytest.mark.parametrize("value", [*NOT_INTEGERS, -1])
def test_other_values_than_non_negative_integers_raise(value: Any) -> None:
    assert parse_non_negative_integer("offset", 0) == parse_non_negative_integer("offset", "0") == 0
    with pytest.raises(MakeInputError, match="^offset=.* expected a whole number, zero or more"):
        parse_non_negative_integer("offset", value)


@pytest.mark.parametrize("value", [*TOO_LARGE, -(2**63)])
def test_integers_of_more_than_64_bits_raise(value: Any) -> None:
    assert to_integer(value) is None
    with pytest.raises(MakeInputError, match=f"^organization_id=.*a positive integer, at most {MAX_INTEGER}"):
        parse_positive_integer("organization_id", value)
    with pytest.raises(MakeInputError, match=f"^offset=.* zero or more, at most {MAX_INTEGER}"):
        parse_non_negative_integer("offset", value)


def test_error_for_a_number_too_large_to_print_names_its_type() -> None:
    with pytest.raises(MakeInputError, match=r"^limit=\(int\) is not valid: expected a positive integer, at most"):
        parse_positive_integer("limit", 10**5000)


@pytest.mark.parametrize(("value", "converted"), [(7, 7), ("7", 7), (True, None), ("x", "x"), (None, None), (7.0, 7.0)])
def test_to_integer_converts_digits_and_leaves_other_values(value: Any, converted: Any) -> None:
    assert to_integer(value) == converted


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_numbers_may_be_text(number: float) -> None:
    assert parse_number("threshold", number, "a number") == number
    assert parse_number("threshold", f" {number!r} ", "a number") == number


@pytest.mark.parametrize("value", [None, True, "", "5%", "x", "nan", "inf", math.nan, -math.inf, [1], 10**400])
def test_other_values_than_finite_numbers_raise(value: Any) -> None:
    with pytest.raises(MakeInputError, match="^threshold=.* expected a number"):
        parse_number("threshold", value, "a number")


def test_number_out_of_range_raises() -> None:
    assert parse_number("hysteresis", 0, "zero or more", lambda number: number >= 0) == 0.0
    with pytest.raises(MakeInputError, match="^hysteresis=-1 is not valid: expected zero or more"):
        parse_number("hysteresis", -1, "zero or more", lambda number: number >= 0)


@pytest.mark.parametrize("value", [2, "1000", 10**6])
def test_valid_page_sizes(value: object) -> None:
    assert parse_page_size(value) == int(str(value))


@pytest.mark.parametrize("value", [1, 0, -5, "1", None, 2.0, True, "many"])
def test_other_page_sizes_are_errors(value: object) -> None:
    with pytest.raises(MakeInputError, match=r"page_size=.* is not valid: expected a whole number, two or more"):
        parse_page_size(value)

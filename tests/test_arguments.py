"""Parse integers and numbers from arguments."""

from __future__ import annotations

import datetime
import math
from collections import UserList, deque
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_make.arguments import (
    MAX_INTEGER,
    is_collection,
    parse_non_negative_integer,
    parse_number,
    parse_page_size,
    parse_positive_integer,
    to_integer,
    to_plain,
)
from airflow_provider_make.exceptions import MakeInputError

NOT_INTEGERS: list[Any] = [None, True, False, 1.5, "1.0", "x", "", "-1", "1e3", [1], math.inf, "٣"]
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


class Index:
    """A whole number of some library."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Lazy(Sequence[Any]):
    """The outputs of a mapped task, which Airflow fetches one by one."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@given(st.integers(1, MAX_INTEGER))
def test_whole_numbers_of_any_type_are_integers(number: int) -> None:
    others = [Index(number), Decimal(number), Decimal(f"{number}.000"), Fraction(number)]
    for value in [*others, float(number)] if number <= 2**53 else others:
        assert (to_integer(value), type(to_integer(value))) == (number, int)
        assert parse_positive_integer("team_id", value) == number


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2.0**53 * 2,
        math.inf,
        math.nan,
        1 + 0j,
        Fraction(1, 2),
        *(Decimal(value) for value in ("1.5", "NaN", "sNaN", "Infinity", "1E1000000", 2**63)),
        datetime.timedelta(days=1),
        Lazy(1),
        b"1",
    ],
)
def test_what_is_not_exactly_a_whole_number_is_no_integer(value: Any) -> None:
    assert not isinstance(to_integer(value), int)
    with pytest.raises(MakeInputError, match="team_id="):
        parse_positive_integer("team_id", value)


def test_integers_of_more_than_64_bits_are_none_whatever_their_type() -> None:
    assert to_integer(Index(2**63)) is to_integer(2**63) is None


def test_numbers_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    for kind in (numpy.int8, numpy.uint64, numpy.float32, numpy.float64, numpy.array):
        assert (to_integer(kind(7)), type(to_integer(kind(7)))) == (7, int)
    assert parse_number("threshold", numpy.float32(5.5), "a number") == 5.5
    for value in (numpy.True_, numpy.float64(1.5), numpy.float64("nan")):
        with pytest.raises(MakeInputError):
            parse_positive_integer("team_id", value)
    assert to_plain(numpy.array([100, 101])) == [100, 101]
    assert [type(item) for item in to_plain(numpy.array([100, 101]))] == [int, int]
    assert to_plain(numpy.array(["active\n"])) == ["active"]


@pytest.mark.parametrize("value", [[], (), set(), frozenset(), Lazy(), deque(), UserList(), {}.keys(), {}.values()])
def test_collections(value: Any) -> None:
    assert is_collection(value)


@pytest.mark.parametrize("value", ["", b"", bytearray(), {}, None, 7, iter([]), datetime.timedelta(1)])
def test_other_values_are_no_collections(value: Any) -> None:
    assert not is_collection(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("\n  active\n", "active"),
        ([" 7 ", Index(8)], ["7", 8]),
        (("a ",), ("a",)),
        ({" a"}, {"a"}),
        (Lazy("a ", Index(7), Lazy(" b")), ["a", 7, ["b"]]),
        (Decimal("1.0"), 1),
        (Decimal("1.5"), Decimal("1.5")),
        (5.0, 5.0),
        (True, True),
        (None, None),
        ({"a": " b"}, {"a": " b"}),
        (datetime.timedelta(days=1), datetime.timedelta(days=1)),
    ],
)
def test_arguments_of_templates_and_other_tasks_become_pythons_own(value: Any, plain: Any) -> None:
    assert (to_plain(value), type(to_plain(value))) == (plain, type(plain))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_numbers_may_be_text(number: float) -> None:
    assert parse_number("threshold", number, "a number") == number
    assert parse_number("threshold", f" {number!r} ", "a number") == number
    assert parse_number("threshold", Decimal(number), "a number") == number


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


@pytest.mark.parametrize("value", [1, 0, -5, "1", None, 2.5, True, "many"])
def test_other_page_sizes_are_errors(value: object) -> None:
    with pytest.raises(MakeInputError, match=r"page_size=.* is not valid: expected a whole number, two or more"):
        parse_page_size(value)

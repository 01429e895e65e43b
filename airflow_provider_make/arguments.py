"""Checks of plain arguments: text, numbers and lists, as templates and other tasks give them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from decimal import Decimal
from numbers import Rational, Real
from typing import Any

from airflow_provider_make.exceptions import MakeInputError

# Ids and counts have 64 bits in Make's answers, in Parquet and in databases.
MAX_INTEGER = 2**63 - 1
_DIGITS = re.compile("[0-9]+")
# One more than 64 bits have. Longer text is slow to convert, and as much too large.
_MAX_DIGITS = 20
# Above this, a float no longer represents every whole number.
_LARGEST_EXACT_FLOAT = 2**53


def is_collection(value: Any) -> bool:
    """Decide whether a value is a list of some kind, such as the outputs of a mapped task, or an array."""
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, bytearray, memoryview, Mapping))


def to_plain(value: Any) -> Any:
    """Strip text, as a template renders it, and convert lists and whole numbers of any library to Python's own."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(map(to_plain, value))
    number = _to_whole(value)
    return [*map(to_plain, value)] if number is value and is_collection(value) else number


def to_integer(value: Any) -> Any:
    """Convert text of digits, and a whole number of any type, to an integer; a bool or more than 64 bits to None."""
    if isinstance(value, str) and _DIGITS.fullmatch(digits := value.strip()):
        value = int(digits.lstrip("0")[:_MAX_DIGITS] or "0")
    # Python counts a bool as an integer.
    elif isinstance(value, bool):
        return None
    value = _to_whole(value)
    return None if isinstance(value, int) and abs(value) > MAX_INTEGER else value


def _to_whole(value: Any) -> Any:
    """Convert a number that is exactly whole to an integer; leave any other value."""
    with suppress(TypeError):
        return operator.index(value)
    is_number = isinstance(value, (Decimal, Real))
    largest = MAX_INTEGER if isinstance(value, (Decimal, Rational)) else _LARGEST_EXACT_FLOAT
    # A decimal that is not a number can't be compared.
    with suppress(ArithmeticError):
        if is_number and -largest <= value <= largest and value == int(value):
            return int(value)
    return value


def parse_positive_integer(name: str, value: Any) -> int:
    """Convert an argument or connection field to an integer of one or more."""
    return _parse_integer(name, value, 1, "a positive integer")


def parse_non_negative_integer(name: str, value: Any) -> int:
    """Convert an argument to an integer of zero or more."""
    return _parse_integer(name, value, 0, "a whole number, zero or more")


def parse_page_size(value: Any) -> int:
    """Convert the page size of a pull to an integer of two or more: pages of one entry can't overlap."""
    return _parse_integer("page_size", value, 2, "a whole number, two or more")


def _parse_integer(name: str, value: Any, minimum: int, expectation: str) -> int:
    number = to_integer(value)
    if not isinstance(number, int) or number < minimum:
        if number is None and value is not None and not isinstance(value, bool):
            expectation += f", at most {MAX_INTEGER}"
        raise MakeInputError.expected(name, value, expectation)
    return number


def parse_conn_id(value: Any) -> str:
    """Check the argument ``make_conn_id``."""
    if isinstance(value, str) and value:
        return value
    raise MakeInputError.expected("make_conn_id", value, "the id of a connection")


def parse_number(
    name: str, value: Any, expectation: str, is_allowed: Callable[[float], bool] = lambda number: True
) -> float:
    """Convert an argument or connection field to a finite number in its range, which ``expectation`` describes."""
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (Real, Decimal, str)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not is_allowed(number):
        raise MakeInputError.expected(name, value, expectation)
    return number

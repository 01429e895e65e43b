"""Checks of plain arguments: numbers that may also arrive as text, as templates render them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from airflow_provider_make.exceptions import MakeInputError

# Ids and counts have 64 bits in Make's answers, in Parquet and in databases.
MAX_INTEGER = 2**63 - 1
_DIGITS = re.compile("[0-9]+")
# One more than 64 bits have. Longer text is slow to convert, and as much too large.
_MAX_DIGITS = 20


def to_integer(value: Any) -> Any:
    """Convert text of digits to an integer, and a bool or more than 64 bits to None; leave any other value."""
    if isinstance(value, str) and _DIGITS.fullmatch(digits := value.strip()):
        value = int(digits.lstrip("0")[:_MAX_DIGITS] or "0")
    # Python counts a bool as an integer.
    is_unusable = isinstance(value, int) and (isinstance(value, bool) or abs(value) > MAX_INTEGER)
    return None if is_unusable else value


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


def parse_number(
    name: str, value: Any, expectation: str, is_allowed: Callable[[float], bool] = lambda number: True
) -> float:
    """Convert an argument or connection field to a finite number in its range, which ``expectation`` describes."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not is_allowed(number):
        raise MakeInputError.expected(name, value, expectation)
    return number

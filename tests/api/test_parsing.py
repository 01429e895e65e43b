"""JSON as servers also write it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.parsing import (
    decode,
    describe,
    encode,
    may_have_nul,
    to_digits,
    to_rate,
    to_text,
    to_whole_number,
)
from airflow_provider_make.text import replace_unstorable

TEXT = st.text(st.characters() | st.characters(categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


def repaired(value: Any) -> Any:
    if isinstance(value, str):
        return replace_unstorable(value)
    if isinstance(value, list):
        return [repaired(item) for item in value]
    return {repaired(k): repaired(item) for k, item in value.items()} if isinstance(value, dict) else value


@given(VALUES, st.booleans(), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_any_json_is_decoded_with_replaced_characters_only(value: Any, escaped: bool, mark: bytes) -> None:
    body = mark + json.dumps(value, ensure_ascii=escaped).encode(errors="backslashreplace")
    # Two surrogates in a row, as escapes, are one character.
    assert decode(body) == repaired(json.loads(json.dumps(value), parse_float=Decimal))


@pytest.mark.parametrize("number", ["1.23456789012345678901234567890", "1E+400", "-1E-29"])
def test_no_digit_of_a_number_is_lost(number: str) -> None:
    for other in ('"x"', '"\\ud83d"'):
        assert encode(decode(f"[{number},{other}]".encode())).startswith(f"[{number},")


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1E-999999999999999999999"])
@pytest.mark.parametrize("other", ['"x"', '"\\ud83d"'])
def test_a_number_beyond_any_decimal_raises(number: str, other: str) -> None:
    with pytest.raises(ValueError, match="."):
        decode(f"[{number},{other}]".encode())


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"a": Infinity}', b"1" * 5000, b"'a'", b'"a'])
def test_what_is_not_json_raises(body: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        decode(body)


@pytest.mark.parametrize(("body", "expected"), [(b'"\\u0000"', True), (b'"a"', False), (b'"\\\\u0000"', True)])
def test_a_body_may_have_a_nul(body: bytes, expected: bool) -> None:
    assert may_have_nul(body) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[
            (5, 5),
            (Decimal("5.0"), 5),
            ("5", 5),
            ("-5", -5),
            ("007", 7),
            (Decimal("-0.0"), 0),
            ("5.0", 5),
            (Decimal("5e2"), 500),
            ("9" * 30, int("9" * 30)),
        ],
        # These stay as they are, and are errors of the schema.
        *[
            (each, each)
            for each in (
                Decimal("5.5"),
                Decimal(2**53 + 1),
                Decimal("5.0000000000000001"),
                "5.01",
                "",
                " 5",
                "+5",
                "٥",
                "1e3",
                None,
                True,
                [5],
            )
        ],
    ],
)
def test_whole_numbers(value: Any, expected: Any) -> None:
    converted = to_whole_number(value)
    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (300, "300"),
        (Decimal("300.0"), "300"),
        ("300", "300"),
        ("300.0", "300"),
        ("x", "x"),
        (Decimal("1.5"), Decimal("1.5")),
        (True, True),
        (None, None),
        (-1, "-1"),
    ],
)
def test_digits(value: Any, expected: Any) -> None:
    assert to_digits(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("5.5", 5.5), ("-12", -12.0), ("1e2", 100.0), ("0.1E-2", 0.001), (7, 7), (Decimal("5.5"), 5.5)],
        (Decimal("1e999"), "1E+999"),
        *[(each, each) for each in ("5,5", "", "nan", "inf", "1e999", "5 %", " 5", None, False)],
    ],
)
def test_rates(value: Any, expected: Any) -> None:
    assert to_rate(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(5, "5"), ("a", "a"), (None, None), (True, "true"), (Decimal("1.50"), "1.50"), ([1], "[1]")]
)
def test_text(value: Any, expected: Any) -> None:
    assert to_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.5"), "1.5"),
        (None, "null"),
        (True, "true"),
        ("5,5 %", '"5,5 %"'),
        ("", '""'),
        ("Payroll", "text"),
        ("12ab-34cd", "text"),
        ("1" * 41, "text"),
        (10**80, "1" + "0" * 49),
        ({"a": 1}, "an object"),
        ([1], "an array"),
    ],
)
def test_values_are_described_without_their_text(value: Any, expected: str) -> None:
    assert describe(value) == expected

"""JSON as servers also write it: with text that can't be stored, and with numbers of other types than documented."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from airflow_provider_make.text import replace_unstorable

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,1000}(\.0{1,20})?")
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
# Above this, a float no longer represents every whole number.
_LARGEST_EXACT_FLOAT = 2**53
# The "in" of bytes takes twice as long.
_find_nul = re.compile(rb"\\u0000").search


def _to_decimal(text: str) -> Decimal:
    try:
        # It keeps all digits, which a float would round without an error.
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number is out of range") from None


_decode = msgspec.json.Decoder(float_hook=_to_decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def may_have_nul(body: bytes) -> bool:
    """Decide whether a body that is valid JSON may have a NUL in a text, or a backslash before ``u0000``."""
    # Most responses have no escapes, and the search for one byte is many times faster.
    return b"\\" in body and _find_nul(body) is not None


def decode(body: bytes) -> Any:
    """
    Decode JSON, in UTF-8 or another form of Unicode, and put U+FFFD in the place of what can't be stored.

    :raises ValueError: The body is not JSON.
    :raises RecursionError: The JSON is nested too deeply.
    """
    # With a byte order mark, invalid bytes, control characters or unpaired surrogates, it is JSON, too. Node.js writes
    # such surrogates for a text that is cut inside an emoji.
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode(json.detect_encoding(body), errors="replace")
        value = json.loads(text, strict=False, parse_float=_to_decimal, parse_constant=_refuse)
    else:
        if not may_have_nul(body):
            return value
    return _repair(value)


def describe_not_json(body: bytes, error: Exception) -> str:
    """Describe a body that can't be decoded, for people: few know what a decoder expects of HTML."""
    if not body.strip():
        return "the response is empty"
    if body.lstrip()[:1] == b"<":
        return "the response is HTML, not JSON: is the host right, or is there a proxy in front of it?"
    return f"the response of {len(body)} bytes is not JSON: {error}"


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _repair(value: Any) -> Any:
    if isinstance(value, str):
        return replace_unstorable(value)
    if isinstance(value, list):
        return [_repair(item) for item in value]
    if isinstance(value, dict):
        return {replace_unstorable(name): _repair(item) for name, item in value.items()}
    return value


def to_whole_number(value: Any) -> Any:
    """Convert an integral decimal such as 5.0, or text of either, to an integer; leave what is not exactly whole."""
    if isinstance(value, Decimal):
        # Comparisons are exact, where arithmetic such as abs() overflows for 1E1000000.
        is_exact = -_LARGEST_EXACT_FLOAT <= value <= _LARGEST_EXACT_FLOAT and value == value.to_integral_value()
        return int(value) if is_exact else value
    return int(value.partition(".")[0]) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value


def to_id(value: Any) -> int | None:
    """Convert a positive whole number of up to 63 bits, as number or text; None for any other value."""
    number = to_whole_number(value)
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63
    return number if is_id else None


def to_digits(value: Any) -> Any:
    """Convert a whole number to text of digits; leave any other value."""
    number = value if isinstance(value, str) and "." not in value else to_whole_number(value)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else number


def to_rate(value: Any) -> Any:
    """Convert a decimal, or text of a number, to a float; leave any other value."""
    is_number = isinstance(value, Decimal) or (isinstance(value, str) and _NUMBER.fullmatch(value))
    number = float(value) if is_number else value
    # Text is an error of the schema, as a float beyond its range has to be.
    return number if not isinstance(number, float) or math.isfinite(number) else str(value)


def to_text(value: Any) -> Any:
    """Convert any value but null to text: an odd name must not block all other scenarios."""
    return value if value is None or isinstance(value, str) else encode(value)


def encode(value: Any) -> str:
    """Encode a decoded value as JSON, with all digits of its numbers."""
    return _encode(value).decode()


def describe(value: Any) -> str:
    """Describe a decoded value for an error: null, a bool or a number itself, but of others only the type."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    shown = encode(value)[:50]
    # Other text may be confidential.
    return shown if not isinstance(value, str) or re.fullmatch(r"[-+0-9.,_eE%\s]{0,40}", value) else "text"

"""Convert a response body to other JSON types than those that Make documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

ValueTypes = Literal["documented", "text", "float", "number", "null"]
VALUE_TYPES: tuple[str, ...] = get_args(ValueTypes)

_INTEGERS = (
    *("executions", "operations", "errors", "id", "teamId", "limit", "offset", "totalCount"),
    *("organizationId", "timezoneId"),
)
_RATES = (
    "errorRate",
    "executionsChange",
    "operationsChange",
    "centicreditsChange",
    "errorsChange",
    "errorRateChange",
)

_Values = dict[str, Any]


def convert_values(body: Mapping[str, Any], value_types: ValueTypes) -> Mapping[str, Any]:
    """
    Convert the values of a page.

    :param body: The page, with documented types.
    :param value_types: ``documented`` for no change; ``text`` for counts, ids, rates and the numbers of ``pg`` as text;
        ``float`` for counts, ids and the numbers of ``pg`` as floats such as 5.0 (exact up to 2**53); ``number`` for
        centicredits as numbers; ``null`` for rates and changes that are null instead of absent.
    :return: The page.
    """
    if value_types == "documented":
        return body
    convert = _CONVERSIONS[value_types]
    # Rates belong to the total and the entries, not to the pagination.
    paging = body["pg"] if value_types == "null" else convert(body["pg"])
    return {"total": convert(body["total"]), "analytics": [convert(entry) for entry in body["analytics"]], "pg": paging}


def convert_entry(values: _Values, value_types: ValueTypes) -> _Values:
    """
    Convert the numbers of an organization, a team, or their pagination.

    :param values: The values, with documented types.
    :param value_types: As for :func:`convert_values`; only ``text`` and ``float`` make a difference.
    :return: The values.
    """
    return _CONVERSIONS[value_types](values) if value_types in ("text", "float") else values


def _convert(values: _Values, names: tuple[str, ...], convert: Callable[[Any], object]) -> _Values:
    return {name: convert(value) if name in names else value for name, value in values.items()}


_CONVERSIONS: Mapping[str, Callable[[_Values], _Values]] = {
    "text": lambda values: _convert(values, _INTEGERS + _RATES, str),
    "float": lambda values: _convert(values, _INTEGERS, float),
    "number": lambda values: _convert(values, ("centicredits",), int),
    "null": lambda values: {**dict.fromkeys(_RATES), **values},
}

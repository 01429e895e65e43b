"""A response of the analytics endpoint, parsed into a page and validated against the documented schema."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from airflow_provider_make.api.parsing import (
    decode,
    describe,
    describe_not_json,
    encode,
    may_have_nul,
    to_digits,
    to_rate,
    to_text,
    to_whole_number,
)
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.exceptions import MakeFilterError, MakeResponseError

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# Text of digits: the number can exceed 64 bits.
_Centicredits = Annotated[str, Meta(min_length=1, max_length=1000)]
# Unknown fields are collected under this name, which Make uses for no field, before msgspec converts an entry.
_UNKNOWN = "(unknown fields)"


class Metrics(Struct, rename="camel", frozen=True, gc=False, forbid_unknown_fields=True):
    """
    The figures of a scenario or an organization, by our column names; None where absent or not calculable.

    Centicredits are text of digits, as Make sends them. ``extra`` is a JSON object with the fields that this version
    does not know.
    """

    executions: _Count | None = None
    operations: _Count | None = None
    centicredits: _Centicredits | None = None
    errors: _Count | None = None
    error_rate: float | None = None
    executions_change: float | None = None
    operations_change: float | None = None
    centicredits_change: float | None = None
    errors_change: float | None = None
    error_rate_change: float | None = None
    extra: str | None = msgspec.field(default=None, name=_UNKNOWN)


class ScenarioMetrics(Metrics, rename="camel", frozen=True, gc=False, kw_only=True):
    """One entry of ``analytics``: a scenario and its figures."""

    scenario_id: _Int64 = msgspec.field(name="id")
    imt_id: str | None = None
    name: str | None = None
    status: str | None = None
    team_id: _Int64 | None = None
    team_name: str | None = None


class Pagination(Struct, rename="camel", frozen=True):
    """The ``pg`` of a response: which page it is, and the number of entries of the whole query."""

    last: int | str | None = None
    show_last: bool | None = None
    sort_by: str | None = None
    sort_dir: str | None = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    offset: Annotated[int, Meta(ge=0)] | None = None
    total_count: Annotated[int, Meta(ge=0)] | None = None


class AnalyticsPage(Struct, frozen=True):
    """
    One response of the analytics endpoint.

    :param total: The organization's figures over all entries of the query, not of this page.
    :param analytics: The entries.
    :param pg: The pagination.
    """

    total: Metrics
    analytics: list[ScenarioMetrics]
    pg: Pagination


def make_names(kind: type[Metrics]) -> dict[str, str]:
    """Map our column names of an entry, or of the total, to the field names that Make documents."""
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    del names["extra"]
    return names


def to_credits(centicredits: str) -> float:
    """Convert centicredits, which are text of digits, into credits."""
    try:
        return int(centicredits) / 100
    except OverflowError:
        # Text of digits has no largest number, and JSON has no infinity.
        return sys.float_info.max


def fraction_warning(total: Metrics) -> str | None:
    """Return a warning if the error rate looks like a fraction, not the percentage that Make documents."""
    executions, errors, rate = total.executions, total.errors, total.error_rate
    if not executions or not errors or rate is None:
        return None
    percent = 100.0 * errors / executions
    # With room for the rounding of a rate such as 0.05.
    if math.isclose(rate, percent, rel_tol=0.02) or not math.isclose(100.0 * rate, percent, rel_tol=0.1, abs_tol=0.5):
        return None
    return (
        f"errorRate={rate:g} looks like a fraction: {errors} errors in {executions} executions are {percent:g} %. "
        "Thresholds and rows use the value as it was received."
    )


# An entry has 16 documented values in some 350 bytes. A request without a limit gets less than _DEFAULT_LIMIT entries.
_BYTES_PER_ENTRY, _VALUES_PER_ENTRY, _MARGIN, _DEFAULT_LIMIT = 1024, 100, 100, 10_000
_ONE_VALUE_ADVICE = "Use one task for each value, for example .expand(team_id=[4201, 4202])."
_team_id, _centicredits = attrgetter("team_id"), attrgetter("centicredits")
_decode_strictly = msgspec.json.Decoder(AnalyticsPage).decode


class PageParser:
    """
    Parses the responses to the requests of one client.

    A response is decoded strictly first, which is fast. If that fails, it is decoded leniently: with unknown fields,
    numbers as text and the like. After one such response, further ones are decoded leniently at once.
    """

    def __init__(self) -> None:
        self._is_lenient = False

    def parse(self, body: bytes, query: AnalyticsQuery, request: PageRequest) -> AnalyticsPage:
        """
        Parse the body of a 200 response, and compare it with the page that was requested.

        :raises MakeResponseError: It does not have the documented shape, a value is not exactly what it should be, or
            it is another page.
        :raises MakeFilterError: An entry does not fit the filters.
        """
        check_size(body, request.limit or _DEFAULT_LIMIT)
        page = self._decode(body)
        problem = None
        if request.return_total_count and page.pg.total_count is None:
            problem = "the response lacks pg.totalCount, although it was requested"
        elif None not in (request.offset, page.pg.offset) and request.offset != page.pg.offset:
            problem = f"the response is the page at offset {page.pg.offset}, but {request.offset} was requested"
        elif request.limit is not None and len(page.analytics) > request.limit:
            problem = f"the response has {len(page.analytics)} entries, more than the {request.limit} requested"
        if problem:
            raise MakeResponseError(problem, status_code=200)
        _check_filters(query, page)
        return page

    def _decode(self, body: bytes) -> AnalyticsPage:
        if not self._is_lenient and not may_have_nul(body):
            try:
                page = _decode_strictly(body)
                _check_centicredits(page)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            else:
                return page
        page = _decode_leniently(body)
        self._is_lenient = True
        return page


def check_size(body: bytes, limit: int) -> None:
    """Refuse a body with far more values than that many entries can have."""
    # A few kilobytes of gzip may contain millions of tiny values, which take gigabytes as objects.
    if len(body) > _BYTES_PER_ENTRY * (limit + _MARGIN):
        values = sum(map(body.count, (b",", b"[", b"{")))
        if values > _VALUES_PER_ENTRY * (limit + _MARGIN):
            text = f"the response has at least {values} values, far more than {limit} entries have"
            raise MakeResponseError(text, status_code=200)


def _check_filters(query: AnalyticsQuery, page: AnalyticsPage) -> None:
    # A server that misreads a parameter would add or lose rows. Entries have no folder to check.
    _check_filter("team_id", query.team_id or (), _team_id, page)
    statuses = tuple(status.casefold() for status in query.status or ())
    _check_filter("status", statuses, lambda entry: entry.status and entry.status.casefold(), page)


def _check_filter(
    name: str, allowed: tuple[Any, ...], value_of: Callable[[ScenarioMetrics], Any], page: AnalyticsPage
) -> None:
    # An entry without a value fits.
    accepted = {None, *allowed}
    wrong = next((entry for entry in page.analytics if value_of(entry) not in accepted), None) if allowed else None
    if wrong is not None:
        raise MakeFilterError(
            f"scenario {wrong.scenario_id} does not fit the filter {name}={list(allowed)}: "
            "the server misread it, so rows may be wrong or missing",
            advice=_ONE_VALUE_ADVICE if len(allowed) > 1 else None,
        )


def _check_centicredits(page: AnalyticsPage) -> None:
    # A pattern in the type, matched against each value, would double the time that decoding takes.
    together = "".join(filter(None, map(_centicredits, (page.total, *page.analytics))))
    if together and not _are_digits(together):
        places = [("total", page.total), *((f"analytics[{n}]", entry) for n, entry in enumerate(page.analytics))]
        wrong = next(place for place, figures in places if not _are_digits(figures.centicredits or "0"))
        raise msgspec.ValidationError(f"Expected text of digits - at `$.{wrong}.centicredits`")


def _are_digits(text: str) -> bool:
    return text.isdigit() and text.isascii()


def _decode_leniently(body: bytes) -> AnalyticsPage:
    decoded: Any = None
    try:
        decoded = decode(body)
        page = msgspec.convert(_convert_response(decoded), AnalyticsPage)
        _check_centicredits(page)
    except msgspec.ValidationError as error:
        problem = f"the response of {len(body)} bytes does not have the documented shape: {error}"
        problem += _describe_value(decoded, error)
    except (ValueError, RecursionError) as error:
        problem = describe_not_json(body, error)
    else:
        return page
    raise MakeResponseError(problem, status_code=200)


def _describe_value(decoded: Any, error: msgspec.ValidationError) -> str:
    """Describe the value that an error is about, which names its place: ``at `$.analytics[0].executions```."""
    _, found, place = str(error).rpartition("at `$")
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):
        decoded = decoded[int(index)] if index else decoded.get(name)
    return f" (received {describe(decoded)})" if found else ""


# How a value of another type than documented is converted, by Make's name of the field.
_Conversions = Mapping[str, Callable[[Any], Any]]
_TOTAL: _Conversions = {
    **dict.fromkeys(make_names(Metrics).values(), to_rate),
    **dict.fromkeys(("executions", "operations", "errors"), to_whole_number),
    "centicredits": to_digits,
}
_ENTRY: _Conversions = {
    **dict.fromkeys(make_names(ScenarioMetrics).values(), to_text),
    **dict.fromkeys(("id", "teamId"), to_whole_number),
    **_TOTAL,
}
_PAGINATION: _Conversions = {
    "totalCount": to_whole_number,
    # No value of these is an error. A valid offset is compared with the request; nothing else depends on them.
    **dict.fromkeys(("limit", "offset"), lambda value: number if _is_count(number := to_whole_number(value)) else None),
    **dict.fromkeys(("sortBy", "sortDir"), lambda value: value if isinstance(value, str) else None),
    "showLast": lambda value: value if isinstance(value, bool) else None,
    "last": lambda value: value if isinstance(value, (int, str)) and not isinstance(value, bool) else None,
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _convert_response(response: Any) -> Any:
    if not isinstance(response, dict):
        return response
    converted = dict(response)
    if isinstance(total := response.get("total"), dict):
        converted["total"] = _convert_figures(total, _TOTAL)
    if isinstance(pagination := response.get("pg", {}), dict | None):
        converted["pg"] = _convert(pagination or {}, _PAGINATION)
    entries = response.get("analytics")
    if isinstance(entries, list):
        converted["analytics"] = [
            _convert_figures(entry, _ENTRY) if isinstance(entry, dict) else entry for entry in entries
        ]
    elif entries is None and "analytics" in response:
        converted["analytics"] = []
    return converted


def _convert(values: dict[str, Any], conversions: _Conversions) -> dict[str, Any]:
    return {name: conversions[name](value) for name, value in values.items() if name in conversions}


def _convert_figures(figures: dict[str, Any], conversions: _Conversions) -> dict[str, Any]:
    converted = _convert(figures, conversions)
    if unknown := figures.keys() - conversions.keys():
        converted[_UNKNOWN] = encode({name: figures[name] for name in sorted(unknown)})
    return converted

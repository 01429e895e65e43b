"""A response of the analytics endpoint, parsed into a page and validated against the documented schema."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.exceptions import MakeResponseError

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# Text of digits: the number can exceed 64 bits.
_Centicredits = Annotated[str, Meta(min_length=1, max_length=1000)]
_centicredits = attrgetter("centicredits")
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

    last: str | None = None
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
    """
    Map our column names to the field names that Make documents.

    :param kind: ``ScenarioMetrics`` for an entry, ``Metrics`` for the total.
    :return: Make's names by our columns' names.
    """
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    del fields["extra"]
    return fields


_ENTRY_FIELDS = frozenset(make_names(ScenarioMetrics).values())
_TOTAL_FIELDS = frozenset(make_names(Metrics).values())
_decode_page = msgspec.json.Decoder(AnalyticsPage).decode
_decode_any = msgspec.json.Decoder().decode


def parse_page(body: bytes, request: PageRequest) -> AnalyticsPage:
    """
    Parse the body of a 200 response.

    :param body: The body.
    :param request: The page that was requested, to compare the response with.
    :return: The page.
    :raises MakeResponseError: The body does not have the documented shape, or is not the requested page.
    """
    page = _decode(body)
    if request.return_total_count and page.pg.total_count is None:
        raise MakeResponseError("the response lacks pg.totalCount, although it was requested", status_code=200)
    if None not in (request.offset, page.pg.offset) and request.offset != page.pg.offset:
        text = f"the response is the page at offset {page.pg.offset}, but the one at {request.offset} was requested"
        raise MakeResponseError(text, status_code=200)
    if request.limit is not None and len(page.analytics) > request.limit:
        text = f"the response has {len(page.analytics)} entries, more than the {request.limit} requested"
        raise MakeResponseError(text, status_code=200)
    return page


def _decode(body: bytes) -> AnalyticsPage:
    try:
        try:
            page = _decode_page(body)
        except msgspec.ValidationError:
            # The body is not valid, or has fields that this version does not know.
            page = msgspec.convert(_collect_unknown_fields(_decode_any(body)), AnalyticsPage)
        _check_centicredits(page)
    except msgspec.ValidationError as error:
        problem = f"the response of {len(body)} bytes does not have the documented shape: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not body.strip():
            problem = "the response is empty"
        elif body.lstrip()[:1] == b"<":
            problem = "the response is HTML, not JSON: is the host right, or is there a proxy in front of it?"
        else:
            problem = f"the response of {len(body)} bytes is not JSON: {error}"
    else:
        return page
    raise MakeResponseError(problem, status_code=200)


def _check_centicredits(page: AnalyticsPage) -> None:
    # A pattern in the type, matched against each value, would double the time that decoding takes.
    together = "".join(filter(None, map(_centicredits, (page.total, *page.analytics))))
    if together and not _are_digits(together):
        places = [("total", page.total), *((f"analytics[{n}]", entry) for n, entry in enumerate(page.analytics))]
        wrong = next(place for place, figures in places if not _are_digits(figures.centicredits or "0"))
        raise msgspec.ValidationError(f"Expected text of digits - at `$.{wrong}.centicredits`")


def _are_digits(text: str) -> bool:
    return text.isdigit() and text.isascii()


def _collect_unknown_fields(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    if "total" in body:
        body["total"] = _with_unknown(body["total"], _TOTAL_FIELDS)
    if isinstance(entries := body.get("analytics"), list):
        body["analytics"] = [_with_unknown(entry, _ENTRY_FIELDS) for entry in entries]
    return body


def _with_unknown(figures: Any, known: frozenset[str]) -> Any:
    if not isinstance(figures, dict) or known.issuperset(figures):
        return figures
    unknown = {name: figures[name] for name in sorted(figures.keys() - known)}
    kept = {name: figures[name] for name in figures.keys() & known}
    return {**kept, _UNKNOWN: msgspec.json.encode(unknown).decode()}

"""What Make answers: a page of scenarios, checked against the documented shape."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from airflow_provider_make.api.query import PageRequest
from airflow_provider_make.exceptions import MakeResponseError

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# A decimal integer in a string, as it can exceed 64 bits.
_Centicredits = Annotated[str, Meta(min_length=1, max_length=1000)]
_centicredits = attrgetter("centicredits")
# Under this name, which Make has for no field, what is unknown is handed to msgspec.
_UNKNOWN = "(unknown fields)"


class Figures(Struct, rename="camel", frozen=True, gc=False, forbid_unknown_fields=True):
    """
    The figures of a scenario or an organization, by our columns' names; None where absent or not calculable.

    Centicredits are text of digits, as Make sends them. ``extra`` is a JSON object of the fields that this version
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


class ScenarioFigures(Figures, rename="camel", frozen=True, gc=False, kw_only=True):
    """One entry of ``analytics``: a scenario and its figures."""

    scenario_id: _Int64 = msgspec.field(name="id")
    imt_id: str | None = None
    name: str | None = None
    status: str | None = None
    team_id: _Int64 | None = None
    team_name: str | None = None


class Pagination(Struct, rename="camel", frozen=True):
    """The ``pg`` of an answer: which page this is, and of how many entries."""

    last: str | None = None
    show_last: bool | None = None
    sort_by: str | None = None
    sort_dir: str | None = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    offset: Annotated[int, Meta(ge=0)] | None = None
    total_count: Annotated[int, Meta(ge=0)] | None = None


class AnalyticsPage(Struct, frozen=True):
    """
    One answer of the analytics endpoint.

    :param total: The organization's figures over all entries of the query, not of this page.
    :param analytics: The entries.
    :param pg: The pagination.
    """

    total: Figures
    analytics: list[ScenarioFigures]
    pg: Pagination


def make_names(figures: type[Figures]) -> dict[str, str]:
    """
    Give the fields of an entry, or of the total, that Make documents.

    :param figures: ``ScenarioFigures`` or ``Figures``.
    :return: Make's names by our columns' names.
    """
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(figures)}
    del fields["extra"]
    return fields


_KNOWN = frozenset(make_names(ScenarioFigures).values())
_KNOWN_OF_TOTAL = frozenset(make_names(Figures).values())
_decode_page = msgspec.json.Decoder(AnalyticsPage).decode
_decode_any = msgspec.json.Decoder().decode


def read_page(body: bytes, asked: PageRequest) -> AnalyticsPage:
    """
    Read the body of a 200 answer.

    :param body: The body.
    :param asked: The page that was asked for, which the answer is held against.
    :return: The page.
    :raises MakeResponseError: The body is not of the documented shape, or not the page asked for.
    """
    page = _read_shape(body)
    if asked.return_total_count and page.pg.total_count is None:
        raise MakeResponseError("the answer lacks pg.totalCount, though it was asked for", status_code=200)
    if None not in (asked.offset, page.pg.offset) and asked.offset != page.pg.offset:
        text = f"the answer is the page at offset {page.pg.offset}, not the one at {asked.offset} asked for"
        raise MakeResponseError(text, status_code=200)
    if asked.limit is not None and len(page.analytics) > asked.limit:
        text = f"the answer has {len(page.analytics)} entries, more than the {asked.limit} asked for"
        raise MakeResponseError(text, status_code=200)
    return page


def _read_shape(body: bytes) -> AnalyticsPage:
    what = f"the answer of {len(body)} bytes"
    try:
        try:
            page = _decode_page(body)
        except msgspec.ValidationError:
            # Either it is wrong, or it has fields that this version does not know: a second look tells.
            page = msgspec.convert(_set_unknown_apart(_decode_any(body)), AnalyticsPage)
        _check_centicredits(page)
    except msgspec.ValidationError as error:
        problem = f"{what} is not of the documented shape: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not body.strip():
            problem = "the answer is empty"
        elif body.lstrip()[:1] == b"<":
            problem = "the answer is HTML, not JSON: is the host right, or does a proxy stand before it?"
        else:
            problem = f"{what} is no JSON: {error}"
    else:
        return page
    raise MakeResponseError(problem, status_code=200)


def _check_centicredits(page: AnalyticsPage) -> None:
    # All at once: a pattern in the type would be matched against each, which takes as long as all the rest.
    together = "".join(filter(None, map(_centicredits, (page.total, *page.analytics))))
    if together and not _are_digits(together):
        places = [("total", page.total), *((f"analytics[{n}]", entry) for n, entry in enumerate(page.analytics))]
        wrong = next(place for place, figures in places if not _are_digits(figures.centicredits or "0"))
        raise msgspec.ValidationError(f"Expected text of digits - at `$.{wrong}.centicredits`")


def _are_digits(text: str) -> bool:
    return text.isdigit() and text.isascii()


def _set_unknown_apart(answer: Any) -> Any:
    if not isinstance(answer, dict):
        return answer
    if "total" in answer:
        answer["total"] = _with_unknown(answer["total"], _KNOWN_OF_TOTAL)
    if isinstance(entries := answer.get("analytics"), list):
        answer["analytics"] = [_with_unknown(entry, _KNOWN) for entry in entries]
    return answer


def _with_unknown(figures: Any, known: frozenset[str]) -> Any:
    if not isinstance(figures, dict) or known.issuperset(figures):
        return figures
    unknown = {name: figures[name] for name in sorted(figures.keys() - known)}
    kept = {name: figures[name] for name in figures.keys() & known}
    return {**kept, _UNKNOWN: msgspec.json.encode(unknown).decode()}

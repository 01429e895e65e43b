"""What Make answers: a page of scenarios, checked against the documented shape, and the rows made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Required

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

from airflow_provider_make.exceptions import MakeResponseError
from airflow_provider_make.query import PageRequest

_Int64 = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
_Percentage = Annotated[float, Field(strict=True, allow_inf_nan=False)]
# A decimal integer in a string, as it can exceed 64 bits.
_Centicredits = Annotated[str, Field(strict=True, pattern="^[0-9]{1,1000}$"), AfterValidator(int)]


class Figures(TypedDict, total=False):
    """The figures of a scenario or an organization, by Make's names; absent where not calculable."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's documented place for it

    executions: _Count | None
    operations: _Count | None
    centicredits: _Centicredits | None
    errors: _Count | None
    errorRate: _Percentage | None
    executionsChange: _Percentage | None
    operationsChange: _Percentage | None
    centicreditsChange: _Percentage | None
    errorsChange: _Percentage | None
    errorRateChange: _Percentage | None


class ScenarioFigures(Figures, total=False):
    """One entry of ``analytics``: a scenario and its figures, by Make's names."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    id: Required[_Int64]
    imtId: str | None
    name: str | None
    status: str | None
    teamId: _Int64 | None
    teamName: str | None


class Pagination(BaseModel):
    """The ``pg`` of an answer, by Make's names: which page this is, and of how many entries."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    last: str | None = None
    showLast: bool | None = None
    sortBy: str | None = None
    sortDir: str | None = None
    limit: Annotated[int, Field(strict=True, ge=0)] | None = None
    offset: Annotated[int, Field(strict=True, ge=0)] | None = None
    totalCount: Annotated[int, Field(strict=True, ge=0)] | None = None


class AnalyticsPage(BaseModel):
    """
    One answer of the analytics endpoint. Fields that this version does not know are kept.

    :param total: The organization's figures over all entries of the query, not of this page.
    :param analytics: The entries.
    :param pg: The pagination.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    total: Figures
    analytics: list[ScenarioFigures]
    pg: Pagination


def read_page(body: bytes, asked: PageRequest) -> AnalyticsPage:
    """
    Read the body of a 200 answer.

    :param body: The body.
    :param asked: The page that was asked for, which the answer is held against.
    :return: The page.
    :raises MakeResponseError: The body is not of the documented shape, or not the page asked for.
    """
    try:
        page = AnalyticsPage.model_validate_json(body)
    except ValidationError as error:
        raise MakeResponseError(_misshapen(body, error), status_code=200) from None
    if asked.return_total_count and page.pg.totalCount is None:
        raise MakeResponseError("the answer lacks pg.totalCount, though it was asked for", status_code=200)
    if None not in (asked.offset, page.pg.offset) and asked.offset != page.pg.offset:
        text = f"the answer is the page at offset {page.pg.offset}, not the one at {asked.offset} asked for"
        raise MakeResponseError(text, status_code=200)
    if asked.limit is not None and len(page.analytics) > asked.limit:
        text = f"the answer has {len(page.analytics)} entries, more than the {asked.limit} asked for"
        raise MakeResponseError(text, status_code=200)
    return page


def _misshapen(body: bytes, error: ValidationError) -> str:
    if not body.strip():
        return "the answer is empty"
    if body.lstrip()[:1] == b"<":
        return "the answer is HTML, not JSON: is the host right, or does a proxy stand before it?"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    more = f" (and {error.error_count() - 1} more places)" if error.error_count() > 1 else ""
    where = f"at {place}: " if place else ""
    return f"the answer of {len(body)} bytes is not of the documented shape: {where}{first['msg']}{more}"


# Rows have these columns in this order; by each that Make fills stands Make's name for it.
FIGURE_COLUMNS = {
    "executions": "executions",
    "operations": "operations",
    "centicredits": "centicredits",
    "errors": "errors",
    "error_rate": "errorRate",
    "executions_change": "executionsChange",
    "operations_change": "operationsChange",
    "centicredits_change": "centicreditsChange",
    "errors_change": "errorsChange",
    "error_rate_change": "errorRateChange",
}
SCENARIO_COLUMNS = {
    "scenario_id": "id",
    "imt_id": "imtId",
    "name": "name",
    "status": "status",
    "team_id": "teamId",
    "team_name": "teamName",
    **FIGURE_COLUMNS,
}
COLUMNS = ("organization_id", *SCENARIO_COLUMNS, "date_from", "date_to", "extracted_at", "extra")
_KNOWN_FIGURES = frozenset(FIGURE_COLUMNS.values())
_KNOWN = frozenset(SCENARIO_COLUMNS.values())


def to_rows(
    entries: Sequence[ScenarioFigures],
    *,
    organization_id: int,
    date_from: str | None,
    date_to: str | None,
    extracted_at: str,
) -> Iterator[dict[str, Any]]:
    """
    Make rows of a page's entries: the columns of ``COLUMNS``, JSON-serialisable.

    :param entries: The entries of a page.
    :param organization_id: The organization asked for.
    :param date_from: Begin of the time frame, as sent; None if none was.
    :param date_to: End of the time frame, likewise.
    :param extracted_at: When the pull began, ISO 8601.
    :return: A dict an entry, in the entries' order. Centicredits are text, as Make sends them; what is
        absent is None; ``extra`` is a JSON object of the fields this version does not know, or None.
    """
    for entry in entries:
        get = entry.get
        centicredits = get("centicredits")
        yield {
            "organization_id": organization_id,
            "scenario_id": entry["id"],
            "imt_id": get("imtId"),
            "name": get("name"),
            "status": get("status"),
            "team_id": get("teamId"),
            "team_name": get("teamName"),
            "executions": get("executions"),
            "operations": get("operations"),
            "centicredits": None if centicredits is None else str(centicredits),
            "errors": get("errors"),
            "error_rate": get("errorRate"),
            "executions_change": get("executionsChange"),
            "operations_change": get("operationsChange"),
            "centicredits_change": get("centicreditsChange"),
            "errors_change": get("errorsChange"),
            "error_rate_change": get("errorRateChange"),
            "date_from": date_from,
            "date_to": date_to,
            "extracted_at": extracted_at,
            "extra": None if _KNOWN.issuperset(entry) else _extra(entry, _KNOWN),
        }


def to_total(total: Figures) -> dict[str, Any]:
    """
    Name the organization's figures as the columns are named.

    :param total: The ``total`` of an answer.
    :return: A JSON-serialisable dict, with ``extra`` as in rows.
    """
    figures = {column: total.get(name) for column, name in FIGURE_COLUMNS.items()}
    figures["centicredits"] = _text(figures["centicredits"])
    figures["extra"] = _extra(total, _KNOWN_FIGURES)
    return figures


def _text(number: Any) -> str | None:
    return None if number is None else str(number)


def _extra(entry: Mapping[str, Any], known: frozenset[str]) -> str | None:
    unknown = entry.keys() - known
    if not unknown:
        return None
    try:
        return json.dumps({name: entry[name] for name in sorted(unknown)}, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise MakeResponseError("an unknown field of the answer is NaN or infinite, which is no JSON") from None

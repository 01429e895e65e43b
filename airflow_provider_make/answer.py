"""What Make answers: a page of scenarios, checked against the documented shape."""

from __future__ import annotations

from typing import Annotated, Required

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

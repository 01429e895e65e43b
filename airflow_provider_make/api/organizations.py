"""The lists of organizations and teams: their query, their entries, and all of their pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_make.api.page import check_size
from airflow_provider_make.api.parsing import decode, describe, to_text, to_whole_number
from airflow_provider_make.connection.form import ZONES
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeResponseError

# Make's documented default for organizations; a page has no more.
_MOST_ENTRIES = 10_000
_ORGANIZATION_COLUMNS = ("id", "name", "zone", "timezoneId", "isPaused", "license")
_TEAM_COLUMNS = ("id", "name", "organizationId", "isPaused")


@dataclass(frozen=True)
class ListQuery:
    """
    A list that Make returns in pages.

    :param name: The name of the endpoint, and of the list in its response.
    :param scope: The scope that it needs.
    :param columns: The columns to request; Make returns fewer by default.
    :param to_entry: Converts an entry, and its id, to a dict of JSON-serialisable values.
    :param organization_id: The organization whose entries are listed; None for no organization.
    """

    name: str
    scope: str
    columns: tuple[str, ...]
    to_entry: Callable[[Mapping[str, Any], int], dict[str, Any]]
    organization_id: int | None = None

    def parameters(self, offset: int) -> list[tuple[str, str]]:
        """
        Build the URL parameters of a page.

        :param offset: How many entries to skip.
        :return: Names and values, not yet percent-encoded. No limit: the largest one that Make permits is unknown.
        """
        organization = [] if self.organization_id is None else [("organizationId", str(self.organization_id))]
        paging = [("pg[sortBy]", "name"), ("pg[sortDir]", "asc"), ("pg[offset]", str(offset))]
        return [*organization, *(("cols[]", column) for column in self.columns), *paging]


class ListPage(NamedTuple):
    """
    A page of a list.

    :param entries: The entries by id, in the order of the response.
    :param limit: The most entries of the page, as the server says; None if it does not say.
    """

    entries: dict[int, dict[str, Any]]
    limit: int | None


def organizations_query() -> ListQuery:
    """Return the query for all organizations of the token's user, in all zones."""
    return ListQuery("organizations", "organizations:read", _ORGANIZATION_COLUMNS, _to_organization)


def teams_query(organization_id: int) -> ListQuery:
    """Return the query for the teams of an organization."""

    def to_team(values: Mapping[str, Any], team_id: int) -> dict[str, Any]:
        return {
            "team_id": team_id,
            "name": to_text(values.get("name")),
            "organization_id": _to_id(values.get("organizationId")) or organization_id,
            "is_paused": _to_flag(values.get("isPaused")),
        }

    return ListQuery("teams", "teams:read", _TEAM_COLUMNS, to_team, organization_id)


def parse_list(body: bytes, query: ListQuery) -> ListPage:
    """
    Parse the body of a 200 response.

    :param body: The body.
    :param query: The list.
    :return: The page.
    :raises MakeResponseError: It is not JSON, it does not have the list, or an entry has no id or that of another one.
    """
    check_size(body, _MOST_ENTRIES)
    try:
        decoded = decode(body)
    except (ValueError, RecursionError) as error:
        raise MakeResponseError(f"the list of {query.name} is not JSON: {error}", status_code=200) from None
    listed = decoded.get(query.name) if isinstance(decoded, dict) else None
    if not isinstance(listed, list):
        raise MakeResponseError(f"the response has no list of {query.name}", status_code=200)
    entries: dict[int, dict[str, Any]] = {}
    for values in listed:
        id_ = _to_id(values.get("id")) if isinstance(values, dict) else None
        if id_ is None or id_ in entries:
            received = describe(values.get("id") if isinstance(values, dict) else values)
            problem = "repeats an id" if id_ else "has no id"
            raise MakeResponseError(f"an entry of {query.name} {problem} (received {received})", status_code=200)
        entries[id_] = query.to_entry(values, id_)
    paging = decoded.get("pg")
    return ListPage(entries, _to_id(paging.get("limit")) if isinstance(paging, dict) else None)


def is_in_zone(organization: Mapping[str, Any], organizations: Sequence[Mapping[str, Any]], zone: str) -> bool | None:
    """
    Decide whether an organization is in the zone of a connection.

    :param organization: An organization, as :func:`parse_list` returns it.
    :param organizations: All organizations of the token's user.
    :param zone: The connection's zone: one of Make's, or the host of a private instance or a gateway.
    :return: None if that is unknown: Make names neither the zone nor what it names for this zone only.
    """
    return _zone_rule(organizations, zone)(organization)


def mark_zone(organizations: Sequence[dict[str, Any]], zone: str) -> list[dict[str, Any]]:
    """
    Add ``in_zone`` to organizations: False for those that are known to be in another zone than the connection.

    :param organizations: All organizations of the token's user.
    :param zone: The connection's zone.
    :return: The organizations.
    """
    is_in = _zone_rule(organizations, zone)
    return [{**each, "in_zone": is_in(each) is not False} for each in organizations]


def _zone_rule(organizations: Sequence[Mapping[str, Any]], zone: str) -> Callable[[Mapping[str, Any]], bool | None]:
    # Once for all of them: there may be tens of thousands.
    zones = {*ZONES, *(_to_host(each["zone"]) for each in organizations)}
    # Make's documentation: isPaused and license are returned for organizations of the current zone only.
    marks_own = any(each["is_paused"] is not None for each in organizations)

    def decide(organization: Mapping[str, Any]) -> bool | None:
        own = _to_host(organization["zone"])
        # A gateway has another name than the zone behind it.
        if own and zone.lower() in zones:
            return own == zone.lower()
        return organization["is_paused"] is not None if marks_own else None

    return decide


def _to_organization(values: Mapping[str, Any], organization_id: int) -> dict[str, Any]:
    plan = values.get("license")
    return {
        "organization_id": organization_id,
        "name": to_text(values.get("name")),
        "zone": to_text(values.get("zone")) or None,
        "timezone_id": _to_id(values.get("timezoneId")),
        "is_paused": _to_flag(values.get("isPaused")),
        "analytics_access": _to_flag(plan.get("analyticsAccess")) if isinstance(plan, dict) else None,
    }


def _to_id(value: Any) -> int | None:
    number = to_whole_number(value)
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63
    return number if is_id else None


def _to_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _to_host(zone: str | None) -> str:
    return urlsplit(zone if "//" in zone else f"//{zone}").netloc.lower() if zone else ""


MAX_PASSES = 3
# A server that always has one more entry must not keep a task busy without end.
MAX_PAGES = 1000


class ListPlan:
    """
    Chooses the pages of one pass over a list, and checks that they fit together.

    Make does not say how many entries a list has. So each page begins with the last entry of the page before, and the
    list ends with the page that has no other.
    """

    def __init__(self) -> None:
        self.entries: dict[int, dict[str, Any]] = {}
        self._pages = 0
        self._first_page: list[int] = []

    @property
    def offset(self) -> int:
        """The offset of the next page."""
        return max(0, len(self.entries) - 1)

    def accept(self, page: ListPage) -> bool:
        """
        Add the entries of the next page.

        :param page: The page at ``offset``.
        :return: Whether the list is complete.
        :raises MakeIncompleteResultError: The page does not fit those before, or there are too many pages.
        """
        ids = list(page.entries)
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise MakeIncompleteResultError(f"the list has more than {MAX_PAGES} pages")
        if self._pages == 1:
            self._first_page = ids
            self.entries.update(page.entries)
            return not ids
        if self._pages == 2 and ids == self._first_page:
            return self._end_of_unpaged(page)
        last = next(reversed(self.entries))
        if ids[:1] != [last] or not self.entries.keys().isdisjoint(ids[1:]):
            problem = f"the page at offset {self.offset} does not continue the previous one"
            raise MakeIncompleteResultError(f"{problem} (after {len(self.entries)} entries)")
        self.entries.update(page.entries)
        return len(ids) == 1

    def _end_of_unpaged(self, page: ListPage) -> bool:
        """Decide whether the same page again is the whole list."""
        if len(page.entries) == page.limit:
            raise MakeIncompleteResultError(f"the server repeats its page of {page.limit} entries: there may be more")
        return True


async def read_list(fetch: Callable[[int], Coroutine[Any, Any, ListPage]]) -> list[dict[str, Any]]:
    """
    Read all pages of a list; if they do not fit together, read it again.

    :param fetch: Fetches the page at an offset.
    :return: The entries.
    :raises MakeIncompleteResultError: No pass was exact.
    :raises MakeApiError: A page could not be fetched.
    """
    for number in range(1, MAX_PASSES + 1):
        plan = ListPlan()
        try:
            while not plan.accept(await fetch(plan.offset)):
                pass
        except MakeIncompleteResultError:
            if number == MAX_PASSES:
                raise
        else:
            break
    return list(plan.entries.values())

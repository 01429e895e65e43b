"""The lists of organizations and teams: their query, their entries, and all of their pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_make.api.page import check_size
from airflow_provider_make.api.parsing import decode, describe, describe_not_json, to_id, to_text
from airflow_provider_make.api.retry import Attempts, RetryRules
from airflow_provider_make.connection.form import ZONES
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeResponseError

# Make's documented default for organizations; a page has no more.
_MOST_ENTRIES = 10_000
MAX_PASSES = 3
# A server that always has one more entry must not keep a task busy without end.
MAX_PAGES = 1000


class ListQuery(NamedTuple):
    """A list that Make returns in pages, of all organizations or of what one of them has."""

    # The path of the endpoint, and the list's name in its response.
    name: str
    # What the token needs.
    scope: str
    # Make returns fewer by default.
    columns: tuple[str, ...]
    # Converts an entry, and its id, to a dict of JSON-serialisable values.
    to_entry: Callable[[Mapping[str, Any], int], dict[str, Any]]
    organization_id: int | None = None

    def parameters(self, offset: int) -> list[tuple[str, str]]:
        """Build the URL parameters of a page, without a limit: the largest one that Make permits is unknown."""
        organization = [] if self.organization_id is None else [("organizationId", str(self.organization_id))]
        paging = [("pg[sortBy]", "name"), ("pg[sortDir]", "asc"), ("pg[offset]", str(offset))]
        return [*organization, *(("cols[]", column) for column in self.columns), *paging]


def organizations_query() -> ListQuery:
    """Return the query for all organizations of the token's user, in all zones."""

    def to_organization(values: Mapping[str, Any], organization_id: int) -> dict[str, Any]:
        plan = values.get("license")
        return {
            "organization_id": organization_id,
            "name": to_text(values.get("name")),
            "zone": to_text(values.get("zone")) or None,
            "timezone_id": to_id(values.get("timezoneId")),
            "is_paused": _to_flag(values.get("isPaused")),
            "analytics_access": _to_flag(plan.get("analyticsAccess")) if isinstance(plan, dict) else None,
        }

    columns = ("id", "name", "zone", "timezoneId", "isPaused", "license")
    return ListQuery("organizations", "organizations:read", columns, to_organization)


def teams_query(organization_id: int) -> ListQuery:
    """Return the query for the teams of an organization."""

    def to_team(values: Mapping[str, Any], team_id: int) -> dict[str, Any]:
        return {
            "team_id": team_id,
            "name": to_text(values.get("name")),
            "organization_id": to_id(values.get("organizationId")) or organization_id,
            "is_paused": _to_flag(values.get("isPaused")),
        }

    return ListQuery("teams", "teams:read", ("id", "name", "organizationId", "isPaused"), to_team, organization_id)


def _to_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


class ListPage(NamedTuple):
    """A page of a list: its entries by id, in order, and how many it has at most, if the server says so."""

    entries: dict[int, dict[str, Any]]
    limit: int | None


def parse_list(body: bytes, query: ListQuery) -> ListPage:
    """
    Parse the body of a 200 response.

    :raises MakeResponseError: It is not JSON, it does not have the list, or an entry has no id or that of another one.
    """
    check_size(body, _MOST_ENTRIES)
    try:
        decoded = decode(body)
    except (ValueError, RecursionError) as error:
        problem = f"{query.name} can't be listed: {describe_not_json(body, error)}"
        raise MakeResponseError(problem, status_code=200) from None
    listed = decoded.get(query.name) if isinstance(decoded, dict) else None
    if not isinstance(listed, list):
        raise MakeResponseError(f"the response has no list of {query.name}", status_code=200)
    entries: dict[int, dict[str, Any]] = {}
    for values in listed:
        id_ = to_id(values.get("id")) if isinstance(values, dict) else None
        if id_ is None or id_ in entries:
            received = describe(values.get("id") if isinstance(values, dict) else values)
            problem = "repeats an id" if id_ else "has no id"
            raise MakeResponseError(f"an entry of {query.name} {problem} (received {received})", status_code=200)
        entries[id_] = query.to_entry(values, id_)
    paging = decoded.get("pg")
    return ListPage(entries, to_id(paging.get("limit")) if isinstance(paging, dict) else None)


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
        Add the entries of the page at ``offset``, and return whether the list is complete.

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
            # A server without paging returns the whole list again, but one that repeats a full page may have more.
            if len(ids) == page.limit:
                raise MakeIncompleteResultError(f"the server repeats its page of {len(ids)} entries: there may be more")
            return True
        last = next(reversed(self.entries))
        if ids[:1] != [last] or not self.entries.keys().isdisjoint(ids[1:]):
            problem = f"the page at offset {self.offset} does not continue the previous one"
            raise MakeIncompleteResultError(f"{problem} (after {len(self.entries)} entries)")
        self.entries.update(page.entries)
        return len(ids) == 1


async def read_list(fetch: Callable[[int], Coroutine[Any, Any, ListPage]]) -> list[dict[str, Any]]:
    """
    Read all pages of a list, each by its offset; if they do not fit together, read it again.

    :raises MakeIncompleteResultError: No pass was exact.
    :raises MakeApiError: A page could not be fetched.
    """
    passes = Attempts(RetryRules(MAX_PASSES, 0.0))
    while True:
        plan = ListPlan()
        try:
            while not plan.accept(await fetch(plan.offset)):
                pass
            return list(plan.entries.values())
        except MakeIncompleteResultError as error:
            if passes.record(error) is None:
                raise


def mark_zone(organizations: Sequence[dict[str, Any]], zone: str) -> list[dict[str, Any]]:
    """Add ``in_zone`` to organizations: False for those that are known to be in another zone than the connection."""
    is_in = _zone_rule(organizations, zone)
    return [{**each, "in_zone": is_in(each) is not False} for each in organizations]


def is_in_zone(organization: Mapping[str, Any], organizations: Sequence[Mapping[str, Any]], zone: str) -> bool | None:
    """Decide whether one of a user's organizations is in the connection's zone; None if that is unknown."""
    return _zone_rule(organizations, zone)(organization)


def _zone_rule(organizations: Sequence[Mapping[str, Any]], zone: str) -> Callable[[Mapping[str, Any]], bool | None]:
    # Once for all of them: there may be tens of thousands.
    zones = {*ZONES, *(_to_host(each["zone"]) for each in organizations)}
    # Make's documentation: isPaused and license are returned for organizations of the current zone only.
    marks_own = any(each["is_paused"] is not None for each in organizations)

    def decide(organization: Mapping[str, Any]) -> bool | None:
        own = _to_host(organization["zone"])
        # A gateway, or a private instance, has another name than the zone behind it.
        if own and zone.lower() in zones:
            return own == zone.lower()
        return organization["is_paused"] is not None if marks_own else None

    return decide


def _to_host(zone: str | None) -> str:
    try:
        return urlsplit(zone if "//" in zone else f"//{zone}").netloc.lower() if zone else ""
    except ValueError:
        # The text is no address.
        return ""

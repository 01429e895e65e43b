"""Why Make refuses a token: what Make says about it, and what is at fault."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_make.api.errors import shorten
from airflow_provider_make.api.organizations import is_in_zone, organizations_query, parse_list
from airflow_provider_make.api.page import check_size
from airflow_provider_make.api.parsing import decode, to_id, to_whole_number

if TYPE_CHECKING:
    from airflow_provider_make.api.transport import HttpResponse
    from airflow_provider_make.connection.settings import ConnectionSettings

ANALYTICS_SCOPE = "analytics:read"
# Make's documentation of GET /users/roles. An organization can also have roles of its own, with other ids.
OWNER = 11
ROLES = {OWNER: "Owner", 12: "Admin", 13: "Member", 14: "Accountant"}
# Seconds for all requests about a token together: the error that they explain is waiting.
TIME_LIMIT = 10.0
# Seconds until the same refusal is looked into again; less if Make did not answer each question.
REMEMBERED = 600.0
UNANSWERED = 60.0
# Statuses that are the same when Make is asked again.
_ANSWERS = {200, 401, 403, 404}
_MAX_VALUES = 1000
_MAX_LISTED = 10
# Sends a GET request to the connection's zone.
Get = Callable[[str, Sequence[tuple[str, str]]], Coroutine[Any, Any, "HttpResponse"]]


class Access(NamedTuple):
    """What a request needs: a scope of the token and, if it is about one, an organization."""

    scope: str
    organization_id: int | None = None


def default_advice(status: int, access: Access) -> str | None:
    """Return what to check where Make does not say what is at fault; None where the error has that advice already."""
    if access.scope == ANALYTICS_SCOPE:
        return None
    if status == 404:
        return (
            "Check that what the request is about still exists, its id, and the connection's host. Make may also hide "
            f"a 403 behind a 404: check that the token has the scope {access.scope}, and its user the rights."
        )
    organization = "" if access.organization_id is None else ", and that its user is a member of the organization"
    return (
        "Check that the token in the connection's password is valid, is of this zone, and has the scope "
        f"{access.scope}{organization}. OAuth2 access tokens need auth_scheme Bearer."
    )


class Diagnoses:
    """The diagnoses of refusals, remembered for a while: a watcher may be refused at each poll."""

    def __init__(self) -> None:
        # By refusal: when to look into it again, and the advice.
        self._known: dict[Hashable, tuple[float, str | None]] = {}
        self._lock = asyncio.Lock()

    async def advise(self, status: int, access: Access, settings: ConnectionSettings, get: Get) -> str | None:
        """Ask Make about the token after a 401 or 403, and return what ``diagnose`` says."""
        key = (settings.base_url, settings.authorization, status, access)
        # Concurrent requests may be refused together.
        async with self._lock:
            until, advice = self._known.get(key, (-math.inf, None))
            if time.monotonic() >= until:
                evidence = await gather_evidence(get, settings.token)
                advice = diagnose(status, access, settings.zone, evidence)
                self._known[key] = time.monotonic() + (REMEMBERED if evidence.is_whole else UNANSWERED), advice
        return advice


class Evidence(NamedTuple):
    """What Make says about a token. Each field is None where Make does not say."""

    # Whether Make accepts the token for any request about the token itself.
    is_token_accepted: bool | None = None
    scopes: Sequence[str] | None = None
    # Those of the token's user, as get_organizations returns them.
    organizations: Sequence[Mapping[str, Any]] | None = None
    has_all_organizations: bool = False
    # The id of the user's role, by organization.
    roles: Mapping[int, int | None] | None = None
    # Whether Make has answered each question, if only with a refusal.
    is_whole: bool = True


async def gather_evidence(get: Get, secret: str) -> Evidence:
    """Ask Make about the token, with one request for each question, side by side, and without retries."""
    responses: dict[str, HttpResponse] = {}

    async def ask(path: str) -> None:
        # Whatever fails here must not hide the error that it would explain.
        with suppress(Exception):
            responses[path] = await get(path, _QUESTIONS[path].parameters)

    with suppress(TimeoutError):
        async with asyncio.timeout(TIME_LIMIT):
            await asyncio.gather(*map(ask, _QUESTIONS))
    is_whole = all(path in responses and responses[path].status in _ANSWERS for path in _QUESTIONS)
    return read_evidence(responses, secret)._replace(is_whole=is_whole)


def read_evidence(responses: Mapping[str, HttpResponse], secret: str) -> Evidence:
    """Parse the responses by path; what is missing, refused or of another shape counts as unknown."""
    answers: dict[str, Any] = {}
    for path, response in responses.items():
        if response.status == 200:
            with suppress(Exception):
                answers[path] = _QUESTIONS[path].parse(response.body)
    scopes, roles, page = map(answers.get, _QUESTIONS)
    organizations = None if page is None else list(page.entries.values())
    for organization in organizations or ():
        organization.update(
            {name: shorten(organization[name], secret) for name in ("name", "zone") if organization[name]}
        )
    is_refused_everywhere = [response.status for response in responses.values()] == [401] * len(_QUESTIONS)
    return Evidence(
        is_token_accepted=True if answers else False if is_refused_everywhere else None,
        scopes=None if scopes is None else [shorten(scope, secret) for scope in scopes],
        organizations=organizations,
        # A full page may not be all of them, and one without a limit may be full.
        has_all_organizations=page is not None and page.limit is not None and len(page.entries) < page.limit,
        roles=roles,
    )


def _parse_scopes(body: bytes) -> list[str]:
    check_size(body, _MAX_VALUES)
    scopes = decode(body)["authorization"]["scope"]
    if isinstance(scopes, str):
        # As OAuth2 has them.
        return scopes.split()
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError("scopes of another form say nothing")
    return scopes


def _parse_roles(body: bytes) -> dict[int, int | None]:
    check_size(body, _MAX_VALUES)
    roles = decode(body)["authUser"].get("userOrganizationRoles") or ()
    return {to_whole_number(role["organizationId"]): to_id(role["usersRoleId"]) for role in roles}


class _Question(NamedTuple):
    parameters: list[tuple[str, str]]
    parse: Callable[[bytes], Any]


_ORGANIZATIONS = organizations_query()
# By path. Each needs another scope.
_QUESTIONS = {
    "users/me/current-authorization": _Question([], _parse_scopes),
    "users/me": _Question([("cols[]", "id"), ("cols[]", "userOrganizationRoles")], _parse_roles),
    _ORGANIZATIONS.name: _Question(_ORGANIZATIONS.parameters(0), lambda body: parse_list(body, _ORGANIZATIONS)),
}


def diagnose(status: int, access: Access, zone: str, evidence: Evidence) -> str | None:
    """
    Decide what is at fault for a 401 or 403 of the connection's zone, where the evidence shows it.

    Otherwise, it is what Make confirms and what is left to check. None if the evidence shows nothing, or no cause.
    """
    causes = [_token(status, access.scope, zone, evidence), _scope(access.scope, evidence)]
    if access.organization_id is not None:
        causes += _organization(access.organization_id, zone, evidence)
        if access.scope == ANALYTICS_SCOPE:
            causes += [_plan(access.organization_id, evidence), _role(access.organization_id, evidence)]
    if faults := [cause.fault for cause in causes if cause.is_at_fault]:
        return " ".join(faults)
    confirmed = [cause.confirmed for cause in causes if cause.is_at_fault is False]
    unknown = [cause.unknown for cause in causes if cause.is_at_fault is None]
    if not confirmed or not unknown:
        return None
    return f"Make confirms that {_join(confirmed)}. Left to check: {_join(unknown)}."


class _Cause(NamedTuple):
    """A possible cause, and the text about it: if it is at fault, if Make confirms that it is not, and if unknown."""

    is_at_fault: bool | None
    fault: str
    confirmed: str
    unknown: str


def _token(status: int, scope: str, zone: str, evidence: Evidence) -> _Cause:
    is_accepted = evidence.is_token_accepted
    # A token that Make does not know gets a 401, so a 403 is no reason to blame the token. Nor is it one that all these
    # requests are refused: a token for analytics alone is valid.
    is_suspected = status != 403 and scope == ANALYTICS_SCOPE and is_accepted is False
    scopes = _join(list(dict.fromkeys((scope, "organizations:read", "user:read"))))
    return _Cause(
        is_at_fault=False if is_accepted else is_suspected or None,
        fault=f"The token is probably invalid, or of another zone than {zone}: Make refuses all requests "
        "with it. Check the connection's password, zone and host, and whether the token has any of the scopes "
        f"{scopes}. OAuth2 access tokens need auth_scheme Bearer.",
        confirmed="the token is valid",
        unknown="the token",
    )


def _scope(scope: str, evidence: Evidence) -> _Cause:
    scopes = evidence.scopes
    has = list_some(scopes or ()) or "no scopes"
    return _Cause(
        is_at_fault=None if scopes is None else scope not in scopes,
        fault=f"The token lacks the scope {scope}: it has {has}. Create a token with {scope}.",
        confirmed=f"the token has the scope {scope}",
        unknown=f"the scope {scope}",
    )


def _organization(organization_id: int, zone: str, evidence: Evidence) -> list[_Cause]:
    organizations = evidence.organizations or ()
    found = _find(organization_id, evidence)
    seen = list_some(map(describe_organization, organizations))
    membership = _Cause(
        is_at_fault=False if found else True if evidence.has_all_organizations else None,
        fault=f"The token's user is not a member of organization {organization_id}, but of {seen or 'none'}. "
        "Check the organization id.",
        confirmed=f"the token's user is a member of organization {organization_id}",
        unknown="the organization id",
    )
    if membership.is_at_fault:
        # Who is not a member needs no advice about the zone.
        return [membership]
    in_zone = is_in_zone(found, organizations, zone) if found else None
    other = found["zone"] if found and found["zone"] else "another zone"
    location = _Cause(
        is_at_fault=None if in_zone is None else not in_zone,
        fault=f"Organization {organization_id} is in {other}, and the connection is to {zone}: use a connection to the "
        "zone of the organization, with a token of that zone.",
        confirmed=f"it is in the zone {zone}",
        unknown="its zone",
    )
    return [membership, location]


def _plan(organization_id: int, evidence: Evidence) -> _Cause:
    found = _find(organization_id, evidence)
    has_access = found["analytics_access"] if found else None
    return _Cause(
        is_at_fault=None if has_access is None else not has_access,
        fault=f"The plan of organization {organization_id} does not include analytics: they need the Enterprise plan.",
        confirmed="its plan includes analytics",
        unknown="the Enterprise plan",
    )


def _role(organization_id: int, evidence: Evidence) -> _Cause:
    role = (evidence.roles or {}).get(organization_id)
    name = ROLES.get(role or 0)
    return _Cause(
        is_at_fault=None if name is None else role != OWNER,
        fault=f"The token's user has the role {name} in organization {organization_id}: analytics need the role Owner.",
        confirmed="the token's user has the role Owner",
        unknown="the role Owner of the token's user",
    )


def _find(organization_id: int, evidence: Evidence) -> Mapping[str, Any] | None:
    organizations = evidence.organizations or ()
    return next((found for found in organizations if found["organization_id"] == organization_id), None)


def describe_organization(organization: Mapping[str, Any]) -> str:
    """Return the id and the name of an organization: ``42 (Acme)``."""
    name = organization["name"]
    return f"{organization['organization_id']}" + (f" ({name})" if name else "")


def list_some(texts: Iterable[str]) -> str:
    """Join texts with commas: ten at most, and how many more there are."""
    listed = list(texts)
    more = len(listed) - _MAX_LISTED
    return ", ".join(listed[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _join(texts: Sequence[str]) -> str:
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last

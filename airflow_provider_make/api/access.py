"""Why Make refuses a token: what Make says about it, and what is at fault."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_make.api.errors import shorten
from airflow_provider_make.api.organizations import is_in_zone, organizations_query, parse_list
from airflow_provider_make.api.page import check_size
from airflow_provider_make.api.parsing import decode, to_whole_number

if TYPE_CHECKING:
    from airflow_provider_make.api.transport import HttpResponse
    from airflow_provider_make.connection.settings import ConnectionSettings


ANALYTICS_SCOPE = "analytics:read"
# Make's documentation of GET /users/roles. An organization can also have roles of its own, with other ids.
OWNER = 11
ROLES = {OWNER: "Owner", 12: "Admin", 13: "Member", 14: "Accountant"}
_MAX_LISTED = 10


class Access(NamedTuple):
    """
    What a request needs.

    :param scope: The scope of the token.
    :param organization_id: The organization that it is about; None for none.
    """

    scope: str
    organization_id: int | None = None


@dataclass(frozen=True)
class Evidence:
    """
    What Make says about a token. Each field is None where Make does not say.

    :param is_token_accepted: Whether Make accepts the token for any request about the token itself.
    :param scopes: The scopes of the token.
    :param organizations: Organizations of the token's user, as ``get_organizations`` returns them.
    :param has_all_organizations: Whether these are all of them.
    :param roles: The ids of the user's roles, by organization.
    """

    is_token_accepted: bool | None = None
    scopes: Sequence[str] | None = None
    organizations: Sequence[Mapping[str, Any]] | None = None
    has_all_organizations: bool = False
    roles: Mapping[int, int] | None = None


class _Cause(NamedTuple):
    """
    A possible cause.

    :param is_fault: Whether it is at fault; None if unknown.
    :param fault: What to do if it is.
    :param confirmed: What is true if it is not.
    :param check: What to check if it is unknown.
    """

    is_fault: bool | None
    fault: str
    confirmed: str
    check: str


def diagnose(status: int, access: Access, zone: str, evidence: Evidence) -> str | None:
    """
    Decide what is at fault, where the evidence shows it.

    :param status: The HTTP status of the refusal, 401 or 403.
    :param access: What the refused request needs.
    :param zone: The connection's zone.
    :param evidence: What Make says about the token.
    :return: What is at fault; otherwise, what is confirmed and what is left to check. None if the evidence shows
        nothing, or no cause.
    """
    causes = [_token(status, zone, evidence), _scope(access.scope, evidence)]
    if access.organization_id is not None:
        causes += _organization(access.organization_id, zone, evidence)
        if access.scope == ANALYTICS_SCOPE:
            causes += [_plan(access.organization_id, evidence), _role(access.organization_id, evidence)]
    if faults := [cause.fault for cause in causes if cause.is_fault]:
        return " ".join(faults)
    confirmed = [cause.confirmed for cause in causes if cause.is_fault is False]
    unknown = [cause.check for cause in causes if cause.is_fault is None]
    if not confirmed or not unknown:
        return None
    return f"Make confirms that {_join(confirmed)}. Left to check: {_join(unknown)}."


def default_advice(access: Access) -> str | None:
    """
    Return what to check where Make does not say what is at fault.

    :param access: What the refused request needs.
    :return: The advice; None for analytics, whose advice is that of the error's class.
    """
    if access.scope == ANALYTICS_SCOPE:
        return None
    organization = "" if access.organization_id is None else ", and that its user is a member of the organization"
    return (
        "Check that the token in the connection's password is valid, is of this zone, and has the scope "
        f"{access.scope}{organization}. OAuth2 access tokens need auth_scheme Bearer."
    )


def _token(status: int, zone: str, evidence: Evidence) -> _Cause:
    is_accepted = evidence.is_token_accepted
    # A token that Make does not know gets a 401, so a 403 is no reason to blame the token.
    is_fault = None if is_accepted is None or (status == 403 and not is_accepted) else not is_accepted
    return _Cause(
        is_fault,
        "Make refuses the token for requests about the token itself, too: most likely, it is not valid, or not of the "
        f"zone {zone}. Check the connection's password, zone and host, and whether the token has any of the scopes "
        "analytics:read, organizations:read and user:read. OAuth2 access tokens need auth_scheme Bearer.",
        "the token is valid",
        "the token",
    )


def _scope(scope: str, evidence: Evidence) -> _Cause:
    scopes = evidence.scopes
    has = list_some(scopes or ()) or "no scopes"
    return _Cause(
        None if scopes is None else scope not in scopes,
        f"The token lacks the scope {scope}: it has {has}. Create a token with {scope}.",
        f"the token has the scope {scope}",
        f"the scope {scope}",
    )


def _organization(organization_id: int, zone: str, evidence: Evidence) -> list[_Cause]:
    known = {each["organization_id"]: each for each in evidence.organizations or ()}
    found = known.get(organization_id)
    seen = list_some(describe_organization(each) for each in known.values())
    membership = _Cause(
        False if found else True if evidence.has_all_organizations else None,
        f"The token's user is not a member of organization {organization_id}, but of {seen or 'none'}. "
        "Check the organization id.",
        f"the token's user is a member of organization {organization_id}",
        "the organization id",
    )
    in_zone = is_in_zone(found, evidence.organizations or (), zone) if found else None
    other = found["zone"] if found and found["zone"] else "another zone"
    location = _Cause(
        None if in_zone is None else not in_zone,
        f"Organization {organization_id} is in {other}, and the connection is to {zone}: use a connection to the zone "
        "of the organization, with a token of that zone.",
        f"it is in the zone {zone}",
        "its zone",
    )
    # Who is not a member needs no advice about the zone.
    return [membership] if membership.is_fault else [membership, location]


def _plan(organization_id: int, evidence: Evidence) -> _Cause:
    included = {each["organization_id"]: each["analytics_access"] for each in evidence.organizations or ()}
    has_access = included.get(organization_id)
    return _Cause(
        None if has_access is None else not has_access,
        f"The plan of organization {organization_id} does not include analytics: they need the Enterprise plan.",
        "its plan includes analytics",
        "the Enterprise plan",
    )


def _role(organization_id: int, evidence: Evidence) -> _Cause:
    role = (evidence.roles or {}).get(organization_id)
    name = ROLES.get(role or 0)
    return _Cause(
        None if name is None else role != OWNER,
        f"The token's user has the role {name} in organization {organization_id}: analytics need the role Owner.",
        "the token's user has the role Owner",
        "the role Owner of the token's user",
    )


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


Get = Callable[[str, Sequence[tuple[str, str]]], Coroutine[Any, Any, "HttpResponse"]]
# Seconds for all requests together: the error that they explain is waiting.
TIME_LIMIT = 10.0
# Seconds until the same refusal is looked into again: ten minutes.
REMEMBERED = 600.0
_MAX_VALUES = 1000
_AUTHORIZATION, _USER = "users/me/current-authorization", "users/me"
_ORGANIZATIONS = organizations_query()
_PROBES: dict[str, list[tuple[str, str]]] = {
    _AUTHORIZATION: [],
    _USER: [("cols[]", "id"), ("cols[]", "userOrganizationRoles")],
    _ORGANIZATIONS.name: _ORGANIZATIONS.parameters(0),
}


class Diagnoses:
    """The diagnoses of refusals, remembered for a while: a watcher may be refused at each poll."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, str | None]] = {}
        self._lock = asyncio.Lock()

    async def advise(self, status: int, access: Access, settings: ConnectionSettings, get: Get) -> str | None:
        """
        Find out what is at fault.

        :param status: The HTTP status of the refusal, 401 or 403.
        :param access: What the refused request needs.
        :param settings: The connection settings.
        :param get: Sends a GET request to the connection's zone.
        :return: As :func:`~airflow_provider_make.api.access.diagnose`.
        """
        key = (settings.base_url, settings.authorization, status, access)
        # Concurrent requests may be refused together.
        async with self._lock:
            asked_at, advice = self._known.get(key, (-math.inf, None))
            if time.monotonic() - asked_at >= REMEMBERED:
                evidence = await gather_evidence(get, settings.token)
                advice = diagnose(status, access, settings.zone, evidence)
                self._known[key] = time.monotonic(), advice
        return advice


async def gather_evidence(get: Get, secret: str) -> Evidence:
    """
    Ask Make about the token, with one request for each question, side by side, and without retries.

    :param get: Sends a GET request to the connection's zone.
    :param secret: The token, which is hidden in all text of the responses.
    :return: What Make says within ``TIME_LIMIT``.
    """
    responses: dict[str, HttpResponse] = {}

    async def ask(path: str) -> None:
        # Whatever fails here must not hide the error that it would explain.
        with suppress(Exception):
            responses[path] = await get(path, _PROBES[path])

    with suppress(TimeoutError):
        async with asyncio.timeout(TIME_LIMIT):
            await asyncio.gather(*map(ask, _PROBES))
    return read_evidence(responses, secret)


def read_evidence(responses: Mapping[str, HttpResponse], secret: str) -> Evidence:
    """
    Parse the responses about a token.

    :param responses: The responses by path, whatever their status.
    :param secret: The token, which is hidden in their text.
    :return: The evidence; what is missing or has another shape counts as unknown.
    """
    bodies = {path: response.body for path, response in responses.items() if response.status == 200}
    refused = [response for response in responses.values() if response.status == 401]
    scopes, roles, page = (_parse(parse, bodies.get(path)) for path, parse in _PARSERS.items())
    organizations = None if page is None else list(page.entries.values())
    for each in organizations or ():
        each.update({name: shorten(each[name], secret) for name in ("name", "zone") if each[name]})
    is_token_known = any(answer is not None for answer in (scopes, roles, page))
    return Evidence(
        is_token_accepted=True if is_token_known else False if len(refused) == len(_PROBES) else None,
        scopes=None if scopes is None else [shorten(scope, secret) for scope in scopes],
        organizations=organizations,
        # A full page may not be all of them, and one without a limit may be full.
        has_all_organizations=page is not None and page.limit is not None and len(page.entries) < page.limit,
        roles=roles,
    )


def _parse(parse: Callable[[bytes], Any], body: bytes | None) -> Any:
    with suppress(Exception):
        return None if body is None else parse(body)
    return None


def _parse_scopes(body: bytes) -> list[str]:
    check_size(body, _MAX_VALUES)
    scopes = decode(body)["authorization"]["scope"]
    if isinstance(scopes, str):
        # As OAuth2 has them.
        return scopes.split()
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError("scopes of another form say nothing")
    return scopes


def _parse_roles(body: bytes) -> dict[int, int]:
    check_size(body, _MAX_VALUES)
    roles = decode(body)["authUser"].get("userOrganizationRoles") or ()
    return {to_whole_number(role["organizationId"]): to_whole_number(role["usersRoleId"]) for role in roles}


_PARSERS: dict[str, Callable[[bytes], Any]] = {
    _AUTHORIZATION: _parse_scopes,
    _USER: _parse_roles,
    _ORGANIZATIONS.name: lambda body: parse_list(body, _ORGANIZATIONS),
}

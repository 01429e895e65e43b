"""Decide why Make refuses a request: what Make says about the token, as advice for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_provider_make.api.organizations import is_in_zone

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

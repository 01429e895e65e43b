"""The sandbox's endpoints about the token: its user, its scopes, and the user's organizations and teams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import (
    Integer,
    Limit,
    Offset,
    Parameters,
    SortDirection,
    group_by_name,
    parse_parameters,
)
from airflow_provider_make.sandbox.responses import Values, convert

# The zone of organizations that are elsewhere.
OTHER_ZONE = "us1.make.com"
# Make's ids of roles, and the number of its time zone Europe/Prague.
_ROLE_IDS = {"owner": 11, "admin": 12, "member": 13, "accountant": 14}
_TIMEZONE_ID = 113
_USER = {"id": 1, "name": "Sandbox", "email": "sandbox@example.com", "timezone": "Europe/Prague"}
_PATH = re.compile(r"organizations|organizations/(\d{1,18})|teams|users/me|users/me/current-authorization")


class _List(Parameters):
    offset: Offset = Field(0, alias="pg[offset]")
    limit: Limit | None = Field(None, alias="pg[limit]")
    sort_by: Literal["name", "id"] = Field("name", alias="pg[sortBy]")
    sort_dir: SortDirection = Field("asc", alias="pg[sortDir]")


class _Organizations(_List):
    columns: Sequence[Literal["id", "name", "timezoneId", "zone", "isPaused", "license"]] = Field(
        ("id", "name", "timezoneId"), alias="cols[]"
    )
    zone: str | None = None


class _Organization(Parameters):
    wait: str | None = None


class _Teams(_List):
    columns: Sequence[Literal["id", "name", "organizationId", "isPaused"]] = Field(
        ("id", "name", "organizationId"), alias="cols[]"
    )
    organization_id: Integer = Field(alias="organizationId")


class _User(Parameters):
    columns: Sequence[Literal["id", "name", "email", "timezone", "userOrganizationRoles"]] = Field(
        ("id", "name", "email", "timezone"), alias="cols[]"
    )
    include_invited: str | None = Field(None, alias="includeInvitedOrg")


def is_account_path(path: str) -> bool:
    """Whether a path, relative to the base URL, is one of these endpoints."""
    return _PATH.fullmatch(path) is not None


def check_analytics_access(options: Options) -> None:
    """Refuse analytics: with a 401 if the token lacks the scope; with a 403 for a plan or role."""
    require_scope("analytics:read", options)
    if options.plan != "enterprise" or options.role != "owner":
        raise Refusal(403)


@dataclass(frozen=True)
class Account:
    """The token's user. Its zone is the host that the client requested."""

    organizations: Mapping[int, Organization]
    options: Options

    def respond(self, path: str, parameters: Iterable[tuple[str, str]], host: str) -> Values:
        """Build the body of a response; refuse what the token may not read, and parameters that are not valid."""
        received = group_by_name(parameters)
        match = _PATH.fullmatch(path)
        if match and match[1]:
            require_scope("organizations:read", self.options)
            parse_parameters(_Organization, received)
            return convert({"organization": self._organization(int(match[1]), host)}, self.options.value_types)
        if path == "organizations":
            require_scope("organizations:read", self.options)
            query = parse_parameters(_Organizations, received, max_limit=self.options.max_limit)
            ids = [*self.organizations, *self.options.elsewhere]
            entries = [self._listed_organization(id_, host) for id_ in ids]
            if query.zone is not None:
                entries = [entry for entry in entries if entry["zone"] == query.zone]
            # Make's documented limit of a page.
            return self._page(path, entries, query, query.columns, 10_000)
        if path == "teams":
            require_scope("teams:read", self.options)
            teams = parse_parameters(_Teams, received, max_limit=self.options.max_limit)
            return self._page(path, self._teams(teams.organization_id), teams, teams.columns, 50)
        require_scope("user:read", self.options)
        if path == "users/me":
            user = parse_parameters(_User, received)
            roles = [self._role(id_) for id_ in (*self.organizations, *self.options.elsewhere)]
            return {"authUser": _pick({**_USER, "userOrganizationRoles": roles}, user.columns)}
        parse_parameters(Parameters, received)
        return {"authorization": {"authUsed": "token", "scope": list(self.options.scopes)}}

    def _organization(self, organization_id: int, host: str) -> Values:
        if organization_id not in self.organizations:
            raise Refusal(403)
        used = {"operations": "0", "unusedOperations": "0"}
        return {**self._listed_organization(organization_id, host), **used}

    def _listed_organization(self, organization_id: int, host: str) -> Values:
        name = f"Sandbox organization {organization_id}"
        values = {"id": organization_id, "name": name, "timezoneId": _TIMEZONE_ID}
        if organization_id in self.options.elsewhere:
            return {**values, "zone": OTHER_ZONE}
        has_analytics = self.options.plan == "enterprise"
        limits = {"apiLimit": 1000 if has_analytics else 240, "analyticsAccess": has_analytics}
        return {**values, "zone": host, "isPaused": False, "license": limits}

    def _teams(self, organization_id: int) -> list[Values]:
        organization = self.organizations.get(organization_id)
        if organization is None:
            raise Refusal(403)
        names = {scenario.team_id: scenario.team_name for scenario in organization.scenarios}
        return [
            {"id": id_, "name": name, "organizationId": organization_id, "isPaused": False}
            for id_, name in names.items()
        ]

    def _role(self, organization_id: int) -> Values:
        role = _ROLE_IDS[self.options.role]
        return {"userId": _USER["id"], "organizationId": organization_id, "usersRoleId": role, "invitation": None}

    def _page(
        self, name: str, entries: list[Values], query: _List, columns: Sequence[str], default_limit: int
    ) -> Values:
        entries.sort(key=lambda entry: (entry[query.sort_by], entry["id"]), reverse=query.sort_dir == "desc")
        limit = query.limit or min(default_limit, self.options.max_limit or default_limit)
        limit = min(limit, self.options.page_cap or limit)
        page = [_pick(entry, columns) for entry in entries[query.offset : query.offset + limit]]
        paging = {"sortBy": query.sort_by, "sortDir": query.sort_dir, "limit": limit, "offset": query.offset}
        return convert({name: page, "pg": paging}, self.options.value_types)


def require_scope(scope: str, options: Options) -> None:
    """Refuse a token without the scope, with a 401, as Make has it."""
    if scope not in options.scopes:
        raise Refusal(401)


def _pick(values: Values, columns: Sequence[str]) -> Values:
    return {name: values[name] for name in columns if name in values}

"""The sandbox's endpoints about the token: its user, its scopes, and the user's organizations and teams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_make.sandbox.options import Options
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.refusals import Refusal
from airflow_provider_make.sandbox.value_types import convert_entry

# The zone of organizations that are elsewhere.
OTHER_ZONE = "us1.make.com"
# Make's ids of roles, and the number of its time zone Europe/Prague.
_ROLE_IDS = {"owner": 11, "admin": 12, "member": 13, "accountant": 14}
_TIMEZONE_ID = 113
_USER = {"id": 1, "name": "Sandbox", "email": "sandbox@example.com", "timezone": "Europe/Prague"}
_USER_COLUMNS = (*_USER, "userOrganizationRoles")
_ORGANIZATION_COLUMNS = ("id", "name", "timezoneId", "zone", "isPaused", "license")
_TEAM_COLUMNS = ("id", "name", "organizationId", "isPaused")
# The sandbox's limits of a page: Make's documented one for organizations, and a small one for teams.
_DEFAULT_LIMITS = {"organizations": 10_000, "teams": 50}
_PATH = re.compile(r"organizations|organizations/(\d{1,18})|teams|users/me|users/me/current-authorization")

Query = Mapping[str, list[str]]
Values = dict[str, Any]


def is_account_path(path: str) -> bool:
    """Return whether a path, relative to the base URL, is one of these endpoints."""
    return _PATH.fullmatch(path) is not None


def check_analytics_access(options: Options) -> None:
    """
    Check what the token needs to read analytics.

    :param options: The sandbox's options.
    :raises Refusal: A 401 if it lacks the scope, as Make has it; a 403 for another plan or role.
    """
    _require_scope("analytics:read", options)
    if options.plan != "enterprise" or options.role != "owner":
        raise Refusal(403)


@dataclass(frozen=True)
class Account:
    """
    The token's user.

    :param organizations: The organizations by id.
    :param options: The sandbox's options.
    """

    organizations: Mapping[int, Organization]
    options: Options

    def respond(self, path: str, parameters: Iterable[tuple[str, str]], host: str) -> Values:
        """
        Build the body of a response.

        :param path: The path, relative to the base URL.
        :param parameters: Decoded names and values of the query.
        :param host: The host that the client requested, which is the sandbox's zone.
        :return: An object to be encoded as JSON.
        :raises Refusal: The token lacks the scope, or a parameter is not valid.
        """
        query: dict[str, list[str]] = {}
        for name, value in parameters:
            query.setdefault(name, []).append(value)
        match = _PATH.fullmatch(path)
        if match and match[1]:
            _require_scope("organizations:read", self.options)
            _check_parameters(query, ("wait",))
            return {"organization": self._convert(self._organization(int(match[1]), host))}
        if path == "organizations":
            _require_scope("organizations:read", self.options)
            ids = [*self.organizations, *self.options.elsewhere]
            entries = [self._listed_organization(id_, host) for id_ in ids]
            return self._page(path, entries, query, _ORGANIZATION_COLUMNS, ("id", "name", "timezoneId"), ("zone",))
        if path == "teams":
            _require_scope("teams:read", self.options)
            entries = self._teams(query)
            return self._page(path, entries, query, _TEAM_COLUMNS, _TEAM_COLUMNS[:3], ("organizationId",))
        _require_scope("user:read", self.options)
        if path == "users/me":
            _check_parameters(query, ("cols[]", "includeInvitedOrg"))
            roles = [self._role(id_) for id_ in (*self.organizations, *self.options.elsewhere)]
            values = {**_USER, "userOrganizationRoles": roles}
            return {"authUser": _pick(values, query, _USER_COLUMNS, tuple(_USER))}
        _check_parameters(query, ())
        return {"authorization": {"authUsed": "token", "scope": list(self.options.scopes)}}

    def _organization(self, organization_id: int, host: str) -> Values:
        if organization_id not in self.organizations:
            raise Refusal(403)
        used = {"operations": "0", "unusedOperations": "0"}
        return {**self._listed_organization(organization_id, host), **used}

    def _listed_organization(self, organization_id: int, host: str) -> Values:
        values: Values = {
            "id": organization_id,
            "name": f"Sandbox organization {organization_id}",
            "timezoneId": _TIMEZONE_ID,
        }
        if organization_id in self.options.elsewhere:
            return {**values, "zone": OTHER_ZONE}
        has_analytics = self.options.plan == "enterprise"
        limits = {"apiLimit": 1000 if has_analytics else 240, "analyticsAccess": has_analytics}
        return {**values, "zone": host, "isPaused": False, "license": limits}

    def _teams(self, query: Query) -> list[Values]:
        (text,) = query.get("organizationId", [""])[:1]
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise Refusal(400, [f"Invalid value {text!r} of parameter 'organizationId': expected an integer."])
        organization = self.organizations.get(int(text))
        if organization is None:
            raise Refusal(403)
        names = {scenario.team_id: scenario.team_name for scenario in organization.scenarios}
        return [
            {"id": id_, "name": name, "organizationId": organization.organization_id, "isPaused": False}
            for id_, name in names.items()
        ]

    def _role(self, organization_id: int) -> Values:
        role = _ROLE_IDS[self.options.role]
        return {"userId": _USER["id"], "organizationId": organization_id, "usersRoleId": role, "invitation": None}

    def _page(
        self,
        name: str,
        entries: list[Values],
        query: Query,
        columns: tuple[str, ...],
        default_columns: tuple[str, ...],
        filters: tuple[str, ...],
    ) -> Values:
        paging = ("pg[offset]", "pg[limit]", "pg[sortBy]", "pg[sortDir]")
        _check_parameters(query, ("cols[]", *paging, *filters))
        sort_by = _choice(query, "pg[sortBy]", ("name", "id"))
        direction = _choice(query, "pg[sortDir]", ("asc", "desc"))
        offset = _count(query, "pg[offset]", 0)
        limit = _count(query, "pg[limit]", min(_DEFAULT_LIMITS[name], self.options.max_limit or 10_000))
        if limit < 1 or limit > (self.options.max_limit or limit):
            raise Refusal(400, [f"Invalid value '{limit}' of parameter 'pg[limit]'."])
        if zone := query.get("zone"):
            entries = [entry for entry in entries if entry["zone"] == zone[0]]
        ordered = sorted(entries, key=lambda entry: (entry[sort_by], entry["id"]), reverse=direction == "desc")
        limit = min(limit, self.options.page_cap or limit)
        page = [_pick(entry, query, columns, default_columns) for entry in ordered[offset : offset + limit]]
        pagination = self._convert({"sortBy": sort_by, "sortDir": direction, "limit": limit, "offset": offset})
        return {name: [self._convert(entry) for entry in page], "pg": pagination}

    def _convert(self, values: Values) -> Values:
        return convert_entry(values, self.options.value_types)


def _require_scope(scope: str, options: Options) -> None:
    if scope not in options.scopes:
        raise Refusal(401)


def _check_parameters(query: Query, known: tuple[str, ...]) -> None:
    problems = [f"Unknown parameter '{name}'." for name in query if name not in known]
    problems += [f"Parameter '{name}' is repeated." for name in query if name != "cols[]" and len(query[name]) > 1]
    if problems:
        raise Refusal(400, problems)


def _pick(values: Values, query: Query, columns: tuple[str, ...], default_columns: tuple[str, ...]) -> Values:
    names = query.get("cols[]", default_columns)
    if problems := [f"Unknown column '{name}' in 'cols[]'." for name in names if name not in columns]:
        raise Refusal(400, problems)
    return {name: values[name] for name in names if name in values}


def _choice(query: Query, name: str, choices: tuple[str, ...]) -> str:
    text = query.get(name, choices)[0]
    if text not in choices:
        raise Refusal(400, [f"Invalid value {text!r} of parameter '{name}': expected one of {', '.join(choices)}."])
    return text


def _count(query: Query, name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refusal(400, [f"Invalid value {text!r} of parameter '{name}': expected a whole number."])
    return int(text)

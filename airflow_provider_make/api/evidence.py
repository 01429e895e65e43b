"""Ask Make about a token that it refused: a few short requests to the same zone, which may fail."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.diagnosis import Access, Evidence, diagnose
from airflow_provider_make.api.error_body import shorten
from airflow_provider_make.api.lenient_json import decode, to_whole_number
from airflow_provider_make.api.organizations import organizations_query, parse_list
from airflow_provider_make.api.response import check_size

if TYPE_CHECKING:
    from airflow_provider_make.api.transport import HttpResponse
    from airflow_provider_make.connection.settings import ConnectionSettings

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
        :return: As :func:`~airflow_provider_make.api.diagnosis.diagnose`.
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

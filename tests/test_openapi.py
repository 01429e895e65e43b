"""The hook's requests and the sandbox's responses, validated with Make's OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import requests
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from airflow_provider_make.api.page import Pagination
from airflow_provider_make.api.query import SORT_KEYS, STATUSES
from airflow_provider_make.api.transport import HttpResponse, Transport
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.output.rows import COLUMNS, FIGURE_COLUMNS, SCENARIO_COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.support.analytics_openapi import FIGURES, PAGINATION, PARAMETERS, SCENARIO, openapi_description

NOW = datetime.now(UTC)
# The id of a scenario in the fixture's sandbox: the same seed creates the same scenarios.
SOME_ID = Sandbox().truth()[0]["id"]
# By parameter of the API, the arguments that send it.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "teamId": {"team_id": 1},
    "teamId[]": {"team_id": [1, 2]},
    "folderId": {"folder_id": 3},
    "folderId[]": {"folder_id": [3, 4]},
    "status": {"status": "active"},
    "status[]": {"status": ["active", "invalid"]},
    "timeframe[dateFrom]": {"date_from": NOW - timedelta(days=2)},
    "timeframe[dateTo]": {"date_to": NOW - timedelta(days=1)},
    "pg[offset]": {"offset": 5},
    "pg[limit]": {"limit": 7},
    "pg[last]": {"last": SOME_ID},
    "pg[sortBy]": {"sort_by": "error_rate"},
    "pg[sortDir]": {"sort_dir": "desc"},
    "pg[returnTotalCount]": {"return_total_count": True},
}


@pytest.fixture
def hook(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHook]:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    with MakeHook() as hook:
        yield hook


@pytest.fixture
def sent(hook: MakeHook, make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Collect the parameters of each request, and validate each request and response when it is sent."""
    parameters: list[set[str]] = []
    api = OpenAPI.from_dict(openapi_description(make_sandbox.base_url))
    get = Transport.get

    async def validating_get(self: Transport, path: str, pairs: Any) -> HttpResponse:
        received = await get(self, path, pairs)
        # As the sandbox received it.
        recorded = make_sandbox.requests[-1]
        request = MockRequest(
            make_sandbox.host,
            recorded.method.lower(),
            recorded.path,
            args=recorded.query,  # type: ignore[arg-type]  # a list, as names may repeat
            headers=dict(recorded.headers),
        )
        response = MockResponse(received.body, received.status, content_type=received.headers["Content-Type"])
        api.validate_request(request)
        api.validate_response(request, response)
        parameters.append({name for name, _ in recorded.query})
        return received

    monkeypatch.setattr(Transport, "get", validating_get)
    return parameters


def test_every_parameter_has_arguments_here() -> None:
    assert ARGUMENTS.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_parameter_is_sent_as_documented(parameter: str, hook: MakeHook, sent: list[set[str]]) -> None:
    hook.get_analytics_page(**ARGUMENTS[parameter])
    assert parameter in sent[0]


def test_all_pages_of_a_query_match_the_description(hook: MakeHook, sent: list[set[str]]) -> None:
    everything = ARGUMENTS["timeframe[dateFrom]"] | ARGUMENTS["status[]"] | ARGUMENTS["pg[sortBy]"]
    pages = list(hook.iter_analytics_pages(page_size=20, **everything))
    assert len(pages) == len(sent) > 1


def test_sort_keys_and_statuses_are_those_of_the_api() -> None:
    assert list(SORT_KEYS.values()) == PARAMETERS["pg[sortBy]"]["enum"]
    assert list(STATUSES) == PARAMETERS["status"]["enum"]


@pytest.mark.parametrize("field", [*SCENARIO, *FIGURES])
def test_every_field_of_an_entry_has_a_column(field: str) -> None:
    (column,) = [column for column, name in SCENARIO_COLUMNS.items() if name == field]
    assert column in COLUMNS


@pytest.mark.parametrize("field", FIGURES)
def test_every_figure_of_the_total_is_kept(field: str) -> None:
    assert field in FIGURE_COLUMNS.values()


def test_every_field_of_a_response_is_kept(hook: MakeHook, make_sandbox: Sandbox) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(Pagination)} == set(PAGINATION)
    for arguments in ({"offset": 3, "return_total_count": True}, {"last": SOME_ID}, {}):
        page = hook.get_analytics_page(limit=50, **arguments)
        sent_request = make_sandbox.requests[-1]
        url = f"{make_sandbox.host}{sent_request.path}"
        body = requests.get(url, params=sent_request.query, headers=dict(sent_request.headers), timeout=10).json()
        parsed = msgspec.to_builtins(page)
        for kept, sent in zip(
            [parsed["pg"], parsed["total"], *parsed["analytics"]],
            [body["pg"], body["total"], *body["analytics"]],
            strict=True,
        ):
            assert {name: value for name, value in kept.items() if value is not None} == sent

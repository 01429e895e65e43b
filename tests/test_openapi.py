"""The hook's requests and the sandbox's answers, held against Make's OpenAPI description."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import requests
import urllib3
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from airflow_provider_make.api.query import SORT_KEYS, STATUSES
from airflow_provider_make.api.response import Pagination
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.output.rows import COLUMNS, FIGURE_COLUMNS, SCENARIO_COLUMNS
from airflow_provider_make.sandbox import Sandbox
from tests.support.analytics_openapi import FIGURES, PAGINATION, PARAMETERS, SCENARIO, description

NOW = datetime.now(UTC)
# A key that the sandbox of the fixture knows: the same seed gives the same scenarios.
SOME_ID = Sandbox().truth()[0]["id"]
# By parameter of the API, the argument that sends it.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "teamId": {"team_id": [1, 2]},
    "folderId": {"folder_id": 3},
    "status": {"status": ["active", "invalid"]},
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
def hook(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> MakeHook:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    return MakeHook()


@pytest.fixture
def exchanges(hook: MakeHook, make_sandbox: Sandbox) -> list[requests.Response]:
    """What is sent and answered from now on; each is held against the description as it happens."""
    seen: list[requests.Response] = []
    api = OpenAPI.from_dict(description(make_sandbox.base_url))

    def check(response: requests.Response, **_: Any) -> None:
        request = RequestsOpenAPIRequest(response.request)
        api.validate_request(request)
        api.validate_response(request, RequestsOpenAPIResponse(response))
        seen.append(response)
        # Validation has read the body; the hook is to find it unread.
        response.raw = urllib3.HTTPResponse(io.BytesIO(response.content), preload_content=False)

    hook._session.hooks["response"].append(check)
    return seen


def sent(response: requests.Response) -> set[str]:
    return set(RequestsOpenAPIRequest(response.request).parameters.query)


def test_the_table_has_every_parameter() -> None:
    assert ARGUMENTS.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_parameter_is_sent_as_documented(
    parameter: str, hook: MakeHook, exchanges: list[requests.Response]
) -> None:
    hook.get_analytics_page(**ARGUMENTS[parameter])
    assert parameter in sent(exchanges[0])


def test_a_whole_pull_is_as_documented(hook: MakeHook, exchanges: list[requests.Response]) -> None:
    everything = ARGUMENTS["timeframe[dateFrom]"] | ARGUMENTS["status"] | ARGUMENTS["pg[sortBy]"]
    pages = list(hook.iter_analytics_pages(page_size=20, **everything))
    assert len(pages) == len(exchanges) > 1


def test_values_of_the_query_are_those_of_the_api() -> None:
    assert list(SORT_KEYS.values()) == PARAMETERS["pg[sortBy]"]["enum"]
    assert list(STATUSES) == PARAMETERS["status"]["oneOf"][0]["enum"]


@pytest.mark.parametrize("field", [*SCENARIO, *FIGURES])
def test_every_field_of_an_entry_has_a_column(field: str) -> None:
    (column,) = [column for column, name in SCENARIO_COLUMNS.items() if name == field]
    assert column in COLUMNS


@pytest.mark.parametrize("field", FIGURES)
def test_every_figure_of_the_total_is_kept(field: str) -> None:
    assert field in FIGURE_COLUMNS.values()


def test_every_field_of_an_answer_is_kept(hook: MakeHook, exchanges: list[requests.Response]) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(Pagination)} == set(PAGINATION)
    for arguments in ({"offset": 3, "return_total_count": True}, {"last": SOME_ID}, {}):
        page = hook.get_analytics_page(limit=50, **arguments)
        answer = json.loads(exchanges[-1].content)
        read = msgspec.to_builtins(page)
        for kept, sent in zip(
            [read["pg"], read["total"], *read["analytics"]],
            [answer["pg"], answer["total"], *answer["analytics"]],
            strict=True,
        ):
            assert {name: value for name, value in kept.items() if value is not None} == sent

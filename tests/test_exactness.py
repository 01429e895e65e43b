"""Whole pulls from a model server that drifts and fails: the rows are exact, or nothing is written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.transport import HttpResponse
from airflow_provider_make.exceptions import MakeApiError, MakeConnectionError, MakeIncompleteResultError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from tests.support.model_server import Server, servers
from tests.support.time_frames import LAST_WEEK

FAULTS: list[HttpResponse | MakeApiError] = [
    HttpResponse(429, {"retry-after": "0"}, b'{"message": "Requests limit"}'),
    HttpResponse(503, {}, b"<html>down</html>"),
    HttpResponse(200, {}, b""),
    HttpResponse(200, {}, b"<html>sign in</html>"),
    HttpResponse(200, {}, b'{"total": {}, "analytics": [], "pg": {"totalCount": 7, "offset": 1000000}}'),
    MakeConnectionError("dropped"),
]


class ModelTransport:
    """A fake transport: returns the responses of the model server, with faults in between."""

    server: Server
    faults: list[HttpResponse | MakeApiError | None]

    def __init__(self, settings: Any) -> None:
        self.requests_sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def get(self, path: str, parameters: list[tuple[str, str]]) -> HttpResponse:
        self.requests_sent += 1
        if self.faults and (fault := self.faults.pop(0)):
            if isinstance(fault, MakeApiError):
                raise fault
            return fault
        sent = dict(parameters)
        query = AnalyticsQuery.from_arguments(
            organization_id=1, sort_by=sent["pg[sortBy]"], sort_dir=sent["pg[sortDir]"]
        )
        page = await self.server.fetch(query, PageRequest(offset=int(sent["pg[offset]"]), limit=int(sent["pg[limit]"])))
        return HttpResponse(200, {}, msgspec.json.encode(page))


@pytest.fixture(scope="module", autouse=True)
def model() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_make.api.client.Transport", ModelTransport)
        patch.setattr("airflow_provider_make.api.retry.SHORTEST_RATE_LIMIT_WAIT", 0.0)
        patch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", "make://:some-token@eu1.make.com/?organization_id=1")
        yield


@pytest.mark.timeout(600)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    servers(drifts=True),
    st.lists(st.none() | st.sampled_from(FAULTS), max_size=40),
    st.integers(1, 10),
    st.sampled_from(["name", "errors", "error_rate"]),
    st.sampled_from(["asc", "desc"]),
)
def test_rows_are_exact_or_nothing_is_written(
    drawn: tuple[Server, int],
    faults: list[HttpResponse | MakeApiError | None],
    max_concurrency: int,
    sort_by: str,
    sort_dir: str,
) -> None:
    server, page_size = drawn
    ModelTransport.server, ModelTransport.faults = server, list(faults)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "analytics.jsonl"
        operator = MakeAnalyticsOperator(
            task_id="pull",
            page_size=page_size,
            max_concurrency=max_concurrency,
            sort_by=sort_by,
            sort_dir=sort_dir,
            output_path=str(path),
            api_retry_delay=0.0,
            **LAST_WEEK,
        )
        try:
            summary = operator.execute({})
        except MakeApiError as error:
            assert isinstance(error, MakeIncompleteResultError) or any(faults)
            assert len([text for text in error.tries if "HTTP 429" not in text]) == 5
            assert list(Path(folder).iterdir()) == []
            return
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    ids = [row["scenario_id"] for row in rows]
    assert len(ids) == len(set(ids)) == summary["row_count"]
    assert set(ids) <= server.ever_present
    if not server.drift:
        assert sorted(ids) == server.ids
        assert [row[sort_by] for row in rows] == [getattr(entry, sort_by) for entry in server.truth(sort_by, sort_dir)]
    elif sort_by == "name":
        assert server.always_present <= set(ids)

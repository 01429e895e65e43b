"""Requests to a sandbox with a plain HTTP client."""

from __future__ import annotations

import requests

from airflow_provider_make.sandbox import RecordedRequest, Sandbox

TOKEN = {"Authorization": "Token sandbox-token"}


def get_page(
    sandbox: Sandbox, organization_id: int | str = 1, **parameters: str | int | list[int]
) -> requests.Response:
    """Request a page; the pagination parameters have short names."""
    names = {"offset": "pg[offset]", "limit": "pg[limit]", "last": "pg[last]", "count": "pg[returnTotalCount]"}
    return requests.get(
        f"{sandbox.base_url}/analytics/{organization_id}",
        params={names.get(name, name): value for name, value in parameters.items()},
        headers=TOKEN,
        timeout=10,
    )


def analytics_requests(sandbox: Sandbox) -> list[RecordedRequest]:
    """Return the requests for analytics, without those that explain a refusal."""
    return [request for request in sandbox.requests if "/analytics/" in request.path]

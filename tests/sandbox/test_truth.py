"""Test that the truth is what correct responses contain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox.refusals import Refusal
from tests.support.sandbox_requests import TOKEN


def test_truth_accepts_the_filters_of_the_api(make_sandbox: Sandbox) -> None:
    now = datetime.now(UTC)
    response = requests.get(
        f"{make_sandbox.base_url}/analytics/1",
        params=[
            ("teamId", "101"),
            ("teamId", "103"),
            ("status", "active"),
            ("timeframe[dateFrom]", (now - timedelta(days=2)).isoformat()),
            ("timeframe[dateTo]", now.isoformat()),
            ("pg[sortBy]", "errorRate"),
            ("pg[sortDir]", "desc"),
            ("pg[limit]", "1000"),
        ],
        headers=TOKEN,
        timeout=10,
    )
    filters: dict[str, Any] = {
        "team_id": [101, 103],
        "status": "active",
        "date_from": now - timedelta(days=2),
        "date_to": now,
    }
    truth = make_sandbox.truth(sort_by="errorRate", sort_dir="desc", **filters)
    assert truth
    assert response.json()["analytics"] == truth
    assert response.json()["total"] == make_sandbox.truth_total(**filters)
    with pytest.raises(Refusal, match="zone"):
        make_sandbox.truth(date_from=datetime(2026, 1, 1))

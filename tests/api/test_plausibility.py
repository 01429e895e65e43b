"""Checks of a page against its query and against itself."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_make.api.page import (
    AnalyticsPage,
    Metrics,
    Pagination,
    ScenarioMetrics,
    check_filters,
    describe_fraction,
)
from airflow_provider_make.api.query import AnalyticsQuery
from airflow_provider_make.exceptions import MakeResponseError

ENTRIES = [ScenarioMetrics(scenario_id=7, team_id=3, status="active"), ScenarioMetrics(scenario_id=8)]
PAGE = AnalyticsPage(Metrics(), ENTRIES, Pagination())


def query(**filters: Any) -> AnalyticsQuery:
    return AnalyticsQuery.from_arguments(organization_id=1, sort_by="name", sort_dir="asc", **filters)


@pytest.mark.parametrize(
    "filters", [{}, {"team_id": 3}, {"team_id": [2, 3]}, {"status": ["inactive", "active"]}, {"folder_id": 9}]
)
def test_entries_that_fit_or_lack_the_field_are_accepted(filters: dict[str, Any]) -> None:
    check_filters(query(**filters), PAGE)


@pytest.mark.parametrize(
    ("filters", "shown"), [({"team_id": [4, 5]}, r"team_id=\[4, 5\]"), ({"status": "invalid"}, r"status=\['invalid'\]")]
)
def test_an_entry_that_does_not_fit_raises(filters: dict[str, Any], shown: str) -> None:
    with pytest.raises(MakeResponseError, match=f"scenario 7 does not fit the filter {shown}"):
        check_filters(query(**filters), PAGE)


@pytest.mark.parametrize(
    ("executions", "errors", "rate", "warns"),
    [
        (100, 5, 5.0, False),
        (100, 5, 0.05, True),
        (1000, 1, 0.1, False),
        (1000, 1, 0.001, True),
        (3, 1, 33.33, False),
        (3, 1, 0.33, True),
        (1, 1, 1.0, True),
        (1, 1, 100.0, False),
        (100, 0, 0.0, False),
        (0, 0, None, False),
        (None, 5, 0.05, False),
        # Neither: Make may count otherwise than expected.
        (100, 5, 7.0, False),
    ],
)
def test_a_rate_that_looks_like_a_fraction(
    executions: int | None, errors: int, rate: float | None, warns: bool
) -> None:
    warning = describe_fraction(Metrics(executions=executions, errors=errors, error_rate=rate))
    assert (warning is not None) == warns
    if warning:
        assert f"errorRate={rate:g}" in warning
        assert f"{errors} errors in {executions} executions" in warning

"""Checks of a page against its query and against itself, beyond its shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from airflow_provider_make.api.query import AnalyticsQuery
from airflow_provider_make.api.response import AnalyticsPage, Metrics, ScenarioMetrics
from airflow_provider_make.exceptions import MakeFilterError


def check_filters(query: AnalyticsQuery, page: AnalyticsPage) -> None:
    """
    Check that each entry fits the query's filters: a server that misreads a parameter would add or lose rows.

    An entry without a team or status fits. Entries have no folder, so that filter can't be checked.

    :param query: The query.
    :param page: Its page.
    :raises MakeFilterError: An entry does not fit.
    """
    _check_filter("team_id", query.team_id, lambda entry: entry.team_id, page)
    statuses = tuple(status.casefold() for status in query.status or ())
    _check_filter("status", statuses, lambda entry: entry.status and entry.status.casefold(), page)


def _check_filter(
    name: str, allowed: tuple[Any, ...] | None, value_of: Callable[[ScenarioMetrics], Any], page: AnalyticsPage
) -> None:
    if not allowed:
        return
    accepted = {None, *allowed}
    wrong = next((entry for entry in page.analytics if value_of(entry) not in accepted), None)
    if wrong is not None:
        raise MakeFilterError(
            f"scenario {wrong.scenario_id} does not fit the filter {name}={list(allowed)}: "
            "the server misread it, so rows may be wrong or missing",
            advice=None if len(allowed) > 1 else "",
        )


def describe_fraction(figures: Metrics) -> str | None:
    """
    Describe an error rate that looks like a fraction. Make documents a percentage, and no recorded response shows one.

    :param figures: The figures of an organization.
    :return: The text of a warning with both figures; None if the rate is what executions and errors give as percent,
        or can't be compared.
    """
    executions, errors, rate = figures.executions, figures.errors, figures.error_rate
    if not executions or not errors or rate is None:
        return None
    percent = 100.0 * errors / executions
    # With room for the rounding of a rate such as 0.05.
    if math.isclose(rate, percent, rel_tol=0.02) or not math.isclose(100.0 * rate, percent, rel_tol=0.1, abs_tol=0.5):
        return None
    return (
        f"errorRate={rate:g} looks like a fraction: {errors} errors in {executions} executions are {percent:g} %. "
        "Thresholds and rows use the value as it was received."
    )

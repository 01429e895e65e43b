"""Asking Make for what a rule is about, with as few pages as tell it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import AnalyticsPage, Figures, ScenarioFigures
from airflow_provider_make.api.time_frame import resolve_time_frame
from airflow_provider_make.exceptions import MakeIncompleteResultError, MakeInputError
from airflow_provider_make.paging.exact_reader import Ask, read_exactly
from airflow_provider_make.thresholds.rule import ErrorRateRule, Reading

if TYPE_CHECKING:
    from airflow_provider_make.hooks.make import MakeHook

# Scenarios that cross come first; there are few of them.
PAGE_SIZE = 1000


@dataclass(frozen=True)
class Watch:
    """
    What is watched, by the arguments of sensor and triggers.

    :param rule: What is watched for.
    :param lookback: How far back from now each look reaches: a timedelta or an ISO 8601 duration such as ``PT1H``.
    :param filters: ``organization_id``, ``team_id``, ``folder_id`` and ``status``, as of the operator.
    """

    rule: ErrorRateRule
    lookback: Any
    filters: dict[str, Any]

    @classmethod
    def read(cls, arguments: dict[str, Any]) -> Watch:
        """
        Check the arguments.

        :param arguments: Those of sensor or trigger; others than a watch's are passed over.
        :return: The watch.
        :raises MakeInputError: The first argument that is wrong, its value, and what would be right.
        """
        of_rule = ("threshold", "metric", "comparison", "scope", "min_executions", "hysteresis")
        of_query = ("organization_id", "team_id", "folder_id", "status")
        lookback = arguments["lookback"]
        if lookback is None:
            raise MakeInputError.expected("lookback", None, "a timedelta, or an ISO 8601 duration such as PT1H")
        resolve_time_frame(now=datetime.now(UTC), lookback=lookback)
        return cls(
            ErrorRateRule.read(**{name: arguments[name] for name in of_rule if name in arguments}),
            lookback,
            {name: arguments[name] for name in of_query},
        )

    def query(self, hook: MakeHook, now: datetime) -> AnalyticsQuery:
        """
        Write the query of one look.

        :param hook: The connection, whose organization is taken unless the filters name one.
        :param now: Where the time frame ends.
        :return: The query.
        :raises MakeInputError: A filter is wrong, or there is no organization.
        """
        rule = self.rule
        scenarios = rule.scope == "scenario"
        return hook.query(
            **self.filters,
            time_frame=resolve_time_frame(now=now, lookback=self.lookback, date_to=now),
            sort_by=rule.metric if scenarios else "name",
            sort_dir=rule.sort_dir if scenarios else "asc",
        )

    async def look(self, hook: MakeHook, ask: Ask) -> Reading:
        """
        Ask Make.

        :param hook: The connection.
        :param ask: Its asyncio side.
        :return: What Make told: by one request of one entry for an organization; for scenarios, in order of the
            metric, by as many pages as have scenarios that matter, one after another.
        :raises MakeInputError: A filter is wrong, or there is no organization.
        :raises MakeApiError: Make did not answer as hoped.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        query = self.query(hook, now)
        if self.rule.scope == "organization":
            total, entries = (await ask(query, PageRequest(limit=1))).total, list[ScenarioFigures]()
        else:
            total, entries = await _extremes(ask, query, self.rule, hook.rules.delay)
        return Reading(query.organization_id, hook.settings.zone, query.time_frame, now, total, entries)


async def _extremes(
    ask: Ask, query: AnalyticsQuery, rule: ErrorRateRule, delay: float
) -> tuple[Figures, list[ScenarioFigures]]:
    found = _UntilSettled(rule)

    async def ask_for_total_too(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
        answer = await ask(query, page)
        found.total = answer.total
        return answer

    with suppress(_Settled):
        await read_exactly(ask_for_total_too, query, found, page_size=PAGE_SIZE, max_concurrency=1, delay=delay)
    return found.total, found.entries


class _Settled(Exception):
    """No further page matters."""


@dataclass
class _UntilSettled:
    """Takes entries up to the first that settles the others."""

    rule: ErrorRateRule
    total: Figures = field(default_factory=Figures)
    entries: list[ScenarioFigures] = field(default_factory=list)

    def add(self, entries: Sequence[ScenarioFigures], total_count: int | None) -> None:
        for entry in entries:
            self.entries.append(entry)
            if self.rule.settles(entry):
                raise _Settled

    def restart(self, error: MakeIncompleteResultError, pause: float) -> None:
        self.entries = []

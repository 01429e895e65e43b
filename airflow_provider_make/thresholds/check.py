"""Fetch the figures that a threshold rule needs, in as few pages as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.plausibility import describe_fraction
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.response import ScenarioMetrics
from airflow_provider_make.api.time_frame import resolve_time_frame
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.paging.exact_reader import read_exactly
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.rule import Snapshot, ThresholdRule

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.connection.settings import ConnectionSettings

# Few scenarios cross, and they come first: usually, one request is enough.
PAGE_SIZE = 1000


@dataclass(frozen=True)
class ThresholdCheck:
    """
    A rule, and the query for the figures that it needs.

    :param rule: The rule.
    :param lookback: The length of the time frame: a timedelta, or an ISO 8601 duration such as ``PT1H``.
    :param filters: ``organization_id``, ``team_id``, ``folder_id`` and ``status``, as the operator accepts them.
    """

    rule: ThresholdRule
    lookback: Any
    filters: dict[str, Any]

    @classmethod
    def from_arguments(cls, arguments: ThresholdArguments, *, hysteresis: Any = 0.0) -> ThresholdCheck:
        """
        Validate the arguments of a sensor or trigger.

        :param arguments: The arguments.
        :param hysteresis: The hysteresis of a watcher, which a sensor does not have.
        :return: The check.
        :raises MakeInputError: An argument is not valid; the error names the first such argument.
        """
        if arguments.lookback is None:
            raise MakeInputError.expected("lookback", None, "a timedelta, or an ISO 8601 duration such as PT1H")
        resolve_time_frame(now=datetime.now(UTC), lookback=arguments.lookback)
        rule = ThresholdRule.from_arguments(
            threshold=arguments.threshold,
            metric=arguments.metric,
            comparison=arguments.comparison,
            scope=arguments.scope,
            min_executions=arguments.min_executions,
            hysteresis=hysteresis,
        )
        filters = {name: getattr(arguments, name) for name in ("organization_id", "team_id", "folder_id", "status")}
        return cls(rule, arguments.lookback, filters)

    def query(self, settings: ConnectionSettings, now: datetime) -> AnalyticsQuery:
        """
        Build the query of one check.

        :param settings: The connection settings, whose organization is the default.
        :param now: The end of the time frame.
        :return: The query.
        :raises MakeInputError: A filter is not valid, or there is no organization.
        """
        per_scenario = self.rule.scope == "scenario"
        organization_id = settings.resolve_organization_id(self.filters["organization_id"])
        return AnalyticsQuery.from_arguments(
            **{**self.filters, "organization_id": organization_id},
            time_frame=resolve_time_frame(now=now, lookback=self.lookback, date_to=now),
            sort_by=self.rule.metric if per_scenario else "name",
            sort_dir=self.rule.sort_dir if per_scenario else "asc",
        )

    async def fetch(self, client: MakeClient) -> Snapshot:
        """
        Fetch the figures.

        :param client: The client of the organization's zone.
        :return: The figures: one request of one entry for the organization's; for those of scenarios, as many pages in
            the order of the metric as have scenarios that may cross.
        :raises MakeInputError: A filter is not valid, or there is no organization.
        :raises MakeApiError: The figures could not be fetched.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        query = self.query(client.settings, now)
        if self.rule.scope == "organization":
            total, entries = (await client.ask(query, PageRequest(limit=1))).total, list[ScenarioMetrics]()
        else:
            extremes = _Extremes(self.rule)
            total = await read_exactly(
                client.ask, query, extremes, page_size=PAGE_SIZE, max_concurrency=1, delay=client.retry_rules.delay
            )
            entries = extremes.entries
        if warning := describe_fraction(total):
            client.log.warning(warning)
        return Snapshot(query.organization_id, client.settings.zone, query.time_frame, now, total, entries)


@dataclass
class _Extremes:
    """Collects entries up to the first that rules out all after it."""

    rule: ThresholdRule
    entries: list[ScenarioMetrics] = field(default_factory=list)

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        for entry in entries:
            self.entries.append(entry)
            if self.rule.rules_out_all_after(entry):
                return False
        return True

    def restart(self, error: MakeApiError, delay: float) -> None:
        self.entries = []

"""Fetch the figures that a threshold rule needs, in as few pages as possible."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.page import ScenarioMetrics, describe_fraction
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import TimeFrame, resolve_time_frame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.paging.exact_reader import read_exactly
from airflow_provider_make.thresholds.arguments import DEFAULT_LOOKBACK, ThresholdArguments
from airflow_provider_make.thresholds.evaluation import Snapshot
from airflow_provider_make.thresholds.rule import ThresholdRule

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.connection.settings import ConnectionSettings

# Few scenarios cross, and they come first: usually, one request is enough.
PAGE_SIZE = 1000
PERIODS = ("day", "week", "month")


@dataclass(frozen=True)
class ThresholdCheck:
    """
    A rule, and the query for the figures that it needs.

    :param rule: The rule.
    :param lookback: The length of the time frame: a timedelta, or an ISO 8601 duration such as ``PT1H``; None if
        ``since`` is set.
    :param since: One of ``PERIODS``: the time frame begins with the current one; None if ``lookback`` is set.
    :param filters: ``organization_id``, ``team_id``, ``folder_id`` and ``status``, as the operator accepts them.
    """

    rule: ThresholdRule
    lookback: Any
    since: str | None
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
        RetryRules(arguments.api_retry_limit, arguments.api_retry_delay)
        if not isinstance(arguments.make_conn_id, str) or not arguments.make_conn_id:
            raise MakeInputError.expected("make_conn_id", arguments.make_conn_id, "the id of a connection")
        lookback, since = arguments.lookback, arguments.since
        if since is not None:
            if not isinstance(since, str) or since not in PERIODS:
                raise MakeInputError.expected("since", since, f"one of {', '.join(PERIODS)}, or None")
            if lookback not in (None, DEFAULT_LOOKBACK):
                raise MakeInputError.expected("lookback", lookback, f"either lookback or since={since!r}, not both")
            lookback = None
        elif lookback is None:
            raise MakeInputError.expected("lookback", None, "a timedelta, or an ISO 8601 duration such as PT1H")
        rule = ThresholdRule.from_arguments(
            threshold=arguments.threshold,
            metric=arguments.metric,
            comparison=arguments.comparison,
            scope=arguments.scope,
            min_executions=arguments.min_executions,
            hysteresis=hysteresis,
        )
        filters = {name: getattr(arguments, name) for name in ("organization_id", "team_id", "folder_id", "status")}
        check = cls(rule, lookback, since, filters)
        check._query(datetime.now(UTC))
        return check

    def query(self, settings: ConnectionSettings, now: datetime) -> AnalyticsQuery:
        """
        Build the query of one check.

        :param settings: The connection settings, whose organization is the default.
        :param now: The end of the time frame.
        :return: The query.
        :raises MakeInputError: There is no organization.
        """
        return self._query(now, settings.resolve_organization_id(self.filters["organization_id"]))

    def identity(self) -> dict[str, Any]:
        """
        Return what identifies the check, however its arguments are spelled.

        :return: Values of the rule, the time frame and the filters, JSON-serialisable. The organization is None where
            it is the connection's.
        """
        rule, organization_id = self.rule, self.filters["organization_id"]
        now = datetime.now(UTC).replace(microsecond=0)
        query = self._query(now)
        filters = {name: sorted(set(getattr(query, name) or ())) for name in ("team_id", "folder_id", "status")}
        return {
            **filters,
            "organization_id": None if organization_id is None else query.organization_id,
            "since": self.since,
            "lookback": None if self.since else (now - _begin(now, self.lookback)).total_seconds(),
            "metric": rule.metric.name,
            "comparison": rule.comparison,
            "threshold": rule.threshold,
            "scope": rule.scope,
            "min_executions": rule.min_executions,
            "hysteresis": rule.hysteresis,
        }

    async def fetch(self, client: MakeClient, not_back: Set[int] = frozenset()) -> Snapshot:
        """
        Fetch the figures.

        :param client: The client of the organization's zone.
        :param not_back: The scenarios that crossed before and were not back, which have to be seen again.
        :return: The figures: one request of one entry for the organization's; for those of scenarios, as many pages in
            the order of the metric as have scenarios that may matter, or all pages where Make can't sort by the metric.
        :raises MakeInputError: There is no organization.
        :raises MakeApiError: The figures could not be fetched.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        query = self.query(client.settings, now)
        if self.rule.scope == "organization":
            total, entries = (await client.ask(query, PageRequest(limit=1))).total, list[ScenarioMetrics]()
        else:
            selection = _Selection(self.rule, not_back)
            total = await read_exactly(
                client.ask, query, selection, page_size=PAGE_SIZE, max_concurrency=1, delay=client.retry_rules.delay
            )
            entries = selection.entries()
        if warning := describe_fraction(total):
            client.log.warning(warning)
        return Snapshot(query.organization_id, client.settings.zone, query.time_frame, now, total, entries)

    def _query(self, now: datetime, organization_id: int | None = None) -> AnalyticsQuery:
        # The connection may have the organization; to validate the other arguments, any does.
        organization = self.filters["organization_id"] if organization_id is None else organization_id
        is_sorted = self.rule.scope == "scenario" and self.rule.metric.is_sortable
        return AnalyticsQuery.from_arguments(
            **{**self.filters, "organization_id": 1 if organization is None else organization},
            time_frame=self._time_frame(now.replace(microsecond=0)),
            sort_by=self.rule.metric.column if is_sorted else "name",
            sort_dir="desc" if is_sorted and self.rule.is_about_high_values else "asc",
        )

    def _time_frame(self, now: datetime) -> TimeFrame:
        if self.since is None:
            return TimeFrame(_begin(now, self.lookback), now)
        begin = now.replace(hour=0, minute=0, second=0)
        if self.since == "week":
            begin -= timedelta(days=begin.weekday())
        elif self.since == "month":
            begin = begin.replace(day=1)
        # In the first second, a frame would be empty, which Make may refuse.
        return TimeFrame(begin, max(now, begin + timedelta(seconds=1)))


class _Selection:
    """
    Selects the scenarios that matter, up to the first that rules out all after it.

    :param rule: The rule.
    :param not_back: The scenarios that crossed before and were not back.
    """

    def __init__(self, rule: ThresholdRule, not_back: Set[int]) -> None:
        self._rule = rule
        self._not_back = not_back
        self.restart()

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        """Receive the next entries, sorted by the metric if Make can; return whether later ones may matter."""
        for entry in entries:
            value = self._rule.metric.value(entry)
            self._unseen.discard(entry.scenario_id)
            is_beyond = value is not None and self._rule.is_beyond(value)
            if entry.scenario_id in self._not_back or is_beyond:
                self._selected.append(entry)
            self._compare(entry)
            # An entry without a value decides nothing: servers may sort it first or last.
            if value is not None and not is_beyond and self._rule.metric.is_sortable and not self._may_matter(value):
                return False
        return True

    def restart(self, *_: Any) -> None:
        """Discard the entries received so far."""
        self._selected: list[ScenarioMetrics] = []
        self._most_extreme: ScenarioMetrics | None = None
        self._extremity = math.inf
        self._unseen = set(self._not_back)

    def entries(self) -> list[ScenarioMetrics]:
        """Return the scenarios that matter: beyond the threshold, not back before, or the most extreme of all."""
        extreme = self._most_extreme
        if extreme is None or any(entry is extreme for entry in self._selected):
            return self._selected
        return [*self._selected, extreme]

    def _may_matter(self, value: float) -> bool:
        """Decide whether a scenario after a value that is not beyond may be one that is not back."""
        return bool(self._unseen) and (self._rule.min_executions > 0 or not self._rule.is_back(value))

    def _compare(self, entry: ScenarioMetrics) -> None:
        value = self._rule.counted_value(entry)
        if value is not None and self._rule.extremity(value) < self._extremity:
            self._most_extreme, self._extremity = entry, self._rule.extremity(value)


def _begin(now: datetime, lookback: Any) -> datetime:
    begin = resolve_time_frame(now=now, lookback=lookback, date_to=now).date_from
    if begin is None:
        raise RuntimeError("a lookback has a begin")
    return begin

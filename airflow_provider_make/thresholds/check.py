"""Fetch the figures that a threshold rule needs, in as few pages as possible."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.errors import shorten
from airflow_provider_make.api.page import AnalyticsPage, Pagination, ScenarioMetrics, fraction_warning
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest, ScenarioFilters
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import TimeFrame, parse_lookback, resolve_time_frame
from airflow_provider_make.arguments import parse_conn_id
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.gauges import Gauge, Gauges, TeamTotals, describe_omission, parse_level
from airflow_provider_make.paging.exact_reader import read_exactly
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.evaluation import Snapshot
from airflow_provider_make.thresholds.rule import EXPLAINED, ThresholdRule

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.connection.settings import ConnectionSettings

# Few scenarios cross, and they come first: usually, one request of the first size is enough.
FIRST_PAGE_SIZE = 100
PAGE_SIZE = 1000
PERIODS = ("day", "week", "month")
_FILTERS = ("organization_id", "team_id", "folder_id", "status")


@dataclass(frozen=True)
class ThresholdCheck:
    """What a sensor or trigger checks, validated: the rule, the figures that it needs, and where they come from."""

    rule: ThresholdRule
    filters: ScenarioFilters
    # The time frame is this long, or begins with the current one of PERIODS.
    lookback: timedelta | None
    since: str | None
    # Whether Make is asked why, when figures cross.
    explain: bool
    make_conn_id: str
    retry_rules: RetryRules
    # Whose figures become gauges.
    emit_metrics: str | None = None

    @classmethod
    def from_arguments(cls, arguments: ThresholdArguments, *, hysteresis: Any = 0.0) -> ThresholdCheck:
        """Validate the arguments; an error names the first that is not valid. Only a watcher has a hysteresis."""
        retry_rules = RetryRules(arguments.api_retry_limit, arguments.api_retry_delay)
        make_conn_id = parse_conn_id(arguments.make_conn_id)
        lookback, since = _parse_time_frame(arguments.lookback, arguments.since)
        rule = ThresholdRule.from_arguments(
            threshold=arguments.threshold,
            metric=arguments.metric,
            comparison=arguments.comparison,
            scope=arguments.scope,
            min_executions=arguments.min_executions,
            hysteresis=hysteresis,
        )
        filters = ScenarioFilters.from_arguments(**{name: getattr(arguments, name) for name in _FILTERS})
        explain = _parse_explain(arguments.explain, rule)
        emit_metrics = parse_level(arguments.emit_metrics)
        return cls(rule, filters, lookback, since, explain, make_conn_id, retry_rules, emit_metrics)

    @property
    def warnings(self) -> list[str]:
        """The texts of warnings about arguments that are valid, but hardly what was meant."""
        reads_scenarios = self.rule.scope == "scenario"
        omission = describe_omission(self.emit_metrics, self.filters.filters, reads_scenarios=reads_scenarios)
        return [warning for warning in (self.rule.warning, omission) if warning]

    def gauges(self, snapshot: Snapshot) -> list[Gauge]:
        """Choose the gauges of a snapshot."""
        gauges = Gauges(self.emit_metrics, snapshot.organization_id, snapshot.zone, self.filters.filters)
        return gauges.of_figures(snapshot.total, snapshot.teams)

    def query(self, settings: ConnectionSettings, now: datetime) -> AnalyticsQuery:
        """Build the query of one check, whose time frame ends now."""
        is_sorted = self.rule.scope == "scenario" and self.rule.metric.is_sortable
        return AnalyticsQuery.from_arguments(
            **{
                **dict(self.filters),
                "organization_id": settings.resolve_organization_id(self.filters.organization_id),
            },
            time_frame=self._time_frame(now.replace(microsecond=0)),
            sort_by=self.rule.metric.column if is_sorted else "name",
            sort_dir="desc" if is_sorted and self.rule.is_about_high_values else "asc",
        )

    def identity(self) -> dict[str, Any]:
        """
        Return what identifies the check, however its arguments are spelled, JSON-serialisable.

        Watchers find their stored state by it: names and values must not change. The organization is None where it is
        the connection's.
        """
        rule, filters = self.rule, self.filters
        return {
            **{name: sorted(set(getattr(filters, name) or ())) for name in ("team_id", "folder_id", "status")},
            "organization_id": filters.organization_id,
            "since": self.since,
            "lookback": None if self.lookback is None else self.lookback.total_seconds(),
            "metric": rule.metric.name,
            "comparison": rule.comparison,
            "threshold": rule.threshold,
            "scope": rule.scope,
            "min_executions": rule.min_executions,
            "hysteresis": rule.hysteresis,
        }

    async def fetch(self, client: MakeClient, firing: Set[int] = frozenset()) -> Snapshot:
        """
        Fetch the figures: of the organization with one request of one entry, of scenarios with as many pages as needed.

        Scenarios that are ``firing`` crossed before and had not recovered: they have to be seen again.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        query = self.query(client.settings, now)
        # A team's figures are whole only if all pages are read.
        teams = TeamTotals() if self.emit_metrics == "team" else None
        if self.rule.scope == "organization":
            total, entries = (await client.fetch_page(query, PageRequest(limit=1))).total, list[ScenarioMetrics]()
        else:
            relevant = _RelevantScenarios(self.rule, firing, teams)

            async def fetch_page(query: AnalyticsQuery, request: PageRequest) -> AnalyticsPage:
                page = await client.fetch_page(query, request)
                relevant.compare_order(query, page.pg)
                return page

            total = await read_exactly(
                fetch_page,
                query,
                relevant,
                page_size=PAGE_SIZE,
                max_concurrency=1,
                delay=client.retry_rules.delay,
                first_page_size=FIRST_PAGE_SIZE if self.rule.metric.is_sortable and teams is None else None,
            )
            entries = relevant.entries()
            if relevant.wrong_order:
                wrong_order = shorten(relevant.wrong_order, client.settings.token)
                text = f"Scenarios were requested by {query.sort_by} {query.sort_dir}, but {wrong_order}: all are read."
                client.warn_once("order", text)
        if warning := fraction_warning(total):
            client.warn_once("fraction", warning)
        return Snapshot(
            query.organization_id,
            client.settings.zone,
            query.time_frame,
            now,
            total,
            entries,
            self.filters,
            teams.figures() if teams else {},
        )

    def _time_frame(self, now: datetime) -> TimeFrame:
        if self.since is None:
            return resolve_time_frame(now=now, lookback=self.lookback, date_to=now)
        begin = now.replace(hour=0, minute=0, second=0)
        if self.since == "week":
            begin -= timedelta(days=begin.weekday())
        elif self.since == "month":
            begin = begin.replace(day=1)
        # In the first second, a frame would be empty, which Make may refuse.
        return TimeFrame(begin, max(now, begin + timedelta(seconds=1)))


def _parse_explain(explain: Any, rule: ThresholdRule) -> bool:
    if not isinstance(explain, bool):
        raise MakeInputError.expected("explain", explain, "True or False")
    if explain and rule.metric.name not in EXPLAINED:
        expectation = (
            f"False for metric={rule.metric.name!r}: failed executions are a reason for {', '.join(EXPLAINED)}"
        )
        raise MakeInputError.expected("explain", True, expectation)
    return explain


def _parse_time_frame(lookback: Any, since: Any) -> tuple[timedelta | None, str | None]:
    if since is None:
        if lookback is None:
            raise MakeInputError.expected("lookback", None, "a timedelta, or an ISO 8601 duration such as PT1H")
        return _parse_lookback(lookback), None
    if not isinstance(since, str) or since not in PERIODS:
        raise MakeInputError.expected("since", since, f"one of {', '.join(PERIODS)}, or None")
    # The default is no choice, also in the form in which a trigger is stored.
    if lookback is not None and _parse_lookback(lookback) != ThresholdArguments.lookback:
        raise MakeInputError.expected("lookback", lookback, f"either lookback or since={since!r}, not both")
    return None, since


def _parse_lookback(lookback: Any) -> timedelta:
    # It also checks that it is at most a year.
    resolve_time_frame(now=datetime.now(UTC), lookback=lookback)
    return parse_lookback(lookback)


class _RelevantScenarios:
    """Receives scenarios, keeps those that matter, and ends the reading once no later one can matter."""

    def __init__(self, rule: ThresholdRule, firing: Set[int], teams: TeamTotals | None = None) -> None:
        # What contradicts the requested order: then, no scenario rules out those after it.
        self.wrong_order: str | None = None
        self._rule = rule
        self._firing = firing
        # Of all scenarios, also of those that do not matter for the rule.
        self._teams = teams
        self.restart()

    def restart(self, *_: Any) -> None:
        """Discard the entries received so far."""
        self._kept: list[ScenarioMetrics] = []
        self._most_severe: ScenarioMetrics | None = None
        self._highest_severity = -math.inf
        self._last_value: float | None = None
        self._unseen = set(self._firing)
        if self._teams is not None:
            self._teams.restart()

    def compare_order(self, query: AnalyticsQuery, pagination: Pagination) -> None:
        """Compare the order of a page, as its server reports it, with the order of the query."""
        reported = f"{pagination.sort_by or query.sort_by} {pagination.sort_dir or query.sort_dir}"
        # Some servers write DESC or descending.
        is_requested = reported.casefold().startswith(f"{query.sort_by} {query.sort_dir}".casefold())
        if self._rule.metric.is_sortable and not is_requested:
            self.wrong_order = f"the response is sorted by {reported}"

    def add(self, entries: Sequence[ScenarioMetrics], total_count: int | None) -> bool:
        """Receive the next entries, sorted by the metric if Make can; return whether later ones may matter."""
        may_matter = True
        if self._teams is not None:
            self._teams.add(entries)
        for entry in entries:
            value = self._rule.metric.value(entry)
            self._unseen.discard(entry.scenario_id)
            breaches = value is not None and self._rule.breaches(value)
            if breaches or entry.scenario_id in self._firing:
                self._kept.append(entry)
            self._compare(entry)
            # An entry without a value decides nothing: servers may sort it first or last.
            if value is not None and self._rule.metric.is_sortable:
                self._compare_with_last(value)
                may_matter = may_matter and (breaches or self._may_be_firing(value))
        return may_matter or self.wrong_order is not None or self._teams is not None

    def entries(self) -> list[ScenarioMetrics]:
        """Return the scenarios that breach the threshold or were firing, and the most severe of all."""
        most_severe = self._most_severe
        if most_severe is None or any(entry is most_severe for entry in self._kept):
            return self._kept
        return [*self._kept, most_severe]

    def _compare_with_last(self, value: float) -> None:
        last, self._last_value = self._last_value, value
        if last is not None and self._rule.severity(value) > self._rule.severity(last):
            self.wrong_order = self.wrong_order or f"a scenario with {value:g} follows one with {last:g}"

    def _may_be_firing(self, value: float) -> bool:
        """Decide whether a scenario after a value that does not breach the threshold may still be firing."""
        return bool(self._unseen) and (self._rule.min_executions > 0 or not self._rule.has_recovered(value))

    def _compare(self, entry: ScenarioMetrics) -> None:
        value = self._rule.counted_value(entry)
        if value is not None and self._rule.severity(value) > self._highest_severity:
            self._most_severe, self._highest_severity = entry, self._rule.severity(value)

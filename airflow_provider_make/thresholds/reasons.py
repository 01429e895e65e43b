"""Why figures crossed a threshold: the failed executions of the scenarios, read within seconds, and grouped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.api.executions import (
    LONG_LOOKBACK,
    PAGE_SIZE,
    SCENARIOS_SCOPE,
    ExecutionError,
    FailedExecution,
    FailureQuery,
    newest_first,
    with_error,
)
from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import TimeFrame, iso
from airflow_provider_make.exceptions import MakeApiError, MakeInputError, MakeResponseError
from airflow_provider_make.links import execution_url
from airflow_provider_make.text import plural, to_plain_line
from airflow_provider_make.thresholds.evaluation import MAX_MESSAGE_SCENARIOS, Evaluation, Explanation, Snapshot

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient

# Seconds that an alert waits for its reasons, at most.
TIME_LIMIT = 20.0
MAX_GROUPS = 3
# Requests at a time: at a second each, all scenarios take a third of the time limit, and other clients of the
# organization, with which the alert shares its rate limit, notice nothing.
_CONCURRENCY = 3
# An alert waits for no second try, and for no rate limit.
_ONCE = RetryRules(1, 0.0)
_MAX_MISSING_LENGTH = 300
log = logging.getLogger(__name__)


def reason_frame(evaluation: Evaluation) -> TimeFrame:
    """Return the time frame whose failed executions are reasons: that of the check, or for executions a long one."""
    snapshot = evaluation.snapshot
    if evaluation.rule.metric.name != "executions":
        return snapshot.time_frame
    # What Make has disabled, or what has stopped, does not run in the frame of the check.
    return TimeFrame(snapshot.checked_at - LONG_LOOKBACK, snapshot.checked_at)


async def explain(
    opening: AbstractAsyncContextManager[MakeClient], evaluation: Evaluation, seconds: float = TIME_LIMIT
) -> Explanation:
    """
    Ask Make why figures crossed, within some seconds, with a client that is opened only if Make is asked.

    It raises nothing: what could not be read is named in the explanation. Watchers that share a poll, and so its
    snapshot, ask once.
    """
    end = asyncio.get_running_loop().time() + seconds
    frame = reason_frame(evaluation)
    shared = _shared.setdefault(evaluation.snapshot, {}).setdefault(frame, _Shared())
    # Whoever comes second waits for the first, whose time ends as soon.
    async with shared.lock:
        if shared.explanation is None:
            reading = _Reading(evaluation, frame)
            try:
                async with asyncio.timeout_at(end), opening as client:
                    await reading.read(client)
            except TimeoutError:
                waited = f"Make did not answer within {seconds:.3g} s"
                reading.stop(waited if seconds > 0 else "no time was left to ask Make")
            # Of any class: connections come from backends that raise errors of their own.
            except Exception as error:
                if not isinstance(error, (MakeApiError, MakeInputError)):
                    log.warning("The reasons could not be read.", exc_info=True)
                reading.stop(_describe(error))
            shared.explanation = reading.explanation()
            if shared.explanation.missing:
                log.warning(shared.explanation.missing)
        return shared.explanation


class _Shared:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.explanation: Explanation | None = None


_shared: WeakKeyDictionary[Snapshot, dict[TimeFrame, _Shared]] = WeakKeyDictionary()


class _Reading:
    """The reasons of one crossing, as far as they have been read."""

    def __init__(self, evaluation: Evaluation, frame: TimeFrame) -> None:
        self._evaluation = evaluation
        self._frame = frame
        self._is_about_scenarios = evaluation.rule.scope == "scenario"
        self._scenarios: Sequence[ScenarioMetrics] = evaluation.scenarios[:MAX_MESSAGE_SCENARIOS]
        self._found: dict[int, dict[str, Any]] = {}
        # Why there is nothing for a scenario, by its id; and why no further one is asked for.
        self._problems: dict[int, str] = {}
        self._stopped: str | None = None
        self._has_answered = False

    def stop(self, problem: str) -> None:
        """Ask for no further scenario."""
        self._stopped = self._stopped or problem

    async def read(self, client: MakeClient) -> None:
        """Read the reasons of all scenarios, the most severe first."""
        if not self._is_about_scenarios:
            self._scenarios = await self._read_most_errors(client)
        remaining = iter(self._scenarios)

        async def read_remaining() -> None:
            for scenario in remaining:
                await self._read_scenario(client, scenario)
                if self._stopped:
                    break

        # Alone: whatever is wrong with the token, or with Make, costs one request.
        for first in remaining:
            await self._read_scenario(client, first)
            break
        if not self._stopped:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_CONCURRENCY):
                    tasks.create_task(read_remaining())

    async def _read_most_errors(self, client: MakeClient) -> Sequence[ScenarioMetrics]:
        snapshot = self._evaluation.snapshot
        query = AnalyticsQuery.from_arguments(
            **{**dict(snapshot.filters), "organization_id": snapshot.organization_id},
            time_frame=self._frame,
            sort_by="errors",
            sort_dir="desc",
        )
        page = await client.fetch_page(query, PageRequest(limit=MAX_MESSAGE_SCENARIOS), _ONCE)
        failing = [entry for entry in page.analytics if entry.errors]
        if not failing:
            self.stop("no scenario has errors")
        return sorted(failing, key=lambda entry: entry.errors or 0, reverse=True)

    async def _read_scenario(self, client: MakeClient, scenario: ScenarioMetrics) -> None:
        query = FailureQuery(scenario.scenario_id, self._frame, client.settings.token, is_diagnosed=False)
        try:
            # Some servers ignore the number of entries that is asked for.
            failures = newest_first((await client.fetch(query.page(), _ONCE)).failures)[:PAGE_SIZE]
        except MakeApiError as error:
            self._record(scenario.scenario_id, error)
            return
        self._has_answered = True
        if failures:
            failures = await self._with_an_error(client, query, failures)
            self._found[scenario.scenario_id] = to_failure(failures, self._evaluation.snapshot.zone, scenario)
        else:
            self._problems[scenario.scenario_id] = "Make lists no failed execution"

    async def _with_an_error(
        self, client: MakeClient, query: FailureQuery, failures: list[FailedExecution]
    ) -> list[FailedExecution]:
        """Fetch the newest error if the log has none at all."""
        newest, *others = failures
        if any(failure.error for failure in failures):
            return failures
        try:
            return [await with_error(partial(client.fetch, rules=_ONCE), query, newest), *others]
        except MakeApiError as problem:
            self._record(query.scenario_id, problem)
            return failures

    def _record(self, scenario_id: int, error: MakeApiError) -> None:
        self._problems[scenario_id] = _describe(error)
        is_about_all = is_retryable(error) and not isinstance(error, MakeResponseError)
        # A 401, 403 or 404 is about the token, until Make has answered once.
        if is_about_all or not self._has_answered:
            self.stop(_describe(error))

    def explanation(self) -> Explanation:
        """Return what has been read, and what has not."""
        ids = [scenario.scenario_id for scenario in self._scenarios]
        failures = [self._found[id_] for id_ in ids if id_ in self._found]
        named = () if self._is_about_scenarios else tuple(self._scenarios)
        missing = [id_ for id_ in ids if id_ not in self._found or id_ in self._problems]
        if not missing and ids:
            return Explanation(failures, named)
        problem = next((self._problems[id_] for id_ in missing if id_ in self._problems), None)
        why = self._stopped or problem or "unknown"
        where = f" for {len(missing)} of {len(ids)} {plural(len(ids), 'scenario')}" if failures else ""
        return Explanation(failures, named, to_plain_line(f"Reasons are missing{where}: {why}", _MAX_MISSING_LENGTH))


def to_failure(failures: Sequence[FailedExecution], zone: str, scenario: ScenarioMetrics) -> dict[str, Any]:
    """
    Group the failed executions of a scenario, the newest first, by their errors, JSON-serialisable.

    The most frequent error comes first, and what Make gives no error for comes last.
    """
    groups: dict[ExecutionError, list[FailedExecution]] = {}
    for failure in failures:
        groups.setdefault(failure.error or ExecutionError(), []).append(failure)
    by_frequency = sorted(groups.items(), key=lambda group: (any(group[0]), len(group[1])), reverse=True)
    errors = [
        {"count": len(group), **error._asdict(), **_newest(group[0], zone, scenario)}
        for error, group in by_frequency[:MAX_GROUPS]
    ]
    return {"scenario_id": scenario.scenario_id, "count": len(failures), "errors": errors}


def _newest(failure: FailedExecution, zone: str, scenario: ScenarioMetrics) -> Mapping[str, Any]:
    team_id = failure.team_id or scenario.team_id
    return {
        "last_at": iso(failure.failed_at),
        "execution_id": failure.execution_id,
        "url": execution_url(zone, team_id, scenario.scenario_id, failure.execution_id),
    }


def _describe(error: Exception) -> str:
    if not isinstance(error, MakeApiError):
        return str(error) if isinstance(error, MakeInputError) else type(error).__name__
    is_about_the_token = SCENARIOS_SCOPE in error.advice
    return (
        f"the token needs the scope {SCENARIOS_SCOPE} ({error.headline()})" if is_about_the_token else error.headline()
    )

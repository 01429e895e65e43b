"""The sensor that waits until the figures of an organization, or of any scenario, cross a threshold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from inspect import unwrap
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.links import LinksAndLineage, MakeOrganizationLink, MakeScenarioLink
from airflow_provider_make.sensors.soft_fail import check_skip, skipped_if_soft_fail
from airflow_provider_make.thresholds.arguments import TEMPLATED, ThresholdArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_make.hooks.make import MakeHook
    from airflow_provider_make.thresholds.check import ThresholdCheck
    from airflow_provider_make.thresholds.evaluation import Evaluation, Explanation
    from airflow_provider_make.triggers.analytics import MakeAnalyticsTrigger

# Airflow's own timeout of the deferral is only for a triggerer that is gone: the trigger's has a better message.
GRACE = timedelta(minutes=5)
# Airflow fails a task whose trigger fires before its scheduler has seen the deferral, which may take seconds.
SHORTEST_DEFERRAL = timedelta(seconds=5)
# What a task that has its result needs until it has returned it.
TIME_TO_RETURN = timedelta(seconds=3)
# Seconds of ten years. Later times may be beyond Python's last one.
LONGEST_WAIT = 10 * 365 * 86_400.0


class MakeAnalyticsSensor(LinksAndLineage, BaseSensorOperator):
    """
    Wait until figures cross a threshold.

    Transient failures of the API are logged, and the sensor keeps waiting. A token that is refused (401, 403) or an
    argument that is not valid ends the wait at once, without a retry. ``poke_interval``, ``timeout``, ``soft_fail`` and
    ``mode`` are Airflow's own, and all modes give the same result: with ``soft_fail``, a timeout or an error that no
    retry can mend skips the task.

    :param threshold: The value that the metric is compared with: percent for ``error_rate`` and the changes, such as
        20 for 20 %, else a number.
    :param metric: ``error_rate``, ``errors``, ``executions``, ``operations``, ``credits`` (100 centicredits), or one
        of these with ``_change``, which is in percent, as Make calculates it. A value that can't be calculated never
        crosses the threshold.
    :param comparison: ``>=``, ``>``, ``<`` or ``<=``: with ``<``, a value crosses if it is below the threshold.
    :param scope: ``organization`` compares the organization's figures, with one request per poke; ``scenario`` compares
        those of each scenario, and reads pages until no further scenario can cross, or all pages for credits, which
        Make can't sort by.
    :param min_executions: Figures based on fewer executions than this don't count; zero or more. By default 1 for
        percentages and 0 for amounts.
    :param lookback: The length of the time frame, which ends at each poke: a timedelta, or an ISO 8601 duration such
        as ``PT1H``; at most a year.
    :param since: ``day``, ``week`` or ``month``: the time frame begins with the current one, in UTC, in place of
        ``lookback``. A week begins on Monday.
    :param organization_id: The organization; None for the connection's.
    :param team_id: Only scenarios of this team, or of a list of teams; None for all.
    :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
    :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``; None for all.
    :param explain: Whether the result also says why: when figures cross, Make is asked for the failed executions of
        the ten scenarios of the message, in up to 21 requests and 20 seconds. For ``error_rate``, ``errors``, their
        changes and ``executions``; the token needs the scope ``scenarios:read``, too. It never fails the sensor.
    :param emit_metrics: ``organization``: each poke sets the organization's figures as gauges in Airflow's metrics;
        ``team``: also those of its teams, for which scope ``scenario`` reads all pages. None for no gauges.
    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Longest delay before the second try, in seconds, 0 to 3600; doubled for each further one, up
        to 60 s. Each delay is random, from zero to that.
    :param deferrable: Whether a trigger waits, which occupies no worker; by default Airflow's
        ``[operators] default_deferrable``. The sensor pokes once on the worker, and defers only if it has to wait.
    :return: To XCom: ``{"organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios",
        "scenario_count", "total", "date_from", "date_to", "checked_at", "failures", "message"}``; ``scenarios`` are
        the rows that crossed, the most extreme first, 100 at most; ``scenario_count`` is how many crossed; ``value`` is
        the organization's, or that of the most extreme scenario; ``failures`` are the reasons, with ``explain``;
        ``message`` is text for people.
    :raises MakeInputError: An argument or the connection is not valid; Airflow does not retry. Arguments that are not
        templates are checked when the Dag is parsed.
    :raises MakeApiError: Make refuses the request, for example because it does not accept the token.
    """

    template_fields: Sequence[str] = TEMPLATED
    operator_extra_links = (MakeOrganizationLink(), MakeScenarioLink())
    ui_color = "#f7d7e8"

    def __init__(
        self,
        *,
        threshold: float | str,
        metric: str,
        comparison: str = ">=",
        scope: str = "organization",
        min_executions: int | str | None = None,
        lookback: timedelta | str | None = timedelta(hours=1),
        since: str | None = None,
        organization_id: int | str | None = None,
        team_id: int | str | Sequence[int | str] | None = None,
        folder_id: int | str | Sequence[int | str] | None = None,
        status: str | Sequence[str] | None = None,
        explain: bool = False,
        emit_metrics: str | None = None,
        make_conn_id: str = "make_default",
        api_retry_limit: int = 5,
        api_retry_delay: float = 1.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.metric = metric
        self.comparison = comparison
        self.scope = scope
        self.min_executions = min_executions
        self.lookback = lookback
        self.since = since
        self.organization_id = organization_id
        self.team_id = team_id
        self.folder_id = folder_id
        self.status = status
        self.explain = explain
        self.emit_metrics = emit_metrics
        self.make_conn_id = make_conn_id
        self.api_retry_limit = api_retry_limit
        self.api_retry_delay = api_retry_delay
        self.deferrable = deferrable
        self._check_when_parsed()

    @cached_property
    def _began(self) -> datetime:
        """When this process began to wait."""
        return datetime.now(UTC)

    @cached_property
    def hook(self) -> MakeHook:
        """The hook. It is imported at first use, because importing it slows down the parsing of a Dag file."""
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(self.check.make_conn_id, self.check.retry_rules.limit, self.check.retry_rules.delay)

    @cached_property
    def check(self) -> ThresholdCheck:
        """The rule, and the figures that it needs, validated."""
        from airflow_provider_make.thresholds.check import ThresholdCheck

        return ThresholdCheck.from_arguments(ThresholdArguments.from_task(self))

    def execute(self, context: Context) -> Any:
        """Wait on this worker, or poke once and defer to a trigger. Arguments are checked before the first request."""
        with skipped_if_soft_fail(self):
            settings = self.hook.settings
            zone, organization_id = settings.zone, settings.resolve_organization_id(self.check.filters.organization_id)
            self.record_organization(context, zone, organization_id)
            if (warnings := self.check.warnings) and self._first_poke(context) == self._began:
                for warning in warnings:
                    self.log.warning(warning)
            with self.hook:
                if self.deferrable and self._time_left() >= SHORTEST_DEFERRAL:
                    result = self._poke_and_defer(context, zone, organization_id)
                else:
                    # Airflow 2.11 takes a call with its wrapper for one outside a task: a warning, or an error.
                    result = unwrap(super(MakeAnalyticsSensor, type(self)).execute)(self, context)
        self.record_scenario(context, zone, result)
        self._log_message(result)
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Check the figures once, and return whether the threshold is crossed, with the result."""
        from airflow_provider_make.api.errors import is_retryable
        from airflow_provider_make.exceptions import MakeApiError

        try:
            evaluation = self._evaluate(context)
        except MakeApiError as error:
            if not is_retryable(error):
                raise
            self.log.warning("The figures could not be fetched: %s", error)
            return PokeReturnValue(False)
        self.log.info("%s.", evaluation)
        if not evaluation.crossed:
            return PokeReturnValue(False)
        return PokeReturnValue(True, evaluation.result(self._explain(evaluation)))

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        zone: str | None = None,
        organization_id: int | None = None,
        is_execution_timeout: bool = False,
    ) -> dict[str, Any]:
        """Resume after the trigger's event, whose deadline may have been that of ``execution_timeout``."""
        from airflow_provider_make.triggers.event_payload import parse_event

        # dag.test() loses the arguments of a deferral.
        if zone is not None and organization_id is not None:
            self.record_organization(context, zone, organization_id)
        with skipped_if_soft_fail(self):
            try:
                result = parse_event(event)
            except AirflowSensorTimeout as timeout:
                if not is_execution_timeout:
                    raise
                raise AirflowTaskTimeout(f"execution_timeout of {self.execution_timeout} is over") from timeout
        if zone is not None:
            self.record_scenario(context, zone, result)
        self._log_message(result)
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral. A trigger that failed by itself is an error, also with ``soft_fail``."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            check_skip(self, skip)
            raise

    def _log_message(self, result: dict[str, Any]) -> None:
        # A record for each line: Airflow 2.11 sorts lines by the time at their begin.
        for line in str(result.get("message") or "").splitlines():
            self.log.info(line)

    def _check_when_parsed(self) -> None:
        from airflow_provider_make.thresholds.check import ThresholdCheck

        ThresholdCheck.from_arguments(ThresholdArguments.from_task(self).without_templates())
        if self.deferrable and self.exponential_backoff:
            raise MakeInputError.expected(
                "exponential_backoff", True, "False for a deferrable sensor: a trigger polls at a constant interval"
            )

    def _poke_and_defer(self, context: Context, zone: str, organization_id: int) -> Any:
        result = self.poke(context).xcom_value
        if result is None and self._time_left() >= SHORTEST_DEFERRAL:
            self._defer(zone, organization_id)
        if result is None:
            time.sleep(max(0.0, self._time_left().total_seconds()))
            result = self.poke(context).xcom_value
        if result is None:
            raise AirflowSensorTimeout(f"{self.check.rule} was not crossed within {self.timeout:g} s")
        return result

    @property
    def _end(self) -> datetime:
        """When the wait ends: Airflow 3 does not end a deferred task after ``execution_timeout`` itself."""
        limits = (timedelta(seconds=min(self.timeout, LONGEST_WAIT)), self.execution_timeout)
        return self._began + min(limit for limit in limits if limit is not None)

    def _time_left(self) -> timedelta:
        return self._end - datetime.now(UTC)

    def _defer(self, zone: str, organization_id: int) -> NoReturn:
        left, now = self._time_left(), datetime.now(UTC)
        pause = max(timedelta(seconds=self.poke_interval), SHORTEST_DEFERRAL)
        self.log.info(
            "Waiting in the triggerer until %s, for at most %.0f s; next poke in %g s.",
            self.check.rule,
            left.total_seconds(),
            min(pause, left).total_seconds(),
        )
        self.defer(
            trigger=self._create_trigger(
                **ThresholdArguments.from_task(self).values(),
                poke_interval=self.poke_interval,
                first_poke=now + pause,
                deadline=self._end,
            ),
            method_name="execute_complete",
            kwargs={
                "zone": zone,
                "organization_id": organization_id,
                "is_execution_timeout": (self._end - self._began).total_seconds() < min(self.timeout, LONGEST_WAIT),
            },
            timeout=left + GRACE,
        )

    def _create_trigger(self, **arguments: Any) -> MakeAnalyticsTrigger:
        from airflow_provider_make.triggers.analytics import MakeAnalyticsTrigger

        return MakeAnalyticsTrigger(**arguments)

    def _evaluate(self, context: Context) -> Evaluation:
        from airflow_provider_make.gauges import set_gauges
        from airflow_provider_make.thresholds.evaluation import evaluate
        from airflow_provider_make.thresholds.polling import fetch_in_time

        left = self.timeout - (datetime.now(UTC) - self._first_poke(context)).total_seconds()
        fetch = partial(fetch_in_time, fetch=self.check.fetch, seconds_left=left)
        snapshot = self.hook.event_loop.run(fetch)
        set_gauges(self.check.gauges(snapshot), self.log)
        return evaluate(self.check.rule, snapshot)

    def _explain(self, evaluation: Evaluation) -> Explanation:
        from airflow_provider_make.thresholds.evaluation import NO_EXPLANATION

        if not self.check.explain:
            return NO_EXPLANATION
        from airflow_provider_make.thresholds.reasons import TIME_LIMIT, explain

        seconds = TIME_LIMIT
        if self.execution_timeout is not None:
            # After that, there would be no result at all.
            left = self.execution_timeout - TIME_TO_RETURN + (self._began - datetime.now(UTC))
            seconds = max(0.0, min(seconds, left.total_seconds()))
        return self.hook.event_loop.run(lambda client: explain(nullcontext(client), evaluation, seconds))

    def _first_poke(self, context: Context) -> datetime:
        # Each poke of the mode "reschedule" is a process of its own. Airflow 2 has no such method.
        ask = getattr(context.get("ti"), "get_first_reschedule_date", None) if self.reschedule else None
        return (ask and ask(context)) or self._began

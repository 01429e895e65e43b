"""The sensor that waits until the error figures of an organization, or of any scenario, cross a threshold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_make.links import LinksToMake, MakeOrganizationLink, MakeScenarioLink
from airflow_provider_make.thresholds.arguments import ThresholdArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_make.hooks.make import MakeHook
    from airflow_provider_make.thresholds.check import ThresholdCheck
    from airflow_provider_make.thresholds.rule import Verdict

# Airflow's own timeout of the deferral is only for a triggerer that is gone: the trigger's has a better message.
GRACE = timedelta(minutes=5)


class MakeErrorRateSensor(LinksToMake, BaseSensorOperator):
    """
    Wait until error figures cross a threshold.

    Transient failures of the API are logged, and the sensor keeps waiting. A token that is refused (401, 403) or an
    argument that is not valid fails the task at once. ``poke_interval``, ``timeout``, ``soft_fail`` and ``mode`` are
    Airflow's own; all modes give the same result.

    :param threshold: The value that the metric is compared with: percent for ``error_rate`` and the changes, else a
        number.
    :param metric: ``error_rate``, ``errors``, ``error_rate_change`` or ``errors_change``; changes are percentages, as
        Make calculates them. A value that can't be calculated never crosses the threshold.
    :param comparison: ``>=``, ``>``, ``<`` or ``<=``: how a value that crosses compares to the threshold.
    :param scope: ``organization`` compares the organization's figures, with one request per poke; ``scenario`` compares
        those of each scenario, and reads pages until no further scenario can cross.
    :param min_executions: Figures based on fewer executions than this are ignored; zero or more.
    :param lookback: The length of the time frame, which ends at each poke: a timedelta, or an ISO 8601 duration such
        as ``PT1H``; at most a year.
    :param organization_id: The organization; None for the connection's.
    :param team_id: Only scenarios of this team, or of a list of teams; None for all.
    :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
    :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``; None for all.
    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Seconds before the second try, doubled for each further one up to 60 s, with full jitter.
    :param deferrable: Whether a trigger waits, which occupies no worker; by default Airflow's
        ``[operators] default_deferrable``.
    :return: To XCom: ``{"organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios",
        "scenario_count", "total", "date_from", "date_to", "checked_at"}``; ``scenarios`` are the rows that crossed, the
        most extreme first, 100 at most; ``scenario_count`` is how many crossed, and ``value`` is the organization's, or
        that of the most extreme scenario.
    :raises MakeInputError: An argument or the connection is not valid; Airflow does not retry.
    :raises MakeApiError: Make refuses the request, for example because it does not accept the token.
    """

    template_fields: Sequence[str] = (
        "threshold",
        "metric",
        "comparison",
        "scope",
        "min_executions",
        "lookback",
        "organization_id",
        "team_id",
        "folder_id",
        "status",
        "make_conn_id",
    )
    operator_extra_links = (MakeOrganizationLink(), MakeScenarioLink())
    ui_color = "#f7d7e8"
    # For lineage, once it is known.
    _organization_uri: str | None = None

    def __init__(
        self,
        *,
        threshold: float | str,
        metric: str = "error_rate",
        comparison: str = ">=",
        scope: str = "organization",
        min_executions: int | str = 1,
        lookback: timedelta | str = timedelta(hours=1),
        organization_id: int | str | None = None,
        team_id: int | str | Sequence[int | str] | None = None,
        folder_id: int | str | Sequence[int | str] | None = None,
        status: str | Sequence[str] | None = None,
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
        self.organization_id = organization_id
        self.team_id = team_id
        self.folder_id = folder_id
        self.status = status
        self.make_conn_id = make_conn_id
        self.api_retry_limit = api_retry_limit
        self.api_retry_delay = api_retry_delay
        self.deferrable = deferrable

    @cached_property
    def _began(self) -> float:
        """When this process began to wait, on a monotonic clock."""
        return time.monotonic()

    @cached_property
    def hook(self) -> MakeHook:
        """The hook. It is imported at first use, because importing it slows down the parsing of a Dag file."""
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(self.make_conn_id, self.api_retry_limit, self.api_retry_delay)

    @cached_property
    def check(self) -> ThresholdCheck:
        """The rule, and the query for the figures that it needs, validated."""
        from airflow_provider_make.thresholds.check import ThresholdCheck

        return ThresholdCheck.from_arguments(ThresholdArguments.from_task(self))

    def execute(self, context: Context) -> Any:
        """
        Wait on this worker, or defer to a trigger.

        :param context: Airflow's context.
        :return: The result, as described for the class.
        """
        # Raises an error for arguments that are not valid before any request is sent.
        organization_id = self.check.query(self.hook.settings, datetime.now(UTC)).organization_id
        zone = self.hook.settings.zone
        self._link_organization(context, zone, organization_id)
        if not self.deferrable:
            with self.hook:
                result = super().execute(context)
            self._link_scenario(context, zone, result)
            return result
        from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger

        timeout = timedelta(seconds=self.timeout)
        self.defer(
            trigger=MakeErrorRateTrigger(
                **ThresholdArguments.from_task(self).values(),
                poke_interval=self.poke_interval,
                deadline=datetime.now(UTC) + timeout,
            ),
            method_name="execute_complete",
            kwargs={"zone": zone, "organization_id": organization_id},
            timeout=timeout + GRACE,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Check the figures once.

        :param context: Airflow's context.
        :return: Whether the threshold is crossed, with the result.
        """
        from airflow_provider_make.api.error_mapping import is_retryable
        from airflow_provider_make.exceptions import MakeApiError

        try:
            verdict = self._check_once()
        except MakeApiError as error:
            if not is_retryable(error):
                raise
            self.log.warning("The figures could not be fetched; next poke in %g s: %s", self.poke_interval, error)
            return PokeReturnValue(False)
        self.log.info("%s%s", verdict, "." if verdict.crossed else f"; next poke in {self.poke_interval:g} s.")
        return PokeReturnValue(verdict.crossed, verdict.result() if verdict.crossed else None)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        zone: str | None = None,
        organization_id: int | None = None,
    ) -> dict[str, Any]:
        """
        Resume after the trigger's event.

        :param context: Airflow's context.
        :param event: The payload of the event.
        :param zone: The host of the API; None where Airflow lost it, as ``dag.test()`` does.
        :param organization_id: The organization; None where Airflow lost it.
        :return: The result, as described for the class.
        """
        from airflow_provider_make.thresholds.event_payload import parse_event

        if zone is not None and organization_id is not None:
            self._link_organization(context, zone, organization_id)
        try:
            result = parse_event(event)
        except Exception as error:
            if self.soft_fail:
                raise AirflowSkipException(f"Skipped due to soft_fail: {error}") from error
            raise
        if zone is not None:
            self._link_scenario(context, zone, result)
        return result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        Describe the task's lineage for OpenLineage.

        :param task_instance: The task instance.
        :return: The organization as input.
        """
        from airflow_provider_make.lineage import to_openlineage

        return to_openlineage(self._organization_uri)

    def _check_once(self) -> Verdict:
        from airflow_provider_make.thresholds.poll_loop import fetch_in_time

        left = self.timeout - (time.monotonic() - self._began)
        snapshot = self.hook.event_loop.run(partial(fetch_in_time, check=self.check, seconds_left=left))
        return self.check.rule.evaluate(snapshot)

    def _link_organization(self, context: Context, zone: str, organization_id: int) -> None:
        from airflow_provider_make.lineage import organization_uri

        self.link_organization(context, zone, organization_id)
        self._organization_uri = organization_uri(zone, organization_id)

    def _link_scenario(self, context: Context, zone: str, result: dict[str, Any]) -> None:
        for row in result["scenarios"][:1]:
            self.link_scenario(context, zone, row)

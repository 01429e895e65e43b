"""The sensor: waits until an organization's, or any scenario's, error figures cross a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_make.links import LeavesLinks, MakeOrganizationLink, MakeScenarioLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_make.hooks.make import MakeHook
    from airflow_provider_make.thresholds.check import Watch

# Past the trigger's own deadline: Airflow's is for a triggerer that is gone, and does not tell what was waited for.
GRACE = timedelta(minutes=5)


class MakeErrorRateSensor(LeavesLinks, BaseSensorOperator):
    """
    Wait until error figures cross a threshold.

    Transient failures of the API are logged and waited out; a token that is refused (401, 403) or a wrong argument
    fails the task at once. ``poke_interval``, ``timeout``, ``soft_fail`` and ``mode`` are Airflow's own; all modes
    find the same.

    :param threshold: What the metric is held against: percent for ``error_rate`` and the changes, else a number.
    :param metric: ``error_rate``, ``errors``, ``error_rate_change`` or ``errors_change``; changes are
        percentages, as Make calculates them. A value that can't be calculated never crosses.
    :param comparison: ``>=``, ``>``, ``<`` or ``<=``: how a value that crosses stands to the threshold.
    :param scope: ``organization``: the organization's own figures, one request a poke. ``scenario``: any scenario's;
        as many pages as have scenarios that cross.
    :param min_executions: The fewest executions in the time frame for figures to count; zero or more.
    :param lookback: How far back each poke looks from its own time: a timedelta, or an ISO 8601 duration such as
        ``PT1H``; at most a year.
    :param organization_id: The organization; None for the connection's.
    :param team_id: Only scenarios of this team, or of a list of teams; None for all.
    :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
    :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``; None for all.
    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Seconds before the second try, doubled each time up to 60 s, with full jitter.
    :param deferrable: Whether a trigger does the waiting, which takes no worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    :return: To XCom: ``{"organization_id", "scope", "metric", "threshold", "comparison", "value", "scenarios", "total",
        "date_from", "date_to", "checked_at"}``; ``value`` is the total's, or the most extreme of ``scenarios``, the
        rows that crossed.
    :raises MakeInputError: An argument or the connection is wrong; Airflow does not retry.
    :raises MakeApiError: Make refuses the request, the most extreme case being a token that is not accepted.
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
    # For lineage: the organization's URI, when it is known.
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
    def hook(self) -> MakeHook:
        """The hook, made when it is first used: importing it takes as long as a Dag file may."""
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(self.make_conn_id, self.api_retry_limit, self.api_retry_delay)

    @cached_property
    def watch(self) -> Watch:
        """What is watched, checked."""
        from airflow_provider_make.thresholds.check import Watch

        return Watch.read(self._arguments())

    def execute(self, context: Context) -> Any:
        """
        Wait: here, or in the triggerer.

        :param context: Airflow's context.
        :return: The result, as of the class.
        """
        # What is wrong is said here, before any request is sent.
        organization_id = self.watch.query(self.hook, datetime.now(UTC)).organization_id
        zone = self.hook.settings.zone
        self._tell(context, zone, organization_id)
        if not self.deferrable:
            found = super().execute(context)
            self._tell_scenario(context, zone, found)
            return found
        from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger

        timeout = timedelta(seconds=self.timeout)
        self.defer(
            trigger=MakeErrorRateTrigger(
                **self._arguments(),
                make_conn_id=self.make_conn_id,
                api_retry_limit=self.api_retry_limit,
                api_retry_delay=self.api_retry_delay,
                poke_interval=self.poke_interval,
                deadline=datetime.now(UTC) + timeout,
            ),
            method_name="execute_complete",
            kwargs={"zone": zone, "organization_id": organization_id},
            timeout=timeout + GRACE,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Look once.

        :param context: Airflow's context.
        :return: Whether the threshold is crossed, with the result.
        """
        from airflow_provider_make.api.error_mapping import may_mend
        from airflow_provider_make.api.event_loop import run
        from airflow_provider_make.exceptions import MakeApiError

        try:
            finding = self.watch.rule.judge(run(self._look()))
        except MakeApiError as error:
            if not may_mend(error):
                raise
            self.log.warning("Make did not answer as hoped; next poke in %g s: %s", self.poke_interval, error)
            return PokeReturnValue(False)
        self.log.info("%s%s", finding, "." if finding.crossed else f"; next poke in {self.poke_interval:g} s.")
        return PokeReturnValue(finding.crossed, finding.result() if finding.crossed else None)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        zone: str | None = None,
        organization_id: int | None = None,
    ) -> dict[str, Any]:
        """
        Go on where the trigger ended.

        :param context: Airflow's context.
        :param event: What the trigger said.
        :param zone: The host that was watched; None where Airflow lost it, as its test of a Dag does.
        :param organization_id: The organization that was watched, likewise.
        :return: The result, as of the class.
        """
        from airflow_provider_make.thresholds.event_payload import read_event

        if zone is not None and organization_id is not None:
            self._tell(context, zone, organization_id)
        try:
            found = read_event(event)
        except Exception as error:
            if self.soft_fail:
                raise AirflowSkipException(f"Skipped due to soft_fail: {error}") from error
            raise
        if zone is not None:
            self._tell_scenario(context, zone, found)
        return found

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        Tell OpenLineage what was read.

        :param task_instance: The task instance.
        :return: The organization as input.
        """
        from airflow_provider_make.lineage import to_openlineage

        return to_openlineage(self._organization_uri)

    def _tell(self, context: Context, zone: str, organization_id: int) -> None:
        from airflow_provider_make.lineage import organization_uri

        self.link_organization(context, zone, organization_id)
        self._organization_uri = organization_uri(zone, organization_id)

    def _tell_scenario(self, context: Context, zone: str, found: dict[str, Any]) -> None:
        for row in found["scenarios"][:1]:
            self.link_scenario(context, zone, row)

    async def _look(self) -> Any:
        async with self.hook.connect() as ask:
            return await self.watch.look(self.hook, ask)

    def _arguments(self) -> dict[str, Any]:
        names = [name for name in self.template_fields if name != "make_conn_id"]
        return {name: getattr(self, name) for name in names}

"""The triggers: one waits in the place of a sensor, one watches for an asset and tells each crossing once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_make.api.error_mapping import may_mend
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.thresholds.check import Watch
from airflow_provider_make.thresholds.event_payload import failed, fired, timed_out
from airflow_provider_make.thresholds.poll_loop import Cadence, polls
from airflow_provider_make.thresholds.rule import Crossings, Reading
from airflow_provider_make.thresholds.watcher_state import Memory

_PATH = "airflow_provider_make.triggers.error_rate"
# What organization-wide watchers need not have in common to share one poll: the figures are the same.
_OWN = ("threshold", "metric", "comparison", "min_executions", "hysteresis")
log = logging.getLogger(__name__)


class MakeErrorRateTrigger(BaseTrigger):
    """
    Wait until error figures cross a threshold, in the place of a deferred ``MakeErrorRateSensor``.

    One event ends it: ``status`` is ``success`` (with the sensor's result), ``timeout`` or ``error``. Transient
    failures are logged and waited out, with growing pauses.

    :param threshold: As of the sensor, like all that is not described here.
    :param poke_interval: Seconds from one look to the next, above zero.
    :param deadline: When to give up, aware; after a last look. None to wait for ever.
    """

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
        poke_interval: float = 60.0,
        deadline: datetime | None = None,
    ) -> None:
        # All of them, so that none is lost on the way through the database.
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the trigger is made of.

        :return: Class path and arguments.
        """
        return f"{_PATH}.MakeErrorRateTrigger", dict(self._arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell."""
        try:
            event = await self._wait()
        except Exception as error:
            if not isinstance(error, (MakeApiError, MakeInputError)):
                self.log.exception("The trigger failed.")
            event = failed(error)
        yield TriggerEvent(event)

    async def _wait(self) -> dict[str, Any]:
        watch = Watch.read(self._arguments)
        cadence = Cadence(self._arguments["poke_interval"], self._arguments["deadline"])
        async for outcome in polls(watch, self._arguments, cadence):
            if isinstance(outcome, Reading):
                finding = watch.rule.judge(outcome)
                if finding.crossed:
                    self.log.info("%s.", finding)
                    return fired(finding.result())
                self.log.info("%s; next poke in %g s.", finding, cadence.pause)
            elif not may_mend(outcome):
                raise outcome
            else:
                self.log.warning("Make did not answer as hoped; next poke in %g s: %s", cadence.pause, outcome)
        return timed_out(f"{watch.rule} was not crossed before the sensor's timeout")


class MakeErrorRateEventTrigger(BaseEventTrigger):
    """
    Tell each crossing of a threshold once, for an ``AssetWatcher``. Needs Airflow 3.0 or later.

    A first look beyond the threshold is a crossing; the next one is told after the value has come back. On Airflow
    3.3 it is remembered over restarts that a crossing was told; before, what is still beyond the threshold is told
    again after a restart of the triggerer. Failures of the API are logged and never told, and after very many in a
    row the watcher is started afresh. On 3.3, watchers that look at the same figures of one organization share one
    poll.

    The event's payload is the sensor's result with ``status`` (``success``) and ``version``.

    :param threshold: As of the sensor, like all that is not described here.
    :param api_retry_limit: Tries of one request; by default one, as the next poll comes anyway.
    :param poke_interval: Seconds from one look to the next, above zero; also while Make is down.
    :param hysteresis: How far below the threshold the value has to come back (for ``<`` and ``<=``: above) before
        the next crossing counts; zero or more.
    :raises MakeInputError: An argument is wrong, or this Airflow has no watchers.
    """

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
        api_retry_limit: int = 1,
        api_retry_delay: float = 1.0,
        poke_interval: float = 60.0,
        hysteresis: float = 0.0,
    ) -> None:
        # All of them, so that none is lost on the way through the database.
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        if BaseEventTrigger is BaseTrigger:
            raise MakeInputError("MakeErrorRateEventTrigger is for an AssetWatcher: expected Airflow 3.0 or later.")
        self._watch = Watch.read(self._arguments)
        Cadence(poke_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the trigger is made of.

        :return: Class path and arguments.
        """
        return f"{_PATH}.MakeErrorRateEventTrigger", dict(self._arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, for ever, with a poll of its own: where Airflow knows no shared ones."""
        async for event in self.filter_shared_stream(type(self).open_shared_stream(self._arguments)):
            yield event

    def shared_stream_key(self) -> Hashable | None:
        """
        Tell which watchers may share one poll.

        :return: Everything that makes a request; of watchers for scenarios also what tells where to stop reading.
        """
        own = _OWN if self._watch.rule.scope == "organization" else ()
        return (_PATH, *(f"{name}={value!r}" for name, value in self._arguments.items() if name not in own))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Reading]:
        """
        Poll, for ever.

        :param kwargs: The arguments of one of the watchers that share the poll.
        :return: Readings.
        :raises MakeApiError: Very many polls in a row failed.
        """
        watch = Watch.read(kwargs)
        cadence = Cadence(kwargs["poke_interval"], growing=False)
        async for outcome in polls(watch, kwargs, cadence):
            if isinstance(outcome, Reading):
                yield outcome
                continue
            log.warning("Make did not answer as hoped; next poll in %g s: %s", cadence.pause, outcome)
            if cadence.is_hopeless:
                # A watcher that ends is started again at once.
                await asyncio.sleep(cadence.pause)
                raise outcome

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Reading]) -> AsyncIterator[TriggerEvent]:
        """
        Tell the crossings among readings.

        :param shared_stream: The readings.
        :return: Events.
        """
        memory = Memory(getattr(self, "asset_state_store", None), self._arguments)
        crossings = Crossings(beyond=await memory.recall())
        async for reading in shared_stream:
            finding = self._watch.rule.judge(reading)
            self.log.info("%s; next poll in %g s.", finding, self._arguments["poke_interval"])
            if crossings.is_new(finding):
                yield TriggerEvent(fired(finding.result()))
            # Behind the event: one too many after a crash is better than none.
            await memory.keep(crossings.beyond)

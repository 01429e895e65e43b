"""The triggers: one waits for a deferred sensor, the other emits an event for each crossing, for an asset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_make.api.error_mapping import is_retryable
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.check import ThresholdCheck
from airflow_provider_make.thresholds.event_payload import error_payload, success_payload, timeout_payload
from airflow_provider_make.thresholds.poll_loop import PollSchedule, poll
from airflow_provider_make.thresholds.rule import CrossingDetector, Snapshot
from airflow_provider_make.thresholds.watcher_state import WatcherState

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient

# Watchers of an organization that differ only in these share one poll: they need the same figures.
_RULE_ARGUMENTS = ("threshold", "metric", "comparison", "min_executions", "hysteresis")
log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False, repr=False)
class MakeErrorRateTrigger(ThresholdArguments, BaseTrigger):
    """
    Wait until error figures cross a threshold, for a deferred ``MakeErrorRateSensor``.

    It emits one event, whose ``status`` is ``success`` (with the sensor's result), ``timeout`` or ``error``. Transient
    failures are logged, and the pause between polls grows with each failure in a row.

    It accepts the sensor's arguments except ``deferrable``, and:

    :param poke_interval: Seconds from the start of one poll to the start of the next; above zero.
    :param deadline: When to give up after a last poll, aware. None to wait for ever.
    """

    poke_interval: float = 60.0
    deadline: datetime | None = None

    def __post_init__(self) -> None:
        """Initialize Airflow's part of the trigger."""
        BaseTrigger.__init__(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an event to emit."""
        try:
            payload = await self._wait()
        except Exception as error:
            if not isinstance(error, (MakeApiError, MakeInputError)):
                self.log.exception("The trigger failed.")
            payload = error_payload(error)
        yield TriggerEvent(payload)

    async def _wait(self) -> dict[str, Any]:
        check = ThresholdCheck.from_arguments(self)
        schedule = PollSchedule(self.poke_interval, self.deadline)
        async with _open_client(self) as client:
            async for outcome in poll(client, check, schedule):
                if isinstance(outcome, Snapshot):
                    verdict = check.rule.evaluate(outcome)
                    if verdict.crossed:
                        self.log.info("%s.", verdict)
                        return success_payload(verdict.result())
                    self.log.info("%s; next poke in %g s.", verdict, schedule.pause)
                elif not is_retryable(outcome):
                    raise outcome
                else:
                    self.log.warning("The figures could not be fetched; next poke in %g s: %s", schedule.pause, outcome)
        return timeout_payload(f"{check.rule} was not crossed before the sensor's timeout")


@dataclass(kw_only=True, eq=False, repr=False)
class MakeErrorRateEventTrigger(ThresholdArguments, BaseEventTrigger):
    """
    Emit one event for each crossing of a threshold, for an ``AssetWatcher``. Needs Airflow 3.0 or later.

    A first value beyond the threshold is a crossing; the next event follows after the value has come back. On Airflow
    3.3, the state survives restarts; before, a value that is still beyond the threshold is a crossing again after a
    restart of the triggerer. Failures of the API are logged and emit nothing; after 100 in a row, the trigger raises,
    and Airflow starts it again. On 3.3, watchers that need the same figures of one organization share one poll.

    The payload of an event is the sensor's result with ``status`` (``success``) and ``version``.

    It accepts the sensor's arguments except ``deferrable``, and:

    :param api_retry_limit: Tries of one request; by default one, because the next poll follows anyway.
    :param poke_interval: Seconds from the start of one poll to the start of the next, also while Make is down; above
        zero.
    :param hysteresis: How far the value must return below the threshold (for ``<`` and ``<=``: above it) before the
        next crossing counts; zero or more.
    :raises MakeInputError: An argument is not valid, or this Airflow has no watchers.
    """

    api_retry_limit: int = 1
    poke_interval: float = 60.0
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        """Initialize Airflow's part of the trigger, and validate the arguments when the Dag is parsed."""
        BaseEventTrigger.__init__(self)
        if BaseEventTrigger is BaseTrigger:
            raise MakeInputError("MakeErrorRateEventTrigger is for an AssetWatcher: expected Airflow 3.0 or later.")
        self._rule = ThresholdCheck.from_arguments(self, hysteresis=self.hysteresis).rule
        self._interval = PollSchedule(self.poke_interval).pause

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch without a shared poll: for Airflow before 3.3, which has no shared streams."""
        async for event in self.filter_shared_stream(type(self).open_shared_stream(self.values())):
            yield event

    def shared_stream_key(self) -> Hashable | None:
        """
        Return the key that watchers with the same poll have in common.

        :return: All arguments that affect the requests; in scenario scope, those of the rule decide how far to read.
        """
        ignored = _RULE_ARGUMENTS if self._rule.scope == "organization" else ()
        return (type(self).__module__, *(f"{k}={v!r}" for k, v in self.values().items() if k not in ignored))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """
        Yield a snapshot for each successful poll, until cancelled.

        :param kwargs: The arguments of one of the watchers that share the poll.
        :return: Snapshots.
        :raises MakeApiError: The last 100 polls all failed.
        """
        # Not cls(**kwargs): a subclass may have another signature.
        arguments = ThresholdArguments(**{name: kwargs[name] for name in ThresholdArguments.names()})
        check = ThresholdCheck.from_arguments(arguments, hysteresis=kwargs["hysteresis"])
        schedule = PollSchedule(kwargs["poke_interval"], growing=False)
        async with _open_client(arguments) as client:
            async for outcome in poll(client, check, schedule):
                if isinstance(outcome, Snapshot):
                    yield outcome
                    continue
                log.warning("The figures could not be fetched; next poll in %g s: %s", schedule.pause, outcome)
                if schedule.has_failed_too_often:
                    # Airflow starts a watcher that raises again at once.
                    await asyncio.sleep(schedule.pause)
                    raise outcome

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """
        Emit an event for each new crossing.

        :param shared_stream: The snapshots.
        :return: Events.
        """
        state = WatcherState(getattr(self, "asset_state_store", None), self.values())
        detector = CrossingDetector(beyond=await state.load())
        async for snapshot in shared_stream:
            verdict = self._rule.evaluate(snapshot)
            self.log.info("%s; next poll in %g s.", verdict, self._interval)
            if detector.is_new(verdict):
                yield TriggerEvent(success_payload(verdict.result()))
            # After the event: after a crash, one event too many is better than none.
            await state.save(detector.beyond)


@asynccontextmanager
async def _open_client(arguments: ThresholdArguments) -> AsyncIterator[MakeClient]:
    def create_hook() -> Any:
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(arguments.make_conn_id, arguments.api_retry_limit, arguments.api_retry_delay)

    # The first import of the HTTP provider would block the event loop.
    hook = await asyncio.to_thread(create_hook)
    await hook.load_settings()
    async with hook.new_client() as client:
        yield client

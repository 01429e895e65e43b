"""The triggers: one waits for a deferred sensor, the other emits events for an asset when figures cross a threshold."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.arguments import parse_number
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.gauges import set_gauges
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.check import ThresholdCheck
from airflow_provider_make.thresholds.evaluation import NO_EXPLANATION, Evaluation, Explanation, Snapshot, evaluate
from airflow_provider_make.thresholds.polling import Fetch, PollSchedule, poll
from airflow_provider_make.triggers.event_payload import error_payload, success_payload, timeout_payload
from airflow_provider_make.triggers.stored_arguments import InvalidTrigger, StoredArguments, takes_stored_arguments
from airflow_provider_make.triggers.watcher_state import WatcherState

if TYPE_CHECKING:
    from airflow_provider_make.api.client import MakeClient
    from airflow_provider_make.hooks.make import MakeHook

# A triggerer hands events on about once a second, on a busy machine much later.
SECONDS_TO_STORE_AN_EVENT = 60.0
# Seconds that a sensor gives its trigger beyond the deadline, to say why. Airflow 2 may end the deferral a bit later.
SECONDS_AFTER_THE_DEADLINE = 5.0
# Seconds after which a watcher that finds nothing new logs a line again.
SECONDS_BETWEEN_LOG_LINES = 600.0
log = logging.getLogger(__name__)


@takes_stored_arguments
@dataclass(kw_only=True, eq=False, repr=False)
class MakeAnalyticsTrigger(StoredArguments, BaseTrigger):
    """
    Wait until figures cross a threshold, for a deferred ``MakeAnalyticsSensor``.

    It emits one event, whose ``status`` is ``success`` (with the sensor's result), ``timeout`` or ``error``. Transient
    failures are logged, and the pause between polls grows with each failure in a row.

    It accepts the sensor's arguments except ``deferrable``, and:

    :param poke_interval: Seconds from the start of one poll to the start of the next; zero or more.
    :param first_poke: When the first poll is due, with a time zone; None for one interval after the start, because
        the sensor has just poked itself.
    :param deadline: When to give up after a last poll, with a time zone. None to wait forever.
    :param stored_version: Only for Airflow, which stores it: how to read the other arguments.
    """

    poke_interval: float = 60.0
    first_poke: datetime | str | None = None
    deadline: datetime | str | None = None

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
        self.check_stored()
        check = ThresholdCheck.from_arguments(self)
        first_poke, deadline = _parse_time("first_poke", self.first_poke), _parse_time("deadline", self.deadline)
        schedule = PollSchedule(self.poke_interval, deadline=deadline, first_poll=first_poke)
        if first_poke is None:
            schedule.first_poll = datetime.now(UTC) + timedelta(seconds=schedule.pause)
        async with aclosing(poll(partial(_read_connection, check), check.fetch, schedule)) as outcomes:
            async for outcome in outcomes:
                next_poke = _announce("poke", schedule)
                if isinstance(outcome, Snapshot):
                    await _set_gauges(check, outcome, self.log)
                    evaluation = evaluate(check.rule, outcome)
                    if evaluation.crossed:
                        self.log.info("%s.", evaluation)
                        left = schedule.seconds_left(datetime.now(UTC))
                        seconds = math.inf if left is None else max(left, SECONDS_AFTER_THE_DEADLINE)
                        return success_payload(evaluation.result(await _explain(check, evaluation, seconds)))
                    self.log.info("%s%s.", evaluation, next_poke)
                elif isinstance(outcome, MakeApiError) and is_retryable(outcome):
                    self.log.warning("The figures could not be fetched%s: %s", next_poke, outcome)
                else:
                    raise outcome
        return timeout_payload(f"{check.rule} was not crossed before the sensor's timeout")


@takes_stored_arguments
@dataclass(kw_only=True, eq=False, repr=False)
class MakeAnalyticsEventTrigger(StoredArguments, BaseEventTrigger):
    """
    Emit an event each time that figures cross a threshold, for an ``AssetWatcher``. Needs Airflow 3.0 or later.

    If the first value is already beyond the threshold, that is a crossing. The next event follows after the value has
    recovered, or could not be calculated. In scenario scope this holds for each scenario on its own, and all that cross
    at one poll are one event. On Airflow 3.3 and later, the state survives restarts; before, a restart of the triggerer
    repeats the event if the value is still beyond the threshold.

    Failures emit nothing: neither those of the API nor a connection that is missing or not valid. Each is logged, and
    the next poll reads the connection again, which may have been corrected. On 3.3, watchers that need the same figures
    of one organization share one poll.

    The payload of an event is the sensor's result with ``status`` (``success``), ``version`` and ``beyond_count``:
    ``scenarios`` and ``scenario_count`` are those that crossed, and ``beyond_count`` is how many are beyond the
    threshold now, including those that crossed before.

    It accepts the sensor's arguments except ``deferrable``, and:

    :param api_retry_limit: Tries of one request; by default one, because the next poll follows anyway.
    :param poke_interval: Seconds from the start of one poll to the start of the next, also while Make is down; above
        zero.
    :param hysteresis: How far the value must return below the threshold (for ``<`` and ``<=``: above it) before the
        next crossing counts; zero or more.
    :param stored_version: Only for Airflow, which stores it: how to read the other arguments.
    :raises MakeInputError: An argument is not valid, or this Airflow has no watchers.
    """

    api_retry_limit: int = 1
    poke_interval: float = 60.0
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        """Initialize Airflow's part of the trigger, and validate what the author of the Dag wrote."""
        BaseEventTrigger.__init__(self)
        if self.stored_version is None:
            if BaseEventTrigger is BaseTrigger:
                raise InvalidTrigger(f"{type(self).__name__} is for an AssetWatcher: expected Airflow 3.0 or later.")
            try:
                self._validate()
            except MakeInputError as error:
                raise InvalidTrigger(str(error)) from None

    @cached_property
    def _check(self) -> ThresholdCheck:
        self.check_stored()
        return ThresholdCheck.from_arguments(self, hysteresis=self.hysteresis)

    @cached_property
    def _interval(self) -> float:
        return _parse_interval(self.poke_interval)

    def _validate(self) -> None:
        _ = self._check, self._interval

    async def _validate_stored(self) -> None:
        """Validate what Airflow has stored, and log at each interval what is wrong: raising would start it again."""
        while True:
            try:
                return self._validate()
            except Exception as error:
                pause = _interval_or_default(self.poke_interval)
                log.error("This watcher can't run; next line in %g s: %s", pause, error)
            await asyncio.sleep(pause)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch without a shared poll: in scenario scope, and on Airflow before 3.3, which has no shared streams."""
        await self._validate_stored()
        state = self._state()

        async def fetch(client: MakeClient) -> Snapshot:
            return await self._check.fetch(client, state.firing)

        async with (
            aclosing(_watch(self._check, fetch, self._interval)) as snapshots,
            aclosing(self._emit(snapshots, state)) as events,
        ):
            async for event in events:
                yield event

    def shared_stream_key(self) -> Hashable | None:
        """Return all that affects the requests, which watchers that share a poll have in common; None if none may."""
        try:
            self._validate()
        except Exception:
            # run() logs what is wrong.
            return None
        # In scenario scope, the rule decides how far to read.
        if self._check.rule.scope == "scenario":
            return None
        identity = self._check.identity()
        frame = {name: identity[name] for name in ("organization_id", "team_id", "folder_id", "status", "since")}
        of_client = (self.make_conn_id, self.api_retry_limit, self.api_retry_delay, self._interval)
        return (__name__, json.dumps([frame, identity["lookback"], of_client]))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Yield a snapshot for each successful poll, until cancelled, for all watchers with the key of this one."""
        # Not cls(**kwargs): a subclass may have another signature.
        arguments = ThresholdArguments(**{name: kwargs[name] for name in ThresholdArguments.names() if name in kwargs})
        check = ThresholdCheck.from_arguments(arguments)
        async with aclosing(_watch(check, check.fetch, _parse_interval(kwargs["poke_interval"]))) as snapshots:
            async for snapshot in snapshots:
                yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Emit an event for each new crossing."""
        async with aclosing(self._emit(shared_stream, self._state())) as events:
            async for event in events:
                yield event

    def _state(self) -> WatcherState:
        identity = {**self._check.identity(), "make_conn_id": self.make_conn_id}
        return WatcherState(getattr(self, "asset_state_store", None), identity)

    async def _emit(self, snapshots: AsyncIterator[Snapshot], state: WatcherState) -> AsyncGenerator[TriggerEvent]:
        for warning in self._check.warnings:
            self.log.warning(warning)
        await state.load()
        clock, logged_at, beyond_count = asyncio.get_running_loop().time, -math.inf, 0
        async for snapshot in snapshots:
            await _set_gauges(self._check, snapshot, self.log)
            state.begin_period(iso(snapshot.time_frame.date_from) if self._check.since else None)
            evaluation = evaluate(self._check.rule, snapshot, state.firing)
            # Each line in a triggerer's log costs as much CPU as a poll.
            level = logging.DEBUG
            has_changed = (evaluation.firing, evaluation.beyond_count) != (state.firing, beyond_count)
            if has_changed or clock() - logged_at >= SECONDS_BETWEEN_LOG_LINES:
                level, logged_at, beyond_count = logging.INFO, clock(), evaluation.beyond_count
            self.log.log(level, "%s; next poll in %g s.", evaluation, self._interval)
            # Before the state is updated: what is stopped while it asks has emitted nothing.
            explanation = await _explain(self._check, evaluation) if evaluation.crossed else NO_EXPLANATION
            state.update(evaluation.firing, clock())
            if evaluation.crossed:
                yield TriggerEvent(success_payload(evaluation.event(explanation)))
                if self._interval > SECONDS_TO_STORE_AN_EVENT:
                    await asyncio.sleep(SECONDS_TO_STORE_AN_EVENT)
            await state.save(clock() - SECONDS_TO_STORE_AN_EVENT)


async def _watch(check: ThresholdCheck, fetch: Fetch, interval: float) -> AsyncGenerator[Snapshot]:
    """Yield the snapshots of successful polls, and log the failures: a watcher that raises is started again at once."""
    from airflow_provider_make.api.access import Diagnoses

    schedule = PollSchedule(interval, growing=False)
    async with aclosing(poll(partial(_read_connection, check), fetch, schedule, Diagnoses())) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, Snapshot):
                yield outcome
                continue
            is_known = isinstance(outcome, (MakeApiError, MakeInputError))
            text = outcome if is_known else f"{type(outcome).__name__}: {outcome}"
            is_transient = isinstance(outcome, MakeApiError) and is_retryable(outcome)
            level = logging.WARNING if is_transient else logging.ERROR
            log.log(level, "The figures could not be fetched%s: %s", _announce("poll", schedule), text)


async def _set_gauges(check: ThresholdCheck, snapshot: Snapshot, log: Any) -> None:
    # Backends look up hosts, and take long to import.
    if gauges := check.gauges(snapshot):
        await asyncio.to_thread(set_gauges, gauges, log)


async def _explain(check: ThresholdCheck, evaluation: Evaluation, seconds: float = math.inf) -> Explanation:
    if not check.explain:
        return NO_EXPLANATION
    from airflow_provider_make.thresholds.reasons import TIME_LIMIT, explain

    # A client of its own: that of the polls may belong to another watcher, and must not remember a refusal.
    return await explain(_open_client(check), evaluation, min(TIME_LIMIT, seconds))


def _announce(noun: str, schedule: PollSchedule) -> str:
    seconds = schedule.seconds_to_next_poll(datetime.now(UTC))
    return "" if seconds is None else f"; next {noun} in {seconds:.3g} s"


def _parse_interval(value: Any) -> float:
    return parse_number("poke_interval", value, "a number of seconds above zero", lambda seconds: seconds > 0)


def _interval_or_default(value: Any) -> float:
    try:
        return _parse_interval(value)
    except MakeInputError:
        return 60.0


def _parse_time(name: str, value: Any) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
        if parsed is None or parsed.tzinfo is not None:
            return parsed
    except (AttributeError, ValueError):
        pass
    raise MakeInputError.expected(name, value, "a time with a time zone, or None")


async def _read_connection(check: ThresholdCheck) -> MakeHook:
    def create_hook() -> MakeHook:
        from airflow_provider_make.hooks.make import MakeHook

        return MakeHook(check.make_conn_id, check.retry_rules.limit, check.retry_rules.delay)

    # The first import of the HTTP provider would block the event loop.
    hook = await asyncio.to_thread(create_hook)
    await hook.load_settings()
    return hook


@asynccontextmanager
async def _open_client(check: ThresholdCheck) -> AsyncIterator[MakeClient]:
    hook = await _read_connection(check)
    async with hook.new_client() as client:
        yield client

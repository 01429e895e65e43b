"""What ``soft_fail`` skips a task for: the same in all modes of a sensor, as Airflow's own poke mode has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
)


@contextmanager
def skipped_if_soft_fail(sensor: BaseSensorOperator) -> Iterator[None]:
    """
    Skip the task for a timeout, also that of ``execution_timeout``, or an error that no retry can mend.

    The reason is logged as an error.

    :param sensor: The sensor, whose ``soft_fail`` decides.
    :raises AirflowSkipException: The task is skipped.
    """
    try:
        yield
    except AirflowSkipException as skip:
        # Airflow's own loop of pokes skips the task, and gives no reason.
        sensor.log.error("Skipped because of soft_fail: %s", skip.__cause__ or skip)
        raise
    except (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout) as error:
        if not sensor.soft_fail:
            raise
        sensor.log.error("Skipped because of soft_fail: %s", error)
        raise AirflowSkipException(f"Skipped because of soft_fail: {error}") from error


def is_failure_of_trigger(error: BaseException | None) -> TypeGuard[BaseException]:
    """
    Decide whether a trigger failed by itself, for which Airflow skips a deferred sensor with ``soft_fail``, too.

    :param error: The error that Airflow raises on the worker.
    :return: Whether it is such a failure; False before Airflow 3.3, which gives a timeout the same class.
    """
    try:
        from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout
    except ImportError:
        return False
    return isinstance(error, TaskDeferralError) and not isinstance(error, TaskDeferralTimeout)

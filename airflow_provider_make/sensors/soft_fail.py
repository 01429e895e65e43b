"""What ``soft_fail`` skips a task for: the same in all modes of a sensor, as Airflow's own poke mode has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
)

SKIPPED = (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout)


@contextmanager
def skipped_if_soft_fail(sensor: BaseSensorOperator) -> Iterator[None]:
    """
    Skip the task: with ``soft_fail`` for a timeout, also of ``execution_timeout``, or an error that no retry can mend.

    With ``never_fail``, it is skipped for any error. The reason is logged as an error.
    """
    setting = "never_fail" if sensor.never_fail else "soft_fail"
    try:
        yield
    except AirflowSkipException as skip:
        # Airflow's own loop of pokes skips the task, and gives no reason.
        sensor.log.error("Skipped because of %s: %s", setting, skip.__cause__ or skip)
        raise
    except (Exception, AirflowTaskTimeout) as error:
        # In reschedule mode, Airflow ends a poke with an exception.
        is_reschedule = hasattr(error, "reschedule_date")
        if is_reschedule or not (sensor.never_fail or (sensor.soft_fail and isinstance(error, SKIPPED))):
            raise
        sensor.log.error("Skipped because of %s: %s", setting, error)
        raise AirflowSkipException(f"Skipped because of {setting}: {error}") from error


def check_skip(sensor: BaseSensorOperator, skip: AirflowSkipException) -> None:
    """Raise the error behind a skip if poke mode would not skip: Airflow skips a resumed sensor for any error."""
    error = skip.__cause__
    if error is None or isinstance(error, AirflowSkipException):
        return
    if not (sensor.never_fail or isinstance(error, SKIPPED) or _may_be_timeout(error)):
        raise error from None
    sensor.log.error("Skipped because of %s: %s", "never_fail" if sensor.never_fail else "soft_fail", error)


def _may_be_timeout(error: BaseException) -> bool:
    try:
        from airflow.sdk.exceptions import TaskDeferralTimeout
    except ImportError:
        # Before Airflow 3.3, a timeout of the deferral and a failure of the trigger have the same class.
        return type(error).__name__ == "TaskDeferralError"
    return isinstance(error, TaskDeferralTimeout)

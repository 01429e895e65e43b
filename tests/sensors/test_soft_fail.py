"""What soft_fail skips a task for."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_make.exceptions import MakeAuthenticationError, MakeInputError, MakeServerError
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.sensors.soft_fail import check_skip, skipped_if_soft_fail

SKIPPED: list[BaseException] = [
    AirflowSensorTimeout("late"),
    AirflowTaskTimeout("late"),
    AirflowFailException("no"),
    MakeInputError("x=1"),
    MakeAuthenticationError("no"),
]
FAILED = [MakeServerError("down"), ValueError("bug"), RuntimeError("unknown event")]


@pytest.mark.parametrize("error", [*SKIPPED, *FAILED])
def test_without_soft_fail_every_error_is_raised(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, skipped_if_soft_fail(MakeErrorRateSensor(task_id="x", threshold=5)):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", SKIPPED)
def test_timeouts_and_errors_that_no_retry_can_mend_are_skips(error: BaseException) -> None:
    sensor = MakeErrorRateSensor(task_id="x", threshold=5, soft_fail=True)
    with pytest.raises(AirflowSkipException) as caught, skipped_if_soft_fail(sensor):
        raise error
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", FAILED)
def test_other_errors_are_raised_with_soft_fail(error: BaseException) -> None:
    sensor = MakeErrorRateSensor(task_id="x", threshold=5, soft_fail=True)
    with pytest.raises(type(error)), skipped_if_soft_fail(sensor):
        raise error


@pytest.mark.parametrize("error", [*SKIPPED[:-2], *FAILED])
def test_with_never_fail_every_error_is_a_skip(error: BaseException) -> None:
    sensor = MakeErrorRateSensor(task_id="x", threshold=5, never_fail=True)
    with pytest.raises(AirflowSkipException, match="never_fail"), skipped_if_soft_fail(sensor):
        raise error


def skip_for(error: BaseException) -> AirflowSkipException:
    skip = AirflowSkipException("Skipping due to soft_fail is set to True.")
    skip.__cause__ = error
    return skip


@pytest.mark.parametrize("error", FAILED)
def test_a_skip_by_airflow_for_an_error_that_poke_mode_raises_is_that_error(error: Exception) -> None:
    with pytest.raises(type(error)):
        check_skip(MakeErrorRateSensor(task_id="x", threshold=5, soft_fail=True), skip_for(error))
    check_skip(MakeErrorRateSensor(task_id="x", threshold=5, never_fail=True), skip_for(error))


@pytest.mark.parametrize("error", [*SKIPPED, AirflowSkipException("already")])
def test_other_skips_by_airflow_stay(error: BaseException) -> None:
    check_skip(MakeErrorRateSensor(task_id="x", threshold=5, soft_fail=True), skip_for(error))

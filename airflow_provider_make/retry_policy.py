"""The retry policy of a task: Airflow waits as long as Make asked. For Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.retry import minimum_delay
from airflow_provider_make.exceptions import MakeApiError, MakeInputError, MakeRateLimitError

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:
        RetryDecision, RetryPolicy = None, object


class MakeRetryPolicy(RetryPolicy):
    """
    Delay the retry of a task that failed for Make's rate limit or downtime by Make's ``Retry-After``.

    The worker is free for other tasks meanwhile; with ``api_retry_limit=1``, all waiting is done this way. A rate limit
    without a ``Retry-After`` is over after a minute. For all other errors, the task's own ``retry_delay`` applies; its
    ``retries`` always do.

    :raises MakeInputError: This Airflow has no retry policies.
    """

    def __init__(self) -> None:
        if RetryDecision is None:
            raise MakeInputError("MakeRetryPolicy needs Airflow's retry policies: expected Airflow 3.3 or later.")

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """
        Decide on the retry of a failed task.

        :param exception: The exception of the task.
        :param try_number: The number of the try, from 1.
        :param max_tries: The most tries.
        :param context: Airflow's context.
        :return: A retry after as many seconds as Make asked for, or a minute after a rate limit; or Airflow's default.
        """
        is_rate_limit = isinstance(exception, MakeRateLimitError)
        if not isinstance(exception, MakeApiError) or (exception.retry_after is None and not is_rate_limit):
            return RetryDecision.default()
        delay = minimum_delay(exception)
        return RetryDecision.retry(timedelta(seconds=delay), f"Make accepts requests again after {delay:g} s.")

    def serialize(self) -> dict[str, Any]:
        """Return the arguments of the policy: none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> MakeRetryPolicy:
        """Recreate the policy from the result of ``serialize``."""
        return cls()

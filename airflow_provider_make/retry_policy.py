"""The retry policy of a task: Airflow waits as long as Make asked. For Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_make.exceptions import MakeApiError, MakeInputError

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

    The worker is free for other tasks meanwhile; with ``api_retry_limit=1``, all waiting is done this way. Without a
    ``Retry-After``, and for all other errors, the task's own ``retry_delay`` applies; its ``retries`` always do.

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
        :return: A retry after as many seconds as the error says that Make asked for; or Airflow's default.
        """
        if not isinstance(exception, MakeApiError) or exception.retry_after is None:
            return RetryDecision.default()
        asked = exception.retry_after
        return RetryDecision.retry(timedelta(seconds=asked), f"Make asked to wait {asked:g} s.")

    def serialize(self) -> dict[str, Any]:
        """Return the arguments of the policy: none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> MakeRetryPolicy:
        """Recreate the policy from the result of ``serialize``."""
        return cls()

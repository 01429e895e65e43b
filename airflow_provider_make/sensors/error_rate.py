"""The sensor for error rates: that of ``sensors.analytics`` with that metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor

if TYPE_CHECKING:
    from airflow_provider_make.triggers.analytics import MakeAnalyticsTrigger


class MakeErrorRateSensor(MakeAnalyticsSensor):
    """
    Wait until the error rate crosses a threshold: ``MakeAnalyticsSensor`` with another default.

    :param metric: As in ``MakeAnalyticsSensor``; by default ``error_rate``.
    """

    def __init__(self, *, metric: str = "error_rate", **kwargs: Any) -> None:
        super().__init__(metric=metric, **kwargs)

    def _create_trigger(self, **arguments: Any) -> MakeAnalyticsTrigger:
        from airflow_provider_make.triggers.error_rate import MakeErrorRateTrigger

        return MakeErrorRateTrigger(**arguments)

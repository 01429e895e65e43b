"""The triggers for error rates: those of ``triggers.analytics`` with that metric."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger, MakeAnalyticsTrigger
from airflow_provider_make.triggers.stored_arguments import takes_stored_arguments


@takes_stored_arguments
@dataclass(kw_only=True, eq=False, repr=False)
class MakeErrorRateTrigger(MakeAnalyticsTrigger):
    """
    Wait until the error rate crosses a threshold, for a deferred ``MakeErrorRateSensor``.

    It is ``MakeAnalyticsTrigger`` with another default:

    :param metric: As in ``MakeAnalyticsTrigger``; by default ``error_rate``.
    """

    metric: str = "error_rate"


@takes_stored_arguments
@dataclass(kw_only=True, eq=False, repr=False)
class MakeErrorRateEventTrigger(MakeAnalyticsEventTrigger):
    """
    Emit an event each time that the error rate crosses a threshold, for an ``AssetWatcher``.

    It is ``MakeAnalyticsEventTrigger`` with another default:

    :param metric: As in ``MakeAnalyticsEventTrigger``; by default ``error_rate``.
    """

    metric: str = "error_rate"

"""The arguments that the sensor and its triggers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self


@dataclass(kw_only=True, eq=False, repr=False)
class ThresholdArguments:
    """
    The arguments of a sensor or trigger, as the user wrote them or templates rendered them; not yet validated.

    :param threshold: The value that the metric is compared with: percent for ``error_rate`` and the changes, else a
        number.
    :param metric: ``error_rate``, ``errors``, ``error_rate_change`` or ``errors_change``; changes are percentages, as
        Make calculates them. A value that can't be calculated never crosses the threshold.
    :param comparison: ``>=``, ``>``, ``<`` or ``<=``: how a value that crosses compares to the threshold.
    :param scope: ``organization`` compares the organization's figures, with one request a poke; ``scenario`` compares
        those of each scenario, and reads pages until no further scenario can cross.
    :param min_executions: Figures based on fewer executions than this are ignored; zero or more.
    :param lookback: The length of the time frame, which ends at each poke: a timedelta, or an ISO 8601 duration such
        as ``PT1H``; at most a year.
    :param organization_id: The organization; None for the connection's.
    :param team_id: Only scenarios of this team, or of a list of teams; None for all.
    :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
    :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``; None for all.
    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Seconds before the second try, doubled for each further one up to 60 s, with full jitter.
    """

    threshold: float | str
    metric: str = "error_rate"
    comparison: str = ">="
    scope: str = "organization"
    min_executions: int | str = 1
    lookback: timedelta | str = timedelta(hours=1)
    organization_id: int | str | None = None
    team_id: int | str | Sequence[int | str] | None = None
    folder_id: int | str | Sequence[int | str] | None = None
    status: str | Sequence[str] | None = None
    make_conn_id: str = "make_default"
    api_retry_limit: int = 5
    api_retry_delay: float = 1.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the arguments, those of a subclass included."""
        return tuple(field.name for field in fields(cls))

    def values(self) -> dict[str, Any]:
        """Return the arguments by name, as the constructor takes them."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def of(cls, task: Any) -> Self:
        """
        Collect the arguments from the attributes of a task.

        :param task: An operator with an attribute for each argument.
        :return: The arguments.
        """
        return cls(**{name: getattr(task, name) for name in cls.names()})

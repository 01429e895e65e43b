"""The arguments that the sensor and its triggers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self


@dataclass(kw_only=True, eq=False, repr=False)
class ThresholdArguments:
    """The arguments as the user wrote them or templates rendered them; ``MakeErrorRateSensor`` describes each."""

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
        """Return the arguments by name, as the constructor accepts them."""
        return {name: getattr(self, name) for name in self.names()}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, as Airflow stores a trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.values()

    @classmethod
    def from_task(cls, task: Any) -> Self:
        """Collect the arguments from the attributes of a task."""
        return cls(**{name: getattr(task, name) for name in cls.names()})

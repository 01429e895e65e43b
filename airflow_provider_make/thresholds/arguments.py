"""The arguments that the sensor and its triggers have in common, and which of them are checked before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self

from airflow_provider_make.arguments import to_plain


@dataclass(kw_only=True, eq=False, repr=False)
class ThresholdArguments:
    """The arguments as the user wrote them or templates rendered them; ``MakeAnalyticsSensor`` describes each."""

    threshold: float | str
    metric: str
    comparison: str = ">="
    scope: str = "organization"
    min_executions: int | str | None = None
    lookback: timedelta | str | None = timedelta(hours=1)
    since: str | None = None
    organization_id: int | str | None = None
    team_id: int | str | Sequence[int | str] | None = None
    folder_id: int | str | Sequence[int | str] | None = None
    status: str | Sequence[str] | None = None
    explain: bool = False
    emit_metrics: str | None = None
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

    @classmethod
    def from_task(cls, task: Any) -> Self:
        """Collect the arguments from the attributes of a task, as other tasks and templates give them."""
        return cls(**{name: to_plain(getattr(task, name)) for name in cls.names()})

    def without_templates(self) -> ThresholdArguments:
        """Leave out what a run has yet to render, or to pull from XCom, so that the rest can be validated."""
        known = {
            name: value
            for name, value in self.values().items()
            if name not in TEMPLATED or not _is_rendered_later(value)
        }
        if "since" not in known and known.get("lookback") is None:
            known.pop("lookback", None)
        return ThresholdArguments(**{"threshold": 1.0, "metric": "error_rate", **known})


_NOT_TEMPLATED = ("explain", "emit_metrics", "api_retry_limit", "api_retry_delay")
TEMPLATED = tuple(name for name in ThresholdArguments.names() if name not in _NOT_TEMPLATED)


def _is_rendered_later(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_is_rendered_later, value))
    # The output of another task, for example.
    return hasattr(type(value), "resolve")

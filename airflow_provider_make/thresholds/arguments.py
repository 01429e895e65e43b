"""The arguments that the sensor and its triggers have in common, and which of them are checked before a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self

DEFAULT_LOOKBACK = timedelta(hours=1)


@dataclass(kw_only=True, eq=False, repr=False)
class ThresholdArguments:
    """The arguments as the user wrote them or templates rendered them; ``MakeAnalyticsSensor`` describes each."""

    threshold: float | str
    metric: str
    comparison: str = ">="
    scope: str = "organization"
    min_executions: int | str | None = None
    lookback: timedelta | str | None = DEFAULT_LOOKBACK
    since: str | None = None
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


# Valid values in the place of those that only a run renders.
_STAND_INS: dict[str, Any] = {
    "threshold": 1.0,
    "metric": "error_rate",
    "comparison": ">=",
    "scope": "organization",
    "min_executions": None,
    "lookback": DEFAULT_LOOKBACK,
    "since": None,
    "organization_id": None,
    "team_id": None,
    "folder_id": None,
    "status": None,
    "make_conn_id": "make_default",
}
TEMPLATED = tuple(_STAND_INS)


def without_templates(values: Mapping[str, Any]) -> ThresholdArguments:
    """
    Replace the arguments that a run has yet to render or to pull from XCom, so that the others can be validated.

    :param values: The arguments of a sensor, when the Dag is parsed.
    :return: The arguments, with valid values in the place of templates.
    """
    checked = {
        name: _STAND_INS[name] if name in _STAND_INS and _is_rendered_later(value) else value
        for name, value in values.items()
    }
    if checked["lookback"] is None and _is_rendered_later(values["since"]):
        checked["lookback"] = DEFAULT_LOOKBACK
    return ThresholdArguments(**checked)


def _is_rendered_later(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_is_rendered_later, value))
    # The output of another task, for example.
    return hasattr(type(value), "resolve")

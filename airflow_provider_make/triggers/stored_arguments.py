"""The arguments of a trigger as Airflow stores them: what a trigger writes, and what it takes from any version."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar, TypeVar

from pydantic_core import to_jsonable_python

from airflow_provider_make.arguments import to_plain
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.thresholds.arguments import ThresholdArguments

# Increased when a trigger takes other arguments than before, or means something else by them.
VERSION = 4
_DAYS_OF_A_YEAR = 365
_Trigger = TypeVar("_Trigger", bound="type[StoredArguments]")


class InvalidTrigger(MakeInputError, TypeError):
    """
    An argument of a trigger is not valid.

    Airflow's triggerer survives a ``TypeError`` of a constructor, and ends, for all Dags, with any other error: earlier
    versions of this provider stored arguments without their version, which look like those of a Dag.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class StoredArguments(ThresholdArguments):
    """
    The arguments of a trigger.

    ``stored_version`` is None for what the author of a Dag wrote, which is checked when the Dag is parsed. What Airflow
    has stored is checked when the trigger runs.
    """

    stored_version: int | None = None
    # What is wrong with the names of stored arguments.
    _problem: ClassVar[str] = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, as Airflow stores a trigger: only with types that JSON has."""
        # Airflow 3.2 stores a timedelta in a form that it does not decode.
        values = {name: _simplify(to_plain(value)) for name, value in self.values().items()}
        stored = to_jsonable_python({**values, "stored_version": VERSION}, fallback=str)
        return f"{type(self).__module__}.{type(self).__qualname__}", stored

    def check_stored(self) -> None:
        """
        Check that this version of the provider knows all of the stored arguments.

        :raises MakeInputError: It lacks one, or there is one that it does not know.
        """
        if self._problem:
            raise MakeInputError(
                f"The stored trigger {self._problem} (version {self.stored_version} of its arguments; this is version "
                f"{VERSION}): expected the same version of the provider on the triggerer and elsewhere."
            )


def _simplify(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        # A set has another order in each process.
        return sorted(value, key=str)
    if isinstance(value, timedelta) and value.days >= _DAYS_OF_A_YEAR:
        # Pydantic would write years, which have no fixed length.
        return f"P{value.days}DT{value.seconds}.{value.microseconds:06}S"
    return value


def takes_stored_arguments(trigger: _Trigger) -> _Trigger:
    """Let the constructor of a trigger's dataclass raise for nothing that Airflow has stored."""
    initialize = trigger.__init__
    known = {field.name for field in fields(trigger)}
    required = {field.name for field in fields(trigger) if field.default is MISSING}

    @wraps(initialize)
    def __init__(self: StoredArguments, **arguments: Any) -> None:
        if arguments.get("stored_version") is not None:
            unknown, missing = sorted(arguments.keys() - known), sorted(required - arguments.keys())
            if unknown or missing:
                problems = [f"has the unknown argument {name!r}" for name in unknown]
                problems += [f"lacks the argument {name!r}" for name in missing]
                # Of this trigger only.
                self.__dict__["_problem"] = " and ".join(problems)[:300]
            arguments = {name: value for name, value in arguments.items() if name in known}
            arguments.update(dict.fromkeys(missing))
        initialize(self, **arguments)

    trigger.__init__ = __init__  # type: ignore[method-assign]
    return trigger

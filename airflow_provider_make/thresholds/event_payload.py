"""What a trigger says to its task: that the threshold was crossed, that time ran out, or what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_make import exceptions
from airflow_provider_make.exceptions import MakeApiError, MakeInputError

# Of the events; a task that is resumed by a newer version of the provider finds one it does not know.
VERSION = 1
_DETAILS = ("status_code", "code", "detail")


def fired(result: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say that the threshold was crossed.

    :param result: The sensor's result.
    :return: The event's payload, JSON-serialisable: the result, with ``status`` and ``version``.
    """
    return {**result, "status": "success", "version": VERSION}


def timed_out(told: str) -> dict[str, Any]:
    """
    Say that time ran out.

    :param told: What was waited for, and for how long.
    :return: The event's payload.
    """
    return {"status": "timeout", "version": VERSION, "message": told}


def failed(error: Exception) -> dict[str, Any]:
    """
    Say what went wrong.

    :param error: The error.
    :return: The event's payload, from which ``read_event`` makes an error of the same kind.
    """
    payload = {"status": "error", "version": VERSION, "error": type(error).__name__, "message": str(error)}
    if isinstance(error, MakeApiError):
        payload |= {"message": error.message, "suberrors": list(error.suberrors), "tries": list(error.tries)}
        payload |= {name: getattr(error, name) for name in _DETAILS}
    return payload


def read_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    Take what a trigger said.

    :param event: The event's payload.
    :return: The sensor's result.
    :raises AirflowSensorTimeout: Time ran out.
    :raises AirflowFailException: The event is none that this version knows.
    :raises MakeApiError: What the trigger failed with; or MakeInputError, or AirflowFailException for any other.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event is None or status not in ("success", "timeout", "error") or event.get("version") != VERSION:
        raise AirflowFailException(
            f"The trigger sent an event that this version of the provider does not know (status {status!r}): "
            "expected a triggerer and workers with the same version. Clear the task to try again."
        )
    if status == "success":
        return {name: value for name, value in event.items() if name not in ("status", "version")}
    if status == "timeout":
        raise AirflowSensorTimeout(event.get("message"))
    raise _error(event)


def _error(event: Mapping[str, Any]) -> Exception:
    kind = getattr(exceptions, str(event.get("error")), None)
    message = str(event.get("message"))
    if kind is MakeInputError:
        return MakeInputError(message)
    if isinstance(kind, type) and issubclass(kind, MakeApiError):
        details: dict[str, Any] = {name: event.get(name) for name in (*_DETAILS, "suberrors")}
        error: MakeApiError = kind(message, **details)
        error.tries = tuple(event.get("tries", ()))
        return error
    return AirflowFailException(f"The trigger failed: {event.get('error')}: {message}")

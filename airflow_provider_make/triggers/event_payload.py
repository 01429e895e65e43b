"""The payload of a trigger's event: success, timeout or error, and its conversion back to a result or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_make import exceptions
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.text import replace_unprintable

# Increased with each incompatible change: worker and triggerer may have different versions of the provider.
VERSION = 1
MAX_MESSAGE_LENGTH = 2000
# Rate limits allow many tries of one request.
MAX_TRIES = 20
_DETAILS = ("status_code", "code", "detail", "advice")


def success_payload(result: Mapping[str, Any]) -> dict[str, Any]:
    """Build the payload for a crossing from the sensor's result."""
    return {**result, "status": "success", "version": VERSION}


def timeout_payload(message: str) -> dict[str, Any]:
    """Build the payload for a timeout, with the text of the later ``AirflowSensorTimeout``."""
    return {"status": "timeout", "version": VERSION, "message": message}


def error_payload(error: Exception) -> dict[str, Any]:
    """Build the payload for an error, from which ``parse_event`` creates an error of the same class."""
    message = replace_unprintable(str(error))[:MAX_MESSAGE_LENGTH]
    payload = {"status": "error", "version": VERSION, "error": type(error).__name__, "message": message}
    if isinstance(error, MakeApiError):
        tries = list(error.tries[-MAX_TRIES:])
        payload |= {"message": error.message, "suberrors": list(error.suberrors), "tries": tries}
        payload |= {name: getattr(error, name) for name in _DETAILS}
    return payload


def parse_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    Convert the payload of an event to the sensor's result, or raise its error.

    An event of an unknown version, or an error that is not this provider's, is a ``RuntimeError``: ``soft_fail`` skips
    no task for it, and a retry may mend it.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event is None or status not in ("success", "timeout", "error") or event.get("version") != VERSION:
        raise RuntimeError(
            f"The trigger sent an event that this version of the provider does not know (status {status!r}): "
            "expected a triggerer and workers with the same version. Clear the task to try again."
        )
    if status == "success":
        return {name: value for name, value in event.items() if name not in ("status", "version")}
    if status == "timeout":
        raise AirflowSensorTimeout(event.get("message"))
    raise _to_error(event)


def _to_error(event: Mapping[str, Any]) -> Exception:
    kind = getattr(exceptions, str(event.get("error")), None)
    message = str(event.get("message"))
    if kind is MakeInputError:
        return MakeInputError(message)
    if isinstance(kind, type) and issubclass(kind, MakeApiError):
        details: dict[str, Any] = {name: event.get(name) for name in (*_DETAILS, "suberrors")}
        error: MakeApiError = kind(message, **details)
        error.tries = tuple(event.get("tries", ()))
        return error
    return RuntimeError(f"The trigger failed: {event.get('error')}: {message}")

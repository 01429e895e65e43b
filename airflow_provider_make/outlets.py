"""The asset events of a pull: their extra, and the partition that the pull produced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import object_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# The key in an asset's extra whose value is the strftime format of the partition key.
PARTITION_KEY = "partition_key"
# Airflow's limit.
_MAX_KEY_LENGTH = 250


def partition_of(outlet: Any, time_frame: TimeFrame, timezone: tzinfo = UTC) -> str | None:
    """
    Format the partition key of an outlet, if its extra has a ``partition_key``.

    :param outlet: One of the task's outlets, with an extra such as ``{"partition_key": "%Y-%m-%d"}``.
    :param time_frame: The time frame of the pull.
    :param timezone: The time zone in which the key is written.
    :return: The start of the time frame, in that format; None if the outlet has no format.
    :raises MakeInputError: The format is not valid, or the time frame has no start.
    """
    template = (getattr(outlet, "extra", None) or {}).get(PARTITION_KEY)
    if template is None:
        return None
    expectation = "a format for strftime such as %Y-%m-%d, in the outlet"
    if not isinstance(template, str):
        raise MakeInputError.expected(PARTITION_KEY, template, expectation)
    if time_frame.date_from is None:
        raise MakeInputError(
            f"The outlet's {PARTITION_KEY}={template!r} needs a time frame with a start: expected a data interval, "
            "date_from or lookback."
        )
    key = format_time(time_frame.date_from, template, timezone)
    if key is None:
        raise MakeInputError.expected(PARTITION_KEY, template, expectation)
    if not key.strip() or len(key) > _MAX_KEY_LENGTH:
        expectation = f"a format whose result has 1 to {_MAX_KEY_LENGTH} characters"
        raise MakeInputError.expected(PARTITION_KEY, template, expectation)
    return key


def check_outlets(
    outlets: Sequence[Any],
    context: Context,
    time_frame: TimeFrame,
    output_path: str | None = None,
    timezone: tzinfo = UTC,
) -> None:
    """
    Validate the partition keys of a task's outlets, and the asset of the object, before any request is sent.

    :param outlets: The task's outlets.
    :param context: Airflow's context.
    :param time_frame: The time frame of the pull.
    :param output_path: Path or URL of the object; None for XCom.
    :param timezone: The time zone in which partition keys are written.
    :raises MakeInputError: A partition key is not valid, or Airflow rejects the asset URI of the object.
    """
    for outlet, event in _events(outlets, context):
        if partition_of(outlet, time_frame, timezone) is not None and not hasattr(event, "add_partitions"):
            raise MakeInputError(f"An outlet asks for a {PARTITION_KEY}: expected Airflow 3.3 or later.")
    if output_path is not None and any(isinstance(outlet, AssetAlias) for outlet in outlets):
        try:
            Asset(uri=object_uri(output_path))
        except ValueError as error:
            raise MakeInputError(
                f"output_path={output_path!r} can't be the asset of an AssetAlias in outlets: {error}."
            ) from error


def fill_outlet_events(
    outlets: Sequence[Any],
    context: Context,
    time_frame: TimeFrame,
    summary: Mapping[str, Any],
    timezone: tzinfo = UTC,
) -> None:
    """
    Fill the events of a task's outlets with the pull's summary, without the rows.

    :param outlets: The task's outlets: assets, or aliases, which emit an event for the object written.
    :param context: Airflow's context.
    :param time_frame: The time frame of the pull.
    :param summary: The summary of the pull.
    :param timezone: The time zone in which partition keys are written.
    """
    extra = {name: value for name, value in summary.items() if name != "rows"}
    extra["error_rate"] = summary["total"]["error_rate"]
    for outlet, event in _events(outlets, context):
        if isinstance(outlet, AssetAlias):
            if summary["path"]:
                event.add(Asset(uri=object_uri(summary["path"])), extra=extra)
            continue
        event.extra.update(extra)
        if key := partition_of(outlet, time_frame, timezone):
            event.add_partitions(key)


def _events(outlets: Sequence[Any], context: Context) -> Iterator[tuple[Any, Any]]:
    accessors: Any = context.get("outlet_events")
    for outlet in outlets if accessors is not None else ():
        # Outlets that are not assets have no events.
        with suppress(TypeError):
            yield outlet, accessors[outlet]

"""What a pull tells with the events of its task's outlets, and which partition of them it made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import object_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Of an asset's extra: how a partition is named by the begin of the time frame, as strftime has it.
PARTITION_KEY = "partition_key"
# What Airflow takes as one.
_LONGEST_KEY = 250


def partition_of(outlet: Any, time_frame: TimeFrame) -> str | None:
    """
    Name the partition of an outlet that a pull makes, if the outlet asks for one.

    :param outlet: One of the task's outlets. It asks by its extra: ``{"partition_key": "%Y-%m-%d"}``.
    :param time_frame: The pull's.
    :return: The partition key: the time frame's begin, in UTC; None if the outlet does not ask.
    :raises MakeInputError: It asks for what is no format or gives no key, or the time frame has no begin.
    """
    template = (getattr(outlet, "extra", None) or {}).get(PARTITION_KEY)
    if template is None:
        return None
    if not isinstance(template, str) or "%" not in template:
        raise MakeInputError.expected(PARTITION_KEY, template, "a format for strftime such as %Y-%m-%d, in the outlet")
    if time_frame.date_from is None:
        raise MakeInputError(
            f"The outlet's {PARTITION_KEY}={template!r} needs a time frame with a begin: expected a data interval, "
            "date_from or lookback."
        )
    key = time_frame.date_from.strftime(template)
    if not key.strip() or len(key) > _LONGEST_KEY:
        raise MakeInputError.expected(PARTITION_KEY, template, f"a format that gives 1 to {_LONGEST_KEY} characters")
    return key


def check_outlets(outlets: Sequence[Any], context: Context, time_frame: TimeFrame) -> None:
    """
    Refuse, before any request, partitions that can't be made.

    :param outlets: The task's.
    :param context: Airflow's context.
    :param time_frame: The pull's.
    :raises MakeInputError: As of ``partition_of``, or this Airflow has no partitions.
    """
    for outlet, event in _events(outlets, context):
        if partition_of(outlet, time_frame) is not None and not hasattr(event, "add_partitions"):
            raise MakeInputError(f"An outlet asks for a {PARTITION_KEY}: expected Airflow 3.3 or later.")


def tell_outlets(outlets: Sequence[Any], context: Context, time_frame: TimeFrame, summary: Mapping[str, Any]) -> None:
    """
    Give the events of a task's outlets what the pull's summary says, without the rows.

    :param outlets: The task's: assets; or aliases, which get an event of the object written.
    :param context: Airflow's context.
    :param time_frame: The pull's.
    :param summary: The pull's.
    """
    extra = {name: value for name, value in summary.items() if name != "rows"}
    extra["error_rate"] = summary["total"]["error_rate"]
    for outlet, event in _events(outlets, context):
        if isinstance(outlet, AssetAlias):
            if summary["path"]:
                event.add(Asset(uri=object_uri(summary["path"])), extra=extra)
            continue
        event.extra.update(extra)
        if key := partition_of(outlet, time_frame):
            event.add_partitions(key)


def _events(outlets: Sequence[Any], context: Context) -> Iterator[tuple[Any, Any]]:
    accessors: Any = context.get("outlet_events")
    for outlet in outlets if accessors is not None else ():
        # Other things than assets may be outlets, and have no events.
        with suppress(TypeError):
            yield outlet, accessors[outlet]

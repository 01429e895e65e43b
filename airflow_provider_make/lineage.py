"""What a task leaves in Airflow beside its result: lineage, and the events of its outlets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import object_uri, split_location
from airflow_provider_make.output.rows import COLUMN_TYPES

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage


SCHEME = "make"


def organization_uri(zone: str, organization_id: int) -> str:
    """
    Return the asset URI of an organization.

    :param zone: The host of the API.
    :param organization_id: The organization.
    :return: For example ``make://eu1.make.com/organizations/42``.
    """
    return f"{SCHEME}://{zone}/organizations/{organization_id}"


def report_input(context: Any, uri: str) -> None:
    """
    Report to Airflow's hook lineage that an organization is read.

    :param context: The hook that reads.
    :param uri: The organization's asset URI.
    """
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    collector.add_input_asset(context=context, uri=uri)


def convert_asset_to_openlineage(asset: Any, lineage_context: Any) -> Dataset:
    """
    Convert an organization's asset to a dataset of OpenLineage. Airflow finds this function in the provider info.

    :param asset: The asset.
    :param lineage_context: The hook or operator that used it.
    :return: The dataset.
    """
    return _dataset(asset.uri)


def to_openlineage(uri: str | None, summary: Mapping[str, Any] | None = None) -> OperatorLineage[Any, Any]:
    """
    Describe what a task read and wrote.

    :param uri: The organization's asset URI; None if the task failed before it was known.
    :param summary: The summary of a pull; None if nothing was written.
    :return: The organization as input; the object as output, with its columns, row count and size.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    lineage: OperatorLineage[Any, Any] = OperatorLineage(inputs=[_dataset(uri)] if uri else [])
    if summary and summary["path"]:
        fields = [SchemaDatasetFacetFields(name=name, type=kind) for name, kind in COLUMN_TYPES.items()]
        statistics = OutputStatisticsOutputDatasetFacet(rowCount=summary["row_count"], size=summary["bytes"])
        # Not by the asset URI, which is percent-encoded: OpenLineage names objects as their storage does.
        target = _object_dataset(summary["path"])
        lineage.outputs.append(
            OutputDataset(
                namespace=target.namespace,
                name=target.name,
                facets={"schema": SchemaDatasetFacet(fields=fields)},
                outputFacets={"outputStatistics": statistics},
            )
        )
    return lineage


def _dataset(uri: str) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    scheme, _, rest = uri.partition("://")
    host, _, name = rest.partition("/")
    return Dataset(namespace=f"{scheme}://{host}", name=name)


def _object_dataset(location: str) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    scheme, host, path = split_location(location)
    if scheme == "file":
        return Dataset(namespace="file", name=path)
    return Dataset(namespace=f"{scheme}://{host}", name=path.removeprefix("/"))


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

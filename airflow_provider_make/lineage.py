"""What a task read and wrote, as asset URIs of Airflow and as datasets of OpenLineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_make.output.object_path import split_location
from airflow_provider_make.output.rows import COLUMN_TYPES

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
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

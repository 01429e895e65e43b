"""What a task leaves in Airflow beside its result: its lineage, and the events of its outlets."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import object_uri, split_location
from airflow_provider_make.output.rows import COLUMN_TYPES

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

_log = logging.getLogger(__name__)

SCHEME = "make"
# The key in an asset's extra whose value is the strftime format of the partition key.
PARTITION_KEY = "partition_key"
# OpenLineage has one name for a storage, whichever scheme a URL has.
_OPENLINEAGE_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "local": "file"}
# Airflow's limit.
_MAX_KEY_LENGTH = 250


def organization_uri(zone: str, organization_id: int) -> str:
    """Return the asset URI of an organization, such as ``make://eu1.make.com/organizations/42``."""
    return f"{SCHEME}://{zone}/organizations/{organization_id}"


def report_input(hook: Any, uri: str) -> None:
    """Report to Airflow's hook lineage that a hook reads the asset with this URI."""
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    collector.add_input_asset(context=hook, uri=uri)


def convert_asset_to_openlineage(asset: Any, lineage_context: Any) -> Dataset:
    """Convert an organization's asset to a dataset of OpenLineage. Airflow finds this function in the provider info."""
    return _dataset(asset.uri)


def to_openlineage(uri: str | None, summary: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """Describe what a task read, if it got so far, and the object that it wrote, with its columns, rows and size."""
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
        scheme, host, path = split_location(summary["path"])
        scheme = _OPENLINEAGE_SCHEMES.get(scheme, scheme)
        is_local = scheme == "file"
        lineage.outputs.append(
            OutputDataset(
                namespace="file" if is_local else f"{scheme}://{host}",
                name=path if is_local else path.removeprefix("/"),
                facets={"schema": SchemaDatasetFacet(fields=fields)},
                outputFacets={"outputStatistics": statistics},
            )
        )
    return lineage


def _of_alias(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extra of an alias's event, with objects as JSON where Airflow hashes its values: before 3.1."""
    if tuple(map(int, airflow_version.split(".")[:2])) >= (3, 1):
        return dict(extra)
    is_object = (dict, list)
    return {name: json.dumps(value) if isinstance(value, is_object) else value for name, value in extra.items()}


def _dataset(uri: str) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    scheme, _, rest = uri.partition("://")
    host, _, name = rest.partition("/")
    return Dataset(namespace=f"{scheme}://{host}", name=name)


@dataclass(frozen=True)
class Outlets:
    """The outlets of a task: assets, or aliases, which get an event for the object written."""

    outlets: Sequence[Any]
    context: Context
    # Of a pull; a report has none, and so no partition keys.
    time_frame: TimeFrame | None = None
    # In which partition keys are written.
    timezone: tzinfo = UTC

    def check(self, output_path: str | None) -> None:
        """Raise ``MakeInputError`` if a partition key is not valid, or Airflow rejects the asset of the object."""
        for outlet, event in self._events:
            if self.partition_key(outlet) is not None and not hasattr(event, "add_partitions"):
                raise MakeInputError(f"An outlet asks for a {PARTITION_KEY}: expected Airflow 3.3 or later.")
        if output_path is not None and any(isinstance(outlet, AssetAlias) for outlet in self.outlets):
            try:
                Asset(uri=object_uri(output_path))
            except ValueError as error:
                raise MakeInputError(
                    f"output_path={output_path!r} can't be the asset of an AssetAlias in outlets: {error}."
                ) from error

    def fill_events(self, summary: Mapping[str, Any]) -> None:
        """Fill the events with the pull's summary, without the rows."""
        extra = {name: value for name, value in summary.items() if name != "rows"}
        extra["error_rate"] = summary["total"]["error_rate"]
        self.fill_extra(extra)

    def fill_extra(self, extra: Mapping[str, Any]) -> None:
        """Fill the events with what describes the object at ``path``."""
        for outlet, event in self._events:
            if isinstance(outlet, AssetAlias):
                if extra["path"]:
                    event.add(Asset(uri=object_uri(extra["path"])), extra=_of_alias(extra))
                continue
            event.extra.update(extra)
            if key := self.partition_key(outlet):
                event.add_partitions(key)

    def partition_key(self, outlet: Any) -> str | None:
        """Format the start of the time frame as the outlet's extra asks; None if it asks for no partition key."""
        template = (getattr(outlet, "extra", None) or {}).get(PARTITION_KEY)
        if template is None:
            return None
        expectation = "a format for strftime such as %Y-%m-%d, in the outlet"
        if not isinstance(template, str):
            raise MakeInputError.expected(PARTITION_KEY, template, expectation)
        if self.time_frame is None:
            raise MakeInputError(f"The outlet's {PARTITION_KEY}={template!r} is for pulls: a report has no time frame.")
        if self.time_frame.date_from is None:
            raise MakeInputError(
                f"The outlet's {PARTITION_KEY}={template!r} needs a time frame with a start: expected a data interval, "
                "date_from or lookback."
            )
        key = format_time(self.time_frame.date_from, template, self.timezone)
        if key is None:
            raise MakeInputError.expected(PARTITION_KEY, template, expectation)
        if not key.strip() or len(key) > _MAX_KEY_LENGTH:
            expectation = f"a format whose result has 1 to {_MAX_KEY_LENGTH} characters"
            raise MakeInputError.expected(PARTITION_KEY, template, expectation)
        return key

    @cached_property
    def _events(self) -> list[tuple[Any, Any]]:
        """The outlets that get an event, and the event of each. Airflow looks up what only refers to an asset."""
        accessors: Any = self.context.get("outlet_events")
        events: list[tuple[Any, Any]] = []
        for outlet in self.outlets if accessors is not None else ():
            try:
                events.append((outlet, accessors[outlet]))
            except TypeError:
                # Outlets that are not assets have no events.
                continue
            except Exception as error:
                # Any other task succeeds with a reference to an asset that no Dag defines.
                _log.warning("There is no asset event of %r, because Airflow does not find it: %s", outlet, error)
        return events

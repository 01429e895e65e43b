"""What a sensor records besides its result: links to Make in Airflow's UI, and the organization it reads as lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_make.links import LinksToMake

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage


class LinksAndLineage(LinksToMake):
    """Mixin of sensors that record their organization and the most extreme scenario."""

    # Once it is known.
    _organization_uri: str | None = None

    def record_organization(self, context: Context, zone: str, organization_id: int) -> None:
        """Record the organization that the sensor reads."""
        from airflow_provider_make.lineage import organization_uri

        self.link_organization(context, zone, organization_id)
        self._organization_uri = organization_uri(zone, organization_id)

    def record_scenario(self, context: Context, zone: str, result: Mapping[str, Any]) -> None:
        """Record the most extreme scenario of a result, if it has any."""
        for row in result["scenarios"][:1]:
            self.link_scenario(context, zone, row)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        Describe the task's lineage for OpenLineage.

        :param task_instance: The task instance.
        :return: The organization as input.
        """
        from airflow_provider_make.lineage import to_openlineage

        return to_openlineage(self._organization_uri)

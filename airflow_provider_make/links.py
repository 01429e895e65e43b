"""Links to Make's web pages: their URLs, the buttons in Airflow's UI, and what tasks record for them and lineage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage


def organization_url(zone: str, organization_id: int) -> str:
    """Return the URL of an organization's dashboard."""
    return f"https://{zone}/organization/{organization_id}/dashboard"


def scenario_url(zone: str, team_id: int | None, scenario_id: int) -> str | None:
    """Return the URL of a scenario; None without its team, which is a part of the URL."""
    return None if team_id is None else f"https://{zone}/{team_id}/scenarios/{scenario_id}/edit"


def execution_url(zone: str, team_id: int | None, scenario_id: int, execution_id: str | None) -> str | None:
    """Return the URL of an execution; None without its team or its id."""
    missing = team_id is None or execution_id is None
    return None if missing else f"https://{zone}/{team_id}/scenarios/{scenario_id}/logs/{execution_id}"


class _MakeLink(BaseOperatorLink):
    """A link whose URL the task stores in XCom."""

    # Airflow 3 reads the link from this key, also while the task runs or is deferred.
    xcom_key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL of the link; empty if the task stored none."""
        # Airflow 3 calls this with the operator after it ran, Airflow 2 in the UI. On Airflow 3, reading a missing XCom
        # would log an error in the task's log.
        urls = getattr(operator, "link_urls", None)
        return (XCom.get_value(ti_key=ti_key, key=self.xcom_key) if urls is None else urls.get(self.xcom_key)) or ""


class MakeOrganizationLink(_MakeLink):
    """Link to the dashboard of the organization that the task read."""

    name = "Organization at Make"
    xcom_key = "_link_MakeOrganizationLink"


class MakeScenarioLink(_MakeLink):
    """Link to the most extreme of the scenarios that crossed the threshold."""

    name = "Failing scenario at Make"
    xcom_key = "_link_MakeScenarioLink"


class MakeObjectLink(_MakeLink):
    """Link to the object that the task wrote, if its storage has a web page for it."""

    name = "Written object"
    xcom_key = "_link_MakeObjectLink"


class MakeReportLink(_MakeLink):
    """Link to the report that the task wrote, if its storage has a web page for it."""

    name = "Report"
    xcom_key = "_link_MakeReportLink"


class StoredLinks:
    """Mixin of operators and sensors: stores the URLs of their links."""

    @cached_property
    def link_urls(self) -> dict[str, str]:
        """The URLs stored so far, by XCom key."""
        return {}

    def record_object(self, context: Context, link: type[_MakeLink], location: str, conn_id: str | None) -> None:
        """Record the object that the task has written, if it has a web page."""
        from airflow_provider_make.output.object_path import object_page

        if url := object_page(location, conn_id):
            self._store_link(context, link, url)

    def _store_link(self, context: Context, link: type[_MakeLink], url: str) -> None:
        self.link_urls[link.xcom_key] = url
        # The context has no task instance where users call execute() in their own tests.
        if push := getattr(context.get("ti"), "xcom_push", None):
            push(key=link.xcom_key, value=url)


class LinksAndLineage(StoredLinks):
    """Mixin of what asks Make: records the organization that is read, as a link and as lineage."""

    # For lineage, once they are known; a sensor has no summary.
    _organization_uri: str | None = None
    _summary: dict[str, Any] | None = None

    def record_organization(self, context: Context, zone: str, organization_id: int) -> None:
        """Record the organization that the task reads."""
        from airflow_provider_make.lineage import organization_uri

        self._store_link(context, MakeOrganizationLink, organization_url(zone, organization_id))
        self._organization_uri = organization_uri(zone, organization_id)

    def record_scenario(self, context: Context, zone: str, result: Mapping[str, Any]) -> None:
        """Record the most extreme scenario of a result, if it has any."""
        for row in result["scenarios"][:1]:
            if url := scenario_url(zone, row["team_id"], row["scenario_id"]):
                self._store_link(context, MakeScenarioLink, url)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        Describe the task's lineage for OpenLineage.

        :param task_instance: The task instance.
        :return: The organization as input, and the object as output, if one was written.
        """
        from airflow_provider_make.lineage import to_openlineage

        return to_openlineage(self._organization_uri, self._summary)

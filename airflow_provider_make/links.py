"""Links from Airflow's UI to Make: to the organization that a task read, and to a scenario that fails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _LeftLink(BaseOperatorLink):
    """A link that the task left when it knew it."""

    # Where Airflow 3 looks for the link by itself, so that it is there while the task still runs or waits.
    xcom_key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Give the link.

        :param operator: The task. Airflow 3 asks when it has run, Airflow 2 what its UI knows of it.
        :param ti_key: Which run of it.
        :return: The URL; empty where the task left none.
        """
        left = getattr(operator, "links_left", None)
        # A look-up of what is not there would be an error in the task's log.
        return (XCom.get_value(ti_key=ti_key, key=self.xcom_key) if left is None else left.get(self.xcom_key)) or ""


class MakeOrganizationLink(_LeftLink):
    """To the dashboard of the organization that the task read."""

    name = "Organization at Make"
    xcom_key = "_link_MakeOrganizationLink"


class MakeScenarioLink(_LeftLink):
    """To the most extreme of the scenarios that crossed the threshold."""

    name = "Failing scenario at Make"
    xcom_key = "_link_MakeScenarioLink"


class LeavesLinks:
    """A task that leaves links."""

    @cached_property
    def links_left(self) -> dict[str, str]:
        """Those left so far: URLs by XCom key."""
        return {}

    def link_organization(self, context: Context, zone: str, organization_id: int) -> None:
        """
        Leave the link to an organization.

        :param context: Airflow's context.
        :param zone: The host that the organization lives at.
        :param organization_id: The organization.
        """
        self._leave(context, MakeOrganizationLink, f"https://{zone}/organization/{organization_id}/dashboard")

    def link_scenario(self, context: Context, zone: str, row: Mapping[str, Any]) -> None:
        """
        Leave the link to a scenario.

        :param context: Airflow's context.
        :param zone: The host that the scenario lives at.
        :param row: The scenario's row.
        """
        if row["team_id"] is not None:
            url = f"https://{zone}/{row['team_id']}/scenarios/{row['scenario_id']}"
            self._leave(context, MakeScenarioLink, url)

    def _leave(self, context: Context, link: type[_LeftLink], url: str) -> None:
        self.links_left[link.xcom_key] = url
        # Without a task instance, as in a user's tests, there is no place for it.
        if push := getattr(context.get("ti"), "xcom_push", None):
            push(key=link.xcom_key, value=url)

"""Links from Airflow's UI to Make: to the organization that a task read, and to a scenario that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class MakeOrganizationLink(BaseOperatorLink):
    """To the dashboard of the organization that the task read."""

    name = "Organization at Make"
    # Where Airflow 3 looks for the link by itself, so that it is there while the task still runs or waits.
    xcom_key = "_link_MakeOrganizationLink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Give the link that the task left.

        :param operator: The task.
        :param ti_key: Which run of it.
        :return: The URL; empty where the task did not come that far.
        """
        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""


class MakeScenarioLink(BaseOperatorLink):
    """To the most extreme of the scenarios that crossed the threshold."""

    name = "Failing scenario at Make"
    xcom_key = "_link_MakeScenarioLink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Give the link that the task left.

        :param operator: The task.
        :param ti_key: Which run of it.
        :return: The URL; empty where no scenario crossed.
        """
        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""


def link_organization(context: Context, zone: str, organization_id: int) -> None:
    """
    Leave the link to an organization.

    :param context: Airflow's context; without a task instance nothing is left.
    :param zone: The host that the organization lives at.
    :param organization_id: The organization.
    """
    _leave(context, MakeOrganizationLink.xcom_key, f"https://{zone}/organization/{organization_id}/dashboard")


def link_scenario(context: Context, zone: str, row: Mapping[str, Any]) -> None:
    """
    Leave the link to a scenario.

    :param context: Airflow's context; without a task instance nothing is left.
    :param zone: The host that the scenario lives at.
    :param row: The scenario's row.
    """
    if row["team_id"] is not None:
        _leave(context, MakeScenarioLink.xcom_key, f"https://{zone}/{row['team_id']}/scenarios/{row['scenario_id']}")


def _leave(context: Context, key: str, url: str) -> None:
    # Without a task instance, as in a user's tests, there is no place for it.
    if push := getattr(context.get("ti"), "xcom_push", None):
        push(key=key, value=url)

"""The URLs of Make's web pages."""

from __future__ import annotations


def organization_url(zone: str, organization_id: int) -> str:
    """Return the URL of an organization's dashboard."""
    return f"https://{zone}/organization/{organization_id}/dashboard"


def scenario_url(zone: str, team_id: int | None, scenario_id: int) -> str | None:
    """Return the URL of a scenario; None without its team, which is a part of the URL."""
    return None if team_id is None else f"https://{zone}/{team_id}/scenarios/{scenario_id}/edit"

"""Airflow's plugin with the page; None before Airflow 3.1, which has no such pages, and where it is switched off."""

# Every process of Airflow imports this module: it imports nothing that Airflow has not loaded already.
from __future__ import annotations

from typing import Any

from airflow import __version__ as airflow_version
from airflow.configuration import conf

from airflow_provider_make.page.static_files import StaticFiles

ROUTE = "make"


def _create_plugin() -> type[Any] | None:
    if tuple(map(int, airflow_version.split(".")[:2])) < (3, 1):
        return None
    if not conf.getboolean("make", "page", fallback=True):
        return None
    try:
        from airflow.sdk.plugins_manager import AirflowPlugin
    except ImportError:
        # Airflow 3.1.
        from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]

    class MakePlugin(AirflowPlugin):
        name = "make"
        # Any ASGI application will do. Relative addresses also work behind a base path.
        fastapi_apps = [{"app": StaticFiles(), "url_prefix": f"/{ROUTE}", "name": "Make"}]
        external_views = [
            {
                "name": "Make",
                "href": f"{ROUTE}/",
                "url_route": ROUTE,
                "destination": "nav",
                "icon": f"{ROUTE}/icon.svg",
                "icon_dark_mode": f"{ROUTE}/icon.svg",
            }
        ]

    return MakePlugin


plugin = _create_plugin()

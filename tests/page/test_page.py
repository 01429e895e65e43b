"""The page's plugin and its static files; tests/e2e has those of the page in a browser."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import subprocess
import sys
import tomllib
from typing import Any

import airflow
import pytest
from airflow.plugins_manager import is_valid_plugin  # type: ignore[attr-defined]

from airflow_provider_make.page import plugin as page_plugin
from airflow_provider_make.page.static_files import FOLDER, StaticFiles
from tests.support.airflow_versions import VERSION
from tests.support.documents import ROOT

Answer = tuple[int, dict[str, str], bytes]


def request(path: str, method: str = "GET", root_path: str = "/make", **headers: str) -> Answer:
    """Send a request as Airflow does, and return status, headers and body."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": encoded}
    asyncio.run(StaticFiles()(scope, receive, send))
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def test_the_entry_point_is_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["airflow.plugins"]
    assert points == {"make": "airflow_provider_make.page.plugin:plugin"}
    # Airflow itself decides whether it accepts what the entry point resolves to; 3.1 compares it with those loaded.
    monkeypatch.setattr("airflow.plugins_manager.plugins", [], raising=False)
    assert is_valid_plugin(page_plugin.plugin) == (VERSION >= (3, 1))


@pytest.mark.skipif(VERSION < (3, 1), reason="needs Airflow 3.1")
def test_airflow_registers_a_page_with_relative_addresses() -> None:
    assert page_plugin.plugin is not None
    (app,), (view,) = page_plugin.plugin.fastapi_apps, page_plugin.plugin.external_views
    assert (app["url_prefix"], view["url_route"], view["destination"]) == ("/make", "make", "nav")
    # With the slash: the page's own addresses are relative to it.
    assert view["href"] == "make/"
    for icon in (view["icon"], view["icon_dark_mode"]):
        assert request(f"/{icon}")[1]["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("version", "page", "registered"),
    [("2.11.0", "True", False), ("3.0.6", "True", False), ("3.1.8", "False", False), ("3.10.0.dev0", "True", True)],
)
def test_nothing_is_registered_below_3_1_or_if_it_is_switched_off(
    version: str, page: str, registered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(airflow, "__version__", version)
        patch.setenv("AIRFLOW__MAKE__PAGE", page)
        assert (importlib.reload(page_plugin).plugin is not None) == registered
    importlib.reload(page_plugin)


def test_every_process_can_afford_the_import() -> None:
    code = """
import airflow.plugins_manager, sys
before = set(sys.modules)
import airflow_provider_make.page.plugin
print(*sorted(set(sys.modules) - before))"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()[-1].split()
    assert {name for name in names if not name.startswith("airflow_provider_make")} <= {"airflow.sdk.plugins_manager"}
    assert {name for name in names if name.startswith("airflow_provider_make.")} <= {
        # Airflow has loaded the provider's description, or does so later.
        *("airflow_provider_make.connection", "airflow_provider_make.connection.form"),
        "airflow_provider_make.get_provider_info",
        *("airflow_provider_make.page", "airflow_provider_make.page.plugin", "airflow_provider_make.page.static_files"),
    }


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_files_are_served_with_their_types_and_a_policy(path: Any) -> None:
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    status, headers, body = request(f"/make/{path.name}")
    assert (status, body) == (200, path.read_bytes())
    assert headers["content-type"].partition(";")[0] == types[path.suffix]
    assert headers["content-length"] == str(len(body))
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "frame-ancestors")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "root_path"),
    [("/make/", "/make"), ("/air/flow/make/", "/air/flow/make"), ("/make/", "/air/flow/make")],
    ids=["no base path", "base path", "base path that a proxy removes"],
)
def test_the_folder_itself_is_the_page(path: str, root_path: str) -> None:
    assert request(path, root_path=root_path)[2] == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        *("/make/other.js", "/make/plugin.py", "/make/../plugin.py", "/make/static/../../plugin.py", "/make/page.js\0"),
        *("/make/%2e%2e%2fplugin.py", "/make/..\\plugin.py", "/make//etc/passwd", "/make/__pycache__", "/make/."),
    ],
)
def test_anything_else_is_not_found(path: str) -> None:
    status, headers, body = request(path)
    assert (status, headers["content-type"], body) == (404, "text/plain", b"Not Found")


def test_a_browser_keeps_the_files_and_asks_for_changes() -> None:
    _, headers, _ = request("/make/page.js")
    assert headers["cache-control"] == "no-cache"
    etag = headers["etag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}'):
        status, headers, body = request("/make/page.js", if_none_match=condition)
        assert (status, headers["etag"], body) == (304, etag, b"")
    assert request("/make/page.js", if_none_match='"other"')[0] == 200
    assert request("/make/page.css")[1]["etag"] != etag


def test_head_has_no_body_and_other_methods_are_refused() -> None:
    status, headers, body = request("/make/page.js", "HEAD")
    assert (status, headers["content-length"], body) == (200, str((FOLDER / "page.js").stat().st_size), b"")
    status, headers, _ = request("/make/page.js", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_the_page_is_made_without_html_from_text_and_without_other_sites() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
        assert path.read_text().startswith("// ")
    # The namespace of SVG is an address, but nothing is loaded from it.
    addresses = {found for path in FOLDER.iterdir() for found in re.findall(r"https?://[\w.]+", path.read_text())}
    assert addresses == {"http://www.w3.org"}


def test_all_scripts_are_loaded_at_once() -> None:
    index = (FOLDER / "index.html").read_text()
    assert sorted(re.findall(r'(?:src|href)="(\w+\.js)"', index)) == sorted(path.name for path in FOLDER.glob("*.js"))

"""
The connection form in a browser: a real Airflow's UI, a headless Chromium, and a sandbox for the Test button.

``MAKE_SCREENSHOTS=docs/images make test-e2e`` creates the picture of the form in the docs.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from playwright.sync_api import Browser, expect

from airflow_provider_make.connection.form import CONNECTION_FIELDS, ZONES
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import AirflowStack
from tests.e2e.ui import ConnectionForm, Ui, chromium

TOKEN = "c0ffee00-1234-4321-abcd-123456789abc"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(organization_id=42, scenarios=50, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def stack(browser: Browser, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    no_dags, without = tmp_path_factory.mktemp("dags"), ("scheduler", "dag-processor", "triggerer")
    with AirflowStack(no_dags, postgresql.copy("form"), without=without) as running:
        yield running


@pytest.fixture(scope="module")
def rest(stack: AirflowStack) -> Rest:
    return Rest(stack.url)


@pytest.fixture(scope="module")
def ui(browser: Browser, stack: AirflowStack) -> Ui:
    return Ui(browser, stack.url)


@pytest.fixture(scope="module")
def saved(ui: Ui, sandbox: Sandbox) -> str:
    """Save a connection to the sandbox with the form, with only the required fields, and return its id."""
    form = ui.add_connection("Make", "minimal")
    form.fill({"Host": sandbox.host, "API token": TOKEN, "Port": sandbox.host.rpartition(":")[2]})
    form.open("Extra Fields")
    form.fill({"Organization ID": "42"})
    form.save()
    return "minimal"


def read_settings(rest: Rest, connection_id: str) -> tuple[ConnectionSettings, dict[str, Any]]:
    """Fetch a connection from the REST API, and return its settings as the hook parses them, and its extra."""
    fields = rest.call("GET", f"connections/{connection_id}")
    assert fields["password"] == "***"
    names = ("conn_type", "host", "schema", "port", "password", "extra")
    extra = json.loads(fields["extra"])
    # Airflow masks these, because they may hold a password, and *** is no URL.
    fields["extra"] = json.dumps({name: value for name, value in extra.items() if name != "proxies"})
    connection = Connection(conn_id=connection_id, **{name: fields[name] for name in names})
    return ConnectionSettings.from_airflow(connection), extra


def test_standard_fields_are_shown(ui: Ui) -> None:
    form = ui.add_connection("Make", "standard")
    labels = form.dialog.get_by_role("region").locator("label").all_inner_texts()
    assert labels == ["Description", "Host", "API token", "Port"]
    assert form.input("Host").get_attribute("placeholder")
    form.fill({"API token": TOKEN})
    expect(form.input("API token")).to_have_value(TOKEN)
    expect(form.input("API token")).to_have_attribute("type", "password")


def test_extra_fields_are_shown(ui: Ui) -> None:
    form = ui.add_connection("Make", "extra")
    section = form.open("Extra Fields")
    assert section.locator("label").all_inner_texts() == [field["label"] for field in CONNECTION_FIELDS.values()]
    for field in CONNECTION_FIELDS.values():
        label, schema = field["label"], field["schema"]
        expect(form.group(label)).to_contain_text(field["description"])
        if "enum" in schema:
            assert form.options(label) == schema["enum"]
        else:
            number = "integer" in schema["type"]
            expect(form.group(label).get_by_role("spinbutton" if number else "textbox")).to_be_visible()
    assert form.options("Zone") == list(ZONES)


def test_empty_fields_are_treated_as_not_set(rest: Rest, saved: str, sandbox: Sandbox) -> None:
    connection, extra = read_settings(rest, saved)
    assert extra == {**dict.fromkeys(CONNECTION_FIELDS), "organization_id": 42}
    assert connection == ConnectionSettings(base_url=sandbox.base_url, token="***", organization_id=42)


def test_all_fields_are_saved(ui: Ui, rest: Rest) -> None:
    form = ui.add_connection("Make", "all")
    form.fill({"API token": TOKEN, "Port": "443"})
    form.open("Extra Fields")
    texts = {
        "zone": "us2.make.com",
        "organization_id": "42",
        "auth_scheme": "Bearer",
        "requests_per_minute": "240",
        "timeout": "30",
        "verify": "false",
        "cert": '["/cert.pem", "/key.pem"]',
        "proxies": '{"https": "http://me:hunter2@127.0.0.1:9"}',
        "trust_env": "false",
    }
    form.fill({field["label"]: texts[name] for name, field in CONNECTION_FIELDS.items()})
    form.save()
    connection, extra = read_settings(rest, "all")
    assert extra["proxies"] == "***"
    assert connection == ConnectionSettings(
        base_url="https://us2.make.com/api/v2",
        token="***",
        auth_scheme="Bearer",
        organization_id=42,
        requests_per_minute=240,
        verify=False,
        cert=("/cert.pem", "/key.pem"),
        timeout=30,
        trust_env=False,
    )
    # The error is raised by the hook, with the fields as typed.
    text = ui.test_connection("all")
    assert text.startswith("Test Connection Failed\nConnection '")
    assert "cert=('/cert.pem', '/key.pem') is not valid" in text
    assert "hunter2" not in text


def test_test_button_succeeds(ui: Ui, saved: str, sandbox: Sandbox) -> None:
    before = len(sandbox.requests)
    text = ui.test_connection(saved)
    assert text.split("\n") == [
        "Test Connection Successful",
        f"{sandbox.host.removeprefix('http://')} answers for organization 42: 50 scenarios.",
    ]
    (request,) = sandbox.requests[before:]
    assert dict(request.query)["pg[limit]"] == "1"
    assert request.headers["Authorization"] == f"Token {TOKEN}"


def test_test_button_shows_the_error_of_make(ui: Ui, saved: str, sandbox: Sandbox) -> None:
    before = len(sandbox.requests)
    sandbox.fail("403")
    text = ui.test_connection(saved)
    assert text.startswith("Test Connection Failed\nHTTP 403: Permission denied (SC403)")
    assert [request.path for request in sandbox.requests[before:]].count("/api/v2/analytics/42") == 1


def test_editing_hides_the_token_and_keeps_it(ui: Ui, saved: str, rest: Rest) -> None:
    form = ui.edit_connection(saved)
    expect(form.input("API token")).to_have_value("***")
    form.open("Extra Fields")
    expect(form.input("Organization ID")).to_have_value("42")
    assert TOKEN not in ui.page.content()
    form.choose("Auth scheme", "Token")
    form.save()
    assert read_settings(rest, saved)[1] == {
        **dict.fromkeys(CONNECTION_FIELDS),
        "organization_id": 42,
        "auth_scheme": "Token",
    }
    assert "answers for organization 42" in ui.test_connection(saved)


def test_picture_for_the_docs(ui: Ui, browser: Browser, tmp_path: Path) -> None:
    ui.page.set_viewport_size({"width": 600, "height": 1900})
    form = ui.add_connection("Make", "make_default")
    form.fill({"API token": TOKEN, "Port": "443"})
    pictures = [picture(form)]
    form.open("Extra Fields")
    form.fill({"Zone": "eu1.make.com", "Organization ID": "42"})
    pictures.append(picture(form))
    folder = Path(os.environ.get("MAKE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    side_by_side(browser, pictures, folder / "connection-form.png")


def picture(form: ConnectionForm) -> bytes:
    """Take a picture of the dialog, with no text cut off, and without a frame around the focused field."""
    # The width of a masked token depends on the fonts of the machine, and nobody reads it.
    cut_off = (
        "all => all.filter(e => e.type !== 'password' && e.scrollWidth > e.clientWidth)"
        ".map(e => e.value || e.placeholder)"
    )
    assert form.dialog.get_by_role("textbox").evaluate_all(cut_off) == []
    form.dialog.evaluate("document.activeElement.blur()")
    taken: bytes = form.dialog.screenshot(animations="disabled")
    return taken


def side_by_side(browser: Browser, pictures: Sequence[bytes], path: Path) -> None:
    """Save both sections as one picture: Airflow shows one at a time."""
    page = browser.new_page(viewport={"width": 1300, "height": 1700})
    urls = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in pictures]
    images = "".join(f'<img src="{url}" style="border: 1px solid #ccc; border-radius: 8px">' for url in urls)
    page.set_content(f'<main style="display: inline-flex; gap: 16px; align-items: start">{images}</main>')
    page.get_by_role("main").screenshot(path=path)
    page.close()

"""The page in a real Airflow's UI, from 3.1 on: for who may see assets, for who may not, and for nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Frame, Page, expect
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from airflow_provider_make.sandbox import Sandbox
from tests.e2e.metadata_database import states, unpause
from tests.e2e.services import PostgreSQL
from tests.e2e.stack import PASSWORD, TOKEN, AirflowStack, wait_for
from tests.e2e.ui import PATIENCE, chromium
from tests.support.airflow_versions import VERSION

EVENTS = 1000
HOSTILE = "<img src=x onerror=parent.document.title='hacked'>"
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(VERSION < (3, 1), reason="Airflow has such pages from 3.1 on"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scenarios=20, token=TOKEN) as running:
        running.organization().set_counts(1000, 250)
        yield running


@pytest.fixture(scope="module")
def stack(
    browser: Browser, sandbox: Sandbox, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Start Airflow with a pull and an alert, and repeat the pull's event for each of a thousand hours."""
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).parents[1] / "dags" / "page.py", dags)
    passwords = dags / "passwords.json"
    passwords.write_text(json.dumps({"admin": PASSWORD, "guest": PASSWORD}))
    environment = {
        **postgresql.copy("page"),
        "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json,
        # Without a role, a user may see nothing.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,guest:",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    }
    with AirflowStack(dags, environment) as running:
        database = create_engine(running.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        names = ("page_pull", "page_without_outlets", "page_alert")
        wait_for("The Dags are parsed", lambda: unpause(database, *names), 300)
        for name in names:
            wait_for(f"{name} has run", partial(_has_run, database, name), 300)
        columns = "asset_id, source_task_id, source_dag_id, source_run_id, source_map_index"
        select = f"SELECT extra, timestamp, {columns} FROM asset_event WHERE source_dag_id = 'page_pull'"
        insert = f"INSERT INTO asset_event (extra, timestamp, {columns}) VALUES (:extra, :timestamp, " + ", ".join(
            f":{column}" for column in columns.split(", ")
        )
        with database.begin() as session:
            (event,) = session.execute(text(select)).mappings()
            rows = []
            for hours in range(1, EVENTS):
                extra = {**event["extra"], "organization_name": HOSTILE}
                for name in ("date_from", "date_to"):
                    extra[name] = (datetime.fromisoformat(extra[name]) - timedelta(hours=hours)).isoformat()
                moment = event["timestamp"] - timedelta(hours=hours)
                rows.append({**event, "extra": json.dumps(extra), "timestamp": moment})
            session.execute(text(insert + ")"), rows)
        database.dispose()
        yield running


def _has_run(database: Engine, dag_id: str) -> bool:
    return states(database, dag_id) == {"success": 1}


def log_in(page: Page, user: str) -> None:
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a browser without cookies; an error in the page's scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    opened = context.new_page()
    yield opened
    context.close()
    assert [error for error in errors if "/make/" in error] == []


def shown(page: Page) -> Frame:
    """Wait until the page in Airflow's frame has read its events."""
    element = page.wait_for_selector("iframe")
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    frame.wait_for_url("**/make/")
    frame.wait_for_selector("html[data-ready=all]")
    return frame


def open_as(page: Page, stack: AirflowStack, user: str) -> Frame:
    page.goto(f"{stack.url}/plugin/make")
    log_in(page, user)
    return shown(page)


def test_the_navigation_leads_to_a_thousand_pulls_and_an_alert(page: Page, stack: AirflowStack) -> None:
    page.goto(stack.url)
    log_in(page, "admin")
    page.get_by_text("Make", exact=True).click()
    frame = shown(page)
    # Airflow 3.3 adds the address of the frame.
    expect(page).to_have_url(re.compile(f"^{stack.url}/plugin/make(/make/)?$"))
    card = frame.get_by_role("region", name=HOSTILE, exact=True)
    expect(card).to_contain_text("new ones usually every hour")
    expect(card).to_contain_text("All 1,000 time frames as a table")
    expect(card).to_contain_text(re.compile(r"Error rate ≥ 5 % in \d+ scenarios"))
    expect(frame.get_by_role("link", name="page_without_outlets · pull")).to_be_visible()
    assert "hacked" not in page.title()
    page.reload()
    frame = shown(page)
    entries = "performance.getEntriesByType('resource').filter(each => each.name.includes('/api/'))"
    count = frame.evaluate(f"{entries}.length")
    size = frame.evaluate(f"{entries}.reduce((sum, each) => sum + each.decodedBodySize, 0)")
    newest, complete = (
        frame.evaluate("name => performance.getEntriesByName(name)[0].startTime / 1000", name)
        for name in ("newest", "complete")
    )
    print(
        f"\nThe page on Airflow {VERSION[0]}.{VERSION[1]}: figures after {newest:.2f} s, all {EVENTS} events after "
        f"{complete:.2f} s, {count} requests to the API, {size / 1000:.0f} KB."
    )
    assert count <= 15
    folder = os.environ.get("MAKE_SCREENSHOTS")
    for theme in ("light", "dark"):
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        page.reload()
        frame = shown(page)
        expect(frame.locator("html")).to_have_attribute("data-colors", theme)
        if folder:
            page.screenshot(path=f"{folder}/airflow-{VERSION[0]}.{VERSION[1]}-{theme}.png")
    # Airflow's own router follows the link.
    page.evaluate("window.stays = true")
    frame.get_by_role("link", name="page_pull · pull").first.click()
    page.wait_for_url("**/dags/page_pull/runs/*/tasks/pull**")
    expect(page.get_by_role("heading", name="pull").or_(page.get_by_text("page_pull")).first).to_be_visible()
    assert page.evaluate("window.stays")


def test_who_may_not_see_assets_reads_a_sentence(page: Page, stack: AirflowStack) -> None:
    page.goto(f"{stack.url}/make/")
    page.get_by_role("link", name="Log in again").click()
    log_in(page, "guest")
    page.wait_for_url("**/make/")
    expect(page.get_by_role("alert")).to_contain_text("You are not allowed to see asset events")


def test_an_anonymous_visitor_and_an_ended_session_are_led_to_the_login(page: Page, stack: AirflowStack) -> None:
    frame = open_as(page, stack, "admin")
    page.context.clear_cookies()
    frame.get_by_role("button", name="Refresh").click()
    expect(frame.get_by_role("alert")).to_contain_text("Your session has ended")
    expect(frame.get_by_role("region", name=HOSTILE)).to_be_visible()
    frame.get_by_role("link", name="Log in again").click()
    log_in(page, "admin")
    # Back at the page.
    expect(shown(page).get_by_role("region", name=HOSTILE)).to_be_visible()

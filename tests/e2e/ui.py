"""Airflow's UI in a headless Chromium, as far as the tests need it: by roles, labels and visible text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.e2e.services import program
from tests.e2e.stack import PASSWORD

# Generous: the server runs on the same small machine.
PATIENCE = 60_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, without a download."""
    executable = program("chromium", "chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=executable) as browser:
        yield browser


class ConnectionForm:
    """The dialog that adds or edits a connection. One of its sections is open at a time."""

    def __init__(self, page: Page) -> None:
        self.dialog = page.get_by_role("dialog")
        self._page = page

    def open(self, section: str) -> Locator:
        """Open a section, and return its content."""
        self.dialog.get_by_role("button", name=section, exact=True).click()
        expect(self.dialog.get_by_role("button", name=section, exact=True)).to_have_attribute("aria-expanded", "true")
        # The section that was open closes with a delay.
        expect(self.dialog.get_by_role("region")).to_have_count(1)
        return self.dialog.get_by_role("region")

    def group(self, label: str) -> Locator:
        """Return the group of a label: the input, and the help below it."""
        return self.dialog.get_by_role("group").filter(has=self._page.get_by_text(label, exact=True))

    def input(self, label: str) -> Locator:
        """Return the input or drop-down of a label."""
        group = self.group(label)
        return group.get_by_role("textbox").or_(group.get_by_role("spinbutton")).or_(group.get_by_role("combobox"))

    def options(self, label: str) -> list[str]:
        """Return the options of a drop-down."""
        drop_down = self.dialog.get_by_role("combobox", name=label)
        drop_down.click()
        expect(self._page.get_by_role("option").first).to_be_visible()
        options: list[str] = self._page.get_by_role("option").all_inner_texts()
        # Escape would close the dialog as well.
        drop_down.click()
        return options

    def choose(self, label: str, option: str) -> None:
        """Choose from a drop-down."""
        self.dialog.get_by_role("combobox", name=label).click()
        self._page.get_by_role("option", name=option, exact=True).click()

    def fill(self, texts: Mapping[str, str]) -> None:
        """Type into fields of the open section, by label, or choose where they are drop-downs."""
        for label, text in texts.items():
            if self.input(label).get_attribute("role") == "combobox":
                self.choose(label, text)
            else:
                self.input(label).fill(text)

    def save(self) -> None:
        """Save, and wait until the dialog is gone."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).not_to_be_visible()


class Ui:
    """A page of the UI, signed in as an administrator, at the list of connections."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 1900})
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(url)
        self.page.get_by_label("Username").fill("admin")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Admin").click()
        self.page.get_by_role("menuitem", name="Connections").click()
        self.page.wait_for_url("**/connections")

    def add_connection(self, connection_type: str, connection_id: str) -> ConnectionForm:
        """Open the form of a new connection."""
        self.page.reload()
        self.page.get_by_role("button", name="Add Connection").click()
        form = ConnectionForm(self.page)
        form.choose("Connection Type", connection_type)
        form.dialog.get_by_label("Connection ID").fill(connection_id)
        return form

    def edit_connection(self, connection_id: str) -> ConnectionForm:
        """Open the form of a saved connection."""
        self._press("Edit Connection", connection_id)
        return ConnectionForm(self.page)

    def test_connection(self, connection_id: str) -> str:
        """Press the Test button, and return the text of the notification."""
        self._press("Test Connection", connection_id)
        notification = self.page.get_by_role("status").filter(has_text="Test Connection")
        expect(notification).to_be_visible()
        text: str = notification.inner_text()
        return text

    def _press(self, button: str, connection_id: str) -> None:
        self.page.reload()
        cell = self.page.get_by_role("cell", name=connection_id, exact=True)
        self.page.get_by_role("row").filter(has=cell).get_by_role("button", name=button).click()

"""The script with which the documentation's search works from its folder, in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.ui import chromium

SCRIPT = Path(__file__).parents[2] / "docs" / "javascripts" / "iframe-worker.js"
# Like the theme's: it posts before the worker is ready, and the worker answers each message in order.
WORKER = 'addEventListener("message", async (event) => postMessage(`found ${event.data}`));'
PAGE = """<!DOCTYPE html><title>Search</title><body><script src="iframe-worker.js"></script><script>
const worker = new Worker("worker.js");
worker.addEventListener("message", (event) => { document.title += `, ${event.data}`; });
for (const word of ["one", "two"]) worker.postMessage(word);
</script></body>"""


@pytest.mark.parametrize("has_script", [True, False])
def test_a_worker_runs_from_a_folder_only_with_the_script(has_script: bool, tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(WORKER)
    (tmp_path / "page.html").write_text(PAGE)
    if has_script:
        shutil.copy(SCRIPT, tmp_path)
    with chromium() as browser:
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(error.message))
        page.goto((tmp_path / "page.html").as_uri())
        if has_script:
            page.wait_for_function('document.title === "Search, found one, found two"')
        assert bool(errors) != has_script

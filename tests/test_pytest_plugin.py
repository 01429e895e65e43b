"""The pytest fixtures for users."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests

from airflow_provider_make.sandbox import Sandbox


def test_the_fixture_is_a_running_sandbox(make_sandbox: Sandbox) -> None:
    assert requests.get(f"{make_sandbox.base_url}/analytics/1", timeout=10).status_code == 401
    assert len(make_sandbox.organization().scenarios) == 250


def test_the_factory_starts_sandboxes_with_options(make_sandbox_factory: Callable[..., Sandbox]) -> None:
    first, second = make_sandbox_factory(scenarios=3), make_sandbox_factory(scenarios=4, token="other")
    assert first.host != second.host
    assert [len(sandbox.truth()) for sandbox in (first, second)] == [3, 4]


def test_sandboxes_stop_after_the_test_and_the_plugin_imports_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(
        "import sys, requests, pytest\n"
        "hosts = []\n"
        "def test_first():\n"
        "    assert 'airflow_provider_make.sandbox' not in sys.modules and 'aiohttp' not in sys.modules\n"
        "def test_second(make_sandbox, make_sandbox_factory):\n"
        "    hosts.extend([make_sandbox.host, make_sandbox_factory().host])\n"
        "def test_third():\n"
        "    for host in hosts:\n"
        "        with pytest.raises(requests.ConnectionError): requests.get(host, timeout=5)\n"
        "    assert len(hosts) == 2\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=100)
    assert "3 passed" in done.stdout, done.stdout

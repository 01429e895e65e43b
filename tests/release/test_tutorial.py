"""The tutorial, as pasted into a shell."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.commands import clean_environment


@pytest.mark.timeout(900)
def test_the_tutorial_runs_as_pasted(tree: Path, tmp_path: Path) -> None:
    script = "".join(re.findall(r"```sh\n(.*?)```", (tree / "docs" / "tutorial.md").read_text(), re.DOTALL))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The only changes: another port, another folder, and this Python.
    for documented, of_test in {
        "/tmp/make": f"{tmp_path}/make",
        "127.0.0.1:6253": f"127.0.0.1:{port}",
        "--quiet": f"--quiet --port {port}",
        "python3 -m venv try": f"{sys.executable} -m venv {tmp_path}/try; ln -s {tmp_path}/try try",
    }.items():
        assert documented in script
        script = script.replace(documented, of_test)
    done = subprocess.run(
        ["sh", "-e"], input=script, cwd=tree, env=clean_environment(), capture_output=True, text=True, timeout=800
    )
    (tree / "try").unlink()
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-5000:]
    assert "state=success" in output, output[-5000:]

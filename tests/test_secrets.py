"""The token is not in anything that successful and failed runs print or store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOKEN = "c0ffee00-dead-4bad-8f00-0123456789ab"


# Ten runs of a real Airflow, on a machine that may be busy.
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_run_shows_or_stores_the_token(tmp_path: Path) -> None:
    here = Path(__file__).parent
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW_VAR_MAKE_ANALYTICS_ROOT": str(tmp_path / "out"),
    }
    command = [sys.executable, str(here / "support/everything_emitted.py"), str(here.parent / "example_dags"), TOKEN]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=280)
    # Airflow's own lines about passing on the connection are ignored: its masking, off here, would cover them.
    lines = (done.stdout + done.stderr).splitlines(keepends=True)
    of_airflow = (b"loc=supervisor.py", b"msg=MaskSecret(", b"msg=ConnectionResult(")
    emitted = b"".join(line for line in lines if not any(mark in line for mark in of_airflow))
    assert b"END" in done.stdout, emitted[-3000:].decode()
    for name in (b"make_analytics_to_xcom", b"make_analytics_daily"):
        assert emitted.count(b"STATE %s success" % name) == 1
    assert emitted.count(b"STATE make_analytics_daily failed") == 8
    stored = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.suffix == ".db" for path in stored)
    assert any(path.suffix == ".parquet" for path in stored)
    for secret in (TOKEN.encode(), TOKEN.replace("-", "%2D").encode()):
        assert secret not in emitted, emitted[max(0, emitted.find(secret) - 300) :][:600].decode()
        assert [path for path, text in stored.items() if secret in text] == []

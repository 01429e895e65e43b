"""Pulls that Airflow's timeout interrupts at random moments: each ends at once, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from airflow_provider_make.exceptions import MakeServerError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import find
from tests.support.client_threads import started_from_now_on, wait_for_the_end
from tests.support.time_frames import LAST_WEEK

AirflowTaskTimeout = find("AirflowTaskTimeout", "airflow.sdk.exceptions", "airflow.exceptions")
# What Airflow wraps a task with an execution_timeout in: SIGALRM, whose handler raises.
TimeoutPosix = find("TimeoutPosix", "airflow.sdk.execution_time.timeout", "airflow.utils.timeout")
# pytest's own timeout must not use SIGALRM, too.
pytestmark = pytest.mark.timeout(300, method="thread")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # A pull takes some 400 pages, so that it is as busy as it can be all the time.
    with Sandbox(scenarios=40_000) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def connected(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files, with everything connected."""
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    return spool


class Timeout(TimeoutPosix):  # type: ignore[misc, valid-type]
    """Airflow's timeout without its log line: a signal in the middle of another line would wait for the log's lock."""

    def handle_timeout(self, signum: int, frame: Any) -> None:
        raise AirflowTaskTimeout(self.error_message)


def operator(path: Path, **arguments: Any) -> MakeAnalyticsOperator:
    return MakeAnalyticsOperator(task_id="pull", page_size=100, output_path=str(path), **LAST_WEEK, **arguments)


def pull_for(seconds: float, task: MakeAnalyticsOperator) -> float:
    """Pull until Airflow's timeout; return how late the task ended."""
    threads = started_from_now_on()
    # Python ignores what a signal handler raises in __del__, and the garbage collector calls that of event loops.
    gc.disable()
    try:
        began = time.monotonic()
        with pytest.raises(AirflowTaskTimeout), Timeout(seconds, "too late"):
            while True:
                task.execute({})
        late = time.monotonic() - began - seconds
    finally:
        gc.enable()
    wait_for_the_end(threads)
    return late


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_interrupted_pulls_end_within_a_second(suffix: str, sandbox: Sandbox, tmp_path: Path, connected: Path) -> None:
    chance = random.Random(suffix)
    path = tmp_path / "out" / f"analytics.{suffix}"
    operator(path).execute({})
    late = [pull_for(chance.uniform(0.01, 0.15), operator(path)) for _ in range(70)]
    # On a busy machine, the disk may take longer than that to write what a pull publishes.
    assert median(late) < 1
    assert max(late) < 30
    requests = len(sandbox.requests)
    time.sleep(0.2)
    assert len(sandbox.requests) == requests
    # The whole object of a pull that ended in time, and no part of another one.
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert list(connected.iterdir()) == []


def test_a_pull_in_a_running_loop_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("stall:60")

    async def task() -> float:
        return pull_for(0.3, operator(tmp_path / "analytics.jsonl"))

    assert asyncio.run(task()) < 30


def test_a_pull_that_waits_for_a_stalled_server_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("stall:60")
    assert pull_for(0.3, operator(tmp_path / "analytics.jsonl")) < 30


def test_a_pull_that_waits_for_a_retry_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("503:60")
    assert pull_for(0.3, operator(tmp_path / "analytics.jsonl")) < 30


def test_the_traceback_of_a_failed_pull_ends_with_the_providers_error(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("503")
    with pytest.raises(MakeServerError) as caught:
        operator(tmp_path / "analytics.jsonl", api_retry_limit=1).execute({})
    text = "".join(traceback.format_exception(caught.value))
    assert "HTTP 503" in text.strip().splitlines()[-1]
    assert "RuntimeError" not in text
    assert "During handling" not in text

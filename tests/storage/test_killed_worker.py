from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.sandbox import Sandbox
from tests.storage import worker
from tests.storage.conftest import Connect
from tests.storage.gate import Gate
from tests.storage.stores import Target

OLD = {"rows.jsonl": b"old\n"}
# 1,000 scenarios in pages of 100 that overlap.
PAGES = 11
s3 = pytest.mark.parametrize("store", ["s3"], indirect=True)
local = pytest.mark.parametrize("store", ["local"], indirect=True)
local_and_s3 = pytest.mark.parametrize("store", ["local", "s3"], indirect=True)


@pytest.fixture(autouse=True, scope="module")
def fork_server(storage_packages: None) -> None:
    # Before the folder for temporary files changes: the fork server creates a folder that must stay.
    forkserver.ensure_running()


class Killer:
    """
    Starts a worker that replaces an old object, and kills it.

    :param signal_name: ``SIGKILL``, ``SIGTERM``, or ``raise``: a SIGTERM whose handler raises, as Airflow 2's does.
    :param target: The folder or bucket of the object.
    :param environment: The worker's connections and folder for temporary files.
    """

    def __init__(self, signal_name: str, target: Target, environment: dict[str, str]) -> None:
        self._raises = signal_name == "raise"
        self._signal = signal.SIGKILL if signal_name == "SIGKILL" else signal.SIGTERM
        self._target = target
        self._environment = environment
        self._started = threading.Event()

    def start(self, **options: Any) -> None:
        all_options = {
            "output_path": f"{self._target.url}/rows.jsonl",
            "storage_conn_id": self._target.conn_id,
            **options,
        }
        all_options |= {"page_size": 100, "max_concurrency": 2, "raise_at_sigterm": self._raises}
        self._process, self._receiver = worker.fork(self._environment, **all_options)
        self._started.set()

    def kill(self) -> None:
        assert self._started.wait(30)
        assert self._process.pid is not None
        os.kill(self._process.pid, self._signal)

    def wait_until_killed(self) -> None:
        assert self._exit_code() == (128 + self._signal if self._raises else -self._signal)

    def wait_for_success(self) -> None:
        assert self._exit_code() == 0

    def message(self) -> Any:
        assert self._receiver.poll(30)
        return self._receiver.recv()

    def clean_up(self) -> None:
        if self._started.is_set():
            self._process.kill()
            self._process.join()
            self._receiver.close()

    def _exit_code(self) -> int | None:
        self._process.join(30)
        return self._process.exitcode


@pytest.fixture(params=["SIGTERM", "raise", "SIGKILL"])
def killer(request: pytest.FixtureRequest, target: Target, sandbox: Sandbox, spool: Path) -> Iterator[Killer]:
    """Return the killer; afterwards, assert that only the old object exists, and that the spool is removed."""
    target.put("rows.jsonl", OLD["rows.jsonl"])
    killer = Killer(request.param, target, {"TMPDIR": str(spool)})
    yield killer
    killer.clean_up()
    assert target.objects() == OLD
    assert list(spool.iterdir()) == []


@local_and_s3
@pytest.mark.parametrize("request_number", [1, 5, PAGES])
def test_existing_object_survives_a_worker_killed_while_it_fetches_pages(
    request_number: int, killer: Killer, sandbox: Sandbox
) -> None:
    sandbox.fail(*["stall:0.1"] * PAGES)
    sandbox.at_request(request_number, lambda organization: killer.kill())
    killer.start()
    killer.wait_until_killed()
    assert len(sandbox.requests) >= request_number


# Between these, the part has a name next to the target. That can't be avoided: a link does not replace a file.
@local
@pytest.mark.parametrize(("event", "count", "requests"), [("open", 1, 0), ("open", 5, PAGES), ("os.link", 1, PAGES)])
def test_existing_object_survives_a_worker_killed_while_it_publishes_to_a_folder(
    event: str, count: int, requests: int, killer: Killer, target: Target, sandbox: Sandbox
) -> None:
    # The checks before the first request open files, too, and so does the one before the publication: Python's tempfile
    # needs two of these events, and to read the first row of the old object is one.
    folder = target.url.removeprefix("file://")
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        pytest.skip(f"this file system has no files without names: {error}")
    killer.start(stop_at=[event, folder, count])
    assert killer.message() == {"at": event}
    killer.kill()
    killer.wait_until_killed()
    assert len(sandbox.requests) == requests


@s3
@pytest.mark.parametrize(
    ("part_size", "trigger", "after"),
    [
        (None, b"PUT /", 0),
        (None, b"PUT /", 200_000),
        (1 << 17, b"partNumber=1&", 50_000),
        (1 << 17, b"partNumber=3&", 50_000),
        (1 << 17, b"rows.jsonl?uploadId", 0),
    ],
    ids=[
        "before the upload",
        "during the upload",
        "during the first part",
        "during a later part",
        "before the parts are joined",
    ],
)
def test_existing_object_survives_a_worker_killed_while_it_publishes_to_s3(
    part_size: int | None, trigger: bytes, after: int, killer: Killer, target: Target, connect: Connect
) -> None:
    with Gate(target.store.port, trigger, after, "hold") as gate:
        connection = target.store.connection(port=gate.port)
        assert connection is not None
        killer.start(storage_conn_id=connect(connection), part_size=part_size)
        assert gate.reached.wait(30)
        killer.kill()
        killer.wait_until_killed()


@local_and_s3
def test_worker_that_is_not_killed_replaces_the_object(target: Target, sandbox: Sandbox, spool: Path) -> None:
    # The other tests would not detect a worker that never writes.
    target.put("rows.jsonl", OLD["rows.jsonl"])
    killer = Killer("raise", target, {"TMPDIR": str(spool)})
    killer.start()
    summary = killer.message()
    killer.wait_for_success()
    killer.clean_up()
    objects = target.objects()
    assert set(objects) == {"rows.jsonl"}
    assert summary["bytes"] == len(objects["rows.jsonl"]) > len(OLD["rows.jsonl"])
    assert list(spool.iterdir()) == []

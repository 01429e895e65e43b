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
from tests.storage.stores import Place

OLD = {"rows.jsonl": b"old\n"}
PAGES = 10
s3 = pytest.mark.parametrize("store", ["s3"], indirect=True)
local = pytest.mark.parametrize("store", ["local"], indirect=True)
local_and_s3 = pytest.mark.parametrize("store", ["local", "s3"], indirect=True)


@pytest.fixture(autouse=True, scope="module")
def forks(storage_parts: None) -> None:
    # Before the folder for temporary files is another: this makes one that stays.
    forkserver.ensure_running()


class Killer:
    """
    Starts a worker that writes over an old object, and kills it.

    :param way: ``SIGKILL``, ``SIGTERM``, or ``raise``: a SIGTERM whose handler raises, as Airflow 2's does.
    :param place: Where the object is.
    :param environment: The worker's connections and folder for temporary files.
    """

    def __init__(self, way: str, place: Place, environment: dict[str, str]) -> None:
        self._raises = way == "raise"
        self._signal = signal.SIGKILL if way == "SIGKILL" else signal.SIGTERM
        self._place = place
        self._environment = environment
        self._started = threading.Event()

    def start(self, **options: Any) -> None:
        given = {"output_path": f"{self._place.url}/rows.jsonl", "storage_conn_id": self._place.conn_id, **options}
        given |= {"page_size": 100, "max_concurrency": 2, "raise_at_sigterm": self._raises}
        self._process, self._telling = worker.fork(self._environment, **given)
        self._started.set()

    def kill(self) -> None:
        assert self._started.wait(30)
        assert self._process.pid is not None
        os.kill(self._process.pid, self._signal)

    def wait_for_its_end(self) -> None:
        assert self._exit_code() == (128 + self._signal if self._raises else -self._signal)

    def wait_for_success(self) -> None:
        assert self._exit_code() == 0

    def told(self) -> Any:
        assert self._telling.poll(30)
        return self._telling.recv()

    def clean_up(self) -> None:
        if self._started.is_set():
            self._process.kill()
            self._process.join()
            self._telling.close()

    def _exit_code(self) -> int | None:
        self._process.join(30)
        return self._process.exitcode


@pytest.fixture(params=["SIGTERM", "raise", "SIGKILL"])
def killer(request: pytest.FixtureRequest, place: Place, sandbox: Sandbox, spool: Path) -> Iterator[Killer]:
    """Give the killer, and hold that the old object is there after what it did, alone, and nothing of the spool is."""
    place.put("rows.jsonl", OLD["rows.jsonl"])
    killer = Killer(request.param, place, {"TMPDIR": str(spool)})
    yield killer
    killer.clean_up()
    assert place.objects() == OLD
    assert list(spool.iterdir()) == []


@local_and_s3
@pytest.mark.parametrize("request_number", [1, 5, PAGES])
def test_killed_while_pages_come(request_number: int, killer: Killer, sandbox: Sandbox) -> None:
    sandbox.fail(*["stall:0.1"] * PAGES)
    sandbox.at_request(request_number, lambda organization: killer.kill())
    killer.start()
    killer.wait_for_its_end()
    assert len(sandbox.requests) >= request_number


# The moment between these, with a name beside the target, can't be without: a link does not replace a file.
@local
@pytest.mark.parametrize("event", ["open", "os.link"])
def test_killed_while_it_publishes_to_a_folder(event: str, killer: Killer, place: Place, sandbox: Sandbox) -> None:
    folder = place.url.removeprefix("file://")
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        pytest.skip(f"this file system has no files without names: {error}")
    killer.start(stop_at=[event, folder])
    assert killer.told() == {"at": event}
    killer.kill()
    killer.wait_for_its_end()
    assert len(sandbox.requests) == PAGES


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
        "before its upload",
        "amid its upload",
        "amid the first part",
        "amid a later part",
        "before the parts are one",
    ],
)
def test_killed_while_it_publishes_to_s3(
    part_size: int | None, trigger: bytes, after: int, killer: Killer, place: Place, connect: Connect
) -> None:
    with Gate(place.store.port, trigger, after, "hold") as gate:
        connection = place.store.connection(port=gate.port)
        assert connection is not None
        killer.start(storage_conn_id=connect(connection), part_size=part_size)
        assert gate.reached.wait(30)
        killer.kill()
        killer.wait_for_its_end()


@local_and_s3
def test_left_alone_it_replaces_the_object(place: Place, sandbox: Sandbox, spool: Path) -> None:
    # What the others would not notice: a worker that never writes.
    place.put("rows.jsonl", OLD["rows.jsonl"])
    killer = Killer("raise", place, {"TMPDIR": str(spool)})
    killer.start()
    summary = killer.told()
    killer.wait_for_success()
    killer.clean_up()
    objects = place.objects()
    assert set(objects) == {"rows.jsonl"}
    assert summary["bytes"] == len(objects["rows.jsonl"]) > len(OLD["rows.jsonl"])
    assert list(spool.iterdir()) == []

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_make.exceptions import MakeInputError, MakeServerError
from airflow_provider_make.report.__main__ import main as report_command
from airflow_provider_make.sandbox import Sandbox
from tests.storage import worker
from tests.storage.conftest import Connect, Pull
from tests.storage.gate import Gate
from tests.storage.stores import AzureStore, GoogleStore, S3Store, Store, Target, new_secret

# 1,000 scenarios in pages of 100 that overlap.
PAGES = 11
OLD = {"rows.jsonl": b"old\n"}
remote = pytest.mark.parametrize("store", ["s3", "google", "azure"], indirect=True)
google = pytest.mark.parametrize("store", ["google"], indirect=True)
s3 = pytest.mark.parametrize("store", ["s3"], indirect=True)
azure = pytest.mark.parametrize("store", ["azure"], indirect=True)


@pytest.fixture(autouse=True)
def no_retry_delays(storage_packages: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.storage.blob.aio import ExponentialRetry

    # Azure's client waits for more than a minute between its three tries, Google's for half a minute between its six.
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda *_: 0.01)
    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=lambda _: asyncio.sleep(0.01)))


@pytest.fixture(autouse=True)
def old_object(target: Target, spool: Path) -> Iterator[None]:
    """Assert after each failure that only the old object exists, and that the spool is removed."""
    target.put("rows.jsonl", OLD["rows.jsonl"])
    yield
    assert target.objects() == OLD
    assert list(spool.iterdir()) == []
    assert [name for name in open_files() if name.startswith(str(spool))] == []


def open_files() -> Iterator[str]:
    for entry in Path("/proc/self/fd").iterdir():
        # Another thread may have closed it since.
        with suppress(FileNotFoundError):
            yield os.readlink(entry)


FailingPull = Callable[..., Exception]


@pytest.fixture
def failing_pull(target: Target, connect: Connect, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> FailingPull:
    """Return a function that pulls with another connection, and returns the error."""

    def run(*, url: str | None = None, in_parts: bool = False, **connection: Any) -> Exception:
        json = target.store.connection(**connection)
        assert json is not None
        other = Target(target.store, url or target.url, connect(json))
        if in_parts:
            # Google's smallest, and four for the rows of 400 KiB.
            worker.upload_in_parts(1 << 18 if isinstance(target.store, GoogleStore) else 1 << 17, monkeypatch.setattr)
        with pytest.raises(Exception) as caught:
            pull(other, "rows.jsonl")
        return caught.value

    return run


@contextmanager
def small_disk(largest_file: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv.gz", "rows.parquet"])
def test_existing_object_survives_a_failure_of_make(name: str, target: Target, sandbox: Sandbox, pull: Pull) -> None:
    sandbox.fail(*[None] * 5, "503", "503")
    with pytest.raises(MakeServerError):
        pull(target, name, api_retry_limit=1, max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


def test_existing_object_survives_a_disk_too_small_for_the_spool(target: Target, sandbox: Sandbox, pull: Pull) -> None:
    with small_disk(1 << 16), pytest.raises(OSError, match="File too large"):
        pull(target, "rows.jsonl", max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@remote
def test_an_object_can_not_be_looked_up_in_a_store_that_is_down(
    closed_port: int, target: Target, connect: Connect, pull: Pull, sandbox: Sandbox
) -> None:
    json = target.store.connection(port=closed_port)
    assert json is not None
    other = Target(target.store, target.url, connect(json))
    with pytest.raises(OSError, match=r"^'(s3|gs|abfs)://.*/rows\.jsonl' can't be looked up in its storage: "):
        pull(other, "rows.jsonl", if_exists="skip")
    assert sandbox.requests == []


@remote
@pytest.mark.parametrize("source", ["rows.parquet", "folder", "*/rows.parquet"])
def test_a_report_of_a_store_that_is_down_is_an_error_of_one_line(
    source: str,
    closed_port: int,
    target: Target,
    connect: Connect,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    json = target.store.connection(port=closed_port)
    assert json is not None
    options = ["--storage-conn-id", connect(json), "-o", str(tmp_path / "report.html")]
    assert report_command([f"{target.url}/{source}", *options]) == 1
    # Amazon's hook logs a line to the output.
    _, errors = capsys.readouterr()
    assert errors.count("\n") == 1
    assert re.match(r"'(s3|gs|abfs)://.*' can't be (read from|listed in) its storage: ", errors)


@remote
def test_existing_object_survives_a_store_that_is_down(
    closed_port: int, sandbox: Sandbox, failing_pull: FailingPull
) -> None:
    error = failing_pull(port=closed_port)
    assert f"127.0.0.1:{closed_port}" in str(error)
    # The store receives no request before all rows are fetched.
    assert len(sandbox.requests) == PAGES


@remote
@pytest.mark.parametrize("after", [0, 50_000, 300_000])
@pytest.mark.parametrize("then", ["cut", "down"])
def test_existing_object_survives_a_connection_lost_during_the_upload(
    after: int, then: Any, store: Store, sandbox: Sandbox, failing_pull: FailingPull
) -> None:
    with Gate(store.port, b"POST /upload" if isinstance(store, GoogleStore) else b"PUT /", after, then) as gate:
        error = failing_pull(port=gate.port)
    assert gate.reached.is_set()
    # Its own name and the storage's reason: it could as well be Make.
    assert isinstance(error, OSError)
    assert re.match(r"'(s3|gs|abfs)://.*/rows\.jsonl' can't be written to its storage: .*onnect", str(error))
    assert len(sandbox.requests) == PAGES


@s3
@pytest.mark.parametrize("then", ["cut", "down"])
@pytest.mark.parametrize("trigger", [b"?uploads", b"partNumber=1&", b"partNumber=3&", b"POST /{}/rows.jsonl?uploadId"])
def test_existing_object_survives_a_connection_lost_during_an_upload_in_parts_to_s3(
    then: Any, trigger: bytes, target: Target, failing_pull: FailingPull
) -> None:
    bucket = target.url.removeprefix("s3://")
    after = 1000 if b"partNumber" in trigger else 0
    with Gate(target.store.port, trigger.replace(b"{}", bucket.encode()), after, then) as gate:
        error = failing_pull(port=gate.port, in_parts=True)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"
    if then == "cut":
        # Parts cost money until the upload is aborted.
        assert not target.store.filesystem.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")


@google
@pytest.mark.parametrize("then", ["cut", "down"])
@pytest.mark.parametrize("trigger", [b"uploadType=resumable", b"bytes 0-262143", b"bytes 262144-"])
def test_existing_object_survives_a_connection_lost_during_an_upload_in_parts_to_google(
    then: Any, trigger: bytes, store: Store, failing_pull: FailingPull
) -> None:
    with Gate(store.port, trigger, 1000 if trigger.startswith(b"bytes") else 0, then) as gate:
        error = failing_pull(port=gate.port, in_parts=True)
    assert gate.reached.is_set()
    assert "onnect" in str(error)


@azure
@pytest.mark.parametrize("then", ["cut", "down"])
@pytest.mark.parametrize("trigger", [b"comp=block&", b"comp=blocklist"])
def test_existing_object_survives_a_connection_lost_during_an_upload_in_parts_to_azure(
    then: Any, trigger: bytes, store: Store, failing_pull: FailingPull
) -> None:
    with Gate(store.port, trigger, 100, then) as gate:
        error = failing_pull(port=gate.port, in_parts=True)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"


class Interruption(BaseException):
    """As Airflow's timeouts are, no ``Exception``."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[Gate], None]]:
    """Return a function that raises ``Interruption`` in the main thread, when a gate is reached, and opens the gate."""
    raised = threading.Event()
    threads: list[threading.Thread] = []

    def handle(number: int, frame: object) -> None:
        raised.set()
        raise Interruption

    def run(gate: Gate) -> None:
        assert gate.reached.wait(30)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert raised.wait(30)
        gate.resume.set()

    def start(gate: Gate) -> None:
        threads.append(threading.Thread(target=run, args=[gate]))
        threads[0].start()

    before = signal.signal(signal.SIGUSR1, handle)
    yield start
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGUSR1, before)


# The first part, and the request that publishes the object.
PARTS = {
    S3Store: (b"partNumber=1&", b"rows.jsonl?uploadId="),
    GoogleStore: (b"bytes 0-262143", b"bytes 262144-"),
    AzureStore: (b"comp=block&", b"comp=blocklist"),
}


@remote
def test_interrupted_upload_is_cancelled(
    target: Target, failing_pull: FailingPull, interrupt: Callable[[Gate], None]
) -> None:
    first, _ = PARTS[type(target.store)]
    with Gate(target.store.port, first, 1000, "pause") as gate, pytest.raises(Interruption):
        interrupt(gate)
        failing_pull(port=gate.port, in_parts=True)
    if isinstance(target.store, S3Store):
        bucket = target.url.removeprefix("s3://")
        assert not target.store.filesystem.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")


@remote
@pytest.mark.parametrize("in_parts", [True, False])
def test_interrupted_upload_has_ended_when_the_task_ends(
    in_parts: bool, target: Target, failing_pull: FailingPull, interrupt: Callable[[Gate], None]
) -> None:
    whole = b"POST /upload" if isinstance(target.store, GoogleStore) else b"PUT /"
    with (
        Gate(target.store.port, PARTS[type(target.store)][1] if in_parts else whole, 100, "pause") as gate,
        pytest.raises(Interruption),
    ):
        interrupt(gate)
        failing_pull(port=gate.port, in_parts=in_parts)
    assert target.objects()["rows.jsonl"].count(b"\n") == 1000
    target.put("rows.jsonl", OLD["rows.jsonl"])


@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_error_for_invalid_credentials_does_not_show_the_secret(
    store: Store, sandbox: Sandbox, failing_pull: FailingPull
) -> None:
    secret = new_secret()
    error = failing_pull(secret=secret)
    expected = "signature" if isinstance(store, S3Store) else "AuthorizationFailure"
    assert expected in str(error)
    assert secret not in str(error)
    assert len(sandbox.requests) == PAGES


@remote
def test_missing_bucket_raises_before_any_request_to_make(
    target: Target, sandbox: Sandbox, failing_pull: FailingPull
) -> None:
    error = failing_pull(url=f"{target.url}-missing")
    assert isinstance(error, MakeInputError)
    missing = f"{target.url.partition('://')[2]}-missing"
    assert str(error).startswith(f"output_path='{target.url}-missing/rows.jsonl' can't be written: ")
    assert f"The bucket or container does not exist: '{missing}'" in str(error)
    assert sandbox.requests == []


@s3
def test_user_who_may_only_write_can_write(target: Target, connect: Connect, pull: Pull, old_object: None) -> None:
    assert isinstance(target.store, S3Store)
    writer = Target(target.store, target.url, connect(target.store.connection_of_a_writer()))
    storage = ObjectStoragePath(target.url, conn_id=writer.conn_id).fs
    with pytest.raises(PermissionError):
        storage.call_s3("head_bucket", Bucket=target.url.removeprefix("s3://"))
    pull(writer, "new.jsonl")
    # The fixture expects the old object alone.
    assert target.objects().keys() == {"new.jsonl", *OLD}
    target.store.filesystem.rm_file(f"{target.url}/new.jsonl")

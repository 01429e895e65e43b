from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_make.exceptions import MakeServerError
from airflow_provider_make.sandbox import Sandbox
from tests.storage.conftest import Connect, Pull
from tests.storage.gate import Gate
from tests.storage.stores import Place, S3Store, Store, new_secret

PAGES = 10
OLD = {"rows.jsonl": b"old\n"}
remote = pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
s3 = pytest.mark.parametrize("store", ["s3"], indirect=True)
azure = pytest.mark.parametrize("store", ["azure"], indirect=True)


@pytest.fixture(autouse=True)
def no_pauses_of_azure(storage_parts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.storage.blob.aio import ExponentialRetry

    # Its client waits for a minute and more between three tries.
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda *_: 0.01)


@pytest.fixture(autouse=True)
def old_object(place: Place, spool: Path) -> Iterator[None]:
    """Hold that the old object is there after whatever fails, alone, and nothing of the spool is."""
    place.put("rows.jsonl", OLD["rows.jsonl"])
    yield
    assert place.objects() == OLD
    assert list(spool.iterdir()) == []
    assert [name for name in open_files() if name.startswith(str(spool))] == []


def open_files() -> Iterator[str]:
    for entry in Path("/proc/self/fd").iterdir():
        # Another thread may have closed it since.
        with suppress(FileNotFoundError):
            yield os.readlink(entry)


Fails = Callable[..., Exception]


@pytest.fixture
def fails(place: Place, connect: Connect, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Give a function that pulls by another connection, and returns the error."""

    def run(*, url: str | None = None, in_parts: bool = False, **connection: Any) -> Exception:
        json = place.store.connection(**connection)
        assert json is not None
        other = Place(place.store, url or place.url, connect(json))
        if in_parts:
            _upload_in_parts(other, monkeypatch)
        with pytest.raises(Exception) as caught:
            pull(other, "rows.jsonl")
        return caught.value

    return run


def _upload_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Which is done from 64 MiB on, or 100; the file system is the one that Airflow remembers.
    filesystem = ObjectStoragePath(place.url, conn_id=place.conn_id).fs
    if isinstance(place.store, S3Store):
        monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 1 << 17)
        # moto confuses parts that come while it gives up others.
        filesystem.max_concurrency = 1
    else:
        client = filesystem.service_client
        client._config.max_single_put_size = client._config.max_block_size = 1 << 17


@contextmanager
def small_disk(largest_file: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv.gz", "rows.parquet"])
def test_a_pull_that_make_fails(name: str, place: Place, sandbox: Sandbox, pull: Pull) -> None:
    sandbox.fail(*[None] * 5, "503", "503")
    with pytest.raises(MakeServerError):
        pull(place, name, api_retry_limit=1, max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


def test_a_disk_too_small_for_the_spool(place: Place, sandbox: Sandbox, pull: Pull) -> None:
    with small_disk(1 << 16), pytest.raises(OSError, match="File too large"):
        pull(place, "rows.jsonl", max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


@remote
def test_a_store_that_is_down_from_the_beginning(sandbox: Sandbox, fails: Fails) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = fails(port=port)
    assert f"127.0.0.1:{port}" in str(error)
    # The store is asked nothing before the rows are there.
    assert len(sandbox.requests) == PAGES


@remote
@pytest.mark.parametrize("after", [0, 50_000, 300_000])
@pytest.mark.parametrize("then", ["cut", "down"])
def test_a_connection_lost_amid_the_upload(after: int, then: Any, store: Store, sandbox: Sandbox, fails: Fails) -> None:
    with Gate(store.port, b"PUT /", after, then) as gate:
        error = fails(port=gate.port)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"
    assert len(sandbox.requests) == PAGES


@s3
@pytest.mark.parametrize("then", ["cut", "down"])
@pytest.mark.parametrize("trigger", [b"?uploads", b"partNumber=1&", b"partNumber=3&", b"POST /{}/rows.jsonl?uploadId"])
def test_a_connection_lost_amid_an_upload_in_parts_to_s3(then: Any, trigger: bytes, place: Place, fails: Fails) -> None:
    bucket = place.url.removeprefix("s3://")
    after = 1000 if b"partNumber" in trigger else 0
    with Gate(place.store.port, trigger.replace(b"{}", bucket.encode()), after, then) as gate:
        error = fails(port=gate.port, in_parts=True)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"
    if then == "cut":
        # Parts are paid for, as long as nobody gives them up.
        assert not place.store.filesystem.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")


@azure
@pytest.mark.parametrize("then", ["cut", "down"])
@pytest.mark.parametrize("trigger", [b"comp=block&", b"comp=blocklist"])
def test_a_connection_lost_amid_an_upload_in_parts_to_azure(
    then: Any, trigger: bytes, store: Store, fails: Fails
) -> None:
    with Gate(store.port, trigger, 100, then) as gate:
        error = fails(port=gate.port, in_parts=True)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"


@remote
def test_bad_credentials(store: Store, sandbox: Sandbox, fails: Fails) -> None:
    secret = new_secret()
    error = fails(secret=secret)
    told = "signature" if isinstance(store, S3Store) else "AuthorizationFailure"
    assert told in str(error)
    assert secret not in str(error)
    assert len(sandbox.requests) == PAGES


@remote
def test_a_missing_bucket(place: Place, sandbox: Sandbox, fails: Fails) -> None:
    error = fails(url=f"{place.url}-not-there")
    assert isinstance(error, FileNotFoundError)
    assert "bucket does not exist" in str(error) or "No such container: '" in str(error)
    assert len(sandbox.requests) == PAGES

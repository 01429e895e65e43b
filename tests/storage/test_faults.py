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

from airflow_provider_make.exceptions import MakeInputError, MakeServerError
from airflow_provider_make.sandbox import Sandbox
from tests.storage.conftest import Connect, Pull
from tests.storage.gate import Gate
from tests.storage.stores import S3Store, Store, Target, new_secret

# 1,000 scenarios in pages of 100 that overlap.
PAGES = 11
OLD = {"rows.jsonl": b"old\n"}
remote = pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
s3 = pytest.mark.parametrize("store", ["s3"], indirect=True)
azure = pytest.mark.parametrize("store", ["azure"], indirect=True)


@pytest.fixture(autouse=True)
def no_retry_delays_of_azure(storage_packages: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.storage.blob.aio import ExponentialRetry

    # Azure's client waits for more than a minute between its three tries.
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda *_: 0.01)


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
            _upload_in_parts(other, monkeypatch)
        with pytest.raises(Exception) as caught:
            pull(other, "rows.jsonl")
        return caught.value

    return run


def _upload_in_parts(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # By default, uploads are split from 64 or 100 MiB on. The file system is the one that Airflow has cached.
    filesystem = ObjectStoragePath(target.url, conn_id=target.conn_id).fs
    if isinstance(target.store, S3Store):
        monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 1 << 17)
        # moto confuses parts that arrive while it aborts others.
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
def test_existing_object_survives_a_failure_of_make(name: str, target: Target, sandbox: Sandbox, pull: Pull) -> None:
    sandbox.fail(*[None] * 5, "503", "503")
    with pytest.raises(MakeServerError):
        pull(target, name, api_retry_limit=1, max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


def test_existing_object_survives_a_disk_too_small_for_the_spool(target: Target, sandbox: Sandbox, pull: Pull) -> None:
    with small_disk(1 << 16), pytest.raises(OSError, match="File too large"):
        pull(target, "rows.jsonl", max_concurrency=1)
    assert 0 < len(sandbox.requests) < PAGES


@remote
def test_existing_object_survives_a_store_that_is_down(sandbox: Sandbox, failing_pull: FailingPull) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failing_pull(port=port)
    assert f"127.0.0.1:{port}" in str(error)
    # The store receives no request before all rows are fetched.
    assert len(sandbox.requests) == PAGES


@remote
@pytest.mark.parametrize("after", [0, 50_000, 300_000])
@pytest.mark.parametrize("then", ["cut", "down"])
def test_existing_object_survives_a_connection_lost_during_the_upload(
    after: int, then: Any, store: Store, sandbox: Sandbox, failing_pull: FailingPull
) -> None:
    with Gate(store.port, b"PUT /", after, then) as gate:
        error = failing_pull(port=gate.port)
    assert gate.reached.is_set()
    assert "onnect" in f"{type(error).__name__}: {error}"
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


@remote
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

"""What can't be written is found before any request, and the check changes nothing."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.preflight import check_writable
from airflow_provider_make.sandbox import Sandbox
from tests.support.file_systems import NOBODY, as_nobody, as_root, folder_for_all, mounted
from tests.support.time_frames import LAST_WEEK


def check(path: object) -> None:
    check_writable("output_path", str(path), ObjectStoragePath(str(path)))


def refused(path: object) -> str:
    with pytest.raises(MakeInputError) as caught:
        check(path)
    assert str(caught.value).startswith(f"output_path={str(path)!r} can't be written: ")
    return str(caught.value)


def everything(folder: Path) -> dict[str, tuple[int, ...]]:
    # Without the times: reading a link, or creating and deleting a file, changes one.
    found = {str(path): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {path: (status.st_mode, status.st_ino, status.st_size) for path, status in found.items()}


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("at_path", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (link_to("."), "Is a directory"),
        (os.mkfifo, "Not a regular file"),
        (socket_at, "Not a regular file"),
        (link_to("/dev/null"), "Not a regular file: '/dev/null'"),
        (link_to("a.csv"), "Too many levels of symbolic links"),
        (link_to("a.csv/a.csv"), "Too many levels of symbolic links"),
        (link_to("n" * 256), "File name too long"),
        (link_to("file/a.csv"), "Not a directory"),
    ],
)
def test_what_is_no_file_is_not_replaced(
    at_path: Callable[[Path], object], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The path of a socket has at most 107 bytes.
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    at_path(Path("a.csv"))
    before = everything(tmp_path)
    assert reason in refused(tmp_path / "a.csv")
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file/a.csv", "Not a directory"),
        ("file/b/c/a.csv", "Not a directory"),
        ("loop/a.csv", "Too many levels of symbolic links"),
        (f"{'n' * 252}.csv", "File name too long"),
        (f"missing/{'ü' * 126}.csv", "File name too long"),
        (f"{'n' * 256}/a.csv", "File name too long"),
        (f"missing/{'n' * 256}/missing/a.csv", "File name too long"),
        (f"{'n/' * 2100}a.csv", "File name too long"),
    ],
)
def test_paths_that_can_not_exist(path: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert reason in refused(tmp_path / path)


@pytest.mark.parametrize("path", ["old.csv", "new.csv", "missing/folders/new.csv", "to old", "to new", "n" * 255])
@pytest.mark.parametrize("nameless", [True, False])
def test_what_can_be_written_passes_and_nothing_is_left(
    path: str, nameless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.csv").write_bytes(b"old")
    # It is replaced, not opened.
    (tmp_path / "old.csv").chmod(0o444)
    (tmp_path / "to old").symlink_to("old.csv")
    (tmp_path / "to new").symlink_to("missing/new.csv")
    if not nameless:
        monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False)
    before = everything(tmp_path)
    check(tmp_path / path)
    assert everything(tmp_path) == before


@as_root
@pytest.mark.parametrize(
    ("mode", "owner", "path", "reason"),
    [
        (0o555, 0, "a.csv", "Permission denied"),
        (0o555, 0, "old.csv", "Permission denied"),
        (0o555, 0, "missing/folders/a.csv", "Permission denied"),
        (0o666, 0, "a.csv", "Permission denied"),
        (0o700, 0, "a.csv", "Permission denied"),
        (0o1777, 0, "old.csv", "belongs to another user, and the folder is sticky"),
        (0o1777, 0, "new.csv", None),
        (0o1777, NOBODY, "old.csv", None),
        (0o300, NOBODY, "old.csv", None),
        (0o777, 0, "old.csv", None),
    ],
)
def test_rights_of_a_user(mode: int, owner: int, path: str, reason: str | None) -> None:
    with folder_for_all() as folder:
        (folder / "old.csv").write_bytes(b"old")
        os.chown(folder, owner, 0)
        folder.chmod(mode)
        with as_nobody():
            if reason is None:
                check(folder / path)
            else:
                assert reason in refused(folder / path)


@as_root
def test_read_only_file_system_and_full_disk() -> None:
    with mounted("ro") as folder:
        assert f"Read-only file system: {str(folder)!r}" in refused(folder / "a.csv")
        assert f"Read-only file system: {str(folder)!r}" in refused(folder / "missing" / "a.csv")
    with mounted("nr_inodes=1") as folder, pytest.raises(OSError) as caught:
        check(folder / "a.csv")
    # It may pass: Airflow retries the task.
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(folder))
    assert not isinstance(caught.value, MakeInputError)


def test_nothing_can_be_created_in_proc() -> None:
    assert "/proc/self" in refused("/proc/self/a.csv")


class Store(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An object store that has only the bucket ``there``; the calls are those of s3fs and gcsfs."""

    cachable = False

    def __init__(self, protocols: tuple[str, ...], error: Exception | None = None) -> None:
        super().__init__()
        self.protocol = protocols
        self.error = error
        self.requests: list[str] = []

    def call_s3(self, method: str, *, Bucket: str) -> None:
        assert method == "head_bucket"
        self._request(Bucket)

    def call(self, method: str, path: str, bucket: str, json_out: bool) -> None:
        assert (method, path) == ("GET", "b/{}")
        self._request(bucket)

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self._request(path)
        return {"type": "directory"}

    def _request(self, bucket: str) -> None:
        self.requests.append(bucket)
        if self.error is not None:
            raise self.error
        if bucket != "there":
            raise FileNotFoundError(bucket)


STORES = [("s3", "s3a"), ("gs", "gcs"), ("abfs", "az", "abfss")]


def check_remote(store: MemoryFileSystem, path: str) -> None:
    check_writable("output_path", path, SimpleNamespace(fs=store, path=path))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocols", STORES)
def test_missing_bucket_is_found_by_one_request(protocols: tuple[str, ...]) -> None:
    store = Store(protocols)
    check_remote(store, "there/a/b.csv")
    assert store.requests == ["there"]
    with pytest.raises(
        MakeInputError, match=r"output_path='missing/a/b.csv' can't be written: The bucket .* does not exist: 'missing'"
    ):
        check_remote(store, "missing/a/b.csv")


@pytest.mark.parametrize("protocols", STORES)
@pytest.mark.parametrize(
    "error", [PermissionError("Forbidden"), OSError("Forbidden"), ConnectionError("gone"), ValueError("?")]
)
def test_other_errors_of_a_store_do_not_fail_the_pull(protocols: tuple[str, ...], error: Exception) -> None:
    check_remote(Store(protocols, error), "missing/a.csv")


def test_other_stores_are_not_asked() -> None:
    store = Store(("oss",))
    check_remote(store, "missing/a.csv")
    assert store.requests == []


def test_remote_folder_is_not_replaced() -> None:
    storage = MemoryFileSystem()
    storage.pipe_file("/checked/folder/a.csv", b"")
    check_remote(storage, "/checked/folder/a.csv")
    check_remote(storage, "/checked/new.csv")
    with pytest.raises(MakeInputError, match="Is a directory: '/checked/folder'"):
        check_remote(storage, "/checked/folder")


def test_no_request_is_sent_for_an_object_that_can_not_be_written(
    make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    (tmp_path / "a.csv").mkdir()
    for path in (f"{tmp_path}/a.csv", f"{tmp_path}/", "s3:/bucket/a.csv", "s3://bucket.csv", "s3://bucket/a.csv"):
        with pytest.raises(MakeInputError, match="output_path="):
            MakeAnalyticsOperator(task_id="pull", output_path=path, output_format="csv", **LAST_WEEK).execute({})
    assert make_sandbox.requests == []
    assert stat.S_ISDIR((tmp_path / "a.csv").stat().st_mode)

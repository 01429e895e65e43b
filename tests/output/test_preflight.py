"""What is checked before any request: whether the object can be written, and what is in its place."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.object_path import StoredObject, resolve_object
from airflow_provider_make.output.preflight import (
    check_existing,
    check_writable,
    parse_if_exists,
    replacement_warning,
)
from airflow_provider_make.sandbox import Sandbox
from tests.support.file_systems import NOBODY, as_nobody, as_root, folder_for_all, mounted
from tests.support.time_frames import LAST_WEEK


def stored(path: object) -> StoredObject:
    return resolve_object("output_path", str(path), None)


def check(path: object) -> None:
    check_writable("output_path", str(path), stored(path))


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
    check_writable("output_path", path, StoredObject(path, store, path))


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


SUMMARY: dict[str, Any] = {
    "zone": "eu1.make.com",
    "organization_id": 42,
    "date_from": "2026-11-22T00:00:00Z",
    "date_to": "2026-11-23T00:00:00Z",
    "row_count": 10,
}


def write_parquet(path: Path, **changes: Any) -> StoredObject:
    table = pa.table({"a": [1]}).replace_schema_metadata({"make_analytics": json.dumps({**SUMMARY, **changes})})
    pq.write_table(table, path)
    return stored(path)


@pytest.mark.parametrize("value", ["replace", "skip", "fail"])
def test_known_values_are_accepted(value: str) -> None:
    assert parse_if_exists(value) == value


@pytest.mark.parametrize("value", ["", "Skip", None, True, ["skip"], "overwrite"])
def test_error_names_another_value(value: Any) -> None:
    with pytest.raises(MakeInputError, match="if_exists=.* expected one of replace, skip, fail"):
        parse_if_exists(value)


@pytest.mark.parametrize("if_exists", ["replace", "skip", "fail"])
def test_nothing_happens_without_an_object(if_exists: str, tmp_path: Path) -> None:
    check_existing(stored(tmp_path / "missing" / "a.csv"), if_exists)
    check_existing(stored(tmp_path), if_exists)


def test_existing_object_is_replaced_skipped_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    target = stored(tmp_path / "a.csv")
    check_existing(target, "replace")
    with pytest.raises(AirflowSkipException, match=r"a\.csv exists, and if_exists is 'skip'"):
        check_existing(target, "skip")
    with pytest.raises(MakeInputError, match=r"a\.csv exists: expected no object"):
        check_existing(target, "fail")


def test_storage_that_refuses_the_question_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Any, path: str, **options: Any) -> Any:
        raise PermissionError(f"HeadObject {path}: Forbidden")

    monkeypatch.setattr(LocalFileSystem, "info", refuse)
    target = stored(tmp_path / "a.csv")
    check_existing(target, "replace")
    with pytest.raises(PermissionError):
        check_existing(target, "skip")


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"row_count": 11}, True),
        ({"row_count": 10}, False),
        ({"row_count": 9}, False),
        ({"row_count": 11, "zone": "us1.make.com"}, False),
        ({"row_count": 11, "date_to": "2026-11-24T00:00:00Z"}, False),
        ({"row_count": "many"}, False),
    ],
)
def test_loss_of_rows_of_the_same_pull_is_described(changes: dict[str, Any], warned: bool, tmp_path: Path) -> None:
    warning = replacement_warning(write_parquet(tmp_path / "a.parquet", **changes), SUMMARY)
    assert (warning is not None) is warned
    assert warning is None or "had 11 rows for this organization and time frame, and was replaced by 10" in warning


def test_replacing_a_file_of_another_organization_is_described(tmp_path: Path) -> None:
    warning = replacement_warning(write_parquet(tmp_path / "a.parquet", organization_id=43, row_count=1), SUMMARY)
    assert warning is not None
    assert (
        f"had the figures of organization 43, and was replaced by those of organization {SUMMARY['organization_id']}"
        in warning
    )
    assert "put {organization_id} into output_path" in warning


@pytest.mark.parametrize("content", [None, b"", b"no Parquet"])
def test_other_files_have_no_rows_to_lose(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    assert replacement_warning(stored(path), SUMMARY) is None
    pq.write_table(pa.table({"a": [1]}), path)
    assert replacement_warning(stored(path), SUMMARY) is None

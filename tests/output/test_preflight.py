"""What is checked before any request: whether the object can be written, and what is in its place."""

from __future__ import annotations

import errno
import io
import json
import os
import reprlib
import socket
import stat
import tempfile
import threading
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import MagicMock

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
    check_mapped_tasks,
    check_writable,
    parse_if_exists,
)
from airflow_provider_make.output.rows import RowBuilder
from airflow_provider_make.sandbox import Sandbox
from tests.support.destinations import destination_for
from tests.support.entries import entry
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


IDENTITY: dict[str, Any] = {
    "organization_id": 42,
    "zone": "eu1.make.com",
    "filters": {"team_id": [100]},
    "date_from": "2026-11-22T00:00:00Z",
    "date_to": "2026-11-23T00:00:00Z",
}
SUMMARY = {**IDENTITY, "row_count": 10}
SUFFIXES = ["parquet", "csv", "jsonl", "csv.gz", "jsonl.gz"]


def write_parquet(path: Path, **changes: Any) -> StoredObject:
    summary = {name: value for name, value in {**SUMMARY, **changes}.items() if value is not None}
    table = pa.table({"a": [1]}).replace_schema_metadata({"make_analytics": json.dumps(summary)})
    pq.write_table(table, path)
    return stored(path)


def write_pull(path: Path, scenarios: int = 1, **changes: Any) -> StoredObject:
    """Write the file of a pull with the operator's own destination."""
    summary = {**SUMMARY, **changes, "row_count": scenarios}
    begin, end = (summary[name] and datetime.fromisoformat(summary[name]) for name in ("date_from", "date_to"))
    with destination_for(path) as destination:
        destination.begin(RowBuilder(summary["organization_id"], begin, end, datetime(2026, 11, 23, tzinfo=UTC)))
        destination.add([entry(number, name='"a,\r\nä"\n{🐎}' * 500) for number in range(scenarios)])
        destination.publish(summary)
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
    assert check_existing(stored(tmp_path / "missing" / "a.csv"), if_exists, IDENTITY) is None
    assert check_existing(stored(tmp_path), if_exists, IDENTITY) is None


def test_existing_object_is_replaced_skipped_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    target = stored(tmp_path / "a.csv")
    assert check_existing(target, "replace", IDENTITY) is None
    with pytest.raises(AirflowSkipException, match=r"a\.csv exists, and if_exists is 'skip'"):
        check_existing(target, "skip", IDENTITY)
    with pytest.raises(MakeInputError, match=r"a\.csv exists: expected no object"):
        check_existing(target, "fail", IDENTITY)


def test_storage_that_refuses_the_question_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Any, path: str, **options: Any) -> Any:
        raise PermissionError(f"HeadObject {path}: Forbidden")

    monkeypatch.setattr(LocalFileSystem, "info", refuse)
    target = stored(tmp_path / "a.csv")
    check_existing(target, "replace", IDENTITY)
    with pytest.raises(PermissionError, match=r"'.*a.csv' can't be looked up in its storage: .*HeadObject .*Forbidden"):
        check_existing(target, "skip", IDENTITY)


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"row_count": 11}, True),
        ({"row_count": 10}, False),
        ({"row_count": 9}, False),
        # Files of older versions have no filters.
        ({"row_count": 11, "filters": None}, True),
        ({"row_count": 11, "date_to": "2026-11-24T00:00:00Z"}, False),
        ({"row_count": "many"}, False),
        ({"row_count": 11, "filters": 5}, False),
    ],
)
def test_loss_of_rows_of_the_same_pull_is_described(changes: dict[str, Any], warned: bool, tmp_path: Path) -> None:
    target = write_parquet(tmp_path / "a.parquet", **changes)
    # Before the pull, its number of rows is unknown.
    assert check_existing(target, "replace", IDENTITY) is None
    warning = check_existing(target, "replace", SUMMARY)
    assert (warning is not None) is warned
    assert warning is None or "had 11 rows for this organization, time frame and filters" in warning


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("if_exists", ["replace", "skip"])
def test_file_of_another_organization_is_neither_replaced_nor_taken_for_this_one(
    suffix: str, if_exists: str, tmp_path: Path
) -> None:
    target = write_pull(tmp_path / f"a.{suffix}", organization_id=43)
    with pytest.raises(MakeInputError) as caught:
        check_existing(target, if_exists, IDENTITY)
    assert "has another pull, with organization_id=43 instead of 42" in str(caught.value)
    assert "To keep both, put {organization_id} into output_path." in str(caught.value)


def test_organization_of_a_csv_for_spreadsheets_is_known(tmp_path: Path) -> None:
    write_pull(tmp_path / "a.csv", organization_id=43)
    (tmp_path / "a.csv").write_bytes(BOM_UTF8 + (tmp_path / "a.csv").read_bytes())
    with pytest.raises(MakeInputError, match="organization_id=43 instead of 42"):
        check_existing(stored(tmp_path / "a.csv"), "replace", IDENTITY)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_file_of_another_time_frame_is_replaced_but_not_skipped(suffix: str, tmp_path: Path) -> None:
    target = write_pull(tmp_path / f"a.{suffix}", date_from="2026-11-21T00:00:00Z", date_to="2026-11-22T00:00:00Z")
    # Such as latest.csv, which each day replaces.
    assert check_existing(target, "replace", IDENTITY) is None
    with pytest.raises(MakeInputError, match=r"date_from='2026-11-21T00:00:00Z' instead of .*put {date_from:%Y-%m-%d}"):
        check_existing(target, "skip", IDENTITY)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("changes", "is_retry"),
    [
        # As the second try, ten minutes later, would have it.
        ({"date_from": "2026-11-22T00:10:00Z", "date_to": "2026-11-23T00:10:00Z"}, True),
        ({"date_to": "2026-11-23T00:10:00Z"}, True),
        ({"date_from": "2026-11-21T00:10:00Z", "date_to": "2026-11-23T00:10:00Z"}, False),
        ({"date_to": "2026-11-23T00:10:00Z", "organization_id": 43}, False),
        ({"date_to": "2026-11-23T00:10:00Z", "run_began": "2026-11-23T00:00:01Z"}, False),
        ({"date_to": "2026-11-23T00:10:00Z", "run_began": None}, False),
    ],
)
def test_a_retry_skips_what_its_first_try_wrote_also_if_the_time_frame_ends_now(
    suffix: str, changes: dict[str, Any], is_retry: bool, tmp_path: Path
) -> None:
    target = write_pull(tmp_path / f"a.{suffix}")
    pull = {**IDENTITY, "run_began": "2026-11-22T23:59:50Z", **changes}
    with pytest.raises(AirflowSkipException if is_retry else MakeInputError):
        check_existing(target, "skip", pull)


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("zone", "us1.make.com", "{zone}"),
        ("filters", {}, "{{ task.team_id }}"),
        ("filters", {"team_id": [100], "status": ["active"]}, "{{ task.status }}"),
        ("filters", {"team_id": [101]}, "{{ task.team_id }}"),
    ],
)
def test_parquet_of_another_zone_or_filter_is_not_taken_for_this_pull(
    name: str, value: Any, advice: str, tmp_path: Path
) -> None:
    target = write_pull(tmp_path / "a.parquet", **{name: value})
    expected = f"with {name}={reprlib.repr(value)} instead of {IDENTITY[name]!r}"
    with pytest.raises(MakeInputError) as caught:
        check_existing(target, "skip", IDENTITY)
    assert expected in str(caught.value)
    if name == "zone":
        with pytest.raises(MakeInputError, match="is not replaced") as caught:
            check_existing(target, "replace", IDENTITY)
        text: str | None = str(caught.value)
    else:
        # Whoever changes a filter wants the files of the days to be replaced.
        text = check_existing(target, "replace", IDENTITY)
    assert text is not None
    assert expected in text
    assert f"To keep both, put {advice} into output_path." in text


def test_another_host_may_lead_to_the_same_zone(tmp_path: Path) -> None:
    warning = check_existing(write_pull(tmp_path / "a.parquet", zone="make.example.com"), "replace", IDENTITY)
    assert warning is not None
    assert "with zone='make.example.com' instead of 'eu1.make.com', are replaced" in warning


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("date_from", [IDENTITY["date_from"], None])
@pytest.mark.parametrize("scenarios", [0, 1, 3])
def test_file_of_the_same_pull_is_replaced_or_skipped(
    suffix: str, date_from: str | None, scenarios: int, tmp_path: Path
) -> None:
    pull = {**IDENTITY, "date_from": date_from}
    target = write_pull(tmp_path / f"a.{suffix}", scenarios, date_from=date_from)
    assert check_existing(target, "replace", pull) is None
    with pytest.raises(AirflowSkipException):
        check_existing(target, "skip", pull)


def test_storage_that_can_not_be_read_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, path: str, **options: Any) -> Any:
        raise PermissionError(f"GetObject {path}: Forbidden")

    target = write_pull(tmp_path / "a.csv", organization_id=43)
    monkeypatch.setattr(LocalFileSystem, "cat_file", refuse)
    assert check_existing(target, "replace", IDENTITY) is None
    with pytest.raises(AirflowSkipException):
        check_existing(target, "skip", IDENTITY)


def without_metadata() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no Parquet",
        b"PAR1",
        b"{}",
        b"[1]\n",
        b"\xff\n",
        b"\x1f\x8bcut",
        b"organization_id\n",
        b"organization_id,date_from,date_to\nx,,\n",
        b'organization_id,date_from,date_to\n43,"',
        without_metadata(),
    ],
)
def test_files_of_other_programs_are_replaced_or_skipped(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    target = stored(tmp_path / "a.csv")
    assert check_existing(target, "replace", SUMMARY) is None
    with pytest.raises(AirflowSkipException):
        check_existing(target, "skip", IDENTITY)


def test_file_that_another_pull_wrote_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    builder = RowBuilder(42, None, None, datetime(2026, 11, 23, tzinfo=UTC))
    with destination_for(tmp_path / "a.csv", identity=IDENTITY) as destination:
        destination.begin(builder)
        write_pull(tmp_path / "a.csv", organization_id=43)
        before = (tmp_path / "a.csv").read_bytes()
        with pytest.raises(MakeInputError, match="organization_id=43 instead of 42"):
            destination.publish(SUMMARY)
    assert (tmp_path / "a.csv").read_bytes() == before


class TaskInstance:
    """A task instance with the XComs of its task, of all its map indexes, and with the states of others."""

    def __init__(
        self,
        map_index: Any,
        xcoms: dict[tuple[str, Any], Any],
        lazily: bool = False,
        states: Mapping[int, str | None] = MappingProxyType({}),
    ) -> None:
        self.dag_id, self.task_id, self.run_id = "daily", "pull", "monday"
        self._states = states
        self.map_index = map_index
        self._xcoms = xcoms
        self._lazily = lazily

    def xcom_push(self, key: str, value: Any) -> None:
        self._xcoms[key, self.map_index] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        assert task_ids == self.task_id
        found = [value for (name, _), value in self._xcoms.items() if name == key]
        if self._lazily:
            # As Airflow 2 has it.
            return iter(found)
        return found[0] if len(found) == 1 else found

    def get_task_states(
        self, dag_id: str, map_index: int, task_ids: list[str], *, run_ids: list[str]
    ) -> dict[str, dict[str, str | None]]:
        assert (dag_id, task_ids, run_ids) == ("daily", ["pull"], ["monday"])
        if map_index not in self._states:
            return {}
        return {"monday": {f"pull_{map_index}": self._states[map_index]}}


RUNNING = {number: "running" for number in range(8)}
OTHERS: list[dict[str, Any]] = [
    {"organization_id": 43},
    {"zone": "make.example.com"},
    {"filters": {}},
    {"filters": {"team_id": [101]}},
    {"date_to": "2026-11-24T00:00:00Z"},
]


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("changes", OTHERS)
def test_the_second_of_two_mapped_pulls_with_one_path_is_refused(changes: dict[str, Any], lazily: bool) -> None:
    xcoms: dict[tuple[str, Any], Any] = {}
    check_mapped_tasks(TaskInstance(0, xcoms, lazily, RUNNING), "/data/a.csv", None, IDENTITY)
    with pytest.raises(
        MakeInputError, match=r"output_path='/data/a.csv' is also the path of another mapped task, with"
    ):
        check_mapped_tasks(TaskInstance(1, xcoms, lazily, RUNNING), "/data/a.csv", None, {**IDENTITY, **changes})
    # Other paths, other storages, the same pull, and a retry of the first, whose XComs Airflow has deleted.
    check_mapped_tasks(TaskInstance(2, xcoms, lazily, RUNNING), "/data/b.csv", None, {**IDENTITY, **changes})
    check_mapped_tasks(TaskInstance(3, xcoms, lazily, RUNNING), "/data/a.csv", "storage", {**IDENTITY, **changes})
    del xcoms[next(key for key in xcoms if key[1] == 1)]
    check_mapped_tasks(TaskInstance(4, xcoms, lazily, RUNNING), "/data/a.csv", None, dict(IDENTITY))
    check_mapped_tasks(TaskInstance(0, xcoms, lazily, RUNNING), "/data/a.csv", None, IDENTITY)


@pytest.mark.parametrize(
    ("states", "is_refused"),
    [
        ({1: "success"}, True),
        ({1: "failed"}, True),
        # There is less to map over than before.
        ({1: "removed"}, False),
        ({}, False),
        # They will start again, and check then.
        ({1: None}, False),
        ({1: "queued"}, False),
        ({1: "up_for_retry"}, False),
    ],
)
def test_what_a_mapped_task_left_before_its_run_was_cleared_is_not_its_pull(
    states: dict[int, str | None], is_refused: bool
) -> None:
    xcoms: dict[tuple[str, Any], Any] = {}
    check_mapped_tasks(TaskInstance(1, xcoms), "/data/a.csv", None, {**IDENTITY, "organization_id": 43})
    outcome: AbstractContextManager[object] = pytest.raises(MakeInputError) if is_refused else nullcontext()
    with outcome:
        check_mapped_tasks(TaskInstance(0, xcoms, states=states), "/data/a.csv", None, IDENTITY)


@pytest.mark.parametrize(
    "value", [None, 5, "x", [], {"filters": None, "map_index": 0}, {"filters": "x", "map_index": 0}]
)
@pytest.mark.parametrize("is_alone", [True, False])
def test_an_xcom_that_a_user_has_edited_fails_no_pull(value: Any, is_alone: bool) -> None:
    class Edited(TaskInstance):
        def xcom_pull(self, *, task_ids: str, key: str) -> Any:
            return value if is_alone else [value, super().xcom_pull(task_ids=task_ids, key=key)]

    check_mapped_tasks(Edited(1, {}, states=RUNNING), "/data/a.csv", None, IDENTITY)


def test_mapped_pulls_whose_time_frames_end_now_are_the_same_pull() -> None:
    xcoms: dict[tuple[str, Any], Any] = {}
    of_run = {**IDENTITY, "run_began": IDENTITY["date_to"]}
    check_mapped_tasks(TaskInstance(0, xcoms), "/data/a.csv", None, of_run)
    later = {"date_from": "2026-11-22T00:00:09Z", "date_to": "2026-11-23T00:00:09Z"}
    check_mapped_tasks(TaskInstance(1, xcoms, states=RUNNING), "/data/a.csv", None, {**of_run, **later})
    with pytest.raises(MakeInputError, match="date_from"):
        check_mapped_tasks(
            TaskInstance(2, xcoms, states=RUNNING), "/data/a.csv", None, {**of_run, "date_from": "2026-11-20T00:00:00Z"}
        )


def test_of_mapped_pulls_at_the_same_time_at_most_one_goes_on() -> None:
    xcoms: dict[tuple[str, Any], Any] = {}
    barrier = threading.Barrier(8)

    class Waiting(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            barrier.wait(30)
            super().xcom_push(key, value)

    def check(number: int) -> bool:
        try:
            check_mapped_tasks(
                Waiting(number, xcoms, states=RUNNING), "/data/a.csv", None, {**IDENTITY, "organization_id": number}
            )
        except MakeInputError:
            return False
        return True

    with ThreadPoolExecutor(8) as executor:
        assert sum(executor.map(check, range(8))) <= 1


@pytest.mark.parametrize("ti", [None, object(), TaskInstance(-1, {}), TaskInstance(None, {}), MagicMock()])
def test_a_task_that_is_not_mapped_leaves_no_xcom(ti: Any) -> None:
    check_mapped_tasks(ti, "/data/a.csv", None, IDENTITY)
    assert getattr(ti, "_xcoms", {}) == {} or isinstance(ti, MagicMock)

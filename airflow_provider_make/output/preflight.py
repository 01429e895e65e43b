"""What is checked before the first request: whether the object can be written, and what is in its place."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from io import StringIO
from itertools import islice
from pathlib import Path
from reprlib import repr as short
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_make.connection.form import ZONES
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.atomic_write import OBJECT_STORES, PART_PREFIX, follow_links, protocols_of
from airflow_provider_make.output.object_path import StoredObject

IF_EXISTS = ("replace", "skip", "fail")
_TIMES = ("date_from", "date_to")
# What distinguishes a pull from others, at the beginning of its summary.
IDENTITY = ("organization_id", "zone", "filters", *_TIMES)
# Bytes of an object that are read to find its first row.
_HEAD = 65_536
# Bytes. A thousand row groups have three million.
_LARGEST_METADATA = 64 << 20
# States of tasks, as Airflow calls them.
_STARTED = ("running", "success", "failed", "skipped")
# Others may pass, such as those of a full disk: Airflow retries the task.
_LASTING = frozenset(
    (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EINVAL,
        errno.EOPNOTSUPP,
    )
)


def parse_if_exists(value: Any) -> str:
    """Validate the ``if_exists`` argument."""
    if value not in IF_EXISTS:
        raise MakeInputError.expected("if_exists", value, f"one of {', '.join(IF_EXISTS)}")
    return str(value)


def check_writable(name: str, location: str, target: StoredObject) -> None:
    """
    Check that an object can be written, without a change of the storage. The error has the argument's name and value.

    Of a remote storage, only a bucket or container that certainly does not exist, or a folder in the object's place,
    is an error: a connection may write without being allowed to look.
    """
    try:
        if isinstance(target.fs, LocalFileSystem):
            _check_local_file(target.path)
        else:
            _check_remote_object(target.fs, target.path)
    except OSError as error:
        if error.errno not in _LASTING:
            raise
        reason = f"{error.strerror}: {error.filename!r}"
        raise MakeInputError(f"{name}={location!r} can't be written: {reason}.") from error


def _check_local_file(path: str) -> None:
    target = follow_links(path)
    folder, missing = _nearest_folder(target.parent)
    for part in (target.name, *missing):
        # Each alone: in a missing folder, a name that is too long would only be missing, too.
        with suppress(FileNotFoundError):
            os.lstat(folder / part)
    existing = None
    with suppress(FileNotFoundError):
        existing = os.lstat(target)
    if existing is not None:
        if stat.S_ISDIR(existing.st_mode):
            raise _error(errno.EISDIR, target)
        if not stat.S_ISREG(existing.st_mode):
            # A device or a pipe would be replaced by a file.
            raise OSError(errno.EINVAL, "Not a regular file", str(target))
        _check_sticky_folder(folder, existing)
    try:
        # Root and access lists make permissions hard to predict. Without a name, where the file system can.
        with tempfile.TemporaryFile(prefix=PART_PREFIX, dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _nearest_folder(folder: Path) -> tuple[Path, list[str]]:
    """Return the nearest folder that exists, and the names of those to create."""
    missing: list[str] = []
    while True:
        try:
            found = os.stat(folder)
        except FileNotFoundError:
            missing.append(folder.name)
            folder = folder.parent
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise _error(errno.ENOTDIR, folder)
        return folder, missing


def _check_sticky_folder(folder: Path, existing: os.stat_result) -> None:
    # In such a folder, as /tmp is one, users can create files, but not replace those of others.
    status = os.stat(folder)
    if status.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, existing.st_uid):
        raise OSError(errno.EACCES, "The file belongs to another user, and the folder is sticky", str(folder))


def _check_remote_object(filesystem: AbstractFileSystem, path: str) -> None:
    if OBJECT_STORES.intersection(protocols_of(filesystem)):
        bucket = path.lstrip("/").partition("/")[0]
        try:
            _request_bucket(filesystem, bucket)
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, "The bucket or container does not exist", bucket) from error
        except Exception:
            # Not allowed to ask, or not reachable at the moment: the upload decides.
            return
        return
    found = None
    with suppress(Exception):
        found = filesystem.info(path)["type"]
    if found == "directory":
        raise _error(errno.EISDIR, path)


def _request_bucket(filesystem: AbstractFileSystem, bucket: str) -> None:
    protocols = protocols_of(filesystem)
    if "s3" in protocols:
        filesystem.call_s3("head_bucket", Bucket=bucket)
    elif "gs" in protocols:
        # Not info(): without the right to get the bucket, gcsfs (2026.10) reports that an empty one is missing.
        filesystem.call("GET", "b/{}", bucket, json_out=True)
    elif "abfs" in protocols:
        filesystem.info(bucket)


def _error(number: int, path: object) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def check_mapped_tasks(ti: Any, path: str, storage_conn_id: str | None, identity: Mapping[str, Any]) -> None:
    """
    Raise ``MakeInputError`` if a mapped task's path is also that of another index of the same task, for another pull.

    Each leaves what identifies its pull in XCom before it reads what others left: of two that run at the same time, at
    least one sees the other. The key is the path's, so that nothing is read but what has the same path.
    """
    map_index = getattr(ti, "map_index", None)
    if not isinstance(map_index, int) or map_index < 0:
        return
    key = f"_make_path_{sha256(json.dumps([path, storage_conn_id]).encode()).hexdigest()[:32]}"
    ti.xcom_push(key=key, value={**identity, "map_index": map_index})
    found = ti.xcom_pull(task_ids=ti.task_id, key=key)
    for other in [found] if isinstance(found, Mapping) or not isinstance(found, Iterable) else found:
        # Users may edit XComs.
        if not isinstance(other, Mapping) or not isinstance(other.get("filters", {}), Mapping):
            continue
        if (names := _differences(other, identity)) and _has_started(ti, other.get("map_index")):
            comparison, advice = _compare(names, other, identity), _advice(names, other, identity)
            raise MakeInputError(
                f"output_path={path!r} is also the path of another mapped task, with {comparison}. {advice}"
            )


def _has_started(ti: Any, map_index: Any) -> bool:
    """
    Decide whether a mapped task has begun its present try; if this is unknown, it has.

    In a run that was cleared, others may have XComs of the time before: they get new ones when they start, or were
    removed because there is less to map over.
    """
    try:
        if hasattr(ti, "get_task_states"):
            of_runs = ti.get_task_states(ti.dag_id, map_index, [ti.task_id], run_ids=[ti.run_id])
            state = next(iter(of_runs.get(ti.run_id, {}).values()), None)
        else:
            # Airflow 2 reads the database.
            state = getattr(ti.get_dagrun().get_task_instance(ti.task_id, map_index=map_index), "state", None)
    except Exception:
        return True
    return state in _STARTED


def check_existing(target: StoredObject, if_exists: str, pull: Mapping[str, Any]) -> str | None:
    """
    Decide about an existing object, for what identifies a pull, or also has its summary when that is to be published.

    Skip the task, or raise ``MakeInputError``, if ``if_exists`` says so, or the figures of another pull would be
    replaced, or taken for those of this one. Return a warning if figures are lost, but may be meant to be.
    """
    if if_exists != "replace" and not _exists(target):
        return None
    if if_exists == "fail":
        raise MakeInputError(f"{target} exists: expected no object there, because if_exists is 'fail'.")
    existing = _read_identity(target)
    names = _differences(existing, pull)
    comparison, advice = _compare(names, existing, pull), _advice(names, existing, pull)
    if if_exists == "skip":
        if names:
            raise MakeInputError(
                f"{target} exists, but has another pull, with {comparison}: it can't be skipped as if it had this one. "
                f"{advice}"
            )
        raise AirflowSkipException(f"{target} exists, and if_exists is 'skip'.")
    # Other hosts may lead to the same zone.
    is_other_zone = "zone" in names and {existing["zone"], pull["zone"]} <= {*ZONES}
    if "organization_id" in names or is_other_zone:
        raise MakeInputError(
            f"{target} has another pull, with {comparison}, and is not replaced. {advice} To replace it, delete the "
            "object."
        )
    if {"zone", "filters"} & names:
        return f"The figures in {target}, with {comparison}, are replaced. {advice}"
    if "row_count" not in pull or names or existing.get("row_count", 0) <= pull["row_count"]:
        return None
    return (
        f"{target} had {existing['row_count']} rows for this organization, time frame and filters, and was replaced by "
        f"{pull['row_count']}. Make returns no figures of deleted scenarios, also for the past. To keep what was "
        "pulled first, set if_exists='skip'."
    )


def _exists(target: StoredObject) -> bool:
    with target.errors_named("looked up in"):
        try:
            # Not exists(), which is False for every error.
            target.fs.invalidate_cache()
            # In an object store, a folder may have the name of an object.
            return bool(target.fs.info(target.path)["type"] != "directory")
        except FileNotFoundError:
            return False


def _differences(other: Mapping[str, Any], pull: Mapping[str, Any]) -> set[str]:
    """Return the names of what identifies a pull that are known of both, and differ."""
    names = {name for name in IDENTITY if name in other and name in pull and other[name] != pull[name]}
    return names - {*_TIMES} if _ends_now(other, pull) else names


def _ends_now(other: Mapping[str, Any], pull: Mapping[str, Any]) -> bool:
    """Decide whether two time frames differ only because each ends "now": of two tries or mapped tasks of one run."""
    try:
        begin, end = (datetime.fromisoformat(other[name]) for name in _TIMES)
        our_begin, our_end = (datetime.fromisoformat(pull[name]) for name in _TIMES)
        run_began = datetime.fromisoformat(pull["run_began"])
        return end >= run_began and (begin == our_begin or end - begin == our_end - our_begin)
    except (KeyError, TypeError, ValueError):
        return False


def _compare(names: Set[str], other: Mapping[str, Any], pull: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={short(other[name])} instead of {short(pull[name])}" for name in IDENTITY if name in names
    )


def _advice(names: Set[str], other: Mapping[str, Any], pull: Mapping[str, Any]) -> str:
    fields = [f"{{{name}}}" for name in ("organization_id", "zone") if name in names]
    if "filters" in names:
        ours, theirs = pull["filters"], other["filters"]
        fields += [f"{{{{ task.{name} }}}}" for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if names & {*_TIMES}:
        fields.append("{date_from:%Y-%m-%d}, or a longer format,")
    return f"To keep both, put {' and '.join(fields)} into output_path."


def _read_identity(target: StoredObject) -> dict[str, Any]:
    """Return what an object has of a pull's identity; nothing if there is no object, or it is another program's."""
    # Users may write without being allowed to read.
    with suppress(Exception):
        target.fs.invalidate_cache()
        head = target.fs.cat_file(target.path, start=0, end=_HEAD)
        return _parquet_identity(target) if head.startswith(b"PAR1") else _first_row_identity(head)
    return {}


def _parquet_identity(target: StoredObject) -> dict[str, Any]:
    from pyarrow import BufferReader
    from pyarrow.parquet import read_metadata

    # Not from a file of Python's: what a signal handler raises while Arrow calls one can get lost.
    size = target.fs.info(target.path)["size"]
    tail = target.fs.cat_file(target.path, start=max(0, size - _HEAD), end=size)
    # The metadata, its length in four bytes, and PAR1.
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if len(tail) < length <= _LARGEST_METADATA:
        tail = target.fs.cat_file(target.path, start=max(0, size - length), end=size)
    summary = json.loads(read_metadata(BufferReader(tail)).metadata[b"make_analytics"])
    # Files of older versions have no filters.
    filters = {"filters": {**summary["filters"]}} if "filters" in summary else {}
    identity = {name: summary[name] for name in IDENTITY if name != "filters"}
    return {**identity, **filters, "row_count": int(summary["row_count"])}


def _first_row_identity(head: bytes) -> dict[str, Any]:
    """Return what the first row of JSON Lines or CSV has, which may be compressed and cut off."""
    if head.startswith(b"\x1f\x8b"):
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEAD)
    text = head.decode("utf-8-sig", errors="ignore")
    if text.startswith("{"):
        row = json.loads(text.partition("\n")[0])
    else:
        header, values = islice(csv.reader(StringIO(text, newline=""), strict=True), 2)
        row = dict(zip(header, values, strict=True))
    times = {name: row[name] or None for name in _TIMES}
    return {"organization_id": int(row["organization_id"]), **times}

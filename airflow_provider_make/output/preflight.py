"""What is checked before the first request: whether the object can be written, and what is in its place."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.atomic_write import OBJECT_STORES, PART_PREFIX, follow_links, protocols_of
from airflow_provider_make.output.object_path import StoredObject

IF_EXISTS = ("replace", "skip", "fail")
# What identifies the pulls of one organization and time frame, in the metadata of a Parquet file.
_SAME_PULL = ("zone", "organization_id", "date_from", "date_to")
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


def check_existing(target: StoredObject, if_exists: str) -> None:
    """Skip the task, or raise ``MakeInputError``, if the object exists and ``if_exists`` says so."""
    if if_exists == "replace":
        return
    try:
        # Not exists(), which is False for every error.
        target.fs.invalidate_cache()
        # In an object store, a folder may have the name of an object.
        is_folder = target.fs.info(target.path)["type"] == "directory"
    except FileNotFoundError:
        return
    if is_folder:
        return
    if if_exists == "skip":
        raise AirflowSkipException(f"{target} exists, and if_exists is 'skip'.")
    raise MakeInputError(f"{target} exists: expected no object there, because if_exists is 'fail'.")


def replacement_warning(target: StoredObject, summary: Mapping[str, Any]) -> str | None:
    """Return a warning if the Parquet file that a pull replaces is of another organization, or has more rows."""
    try:
        existing = _read_summary(target)
        if existing["organization_id"] != summary["organization_id"]:
            return (
                f"{target} had the figures of organization {int(existing['organization_id'])}, and was replaced by "
                f"those of organization {summary['organization_id']}. To keep both, put {{organization_id}} into "
                "output_path."
            )
        is_same = all(existing[name] == summary[name] for name in _SAME_PULL)
        lost = existing["row_count"] - summary["row_count"] if is_same else 0
    except Exception:
        # There is none, or it is another program's.
        return None
    if lost <= 0:
        return None
    return (
        f"{target} had {existing['row_count']} rows for this organization and time frame, and was replaced by "
        f"{summary['row_count']}. Make returns no figures of deleted scenarios, also for the past. To keep what was "
        "pulled first, set if_exists='skip'."
    )


def _read_summary(target: StoredObject) -> dict[str, Any]:
    from pyarrow.parquet import read_metadata

    with target.fs.open(target.path, "rb") as file:
        summary: dict[str, Any] = json.loads(read_metadata(file).metadata[b"make_analytics"])
    return summary

"""Check that an object can be written, before the rows for it are requested."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.atomic_write import OBJECT_STORES, PART_PREFIX, follow_links, protocols_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

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


def check_writable(name: str, location: str, target: ObjectStoragePath) -> None:
    """
    Check that an object can be written. The storage is not changed.

    Of a remote storage, only a bucket or container that certainly does not exist, or a folder in the object's place,
    is an error: a connection may write without being allowed to look.

    :param name: The argument, for the error.
    :param location: The object's URL or path, for the error.
    :param target: The object's path, resolved.
    :raises MakeInputError: The object can't be written.
    :raises OSError: The local disk is full, or broken.
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

"""Copy a finished file to a storage in one step, so that readers see the old object or the new one."""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

# Stores where an upload is not visible before it is complete.
OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs", "oss", "r2"))


def write_atomically(source: IO[bytes], filesystem: AbstractFileSystem, path: str) -> None:
    """
    Copy a local file to a storage. The object is replaced whole, or stays as it was.

    :param source: The file; it need not have a name.
    :param filesystem: The storage.
    :param path: The path in the storage; missing local folders are created.
    """
    source.flush()
    source.seek(0)
    if isinstance(filesystem, LocalFileSystem):
        _replace_local_file(source, Path(path))
    elif OBJECT_STORES.intersection(_protocols(filesystem)):
        _upload(source, filesystem, path)
    else:
        _upload_and_rename(source, filesystem, path)


def _replace_local_file(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename within one file system is atomic.
    part = target.with_name(f".make-analytics-{uuid4().hex}.part")
    try:
        with _nameless_file(target.parent) or part.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
            if not part.exists():
                # With src_dir_fd, Python calls linkat(), which can follow the symbolic link in /proc.
                os.link(f"/proc/self/fd/{copy.fileno()}", part, src_dir_fd=copy.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _nameless_file(folder: Path) -> IO[bytes] | None:
    # Not on every file system. It leaves nothing behind if the worker is killed during the copy.
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except (AttributeError, OSError):
        return None


def _protocols(filesystem: AbstractFileSystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _upload(source: IO[bytes], filesystem: AbstractFileSystem, path: str) -> None:
    options: dict[str, Any] = {}
    # Private to fsspec (2026.9): the coroutine behind put_file(). That of adlfs replaces an object only if told to.
    if "overwrite" in inspect.signature(getattr(filesystem, "_put_file", filesystem.put_file)).parameters:
        options["overwrite"] = True
    filesystem.put_file(f"/dev/fd/{source.fileno()}", path, **options)


def _upload_and_rename(source: IO[bytes], filesystem: AbstractFileSystem, path: str) -> None:
    folder, _, _ = path.rpartition("/")
    part = f"{folder}/.make-analytics-{uuid4().hex}.part"
    try:
        filesystem.makedirs(folder, exist_ok=True)
        _upload(source, filesystem, part)
        filesystem.mv(part, path)
        if filesystem.exists(part):
            raise OSError(f"{path} could not be replaced: the storage did not rename {part}")
    except BaseException:
        if filesystem.exists(part):
            filesystem.rm_file(part)
        raise

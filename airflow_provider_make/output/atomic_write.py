"""Copy a finished file to a storage in one step, so that readers see the old object or the new one."""

from __future__ import annotations

import errno
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

# Stores where an upload is not visible before it is complete.
OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs", "oss", "r2"))
PART_PREFIX = ".make-analytics-"
# Bytes of a part of an upload, of which a few copies are in memory. With their own sizes, clients hold up to 500 MiB.
PART_SIZE = 8 << 20
# S3 takes 10,000 parts.
_MAX_PARTS = 9_000
# Seconds that an interrupted upload has to end. Airflow kills a task 60 seconds after it has asked it to end.
_GRACE = 30
_CONTENT_TYPE_OPTION: dict[str, Callable[[str], dict[str, Any]]] = {
    "s3": lambda content_type: {"ContentType": content_type},
    "gs": lambda content_type: {"content_type": content_type},
    "abfs": lambda content_type: {"content_settings": {"content_type": content_type}},
}


def write_atomically(
    source: IO[bytes], filesystem: AbstractFileSystem, path: str, content_type: str = "application/octet-stream"
) -> None:
    """
    Copy a local file, which need not have a name, to a storage. The object is replaced whole, or stays as it was.

    A replaced local file keeps its mode and, where permitted, its owner; a symbolic link stays one, and its target is
    replaced. Missing local folders are created. The ``OSError`` of a local file names it.

    A copy to another storage that is interrupted, by Airflow's timeout for example, is cancelled; if its last request
    has been sent, its outcome is waited for.
    """
    source.flush()
    source.seek(0)
    if isinstance(filesystem, LocalFileSystem):
        with errors_naming(path):
            _replace_local_file(source, follow_links(path))
        return
    protocols = protocols_of(filesystem)
    if OBJECT_STORES.intersection(protocols):
        options = [option(content_type) for name, option in _CONTENT_TYPE_OPTION.items() if name in protocols]
        _in_thread(partial(_upload, source, filesystem, path, options[0] if options else {}))
    else:
        _in_thread(partial(_upload_and_rename, source, filesystem, path))


@contextmanager
def errors_naming(path: str) -> Iterator[None]:
    """Name a file or folder in the errors of the block: those of a write, for example on a full disk, name none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, path) from error


def follow_links(path: str) -> Path:
    """Return the file, which need not exist, that a path leads to; symbolic links that form a loop are an error."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return target


def protocols_of(filesystem: AbstractFileSystem) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _replace_local_file(source: IO[bytes], target: Path) -> None:
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    replaced = os.stat(target) if target.exists() else None
    # In the same folder: a rename within one file system is atomic.
    part = target.with_name(f"{PART_PREFIX}{uuid4().hex}.part")
    try:
        if not _link_nameless_file(source, part, replaced):
            source.seek(0)
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, _first_mode(replaced))) as copy:
                _copy(source, copy, replaced)
        os.replace(part, target)
    finally:
        # What failed before is the better error.
        with suppress(OSError):
            part.unlink(missing_ok=True)
    for folder in (target.parent, *(folder.parent for folder in missing)):
        _sync_folder(folder)


def _link_nameless_file(source: IO[bytes], part: Path, replaced: os.stat_result | None) -> bool:
    """Write a file without a name, of which nothing is left if the worker is killed, and name it; False if unable."""
    try:
        file = os.open(part.parent, os.O_TMPFILE | os.O_WRONLY, _first_mode(replaced))
    except (AttributeError, OSError):
        # Not on every platform and file system.
        return False
    with os.fdopen(file, "wb") as copy:
        _copy(source, copy, replaced)
        try:
            # With src_dir_fd, Python calls linkat(), which can follow the symbolic link in /proc.
            os.link(f"/proc/self/fd/{copy.fileno()}", part, src_dir_fd=copy.fileno())
        except OSError:
            # Without /proc, and in some containers and overlays.
            return False
    return True


def _first_mode(replaced: os.stat_result | None) -> int:
    # The umask applies to a new file. A replaced one may have been private, and the part is so until it has its mode.
    return 0o666 if replaced is None else 0o600


def _copy(source: IO[bytes], copy: IO[bytes], replaced: os.stat_result | None) -> None:
    if replaced is not None:
        _keep_mode_and_owner(copy.fileno(), replaced)
    shutil.copyfileobj(source, copy, 1 << 20)
    copy.flush()
    os.fsync(copy.fileno())


def _keep_mode_and_owner(file: int, replaced: os.stat_result) -> None:
    mode = replaced.st_mode & 0o777
    # Some file systems have neither modes nor owners.
    with suppress(OSError):
        os.fchmod(file, mode)
    try:
        os.fchown(file, replaced.st_uid, replaced.st_gid)
    except OSError:
        # Only root may give a file away, but a user may choose among their groups.
        with suppress(OSError):
            os.fchown(file, -1, replaced.st_gid)
    if os.fstat(file).st_gid != replaced.st_gid:
        # Another group gets no rights that others don't have.
        with suppress(OSError):
            os.fchmod(file, mode & ~0o070 | mode & (mode << 3) & 0o070)


def _sync_folder(folder: Path) -> None:
    # The content is on the disk already. Some file systems can't sync a folder, and some folders can't be read.
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _in_thread(copy: Callable[[threading.Event], None]) -> None:
    """
    Run a function in another thread, where no signal handler raises; its event is set if this thread is interrupted.

    The storages' clients would go on with a request that the main thread no longer waits for.
    """
    interrupted = threading.Event()
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            copy(interrupted)
            outcome.set_result(None)
        except BaseException as error:
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name="make-upload", daemon=True).start()
        outcome.result()
    except BaseException as error:
        interrupted.set()
        if not outcome.done() and wait([outcome], _GRACE).not_done:
            error.add_note(f"The storage did not answer for {_GRACE} seconds: the object may still appear.")
        raise


def _blocks(source: IO[bytes], size: int, interrupted: threading.Event) -> Iterator[bytes]:
    source.seek(0)
    while block := source.read(size):
        yield block
        if interrupted.is_set():
            raise InterruptedError("The upload was interrupted")


def _upload(
    source: IO[bytes], filesystem: AbstractFileSystem, path: str, options: dict[str, Any], interrupted: threading.Event
) -> None:
    # Google needs a multiple of 256 KiB.
    block_size = PART_SIZE * max(1, math.ceil(source.seek(0, os.SEEK_END) / (_MAX_PARTS * PART_SIZE)))
    file = filesystem.open(path, "wb", block_size=block_size, **options)
    try:
        for block in _blocks(source, block_size, interrupted):
            file.write(block)
        file.close()
    except BaseException:
        # What failed before is the better error. In Azure, blocks that are not committed expire.
        with suppress(Exception):
            file.discard()
        # Python closes a file that it deletes, and a closed one is published.
        file.closed = True
        raise


def _upload_and_rename(
    source: IO[bytes], filesystem: AbstractFileSystem, path: str, interrupted: threading.Event
) -> None:
    folder, _, _ = path.rpartition("/")
    part = f"{folder}/{PART_PREFIX}{uuid4().hex}.part"
    try:
        filesystem.makedirs(folder, exist_ok=True)
        with filesystem.open(part, "wb") as file:
            for block in _blocks(source, PART_SIZE, interrupted):
                file.write(block)
        filesystem.mv(part, path)
        if filesystem.exists(part):
            raise OSError(f"{path} could not be replaced: the storage did not rename {part}")
    except BaseException:
        # What failed before is the better error.
        with suppress(Exception):
            if filesystem.exists(part):
                filesystem.rm_file(part)
        raise

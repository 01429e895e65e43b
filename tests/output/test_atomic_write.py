"""Copy a finished file to local and other storages, whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_make.output.atomic_write import write_atomically

OLD, NEW = b"old\n", b"new\n" * 100_000


@contextmanager
def spool(content: bytes) -> Iterator[IO[bytes]]:
    """Create a temporary file whose content is not flushed."""
    # With a name: Python creates such files on platforms without nameless files, too.
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        yield file


def publish(content: bytes, filesystem: Any, path: object) -> None:
    with spool(content) as file:
        write_atomically(file, filesystem, str(path))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture(params=["nameless files", "no nameless files", "platform without nameless files"])
def local(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalFileSystem:
    """The local file system: with nameless files, without them, and on a platform without them."""
    if request.param == "no nameless files":
        real = os.open

        def refuse(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "nameless files are not supported")
            return real(path, flags, *arguments, **options)

        monkeypatch.setattr(os, "open", refuse)
    elif request.param == "platform without nameless files":
        monkeypatch.delattr(os, "O_TMPFILE")
    return LocalFileSystem()


@pytest.mark.parametrize("content", [b"", b"x", NEW])
@pytest.mark.parametrize("old", [None, OLD, NEW * 2])
def test_file_is_created_or_replaced(content: bytes, old: bytes | None, local: LocalFileSystem, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    if old is not None:
        path.write_bytes(old)
    publish(content, local, path)
    assert path.read_bytes() == content
    assert files(tmp_path) == ["rows.csv"]


def test_missing_folders_are_created(local: LocalFileSystem, tmp_path: Path) -> None:
    publish(NEW, local, tmp_path / "a" / "b c" / "č" / "rows.csv")
    assert files(tmp_path) == ["a/b c/č/rows.csv"]


def test_path_may_be_relative(local: LocalFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(NEW, local, "rows.csv")
    publish(NEW, local, "new/rows.csv")
    assert files(tmp_path) == ["new/rows.csv", "rows.csv"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_follows_the_umask(mask: int, mode: int, local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch(0o777)
    before = os.umask(mask)
    try:
        for name in ("old.csv", "new.csv"):
            publish(NEW, local, tmp_path / name)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


def test_reader_always_sees_a_complete_file(local: LocalFileSystem, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    contents = [letter * 3_000_000 for letter in (b"a", b"b")]
    publish(contents[0], local, path)
    seen, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes() in contents)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 41):
            publish(contents[number % 2], local, path)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 10
    assert all(seen)
    assert files(tmp_path) == ["rows.csv"]


def test_incomplete_copy_is_hidden(local: LocalFileSystem, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seen: list[str] = []

    class ListingFiles(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.extend(files(tmp_path))
            return super().read(size)

    write_atomically(ListingFiles(NEW), local, str(tmp_path / "rows.csv"))
    assert all(name.startswith(".") for name in seen)
    assert len(set(seen)) == (0 if request.node.callspec.params["local"] == "nameless files" else 1)
    assert files(tmp_path) == ["rows.csv"]


def test_open_reader_keeps_the_old_file(local: LocalFileSystem, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(OLD)
    with path.open("rb") as reader:
        publish(NEW, local, path)
        assert reader.read() == OLD


@pytest.mark.parametrize("old", [None, OLD])
def test_full_disk_leaves_the_existing_file_unchanged_and_no_part(
    old: bytes | None, local: LocalFileSystem, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    if old is not None:
        path.write_bytes(old)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with spool(NEW) as file:
        file.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_atomically(file, local, str(path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == ([] if old is None else ["rows.csv"])
    assert old is None or path.read_bytes() == old


def test_folder_at_the_target_path_is_not_replaced(local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    (tmp_path / "rows.csv" / "mine").write_text("mine")
    with pytest.raises(OSError, match="rows.csv"):
        publish(NEW, local, tmp_path / "rows.csv")
    assert files(tmp_path) == ["rows.csv/mine"]


def test_file_at_the_folders_path_is_not_replaced(local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(OLD)
    with pytest.raises(OSError, match="folder"):
        publish(NEW, local, tmp_path / "folder" / "rows.csv")
    assert (tmp_path / "folder").read_bytes() == OLD


KILLED = """
import io, os, signal, sys
from fsspec.implementations.local import LocalFileSystem
from airflow_provider_make.output.atomic_write import write_atomically

class Killing(io.BytesIO):
    def read(self, *size):
        return super().read(*size) or os.kill(os.getpid(), signal.SIGKILL)

write_atomically(Killing(b"new" * 1_000_000), LocalFileSystem(), sys.argv[1])
"""


def test_worker_killed_during_the_copy_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(OLD)
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    assert files(tmp_path) == ["rows.csv"]


class MemoryStorage(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An in-memory storage that can fail at the upload or the rename."""

    cachable = False
    blocksize = 1000

    def __init__(self, failing: str | None = None, error: type[BaseException] = OSError) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.failing, self.error = failing, error
        self.contents_at_failure: list[str] = []

    def contents(self) -> dict[str, bytes]:
        return {path: file.getvalue() for path, file in self.store.items()}

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        if self.failing == "upload" and mode == "wb":
            write = file.write

            def write_once(data: bytes) -> int:
                if file.tell():
                    self.contents_at_failure = [*self.store]
                    raise self.error("while uploading")
                return int(write(data))

            file.write = write_once
        return file

    def mv(self, old: str, new: str, **options: Any) -> None:
        if self.failing == "rename":
            self.contents_at_failure = [*self.store]
            raise self.error("while renaming")
        super().mv(old, new, **options)


@pytest.mark.parametrize("path", ["/bucket/a/rows.csv", "/rows.csv"])
@pytest.mark.parametrize("old", [None, OLD])
def test_other_storages_receive_a_part_that_is_renamed(path: str, old: bytes | None) -> None:
    storage = MemoryStorage()
    if old is not None:
        storage.pipe_file(path, old)
    publish(NEW, storage, path)
    assert storage.contents() == {path: NEW}


@pytest.mark.parametrize("failing", ["upload", "rename"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [{}, {"/bucket/rows.csv": OLD}])
def test_failed_upload_leaves_the_existing_object_unchanged_and_no_part(
    failing: str, error: type[BaseException], old: dict[str, bytes]
) -> None:
    storage = MemoryStorage()
    for path, content in old.items():
        storage.pipe_file(path, content)
    storage.failing, storage.error = failing, error
    with pytest.raises(error, match="while"):
        publish(NEW, storage, "/bucket/rows.csv")
    # There was a part when it failed.
    assert len(storage.contents_at_failure) == len(old) + 1
    assert storage.contents() == old


class ObjectStore(AsyncFileSystem):  # type: ignore[misc]
    """Records uploads; ``_put_file`` has the arguments of s3fs and gcsfs."""

    protocol = "s3"

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[tuple[str, Any, bytes]] = []

    async def _put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self.uploads.append((rpath, options.get("overwrite"), Path(lpath).read_bytes()))


class WithoutOverwrite(ObjectStore):
    """Replaces an object only with ``overwrite=True``, like adlfs."""

    async def _put_file(self, lpath: str, rpath: str, overwrite: bool = False, **options: Any) -> None:
        await super()._put_file(lpath, rpath, overwrite=overwrite)


class LosingConnection(ObjectStore):
    """Loses the connection during the upload."""

    async def _put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        await super()._put_file(lpath, rpath)
        raise ConnectionError("gone")


@pytest.mark.parametrize(("store", "overwrite"), [(ObjectStore, None), (WithoutOverwrite, True)])
@pytest.mark.parametrize("content", [b"", NEW])
def test_object_store_receives_one_upload(store: type[ObjectStore], overwrite: bool | None, content: bytes) -> None:
    storage = store()
    publish(content, storage, "bucket/rows.csv")
    assert storage.uploads == [("bucket/rows.csv", overwrite, content)]


def test_upload_to_an_object_store_is_not_retried() -> None:
    storage = LosingConnection()
    with pytest.raises(ConnectionError, match="gone"):
        publish(NEW, storage, "bucket/rows.csv")
    assert len(storage.uploads) == 1

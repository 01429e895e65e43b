"""A finished file, on its way into local and other storages."""

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
    """A file that has been written to, and not flushed."""
    # One with a name, which Python makes on platforms without nameless files as well.
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        yield file


def publish(content: bytes, filesystem: Any, path: object) -> None:
    with spool(content) as file:
        write_atomically(file, filesystem, str(path))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture(params=["nameless", "refused", "unknown"])
def local(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalFileSystem:
    """A local storage, also where it has no nameless files, or the platform does not."""
    if request.param == "refused":
        real = os.open

        def refuse(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "no nameless files here")
            return real(path, flags, *arguments, **options)

        monkeypatch.setattr(os, "open", refuse)
    elif request.param == "unknown":
        monkeypatch.delattr(os, "O_TMPFILE")
    return LocalFileSystem()


@pytest.mark.parametrize("content", [b"", b"x", NEW])
@pytest.mark.parametrize("old", [None, OLD, NEW * 2])
def test_file_is_written_or_replaced_whole(
    content: bytes, old: bytes | None, local: LocalFileSystem, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    if old is not None:
        path.write_bytes(old)
    publish(content, local, path)
    assert path.read_bytes() == content
    assert files(tmp_path) == ["rows.csv"]


def test_missing_folders_are_made(local: LocalFileSystem, tmp_path: Path) -> None:
    publish(NEW, local, tmp_path / "a" / "b c" / "č" / "rows.csv")
    assert files(tmp_path) == ["a/b c/č/rows.csv"]


def test_relative_path(local: LocalFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_reader_sees_a_whole_file_at_any_time(local: LocalFileSystem, tmp_path: Path) -> None:
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


def test_copy_in_the_making_is_hidden(local: LocalFileSystem, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seen: list[str] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.extend(files(tmp_path))
            return super().read(size)

    write_atomically(Watched(NEW), local, str(tmp_path / "rows.csv"))
    assert all(name.startswith(".") for name in seen)
    assert len(set(seen)) == (0 if request.node.callspec.params["local"] == "nameless" else 1)
    assert files(tmp_path) == ["rows.csv"]


def test_open_reader_keeps_the_old_file(local: LocalFileSystem, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(OLD)
    with path.open("rb") as reader:
        publish(NEW, local, path)
        assert reader.read() == OLD


@pytest.mark.parametrize("old", [None, OLD])
def test_disk_that_fills_up_leaves_the_old_file_and_no_part(
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


def test_target_that_is_a_folder_is_left_alone(local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    (tmp_path / "rows.csv" / "mine").write_text("mine")
    with pytest.raises(OSError, match="rows.csv"):
        publish(NEW, local, tmp_path / "rows.csv")
    assert files(tmp_path) == ["rows.csv/mine"]


def test_folder_that_is_a_file_is_left_alone(local: LocalFileSystem, tmp_path: Path) -> None:
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


def test_worker_killed_while_it_copies_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(OLD)
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    assert files(tmp_path) == ["rows.csv"]


class WatcherState(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage of its own, which fails where it is told to."""

    cachable = False
    blocksize = 1000

    def __init__(self, failing: str | None = None, error: type[BaseException] = OSError) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.failing, self.error = failing, error
        self.partly: list[str] = []

    def contents(self) -> dict[str, bytes]:
        return {path: file.getvalue() for path, file in self.store.items()}

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        if self.failing == "upload" and mode == "wb":
            write = file.write

            def write_once(data: bytes) -> int:
                if file.tell():
                    self.partly = [*self.store]
                    raise self.error("while uploading")
                return int(write(data))

            file.write = write_once
        return file

    def mv(self, old: str, new: str, **options: Any) -> None:
        if self.failing == "rename":
            self.partly = [*self.store]
            raise self.error("while renaming")
        super().mv(old, new, **options)


@pytest.mark.parametrize("path", ["/bucket/a/rows.csv", "/rows.csv"])
@pytest.mark.parametrize("old", [None, OLD])
def test_other_storage_gets_a_part_that_is_renamed(path: str, old: bytes | None) -> None:
    storage = WatcherState()
    if old is not None:
        storage.pipe_file(path, old)
    publish(NEW, storage, path)
    assert storage.contents() == {path: NEW}


@pytest.mark.parametrize("failing", ["upload", "rename"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [{}, {"/bucket/rows.csv": OLD}])
def test_upload_that_fails_leaves_the_old_object_and_no_part(
    failing: str, error: type[BaseException], old: dict[str, bytes]
) -> None:
    storage = WatcherState()
    for path, content in old.items():
        storage.pipe_file(path, content)
    storage.failing, storage.error = failing, error
    with pytest.raises(error, match="while"):
        publish(NEW, storage, "/bucket/rows.csv")
    # There was a part in the meantime.
    assert len(storage.partly) == len(old) + 1
    assert storage.contents() == old


class ObjectStore(AsyncFileSystem):  # type: ignore[misc]
    """Notes uploads, as s3fs and gcsfs take them."""

    protocol = "s3"

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[tuple[str, Any, bytes]] = []

    async def _put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self.uploads.append((rpath, options.get("overwrite"), Path(lpath).read_bytes()))


class Careful(ObjectStore):
    """Refuses to replace an object unless asked to, as adlfs does."""

    async def _put_file(self, lpath: str, rpath: str, overwrite: bool = False, **options: Any) -> None:
        await super()._put_file(lpath, rpath, overwrite=overwrite)


class Failing(ObjectStore):
    """Loses the connection."""

    async def _put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        await super()._put_file(lpath, rpath)
        raise ConnectionError("gone")


@pytest.mark.parametrize(("store", "overwrite"), [(ObjectStore, None), (Careful, True)])
@pytest.mark.parametrize("content", [b"", NEW])
def test_object_store_gets_one_upload(store: type[ObjectStore], overwrite: bool | None, content: bytes) -> None:
    storage = store()
    publish(content, storage, "bucket/rows.csv")
    assert storage.uploads == [("bucket/rows.csv", overwrite, content)]


def test_upload_to_an_object_store_is_not_tried_twice() -> None:
    storage = Failing()
    with pytest.raises(ConnectionError, match="gone"):
        publish(NEW, storage, "bucket/rows.csv")
    assert len(storage.uploads) == 1

"""Copy a finished file to local and other storages, whole or not at all."""

from __future__ import annotations

import errno
import gc
import io
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from airflow_provider_make.output import atomic_write
from airflow_provider_make.output.atomic_write import write_atomically
from tests.support.file_systems import NOBODY, as_nobody, as_root, folder_for_all, mounted

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
@pytest.mark.parametrize("old", [0o600, 0o640, 0o666, 0o444, 0o777, 0o000])
def test_new_file_has_the_mode_of_the_umask_and_a_replaced_one_keeps_its_own(
    mask: int, mode: int, old: int, local: LocalFileSystem, tmp_path: Path
) -> None:
    (tmp_path / "old.csv").touch()
    (tmp_path / "old.csv").chmod(old)
    before = os.umask(mask)
    try:
        for name in ("old.csv", "new.csv"):
            publish(NEW, local, tmp_path / name)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o7777 for name in ("old.csv", "new.csv")] == [old, mode]


@as_root
def test_root_keeps_the_owner_of_a_replaced_file(local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch(0o640)
    os.chown(tmp_path / "old.csv", 1234, 4321)
    publish(NEW, local, tmp_path / "old.csv")
    status = (tmp_path / "old.csv").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 4321, 0o640)


@as_root
@pytest.mark.parametrize(("group", "old", "new"), [(0, 0o664, 0o644), (0, 0o640, 0o600), (NOBODY, 0o664, 0o664)])
def test_user_keeps_what_they_may_of_another_users_file(group: int, old: int, new: int, local: LocalFileSystem) -> None:
    with folder_for_all() as folder:
        path = folder / "old.csv"
        path.touch()
        path.chmod(old)
        os.chown(path, 0, group)
        with spool(NEW) as file, as_nobody():
            write_atomically(file, local, str(path))
        status = path.stat()
        # Rights of a group that could not be kept do not pass to another one.
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (NOBODY, NOBODY, new)


@pytest.mark.parametrize("part", [b"", NEW])
def test_private_file_is_private_while_it_is_written(part: bytes, local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch(0o600)
    modes: set[int] = set()

    class ListingModes(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            modes.update(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())
            return super().read(size)

    write_atomically(ListingModes(part), local, str(tmp_path / "rows.csv"))
    assert modes == {0o600}


@pytest.mark.parametrize("old", [OLD, None])
@pytest.mark.parametrize("target", ["real.csv", "../elsewhere/real.csv", "second", "to folder/real.csv"])
def test_symbolic_link_stays_and_its_target_is_replaced(
    target: str, old: bytes | None, local: LocalFileSystem, tmp_path: Path
) -> None:
    for name in ("folder", "elsewhere"):
        (tmp_path / name).mkdir()
    folder = tmp_path / "folder"
    (folder / "second").symlink_to("real.csv")
    (folder / "to folder").symlink_to(tmp_path / "elsewhere")
    (folder / "rows.csv").symlink_to(target)
    if old is not None:
        (folder / "rows.csv").write_bytes(old)
        (folder / "rows.csv").chmod(0o640)
    publish(NEW, local, folder / "rows.csv")
    assert os.readlink(folder / "rows.csv") == target
    assert (folder / "rows.csv").read_bytes() == NEW
    real = (folder / "rows.csv").resolve()
    assert real.is_file()
    assert old is None or real.stat().st_mode & 0o777 == 0o640
    assert {name for name in files(tmp_path) if ".make" in name} == set()


def test_loop_of_symbolic_links_raises(local: LocalFileSystem, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to("second")
    (tmp_path / "second").symlink_to("rows.csv")
    with pytest.raises(OSError, match="Too many levels.*rows.csv"):
        publish(NEW, local, tmp_path / "rows.csv")
    assert files(tmp_path) == ["rows.csv", "second"]


LINK_ERRORS = [errno.ENOENT, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EACCES]


@pytest.mark.parametrize("number", LINK_ERRORS)
@pytest.mark.parametrize("old", [None, OLD])
def test_nameless_file_that_can_not_be_named_falls_back_to_a_part(
    number: int, old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "rows.csv"
    if old is not None:
        path.write_bytes(old)
        path.chmod(0o640)
    publish(NEW, LocalFileSystem(), path)
    assert path.read_bytes() == NEW
    assert files(tmp_path) == ["rows.csv"]
    assert old is None or path.stat().st_mode & 0o777 == 0o640


WRITING = """
import io, sys
from fsspec.implementations.local import LocalFileSystem
from airflow_provider_make.output.atomic_write import write_atomically

write_atomically(io.BytesIO(b"new"), LocalFileSystem(), sys.argv[1])
"""


@as_root
def test_file_is_written_without_proc(tmp_path: Path) -> None:
    script = 'mount -t tmpfs tmpfs /proc && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--mount", "sh", "-c", script, sys.executable, WRITING, str(tmp_path / "rows.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine does not allow mounting: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rows.csv").read_bytes() == b"new"
    assert files(tmp_path) == ["rows.csv"]


def test_file_is_synced_before_the_rename_and_its_folders_after_it(
    local: LocalFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "b" / "rows.csv"
    events: list[tuple[int, bool]] = []
    real = os.fsync

    def record(file: int) -> None:
        events.append((os.fstat(file).st_ino, path.exists()))
        real(file)

    monkeypatch.setattr(os, "fsync", record)
    publish(NEW, local, path)
    assert events[0] == (path.stat().st_ino, False)
    # The entry of a new folder is in the folder above it.
    assert set(events[1:]) == {(folder.stat().st_ino, True) for folder in (path.parent, tmp_path / "a", tmp_path)}


def test_folder_that_can_not_be_synced_is_no_error(
    local: LocalFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def refuse_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(file)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    publish(NEW, local, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes() == NEW


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
            with pytest.raises(OSError, match="File too large.*rows.csv"):
                write_atomically(file, local, str(path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == ([] if old is None else ["rows.csv"])
    assert old is None or path.read_bytes() == old


@as_root
@pytest.mark.parametrize("old", [None, OLD])
def test_error_on_a_full_file_system_names_the_file(old: bytes | None, local: LocalFileSystem) -> None:
    with mounted("size=64k") as folder:
        path = folder / "rows.csv"
        if old is not None:
            path.write_bytes(old)
        with pytest.raises(OSError) as caught:
            publish(NEW, local, path)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert files(folder) == ([] if old is None else ["rows.csv"])
        assert old is None or path.read_bytes() == old


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_error_names_the_file_that_could_not_be_written(
    number: int, failing: str, local: LocalFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "rows.csv"
    path.write_bytes(OLD)
    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError) as caught:
        publish(NEW, local, path)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert path.read_bytes() == OLD
    assert files(tmp_path) == ["rows.csv"]


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

    def __init__(self, failing: str | None = None, error: type[BaseException] = OSError) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.failing, self.error = failing, error
        self.contents_at_failure: list[str] = []
        self.at_write: Callable[[], None] = lambda: None

    def contents(self) -> dict[str, bytes]:
        return {path: file.getvalue() for path, file in self.store.items()}

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        if mode == "wb":
            write = file.write

            def write_part(data: bytes) -> int:
                self.at_write()
                if self.failing == "upload":
                    write(data)
                    self.store[path] = file
                    self.contents_at_failure = [*self.store]
                    raise self.error("while uploading")
                return int(write(data))

            file.write = write_part
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


def test_what_fails_while_a_part_is_removed_does_not_hide_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> bool:
        raise ConnectionError("Socket is closed")

    storage = MemoryStorage("upload")
    monkeypatch.setattr(storage, "exists", fail)
    with pytest.raises(OSError, match="while"):
        publish(NEW, storage, "/bucket/rows.csv")


class ObjectStore(AbstractFileSystem):  # type: ignore[misc]
    """Publishes a file when it is closed, as the clients of object stores do; an action runs in each request."""

    protocol: str | tuple[str, ...] = "s3"
    cachable = False

    def __init__(self, action: Callable[[int], None] = lambda number: None) -> None:
        super().__init__()
        self.action = action
        self.objects: dict[str, bytes] = {}
        self.events: list[str] = []
        self.options: dict[str, Any] = {}

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> Any:
        self.options = {"block_size": block_size, **options}
        return Part(self, path, mode, block_size)


class Part(AbstractBufferedFile):  # type: ignore[misc]
    """A file in the store, whose parts are requests."""

    def _initiate_upload(self) -> None:
        self.content = b""

    def _upload_chunk(self, final: bool = False) -> None:
        self.fs.events.append("last part" if final else "part")
        self.fs.action(len(self.fs.events))
        self.content += self.buffer.getvalue()
        if final:
            self.fs.objects[self.path] = self.content

    def discard(self) -> None:
        self.fs.events.append("discarded")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Upload parts of this size."""
    monkeypatch.setattr(atomic_write, "PART_SIZE", 1000)
    return 1000


class Interruption(BaseException):
    """What Airflow's signal handlers raise is no ``Exception`` either."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Return a function for other threads that raises ``Interruption`` in the main thread."""
    raised = threading.Event()

    def raise_interruption(number: int, frame: object) -> None:
        raised.set()
        raise Interruption

    def send() -> None:
        raised.clear()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert raised.wait(30)

    before = signal.signal(signal.SIGUSR1, raise_interruption)
    yield send
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(("content", "parts"), [(b"", 0), (b"x", 0), (b"x" * 1000, 1), (b"x" * 9999, 9)])
def test_object_store_receives_parts_of_a_bounded_size(content: bytes, parts: int, small_parts: int) -> None:
    storage = ObjectStore()
    publish(content, storage, "bucket/rows.csv")
    assert storage.objects == {"bucket/rows.csv": content}
    assert storage.events == ["part"] * parts + ["last part"]


class Huge:
    """A file of some size that can't be read."""

    def __init__(self, size: int) -> None:
        self._size = size

    def flush(self) -> None:
        pass

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._size if whence else offset

    def read(self, size: int) -> bytes:
        raise ConnectionError


@pytest.mark.parametrize("size", [1, 1 << 30, 5 << 40])
def test_parts_are_as_small_as_storages_allow(size: int) -> None:
    storage = ObjectStore()
    with suppress(ConnectionError):
        write_atomically(Huge(size), storage, "bucket/rows.csv")  # type: ignore[arg-type]
    part = storage.options["block_size"]
    assert part % (256 << 10) == 0
    assert size / part <= 10_000
    assert part == 8 << 20 or size > 10_000 * (8 << 20) * 0.9


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("s3", {"ContentType": "text/csv"}),
        (("gs", "gcs"), {"content_type": "text/csv"}),
        ("abfs", {"content_settings": {"content_type": "text/csv"}}),
        ("oss", {}),
    ],
)
def test_object_store_receives_the_content_type(protocol: str | tuple[str, ...], options: dict[str, Any]) -> None:
    storage = ObjectStore()
    storage.protocol = protocol
    with spool(NEW) as file:
        write_atomically(file, storage, "bucket/rows.csv", "text/csv")
    assert {name: storage.options.get(name) for name in options} == options
    assert storage.options.keys() - {"block_size", "autocommit", "cache_options"} == options.keys()


@pytest.mark.parametrize("failing", [1, 50, 401])
def test_failed_upload_to_an_object_store_is_discarded_and_not_retried(failing: int, small_parts: int) -> None:
    def fail(number: int) -> None:
        if number == failing:
            raise ConnectionError("gone")

    storage = ObjectStore(fail)
    with pytest.raises(ConnectionError, match="gone"):
        publish(NEW, storage, "bucket/rows.csv")
    # A file that Python deletes would be closed, and published.
    gc.collect()
    assert storage.objects == {}
    assert storage.events[failing:] == ["discarded"]


@pytest.mark.parametrize("failing", [1, 50])
def test_interrupted_upload_to_an_object_store_is_discarded(
    failing: int, small_parts: int, interrupt: Callable[[], None]
) -> None:
    def action(number: int) -> None:
        if number == failing:
            interrupt()
        # Lets the main thread run.
        time.sleep(0.001)

    storage = ObjectStore(action)
    with pytest.raises(Interruption):
        publish(NEW, storage, "bucket/rows.csv")
    gc.collect()
    assert storage.objects == {}
    assert storage.events[-1] == "discarded"
    assert "last part" not in storage.events


def test_interrupted_upload_waits_for_its_last_request(small_parts: int, interrupt: Callable[[], None]) -> None:
    storage = ObjectStore(lambda number: interrupt() if number == 401 else None)
    with pytest.raises(Interruption) as caught:
        publish(NEW, storage, "bucket/rows.csv")
    assert storage.objects == {"bucket/rows.csv": NEW}
    assert not hasattr(caught.value, "__notes__")


def test_interrupted_upload_does_not_wait_long(
    small_parts: int, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic_write, "_GRACE", 0.01)
    ended, discarded = threading.Event(), threading.Event()

    def action(number: int) -> None:
        if number == 1:
            interrupt()
            ended.wait(30)

    storage = ObjectStore(action)
    monkeypatch.setattr(Part, "discard", lambda part: discarded.set())
    with pytest.raises(Interruption) as caught:
        publish(NEW, storage, "bucket/rows.csv")
    assert "may still appear" in caught.value.__notes__[0]
    ended.set()
    assert discarded.wait(30)
    assert storage.objects == {}


def test_interrupted_upload_to_other_storages_leaves_no_part(interrupt: Callable[[], None], small_parts: int) -> None:
    storage = MemoryStorage()

    def send() -> None:
        storage.at_write = partial(time.sleep, 0.001)
        interrupt()

    storage.at_write = send
    with pytest.raises(Interruption):
        publish(NEW, storage, "/bucket/rows.csv")
    assert storage.contents() == {}

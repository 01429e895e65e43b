"""Test which files a source has, in a local folder and in an object storage, and which are accepted."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import msgspec
import pyarrow
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_make import __version__
from airflow_provider_make.api.page import Metrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import StoredObject
from airflow_provider_make.report.pull_files import (
    BATCH_SIZE,
    COLUMNS,
    SourceFile,
    Summary,
    default_target,
    find_files,
    open_pull,
)
from tests.support.entries import entry
from tests.support.pulled_files import EXTRACTED, FROM, TO, totals, write_pull

NAMES = (
    "organization_id=1/date=2026-03-01/analytics.parquet",
    "organization_id=1/date=2026-03-02/analytics.parquet",
    "organization_id=2/date=2026-03-01/analytics.parquet",
    "report.html",
    "_staging/a.parquet",
    "organization_id=1/.hidden/a.parquet",
    "organization_id=1/._a.parquet",
    "week [1].parquet",
)
BOTH = ["/organization_id=1/date=2026-03-01/analytics.parquet", "/organization_id=1/date=2026-03-02/analytics.parquet"]
ALL = [*BOTH, "/organization_id=2/date=2026-03-01/analytics.parquet", "/week [1].parquet"]


@pytest.fixture(params=["file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "file":
        for name in NAMES:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
        yield str(tmp_path)
        return
    memory = fsspec.filesystem("memory")
    # Airflow knows the storages of its providers only; this one is like them, with a bucket in its URLs.
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda self: memory))
    for name in NAMES:
        memory.pipe(f"/bucket/{name}", b"")
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def locations(source: Any, root: str) -> list[str]:
    return [file.location.removeprefix(root) for file in find_files(source, None)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (BOTH[0], BOTH[:1]),
        ("/organization_id=1", BOTH),
        ("/organization_id=1/", BOTH),
        ("/organization_id=1/date=2026-03-0[12]", BOTH),
        ("/organization_id=1/*/analytics.parquet", BOTH),
        ("/organization_id=*/date=2026-03-01/*.parquet", [BOTH[0], ALL[2]]),
        ("/**/analytics.parquet", ALL[:3]),
        ([BOTH[1], BOTH[0], "/organization_id=1"], BOTH),
        (("/organization_id=2", BOTH[0]), [BOTH[0], ALL[2]]),
    ],
)
def test_files_of_a_source(source: Any, expected: list[str], root: str) -> None:
    full = f"{root}{source}" if isinstance(source, str) else type(source)(f"{root}{one}" for one in source)
    assert locations(full, root) == expected


def test_files_of_a_path_and_an_iterator(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", "week [1].parquet"):
        (tmp_path / name).write_text("")
    assert locations(tmp_path, str(tmp_path)) == ["/a.parquet", "/b.parquet", "/week [1].parquet"]
    # As XCom gives the results of mapped tasks.
    assert locations(iter([tmp_path / "b.parquet", str(tmp_path / "a.parquet")]), str(tmp_path)) == [
        "/a.parquet",
        "/b.parquet",
    ]
    # An existing file is no pattern.
    assert locations(tmp_path / "week [1].parquet", str(tmp_path)) == ["/week [1].parquet"]


def test_a_missing_file_is_left_to_the_reader(tmp_path: Path) -> None:
    assert locations(tmp_path / "nothing.parquet", str(tmp_path)) == ["/nothing.parquet"]


@pytest.mark.parametrize("source", ["", "/empty", "/*.parquet"])
def test_sources_without_files_are_named(source: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"source='.*' has no Parquet files\."):
        find_files(f"{tmp_path}{source}", None)


@pytest.mark.parametrize(
    "source", [None, "", 7, [], {}, {"path": "/a.parquet"}, b"/a.parquet", [None], [["/a"]], "~/a"]
)
def test_other_sources_are_rejected(source: Any) -> None:
    with pytest.raises(MakeInputError, match="source=.* is not valid: expected the path or URL of a Parquet file"):
        find_files(source, None)


def test_one_file_and_one_folder_have_a_default_target_next_to_them(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("")
    for source, target in (
        (tmp_path / "a.parquet", f"{tmp_path}/a.html"),
        (tmp_path, f"{tmp_path}.html"),
        (f"{tmp_path}/", f"{tmp_path}.html"),
        (f"{tmp_path}/*.parquet", None),
        ([tmp_path / "a.parquet"], None),
    ):
        assert default_target(source, find_files(source, None)) == target


TOTAL = Metrics(executions=7, centicredits=str(10**50), error_rate=0.5, errors_change=-3.0)


def read(data: bytes) -> tuple[Summary, list[pyarrow.RecordBatch]]:
    storage: Any = SimpleNamespace(open=lambda path, mode: io.BytesIO(data))
    with open_pull(stored_in(storage)) as pull:
        return pull.summary, list(pull.batches())


def stored_in(storage: Any) -> SourceFile:
    location = "s3://bucket/a.parquet"
    return SourceFile(location, StoredObject(location, storage, "bucket/a.parquet"))


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    return write_pull(tmp_path / "a.parquet", [[entry(n, name=f"Scenario {n}") for n in range(3)]], TOTAL)


def rewritten(pulled: Path, table: pyarrow.Table | None = None, **metadata: Any) -> bytes:
    """Return the file with another table, or with other metadata; None removes a key."""
    table = pq.read_table(pulled) if table is None else table
    original = pq.ParquetFile(pulled).metadata.metadata[b"make_analytics"]
    changed = {b"make_analytics": original, **{name.encode(): text for name, text in metadata.items()}}
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({name: text for name, text in changed.items() if text}), out)
    return out.getvalue()


def test_summary_and_rows_of_a_pull(pulled: Path) -> None:
    summary, batches = read(pulled.read_bytes())
    expected = totals(executions=7, centicredits=10**50, error_rate=0.5, errors_change=-3.0)
    assert summary == Summary(42, "eu1.make.com", expected, __version__, FROM, TO, "UTC")
    assert summary.total.centicredits == 10**50
    assert [batch.schema.names for batch in batches] == [list(COLUMNS)]
    assert batches[0]["name"].to_pylist() == ["Scenario 0", "Scenario 1", "Scenario 2"]
    assert batches[0]["extracted_at"].to_pylist() == [EXTRACTED] * 3


def test_pull_without_a_time_frame(tmp_path: Path) -> None:
    summary, batches = read(write_pull(tmp_path / "a.parquet", [], date_from=None, date_to=None).read_bytes())
    assert (summary.date_from, summary.date_to) == (None, None)
    assert sum(map(len, batches)) == 0


def test_times_with_a_fraction(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
    assert read(write_pull(tmp_path / "a.parquet", [], date_to=moment).read_bytes())[0].date_to == moment


def test_many_rows_are_read_in_batches(tmp_path: Path) -> None:
    pages = [[entry(n) for n in range(begin, begin + 1000)] for begin in range(0, 40_000, 1000)]
    batches = read(write_pull(tmp_path / "a.parquet", pages).read_bytes())[1]
    assert sum(map(len, batches)) == 40_000
    assert max(map(len, batches)) == BATCH_SIZE


def test_additions_of_later_versions_are_ignored(pulled: Path) -> None:
    table = pq.read_table(pulled).append_column("new", pyarrow.array([1, 2, 3]))
    metadata = msgspec.json.decode(pq.ParquetFile(pulled).metadata.metadata[b"make_analytics"])
    metadata |= {"new": 1, "total": {**metadata["total"], "new": 2}}
    data = rewritten(pulled, table, make_analytics=msgspec.json.encode(metadata))
    assert read(data)[0] == read(pulled.read_bytes())[0]


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b'{"organization_id": 42}\n', b"organization_id,name\r\n42,a\r\n", b"x" * 9999]
)
def test_other_files_are_rejected(data: bytes) -> None:
    with pytest.raises(
        MakeInputError, match=r"source='s3://bucket/a.parquet'.*expected a Parquet file that .*not a Parquet"
    ):
        read(data)


def test_truncated_file_is_rejected(pulled: Path) -> None:
    with pytest.raises(MakeInputError, match="this is not a Parquet file"):
        read(pulled.read_bytes()[:-5])


@pytest.mark.parametrize("begin", [4, 300])
def test_errors_of_damaged_rows_name_the_file(begin: int, pulled: Path) -> None:
    data = bytearray(pulled.read_bytes())
    data[begin : begin + 200] = b"\xff" * 200
    with pytest.raises((MakeInputError, OSError), match=r"s3://bucket/a.parquet"):
        read(bytes(data))


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_columns_are_rejected(column: str, pulled: Path) -> None:
    with pytest.raises(MakeInputError, match=f"source='s3://bucket/a.parquet'.*but this file has no column {column}"):
        read(rewritten(pulled, pq.read_table(pulled).drop_columns([column])))


def test_columns_of_another_type_are_rejected(pulled: Path) -> None:
    table = pq.read_table(pulled)
    at = table.schema.get_field_index("centicredits")
    table = table.set_column(at, "centicredits", pyarrow.array([0.5] * 3))
    with pytest.raises(MakeInputError, match=r"its column centicredits is double, not decimal128\(38, 0\)"):
        read(rewritten(pulled, table))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "its metadata has no make_analytics"),
        (b"{", "make_analytics is not valid"),
        (b"[]", "make_analytics is not valid"),
        (b'{"organization_id": 42}', "not valid .*missing required field `zone`"),
        (b'{"organization_id": 1, "zone": "z", "total": {"centicredits": "x"}}', "not valid .*centicredits"),
        (b'{"organization_id": "x", "zone": "z", "total": {}, "provider_version": "1"}', "not valid .*organization_id"),
    ],
)
def test_other_metadata_is_rejected(metadata: bytes | None, message: str, pulled: Path) -> None:
    with pytest.raises(MakeInputError, match=f"source='s3://bucket/a.parquet'.*{message}"):
        read(rewritten(pulled, make_analytics=metadata))


class Disconnected(Exception):
    """As the clients of storages have it, no ``OSError``."""


class FailingFile(io.BytesIO):
    """A file whose reads fail after a number of them."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, size: int | None = -1) -> bytes:
        self._reads -= 1
        if self._reads < 0:
            raise Disconnected("Server disconnected")
        return super().read(size)


def test_errors_of_a_storage_name_the_object_at_each_read(pulled: Path) -> None:
    reads = 0
    while True:
        storage: Any = SimpleNamespace(open=lambda path, mode, reads=reads: FailingFile(pulled.read_bytes(), reads))
        try:
            with open_pull(stored_in(storage)) as pull:
                list(pull.batches())
                pull.read(["name"])
        except OSError as error:
            expected = "'s3://bucket/a.parquet' can't be read from its storage: Disconnected: Server disconnected"
            assert str(error) == expected
        else:
            break
        reads += 1
    # The footer, the batches and the columns.
    assert reads >= 3


def test_what_fails_with_the_rows_of_a_file_is_not_its_storage_s_error(pulled: Path) -> None:
    storage: Any = SimpleNamespace(open=lambda path, mode: io.BytesIO(pulled.read_bytes()))
    with pytest.raises(KeyError, match="^'ours'$"), open_pull(stored_in(storage)):
        raise KeyError("ours")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("private", PermissionError(13, "Permission denied")),
        (".private", PermissionError(13, "Permission denied")),
        ("private", FileNotFoundError(2, "Removed meanwhile")),
    ],
)
def test_a_folder_that_may_not_be_read_is_an_error_unless_it_is_hidden(
    name: str, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / name):
        folder.mkdir(exist_ok=True)
        (folder / "a.parquet").touch()
    scandir = os.scandir

    # The tests may run as root, who may read all.
    def refuse(path: str) -> Any:
        if str(path).endswith("private"):
            error.filename = str(path)
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    if name == "private" and isinstance(error, PermissionError):
        with pytest.raises(PermissionError, match="private"):
            find_files(tmp_path, None)
    else:
        assert [file.location for file in find_files(tmp_path, None)] == [str(tmp_path / "a.parquet")]


def test_a_linked_folder_is_read_once(tmp_path: Path) -> None:
    lake, disk = tmp_path / "lake", tmp_path / "disk"
    for folder in (lake / "2026-09", lake / "2026-10", disk / "days", lake / ".releases" / "5"):
        folder.mkdir(parents=True)
        (folder / "a.parquet").touch()
    for link, target in (
        ("2026-11", disk), ("latest", lake / "2026-10"), ("2026-10/all", lake), ("2026-08", tmp_path / "gone"),
        # Hidden links do not count, and a link may lead to what is hidden.
        ("2026-09/_next", lake / "2026-10"), ("2026-10/_previous", lake / "2026-09"), ("current", lake / ".releases/5"),
    ):  # fmt: skip
        (lake / link).symlink_to(target)
    expected = ["2026-09/a.parquet", "2026-10/a.parquet", "2026-11/days/a.parquet", "current/a.parquet"]
    assert locations(lake, str(lake)) == [f"/{name}" for name in expected]
    assert locations(f"{lake}/2026-1*", str(lake))[-1] == "/2026-11/days/a.parquet"


@pytest.mark.parametrize("source", ["memory://bucket", "memory://bucket/*/a.parquet"])
def test_errors_of_a_storage_name_the_folder_that_can_not_be_listed(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, path: str, **options: Any) -> Any:
        raise Disconnected("Server disconnected")

    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda self: fsspec.filesystem("memory")))
    for name in ("isdir", "find", "glob"):
        monkeypatch.setattr(MemoryFileSystem, name, fail)
    # Airflow 2.11 has a third slash.
    location = re.escape(source).replace("://", ":///?")
    with pytest.raises(OSError, match=f"^'{location}' can't be listed in its storage: Disconnected: Server disc"):
        find_files([source], None)

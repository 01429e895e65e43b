"""Test which files a source has, in a local folder and in an object storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.report.files import default_target, find_files

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


def test_only_one_file_has_a_default_target(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("")
    for source, target in (
        (tmp_path / "a.parquet", f"{tmp_path}/a.html"),
        (tmp_path, None),
        (f"{tmp_path}/*.parquet", None),
        ([tmp_path / "a.parquet"], None),
    ):
        assert default_target(source, find_files(source, None)) == target

from __future__ import annotations

import json
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.destination import Destination, JsonLines, XComRows, open_destination
from airflow_provider_make.exceptions import MakeInputError

SUMMARY = {"organization_id": 42, "row_count": 2}
ROWS: list[dict[str, Any]] = [
    {"name": "Žluťoučký\u2028kůň 🐎\n", "centicredits": "9" * 30, "error_rate": None},
    {"name": '"', "n": [1.5]},
]
XCOM: dict[str, Any] = {
    "output_path": None,
    "output_format": None,
    "storage_conn_id": None,
    "max_xcom_bytes": 1_048_576,
}


def write(destination: Destination, *pages: Iterable[dict[str, Any]]) -> dict[str, Any]:
    with destination as opened:
        for page in pages:
            opened.add(page)
        return opened.publish(SUMMARY)


def to_file(path: object, output_format: str | None = None) -> Destination:
    return open_destination(**{**XCOM, "output_path": path, "output_format": output_format})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@contextmanager
def small_disk(largest_file: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_go_to_xcom() -> None:
    destination = open_destination(**XCOM)
    assert isinstance(destination, XComRows)
    result = write(destination, ROWS[:1], [], iter(ROWS[1:]))
    assert result == {**SUMMARY, "path": None, "format": None, "bytes": None, "rows": ROWS}


def test_no_rows_go_to_xcom_as_an_empty_list() -> None:
    assert write(XComRows(1000))["rows"] == []


def test_xcom_takes_max_xcom_bytes_and_not_one_more() -> None:
    size = len(json.dumps(write(XComRows(10**6), ROWS)).encode())
    assert write(XComRows(size), ROWS)["rows"] == ROWS
    with pytest.raises(MakeInputError, match=f"{size} bytes.*max_xcom_bytes={size - 1}.*output_path"):
        write(XComRows(size - 1), ROWS)


def test_too_many_rows_are_refused_before_all_are_there() -> None:
    with XComRows(1000) as destination, pytest.raises(MakeInputError, match="max_xcom_bytes=1000.*output_path"):
        for number in range(100):
            destination.add([{"id": number, "name": "x" * 20}])
    assert number < 50


@pytest.mark.parametrize("value", [0, -1, None, True, 1.5, "x"])
def test_bad_max_xcom_bytes_is_named(value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        open_destination(**{**XCOM, "max_xcom_bytes": value})
    assert f"max_xcom_bytes={value!r}" in str(caught.value)


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "folders" / "rows.jsonl"
    destination = to_file(path)
    assert isinstance(destination, JsonLines)
    result = write(destination, ROWS[:1], [], ROWS[1:])
    assert result == {**SUMMARY, "path": str(path), "format": "jsonl", "bytes": path.stat().st_size}
    text = path.read_bytes().decode()
    assert text.endswith("\n")
    assert [json.loads(line) for line in text.removesuffix("\n").split("\n")] == ROWS
    assert "🐎" in text
    assert files(tmp_path) == ["missing/folders/rows.jsonl"]


@pytest.mark.parametrize("output_format", [None, "jsonl"])
def test_file_url(tmp_path: Path, output_format: str | None) -> None:
    result = write(to_file(f"file://{tmp_path}/rows.jsonl", output_format), ROWS)
    assert result["path"] == f"file://{tmp_path}/rows.jsonl"
    assert files(tmp_path) == ["rows.jsonl"]


def test_format_may_be_given_for_any_name(tmp_path: Path) -> None:
    assert write(to_file(tmp_path / "rows", "jsonl"), ROWS)["format"] == "jsonl"
    assert files(tmp_path) == ["rows"]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    assert write(to_file(tmp_path / "rows.jsonl"))["bytes"] == 0
    assert (tmp_path / "rows.jsonl").read_bytes() == b""


def test_rerun_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(to_file(path), ROWS * 100)
    write(to_file(path), [{"n": 1}])
    assert path.read_bytes() == b'{"n":1}\n'
    assert files(tmp_path) == ["rows.jsonl"]


@pytest.mark.parametrize("old", [None, b"old\n"])
def test_nothing_is_published_when_the_block_raises(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "new" / "rows.jsonl" if old is None else tmp_path / "rows.jsonl"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(RuntimeError, match="the pull failed"), to_file(path) as destination:
        destination.add(ROWS)
        raise RuntimeError("the pull failed")
    assert files(tmp_path) == ([] if old is None else ["rows.jsonl"])
    assert old is None or path.read_bytes() == old


@pytest.mark.parametrize("old", [None, b"old\n"])
def test_disk_that_fills_up_leaves_the_old_file_and_no_part(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "rows.jsonl"
    if old is not None:
        path.write_bytes(old)
    with to_file(path) as destination:
        destination.add([{"name": "x" * 1_000_000}])
        with small_disk(65_536), pytest.raises(OSError, match="File too large"):
            destination.publish(SUMMARY)
    assert files(tmp_path) == ([] if old is None else ["rows.jsonl"])
    assert old is None or path.read_bytes() == old


def test_target_that_is_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    (tmp_path / "rows.jsonl" / "mine").write_text("mine")
    with pytest.raises(OSError, match="rows.jsonl"):
        write(to_file(tmp_path / "rows.jsonl"), ROWS)
    assert files(tmp_path) == ["rows.jsonl/mine"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"output_path": ""}, "output_path=''"),
        ({"output_path": "  "}, "output_path='  '"),
        ({"output_path": "/tmp/rows.xlsx"}, "output_path='/tmp/rows.xlsx'"),
        ({"output_path": "s3://bucket/rows"}, "output_path='s3://bucket/rows'"),
        ({"output_path": "/tmp/rows.jsonl", "output_format": "xlsx"}, "output_format='xlsx'"),
        ({"output_path": "/tmp/rows.jsonl", "output_format": ""}, "output_format=''"),
        ({"output_path": "/tmp/rows.jsonl", "output_format": "JSONL"}, "output_format='JSONL'"),
        ({"output_format": "jsonl"}, "output_format='jsonl'"),
        ({"storage_conn_id": "aws_default"}, "storage_conn_id='aws_default'"),
    ],
)
def test_bad_format_or_path_is_named(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        open_destination(**{**XCOM, **arguments})
    assert told in str(caught.value)


# The second is a scheme of fsspec's that Airflow has no provider for.
@pytest.mark.parametrize("scheme", ["nowhere", "memory"])
def test_unknown_url_scheme_fails_before_any_row(scheme: str) -> None:
    with pytest.raises(MakeInputError, match=scheme), to_file(f"{scheme}://bucket/rows.jsonl"):
        pytest.fail("the block must not begin")

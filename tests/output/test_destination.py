"""Destinations: the rows of all added entries are published to XCom or an object, or none are."""

from __future__ import annotations

import gc
import json
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError, MakeResponseError
from airflow_provider_make.output import formats
from airflow_provider_make.output.destination import Destination, ObjectDestination, XComDestination
from airflow_provider_make.output.rows import TEXT_COLUMNS
from airflow_provider_make.text import replace_unprintable
from tests.support.destinations import destination_for
from tests.support.entries import BUILDER, SUMMARY, entries, entry

Page = Sequence[ScenarioMetrics]
SUFFIXES = ["parquet", "jsonl", "csv", "jsonl.gz", "csv.gz"]
ENTRIES = [entry(1, name="Žluťoučký\u2028kůň 🐎\n", centicredits=10**30, errorRate=None), entry(2, name='"', new=[1.5])]
ROWS = list(BUILDER.rows(ENTRIES))
MANY = [entry(number, name=f"Scenario {number}") for number in range(2000)]


def write(destination: Destination, *passes: Sequence[Page]) -> dict[str, Any]:
    with destination as opened:
        for pages in passes or [[]]:
            opened.begin(BUILDER)
            for page in pages:
                opened.add(page)
        return opened.publish(SUMMARY)


def write_file(path: Path, *passes: Sequence[Page]) -> bytes:
    write(destination_for(path), *passes)
    return path.read_bytes()


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


def test_rows_are_returned_for_xcom() -> None:
    destination = destination_for(None)
    assert isinstance(destination, XComDestination)
    result = write(destination, [ENTRIES[:1], [], ENTRIES[1:]])
    assert result == {**SUMMARY, "path": None, "format": None, "bytes": None, "rows": ROWS}


def test_no_rows_are_an_empty_list_in_xcom() -> None:
    assert write(XComDestination(1000))["rows"] == []


@given(st.lists(entries, max_size=3))
def test_xcom_accepts_max_xcom_bytes_and_not_one_more(some: list[ScenarioMetrics]) -> None:
    result = write(XComDestination(10**9), [some])
    size = len(json.dumps(result).encode())
    assert write(XComDestination(size), [some]) == result
    with pytest.raises(MakeInputError, match=f"max_xcom_bytes={size - 1}.*output_path"):
        write(XComDestination(size - 1), [some])


def test_too_many_rows_for_xcom_raise_before_all_are_added() -> None:
    with XComDestination(10_000) as destination:
        destination.begin(BUILDER)
        with pytest.raises(MakeInputError, match="first .* rows alone.*max_xcom_bytes=10000.*output_path"):
            for number in range(100):
                destination.add([entry(number)])
    assert number < 50


def test_begin_discards_earlier_rows_for_xcom() -> None:
    size = len(json.dumps(write(XComDestination(10**6), [ENTRIES])))
    assert write(XComDestination(size), [ENTRIES], [ENTRIES], [ENTRIES])["rows"] == ROWS


@pytest.mark.parametrize("value", [0, -1, None, True, 1.5, "x"])
def test_error_names_invalid_max_xcom_bytes(value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        destination_for(None, max_xcom_bytes=value)
    assert f"max_xcom_bytes={value!r}" in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_written_to_an_object(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "folders" / f"rows.{suffix}"
    destination = destination_for(path)
    assert isinstance(destination, ObjectDestination)
    result = write(destination, [ENTRIES[:1], [], ENTRIES[1:]])
    format_name = suffix.removesuffix(".gz")
    assert result == {**SUMMARY, "path": str(path), "format": format_name, "bytes": path.stat().st_size}
    assert result["bytes"] > 0
    assert files(tmp_path) == [f"missing/folders/rows.{suffix}"]


def test_json_lines_equal_the_rows_for_xcom(tmp_path: Path) -> None:
    lines = write_file(tmp_path / "rows.jsonl", [ENTRIES]).decode().removesuffix("\n").split("\n")
    replaced = [
        {**row, **{column: row[column] and replace_unprintable(row[column]) for column in TEXT_COLUMNS}}
        for row in map(json.loads, lines)
    ]
    assert replaced == ROWS


@pytest.mark.parametrize("output_format", [None, "jsonl"])
def test_output_path_may_be_a_file_url(tmp_path: Path, output_format: str | None) -> None:
    result = write(destination_for(f"file://{tmp_path}/new/rows.jsonl", output_format=output_format), [ENTRIES])
    assert result["path"] == f"file://{tmp_path}/new/rows.jsonl"
    assert files(tmp_path) == ["new/rows.jsonl"]


def test_output_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write(destination_for("rows.jsonl"), [ENTRIES])["path"] == str(tmp_path / "rows.jsonl")
    write(destination_for("new/rows.jsonl"), [ENTRIES])
    assert files(tmp_path) == ["new/rows.jsonl", "rows.jsonl"]


@pytest.mark.parametrize("output_format", ["parquet", "jsonl", "csv"])
def test_output_format_allows_a_path_without_suffix(output_format: str, tmp_path: Path) -> None:
    assert write(destination_for(tmp_path / "rows", output_format=output_format), [ENTRIES])["format"] == output_format
    assert (tmp_path / "rows").read_bytes()[:4] == {"parquet": b"PAR1", "jsonl": b'{"or', "csv": b"orga"}[output_format]


@pytest.mark.parametrize("csv_safe", [False, True])
def test_formulas_are_escaped_only_with_csv_safe(csv_safe: bool, tmp_path: Path) -> None:
    write(destination_for(tmp_path / "rows.csv", csv_safe=csv_safe), [[entry(name="=1")]])
    assert (b'''"'=1"''' in (tmp_path / "rows.csv").read_bytes()) == csv_safe


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rerun_replaces_the_whole_file(suffix: str, tmp_path: Path) -> None:
    once = write_file(tmp_path / f"once.{suffix}", [ENTRIES])
    write_file(tmp_path / f"rows.{suffix}", [MANY])
    assert write_file(tmp_path / f"rows.{suffix}", [ENTRIES]) == once
    assert files(tmp_path) == [f"once.{suffix}", f"rows.{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("earlier", [[[]], [[[entry(9)]]], [[MANY, MANY], [], [MANY]]])
@pytest.mark.parametrize("last", [[], [ENTRIES], [MANY]])
def test_begin_discards_earlier_entries(
    suffix: str, earlier: list[list[Page]], last: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "ROW_GROUP", 1500)
    once = write_file(tmp_path / f"once.{suffix}", last)
    destination = destination_for(tmp_path / f"again.{suffix}")
    with destination as opened:
        for pages in [*earlier, last]:
            opened.begin(BUILDER)
            for page in pages:
                opened.add(page)
                # Discarded writers must not write again.
                gc.collect(0)
        opened.publish(SUMMARY)
    assert (tmp_path / f"again.{suffix}").read_bytes() == once


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("old", [None, b"old\n"])
@pytest.mark.parametrize("pages", [[], [ENTRIES], [MANY] * 3])
def test_nothing_is_published_when_the_block_raises(
    suffix: str, old: bytes | None, pages: list[Page], tmp_path: Path
) -> None:
    path = tmp_path / "new" / f"rows.{suffix}" if old is None else tmp_path / f"rows.{suffix}"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(RuntimeError, match="the pull failed"), destination_for(path) as destination:
        destination.begin(BUILDER)
        for page in pages:
            destination.add(page)
        raise RuntimeError("the pull failed")
    assert files(tmp_path) == ([] if old is None else [f"rows.{suffix}"])
    assert old is None or path.read_bytes() == old


def test_centicredits_of_39_digits_are_not_published_to_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_file(path, [ENTRIES])
    old = path.read_bytes()
    with pytest.raises(MakeResponseError, match=r"does not fit into Parquet.*39"):
        write(destination_for(path), [ENTRIES, [entry(centicredits=10**38)]])
    assert path.read_bytes() == old
    assert files(tmp_path) == ["rows.parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_leaves_the_existing_file_unchanged_and_no_part(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(b"old\n")
    with destination_for(path) as destination:
        destination.begin(BUILDER)
        destination.add(MANY)
        with small_disk(2000), pytest.raises(OSError, match="File too large"):
            destination.publish(SUMMARY)
    assert files(tmp_path) == [f"rows.{suffix}"]
    assert path.read_bytes() == b"old\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_spool_leaves_the_existing_file_unchanged_and_no_part(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spools").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spools"))
    monkeypatch.setattr(formats, "ROW_GROUP", 1500)
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(b"old\n")
    # The spool has no name of its own. Also the disk is full when it is closed.
    message = r"File too large; temporary files need more space, or another folder in TMPDIR: .*spools"
    with small_disk(8192), pytest.raises(OSError, match=message), destination_for(path) as destination:
        destination.begin(BUILDER)
        # Python 3.14 buffers 128 KiB of a file.
        for _ in range(400):
            destination.add(MANY)
    assert path.read_bytes() == b"old\n"
    assert files(tmp_path) == [f"rows.{suffix}"]


def test_folder_created_during_the_pull_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with destination_for(path) as destination:
        destination.begin(BUILDER)
        path.mkdir()
        with pytest.raises(OSError, match="rows.jsonl"):
            destination.publish(SUMMARY)
    assert path.is_dir()
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "known"), [(None, None), ("/tmp/rows.jsonl", "/tmp/rows.jsonl"), ("/tmp/../a.csv", "/a.csv")]
)
def test_path_is_known_before_the_rows_are(path: str | None, known: str | None) -> None:
    assert destination_for(path).path == known


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"path": ""}, "output_path=''"),
        ({"path": "/tmp/rows.xlsx"}, "output_path='/tmp/rows.xlsx'"),
        ({"path": "s3://bucket/rows"}, "output_path='s3://bucket/rows'"),
        ({"path": "/tmp/rows.jsonl", "output_format": "xlsx"}, "output_format='xlsx'"),
        ({"output_format": "jsonl"}, "output_format='jsonl'"),
        ({"storage_conn_id": "aws_default"}, "storage_conn_id='aws_default'"),
        ({"csv_safe": True}, "csv_safe=True is not valid: expected an output_path with it"),
        ({"csv_safe": "False", "path": "/tmp/rows.csv"}, "csv_safe='False'"),
        ({"csv_safe": None, "path": "/tmp/rows.csv"}, "csv_safe=None"),
        ({"path": "/tmp/folder/", "output_format": "csv"}, "output_path='/tmp/folder/'"),
        ({"path": "s3://bucket.csv"}, "output_path='s3://bucket.csv'"),
    ],
)
def test_error_names_the_invalid_format_or_path(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        destination_for(**{"path": None, **arguments})
    assert named in str(caught.value)


# fsspec knows the second scheme, but Airflow has no provider for it.
@pytest.mark.parametrize("scheme", ["nowhere", "memory"])
def test_unknown_url_scheme_raises_before_any_row(scheme: str) -> None:
    with pytest.raises(MakeInputError, match=scheme), destination_for(f"{scheme}://bucket/rows.jsonl"):
        pytest.fail("the block must not begin")

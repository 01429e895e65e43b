"""Files of every format, read back with pyarrow, DuckDB, and Python's csv, json and gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make import __version__
from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError, MakeResponseError
from airflow_provider_make.output import formats
from airflow_provider_make.output.formats import ROW_GROUP, choose_format, open_writer, parquet_schema
from tests.support.entries import BUILDER, COUNTS, DOCUMENTED, RATES, SUMMARY, TEXTS, TIMES, entry, pages, truth

INTEGERS = ("organization_id", "scenario_id", "team_id", *COUNTS)
SQL_TYPES = {
    **dict.fromkeys(DOCUMENTED, "VARCHAR"),
    **dict.fromkeys(INTEGERS, "BIGINT"),
    **dict.fromkeys(RATES, "DOUBLE"),
    **dict.fromkeys(TIMES, "TIMESTAMPTZ"),
    "centicredits": "DECIMAL(38, 0)",
}
FROM_TEXT: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(DOCUMENTED, str),
    **dict.fromkeys(INTEGERS, int),
    **dict.fromkeys(RATES, float),
    **dict.fromkeys(TIMES, datetime.fromisoformat),
    "centicredits": int,
    "extra": json.loads,
}
SUFFIXES = ["parquet", "jsonl", "csv", "jsonl.gz", "csv.gz"]
Rows = list[dict[str, Any]]


def write(file: io.BytesIO, suffix: str, some: Iterable[Sequence[ScenarioMetrics]], *, csv_safe: bool = False) -> bytes:
    name, compressed = choose_format(f"rows.{suffix}", None)
    writer = open_writer(name, file, BUILDER, compressed=compressed, csv_safe=csv_safe)
    for page in some:
        writer.write(page)
    writer.close(SUMMARY)
    return file.getvalue()


def content_of(suffix: str, *some: Sequence[ScenarioMetrics], csv_safe: bool = False) -> bytes:
    return write(io.BytesIO(), suffix, some, csv_safe=csv_safe)


def normalize(rows: Iterable[dict[str, Any]]) -> Rows:
    """Convert the values of rows to the types of ``truth``."""

    def convert(column: str, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        if isinstance(value, Decimal):
            return int(value)
        return json.loads(value) if column == "extra" and isinstance(value, str) else value

    return [{column: convert(column, value) for column, value in row.items()} for row in rows]


def read_with_pyarrow(path: str) -> Rows:
    return normalize(pyarrow.parquet.read_table(path).to_pylist())


def read_with_json(path: str) -> Rows:
    content = Path(path).read_bytes()
    text = (gzip.decompress(content) if path.endswith(".gz") else content).decode()
    assert not text or text.endswith("\n")
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    return [
        {name: FROM_TEXT[name](cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows
    ]


def read_with_csv(path: str) -> Rows:
    content = Path(path).read_bytes()
    text = (gzip.decompress(content) if path.endswith(".gz") else content).decode()
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [
        {name: FROM_TEXT[name](cell) if cell else None for name, cell in zip(header, line, strict=True)}
        for line in lines
    ]


def read_with_duckdb(path: str) -> Rows:
    name, _ = choose_format(path, None)
    more = {
        "parquet": "",
        "jsonl": f", columns = {SQL_TYPES}, format = 'newline_delimited'",
        "csv": f", columns = {SQL_TYPES}, header = true, auto_detect = false, allow_quoted_nulls = false",
    }[name]
    source = f"read_{name.removesuffix('l')}('{path}'{more})"
    relation = duckdb.sql(f"SELECT * FROM {source}")
    assert relation is not None
    # Through Arrow: DuckDB's own conversion of times needs pytz.
    return normalize(relation.to_arrow_table().to_pylist())


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60, deadline=None)
@given(some=pages, row_group=st.sampled_from([1, 3, ROW_GROUP]))
def test_rows_are_read_back_exactly(suffix: str, some: list[list[ScenarioMetrics]], row_group: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = f"{folder}/rows.{suffix}"
        patch.setattr(formats, "ROW_GROUP", row_group)
        Path(path).write_bytes(content_of(suffix, *some))
        expected = [truth(entry) for page in some for entry in page]
        # As text, in which 1 differs from 1.0, and 0.0 from -0.0.
        assert list(map(repr, read_with_duckdb(path))) == list(map(repr, expected))
        if suffix == "parquet":
            read = read_with_pyarrow(path)
        elif suffix.startswith("jsonl"):
            read = read_with_json(path)
        else:
            # Python's csv can't distinguish empty from missing text.
            read = read_with_csv(path)
            expected = [{**row, **{name: row[name] or None for name in TEXTS}} for row in expected]
        assert list(map(repr, read)) == list(map(repr, expected))


@pytest.mark.parametrize(("suffix", "content"), [("jsonl", b""), ("csv", ",".join(DOCUMENTED).encode() + b"\r\n")])
@pytest.mark.parametrize("some", [[], [[]], [[], []]])
def test_no_entries_in_jsonl_and_csv(suffix: str, content: bytes, some: list[list[ScenarioMetrics]]) -> None:
    assert content_of(suffix, *some) == content
    assert gzip.decompress(content_of(f"{suffix}.gz", *some)) == content


@pytest.mark.parametrize("some", [[], [[]], [[], []]])
def test_no_entries_in_parquet(some: list[list[ScenarioMetrics]]) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(content_of("parquet", *some)))
    assert table.num_rows == 0
    assert table.schema.equals(parquet_schema())


def test_line_of_json() -> None:
    line, end = content_of("jsonl", [entry(name="Žlutý\n🐎", centicredits=10**38, errorRate=2.0, new=[1])]).split(b"\n")
    assert end == b""
    assert line.decode() == (
        '{"organization_id":42,"scenario_id":7,"imt_id":null,"name":"Žlutý\\n🐎","status":null,"team_id":null,'
        '"team_name":null,"executions":null,"operations":null,"centicredits":"100000000000000000000000000000000000000",'
        '"errors":null,"error_rate":2.0,"executions_change":null,"operations_change":null,"centicredits_change":null,'
        '"errors_change":null,"error_rate_change":null,"date_from":"2026-01-31T00:00:00Z","date_to":null,'
        '"extracted_at":"2026-02-28T23:59:58Z","extra":"{\\"new\\":[1]}"}'
    )


def test_line_of_csv() -> None:
    fields: dict[str, Any] = {
        "imtId": "",
        "name": 'a "b",\r\nc',
        "teamId": 3,
        "centicredits": 10**38,
        "errorRate": -2.5,
        "new": None,
    }
    header, line = content_of("csv", [entry(**fields)]).decode().split("\r\n", 1)
    assert header.split(",") == DOCUMENTED
    assert line == (
        '42,7,"","a ""b"",\r\nc",,3,,,,100000000000000000000000000000000000000,,-2.5,,,,,,'
        '2026-01-31T00:00:00Z,,2026-02-28T23:59:58Z,"{""new"":null}"\r\n'
    )


def cells(entry: ScenarioMetrics, *, csv_safe: bool) -> list[str]:
    return list(csv.reader(io.StringIO(content_of("csv", [entry], csv_safe=csv_safe).decode(), newline="")))[1]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("some", [[], [[entry(name="Übersicht")]]])
def test_csv_for_spreadsheets_begins_with_one_byte_order_mark(suffix: str, some: list[list[ScenarioMetrics]]) -> None:
    safe, plain = (content_of(suffix, *some, csv_safe=csv_safe) for csv_safe in (True, False))
    if suffix == "csv.gz":
        safe, plain = gzip.decompress(safe), gzip.decompress(plain)
    # Without it, Excel reads another encoding than UTF-8.
    assert safe == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize("field", ["imtId", "name", "status", "teamName"])
@pytest.mark.parametrize(
    "formula",
    [
        *("=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\0x", "=", '="a","b"', "\n=1", "\0=1", "\r\n=1"),
        *("\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"),
        # White space that a spreadsheet may remove.
        *(" =1", "  -1", "\u00a0@x", "\u3000\uff1d1", "\ufeff=1", "\v+1", " \0=1"),
    ],
)
def test_formulas_are_escaped_with_csv_safe(field: str, formula: str) -> None:
    named: dict[str, Any] = {field: formula}
    plain = cells(entry(**named), csv_safe=False)
    assert formula in plain
    escaped = [f"'{cell}" if cell == formula else cell for cell in plain]
    assert cells(entry(**named), csv_safe=True) == escaped


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a=1", "status": " 1=1", "teamName": "'=1", "imtId": ""},
        {"name": "a\n=1", "status": "\u2212 1", "teamName": " ", "imtId": "|%"},
        {"errorRateChange": -12.5, "executionsChange": 1e300, "number": -5},
        {"new": "=1"},
        {},
    ],
)
def test_only_formulas_are_escaped(fields: dict[str, Any]) -> None:
    assert cells(entry(**fields), csv_safe=True) == cells(entry(**fields), csv_safe=False)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_only_csv_is_escaped(suffix: str) -> None:
    assert content_of(suffix, [entry(name="=1")], csv_safe=True) == content_of(suffix, [entry(name="=1")])


def test_parquet_has_the_documented_schema() -> None:
    whole, rate, text = pyarrow.int64(), pyarrow.float64(), pyarrow.string()
    time = pyarrow.timestamp("us", tz="UTC")
    types = [whole, whole, text, text, text, whole, text, whole, whole, pyarrow.decimal128(38, 0), whole]
    types += [rate] * 6 + [time] * 3 + [text]
    documented = pyarrow.schema(list(zip(DOCUMENTED, types, strict=True)))
    assert parquet_schema().equals(documented)
    read = pyarrow.parquet.read_schema(io.BytesIO(content_of("parquet", [entry(), entry(centicredits=1)])))
    assert read.equals(documented)


def columns_of(content: bytes) -> dict[str, Any]:
    group = pyarrow.parquet.read_metadata(io.BytesIO(content)).row_group(0)
    return {name: group.column(number) for number, name in enumerate(DOCUMENTED)}


def test_parquet_is_compressed_and_has_dictionaries_for_repeated_values() -> None:
    some = [entry(n, name=f"n{n}", status="active", teamId=3, teamName="Ops", executions=n) for n in range(1000)]
    columns = columns_of(content_of("parquet", some))
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    dictionaries = {name for name, column in columns.items() if column.has_dictionary_page}
    assert dictionaries == {"organization_id", "status", "team_id", "team_name", *TIMES}


@pytest.mark.parametrize(("page", "groups"), [(1000, 4), (ROW_GROUP, 4), (100_000, 2)])
def test_row_groups_contain_many_pages(page: int, groups: int) -> None:
    some = [[entry()] * page for _ in range(0, 200_000, page)]
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(content_of("parquet", *some)))
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(sizes) == metadata.num_rows == sum(map(len, some))
    assert all(ROW_GROUP <= size < ROW_GROUP + page for size in sizes[:-1])
    assert len(sizes) == groups


def test_few_rows_are_one_row_group() -> None:
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(content_of("parquet", *[[entry(n)] for n in range(500)], [])))
    assert (metadata.num_row_groups, metadata.num_rows) == (1, 500)


def test_many_tiny_pages_keep_all_rows_in_order() -> None:
    some = [[entry(n)] for n in range(2000)]
    table = pyarrow.parquet.read_table(io.BytesIO(content_of("parquet", *some)))
    assert table.column("scenario_id").to_pylist() == list(range(2000))


def test_parquet_metadata_contains_the_summary() -> None:
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(content_of("parquet", [entry()]))).metadata
    assert json.loads(metadata[b"make_analytics"]) == {**SUMMARY, "provider_version": __version__}


@pytest.mark.parametrize("number", [0, 1])
def test_centicredits_of_39_digits_do_not_fit_into_parquet(number: int) -> None:
    some = [entry(1, centicredits=10**38 - 1), entry(2, centicredits=10**38 - 1)]
    some[number] = entry(3, centicredits=10**38)
    writer = open_writer("parquet", io.BytesIO(), BUILDER, compressed=False, csv_safe=False)
    with pytest.raises(MakeResponseError, match=r"does not fit into Parquet.*precision 39"):
        writer.write(some)
    writer.close(None)
    assert centicredits_by_line(content_of("jsonl", some)) == centicredits_by_line(
        gzip.decompress(content_of("jsonl.gz", some))
    )


def centicredits_by_line(content: bytes) -> list[str]:
    return [json.loads(line)["centicredits"] for line in content.splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl.gz", "csv.gz"])
def test_compressed_bytes_depend_only_on_the_rows(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = content_of(suffix, [entry(n) for n in range(1000)])
    monkeypatch.setattr("time.time", lambda: 1e9)
    with (tmp_path / "named").open("w+b") as file:
        writer = open_writer(suffix.removesuffix(".gz"), file, BUILDER, compressed=True, csv_safe=False)
        writer.write([entry(n) for n in range(1000)])
        writer.close({})
        file.seek(0)
        assert file.read() == once
    # The gzip header has neither a time nor a name.
    assert once[3:8] == bytes(5)


@pytest.mark.parametrize(
    ("path", "output_format", "chosen"),
    [
        ("/a/rows.parquet", None, ("parquet", False)),
        ("/a/rows.jsonl", None, ("jsonl", False)),
        ("s3://bucket/a.b/rows.csv", None, ("csv", False)),
        ("rows.jsonl.gz", None, ("jsonl", True)),
        ("rows.csv.gz", None, ("csv", True)),
        ("rows.parquet.csv", None, ("csv", False)),
        ("rows", "parquet", ("parquet", False)),
        ("rows", "jsonl", ("jsonl", False)),
        ("rows.json", "jsonl", ("jsonl", False)),
        ("rows.gz", "csv", ("csv", True)),
        ("rows.csv", "jsonl", ("jsonl", False)),
        ("rows.csv.gz", "jsonl", ("jsonl", True)),
        ("rows.parquet", "csv", ("csv", False)),
        ("rows.parquet.gz", "csv", ("csv", True)),
        ("rows.jsonl", "parquet", ("parquet", False)),
    ],
)
def test_format_is_chosen_by_argument_or_suffix(path: str, output_format: str | None, chosen: tuple[str, bool]) -> None:
    assert choose_format(path, output_format) == chosen


@pytest.mark.parametrize(
    ("path", "output_format", "named"),
    [
        ("rows.parquet.gz", None, "output_path='rows.parquet.gz'.*without .gz"),
        ("rows.gz", "parquet", "output_path='rows.gz'.*without .gz"),
        ("rows", None, "output_path='rows'.*output_format"),
        ("rows.gz", None, "output_path='rows.gz'"),
        ("rows.xlsx", None, "output_path='rows.xlsx'.*.parquet, .jsonl, .csv, .jsonl.gz or .csv.gz"),
        ("rows.json", None, "output_path='rows.json'"),
        ("rows.jsonl.bz2", None, "output_path='rows.jsonl.bz2'"),
        ("rowsjsonl", None, "output_path='rowsjsonl'"),
        ("rows.JSONL", None, "output_path='rows.JSONL'"),
        ("rows.csv.GZ", None, "output_path='rows.csv.GZ'"),
        ("folder.csv/", None, "output_path='folder.csv/'"),
        ("rows.jsonl", "xlsx", "output_format='xlsx'.*parquet, jsonl, csv"),
        ("rows.jsonl", "JSONL", "output_format='JSONL'"),
        ("rows.jsonl", "jsonl.gz", "output_format='jsonl.gz'"),
        ("rows.jsonl", ".jsonl", "output_format='.jsonl'"),
        ("rows.jsonl", "", "output_format=''"),
        ("rows.jsonl", ["jsonl"], r"output_format=\['jsonl'\]"),
    ],
)
def test_other_formats_raise(path: str, output_format: Any, named: str) -> None:
    with pytest.raises(MakeInputError, match=named):
        choose_format(path, output_format)


@pytest.mark.parametrize(("path", "output_format"), [("rows.parquet", None), ("rows", "parquet")])
def test_parquet_without_pyarrow_says_what_to_install(
    path: str, output_format: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "pyarrow" else pytest.fail(name))
    with pytest.raises(MakeInputError, match=r"Install it: pip install pyarrow\."):
        choose_format(path, output_format)
    assert choose_format("rows.csv", None) == ("csv", False)


# Print how much the peak of memory grows from 30,000 entries to 100,000, which need 80 MB as dicts.
PEAK = """
import re, sys, tempfile
from pathlib import Path
from airflow_provider_make.output.formats import open_writer
from tests.support.entries import BUILDER, entry

page = [
    entry(n, name=f"Scenario {n}", status="active", executions=n, centicredits=10**20 + n, errorRate=n / 7)
    for n in range(1000)
]
peaks = []
for pages in (30, 100):
    with tempfile.TemporaryFile() as file:
        writer = open_writer(sys.argv[1], file, BUILDER, compressed=False, csv_safe=False)
        for number in range(pages):
            writer.write(page)
        writer.close({})
    peaks.append(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
print(peaks[1] - peaks[0])
"""


@pytest.mark.slow
# Parquet buffers a row group in memory.
@pytest.mark.parametrize(("name", "mebibytes"), [("jsonl", 4), ("csv", 4), ("parquet", 32)])
def test_memory_does_not_grow_with_rows(name: str, mebibytes: int) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PEAK, name], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < mebibytes * 1024

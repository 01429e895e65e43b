"""Odd files for the command that writes a report: a page, or one line and exit code 1."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.report.__main__ import main
from tests.support.entries import entry
from tests.support.pulled_files import write_pull

pytestmark = pytest.mark.slow
SCHEMA = parquet_schema()
INTEGERS = st.sampled_from([None, 0, 1, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
VALUES: dict[pyarrow.DataType, st.SearchStrategy[Any]] = {
    pyarrow.int64(): INTEGERS,
    pyarrow.float64(): st.none() | st.floats(),
    # Also what is no UTF-8.
    pyarrow.string(): st.none()
    | st.binary(max_size=8)
    | st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace")),
    pyarrow.decimal128(38, 0): st.none() | st.decimals(-(10**38) + 1, 10**38 - 1, places=0),
    # Years beyond those of Python, too.
    pyarrow.timestamp("us", "UTC"): INTEGERS,
}
TYPES = st.sampled_from(
    [*VALUES, pyarrow.timestamp("us"), pyarrow.null(), pyarrow.list_(pyarrow.int64()), pyarrow.int8()]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=4), values, max_size=2),
    max_leaves=4,
)
VALID = {"organization_id": 42, "zone": "eu1.make.com", "provider_version": "1", "timezone": "UTC", "filters": {}}
TIMES = st.sampled_from(
    ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
ZONES = st.sampled_from(["Europe/Prague", "../x", "/etc/passwd", "\0", "", "Not/There", "x" * 300])
FIGURES = ("executions", "operations", "errors", "error_rate", "executions_change", "error_rate_change")
TOTALS = st.fixed_dictionaries(
    {},
    optional={
        "centicredits": st.sampled_from(["0", "9" * 400, "9" * 5000, "-1"]),
        **dict.fromkeys(FIGURES, st.integers() | st.floats() | st.sampled_from([10**30, -1, 1e308])),
    },
)
# A valid summary but for some of these.
ODD = {
    "organization_id": st.integers(),
    "zone": st.text(max_size=8),
    "date_from": TIMES,
    "date_to": TIMES,
    "timezone": ZONES,
    "filters": st.dictionaries(st.text(max_size=8), st.lists(st.integers() | st.text(max_size=8), max_size=3)),
}
SUMMARIES = st.builds(
    lambda total, changes, wrong: {**VALID, "total": total, **changes, **wrong},
    TOTALS,
    st.fixed_dictionaries({}, optional=ODD),
    st.just({}) | st.dictionaries(st.sampled_from([*VALID, "total"]), JSON, max_size=1),
)


def report(*arguments: str) -> str | None:
    """Run the command; return its error, or None if it wrote a page."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        code = main(arguments)
    lines = errors.getvalue().splitlines()
    assert (code, len(lines)) in {(0, 0), (1, 1)}
    if code:
        assert out.getvalue() == ""
        return lines[0]
    assert Path(out.getvalue().strip()).read_text(encoding="utf-8").endswith("</html>\n")
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def valid(folder: Path) -> bytes:
    return write_pull(folder / "valid.parquet", [[entry(n, errors=n, executions=30) for n in range(40)]]).read_bytes()


PLACES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=16)), min_size=1, max_size=3
)


@settings(max_examples=150)
@given(changes=PLACES, length=st.just(1.0) | st.floats(0, 1))
def test_damaged_bytes(changes: list[tuple[float, bytes]], length: float, valid: bytes, folder: Path) -> None:
    data = bytearray(valid)
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    path = folder / "damaged.parquet"
    path.write_bytes(data[: int(length * len(data))])
    error = report(str(path))
    assert error is None or str(path) in error


def column(values: list[Any], kind: pyarrow.DataType) -> pyarrow.Array:
    if kind == pyarrow.string():
        # As another writer may leave it: not checked.
        binary = pyarrow.array(values, pyarrow.binary())
        return pyarrow.Array.from_buffers(kind, len(values), binary.buffers(), binary.null_count)
    return pyarrow.array(values, kind)


@settings(max_examples=150)
@given(data=st.data())
def test_odd_values_and_schemas(data: st.DataObject, folder: Path) -> None:
    rows = data.draw(st.integers(0, 3))
    odd = data.draw(st.just({}) | st.dictionaries(st.sampled_from(SCHEMA.names), TYPES, max_size=1))
    kinds = {name: odd.get(name, SCHEMA.field(name).type) for name in SCHEMA.names}
    values = st.fixed_dictionaries({name: VALUES.get(kind, st.none()) for name, kind in kinds.items()})
    drawn = data.draw(st.lists(values, min_size=rows, max_size=rows))
    table = pyarrow.table({name: column([row[name] for row in drawn], kind) for name, kind in kinds.items()})
    if odd:
        table = table.drop_columns(data.draw(st.lists(st.sampled_from(SCHEMA.names), max_size=1)))
    paths = [folder / f"{number}.parquet" for number in range(data.draw(st.integers(1, 2)))]
    for path in paths:
        summary = {"make_analytics": json.dumps(data.draw(SUMMARIES))}
        pq.write_table(table.replace_schema_metadata(summary), path)
    report(*map(str, paths), "-o", str(folder / "report.html"), "--min-executions", "1")

from __future__ import annotations

import itertools
import os
import resource
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.paging.disk_sort import DiskSort
from tests.support.entries import entries as any_entries
from tests.support.entries import entry, make_name, texts


def sort_on_disk(
    entries: Iterable[ScenarioMetrics], column: str, sort_dir: str = "asc", absent_first: bool = False, size: int = 7
) -> list[list[ScenarioMetrics]]:
    with DiskSort(column, sort_dir, absent_first) as disk_sort:
        # As pages: several entries at a time, or none.
        remaining = iter(entries)
        disk_sort.add([])
        while page := list(itertools.islice(remaining, 3)):
            disk_sort.add(page)
        return list(disk_sort.batches(size))


def flat(batches: Iterable[list[ScenarioMetrics]]) -> list[ScenarioMetrics]:
    return [entry for batch in batches for entry in batch]


@pytest.mark.parametrize(
    ("sort_dir", "absent_first", "ids"),
    [
        ("asc", False, [3, 1, 6, 4, 2, 5]),
        ("desc", False, [4, 1, 6, 3, 2, 5]),
        ("asc", True, [2, 5, 3, 1, 6, 4]),
        ("desc", True, [2, 5, 4, 1, 6, 3]),
    ],
)
@pytest.mark.parametrize(
    ("column", "low", "middle", "high"),
    [
        ("executions", 0, 9, 10),
        ("error_rate", -0.5, 0, 1e300),
        ("name", "Z", "a", "é"),
        ("name", "", "\uffff", "\U0001f600"),
    ],
)
def test_sort_order(
    column: str, low: Any, middle: Any, high: Any, sort_dir: str, absent_first: bool, ids: list[int]
) -> None:
    entries = [
        entry(1, **{make_name(column): middle}),
        entry(2),
        entry(3, **{make_name(column): low}),
        entry(4, **{make_name(column): high}),
        entry(5, **{make_name(column): None}),
        entry(6, **{make_name(column): middle}),
    ]
    assert [entry.scenario_id for entry in flat(sort_on_disk(entries, column, sort_dir, absent_first))] == ids


@given(
    st.tuples(st.just("error_rate"), st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
    | st.tuples(st.just("errors"), st.lists(st.none() | st.integers(0, 3) | st.integers(0, 2**63 - 1)))
    | st.tuples(st.just("name"), st.lists(st.none() | st.sampled_from(["a", "B", "é", ""]) | texts)),
    st.sampled_from(["asc", "desc"]),
    st.booleans(),
)
def test_sort_is_stable(drawn: tuple[str, list[Any]], sort_dir: str, absent: bool) -> None:
    column, keys = drawn
    entries = [entry(index, **{make_name(column): key}) for index, key in enumerate(keys)]
    result = [
        (getattr(found, column), found.scenario_id) for found in flat(sort_on_disk(entries, column, sort_dir, absent))
    ]
    assert sorted(number for _, number in result) == list(range(len(keys)))
    for (key, number), (next_key, next_number) in itertools.pairwise(result):
        if key == next_key:
            assert number < next_number
        elif None in (key, next_key):
            assert (key is None) == absent
        else:
            assert (key < next_key) == (sort_dir == "asc")


@given(st.lists(any_entries, max_size=5))
def test_entries_are_restored_exactly(some: list[ScenarioMetrics]) -> None:
    # As text: 0.0 and -0.0 are equal as numbers.
    by_id = sorted(some, key=lambda entry: entry.scenario_id)
    assert repr(flat(sort_on_disk(some, "scenario_id"))) == repr(by_id)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (8, 3, [3, 3, 2]), (9, 3, [3, 3, 3]), (4, 1, [1] * 4), (4, 1000, [4])],
)
def test_sizes_of_batches(count: int, size: int, sizes: list[int]) -> None:
    batches = sort_on_disk((entry(number) for number in range(count)), "scenario_id", size=size)
    assert [len(batch) for batch in batches] == sizes
    assert [entry.scenario_id for entry in flat(batches)] == list(range(count))


@pytest.mark.parametrize("fails", [False, True])
def test_temporary_file_is_removed(fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def open_files() -> int:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return sum(os.path.islink(link) and os.readlink(link).startswith(str(tmp_path)) for link in links)

    try:
        with DiskSort("scenario_id", "asc", False) as disk_sort:
            disk_sort.add([entry(1), entry(2)])
            assert open_files() == 1
            next(disk_sort.batches(1))
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert (open_files(), list(tmp_path.iterdir())) == (0, [])


@pytest.mark.slow
def test_memory_per_entry() -> None:
    count = 40_000

    def entries() -> Iterator[ScenarioMetrics]:
        for number in range(count):
            yield entry(number, executions=10**6 + number * 7919 % count, name="n" * 1000)

    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        with DiskSort("executions", "desc", False) as disk_sort:
            disk_sort.add(entries())
            assert sum(len(batch) for batch in disk_sort.batches(100)) == count
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - before) / count <= 150


def test_full_disk_is_an_error_that_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with (
            pytest.raises(OSError, match="File too large; .* TMPDIR") as caught,
            DiskSort("name", "asc", False) as sort,
        ):
            # What Python buffers is less.
            sort.add(entry(id=number) for number in range(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path)


def test_full_disk_is_an_error_when_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DiskSort("name", "asc", False) as sort:
        sort.add([entry(id=1)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            with pytest.raises(OSError, match="File too large; .* TMPDIR"):
                list(sort.batches(10))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

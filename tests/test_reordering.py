from __future__ import annotations

import itertools
import os
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.answer import ScenarioFigures
from airflow_provider_make.reordering import Reordering

NUMBERS = st.none() | st.integers(0, 3) | st.integers(0, 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.none() | st.sampled_from(["a", "B", "é", ""]) | st.text(max_size=5)
JSON = st.recursive(
    NUMBERS | st.booleans() | st.text() | st.integers(-(10**40), 10**40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def entry(**figures: Any) -> ScenarioFigures:
    return cast(ScenarioFigures, figures)


def reorder(
    entries: Iterable[ScenarioFigures], sort_by: str, sort_dir: str = "asc", absent_first: bool = False, size: int = 7
) -> list[list[ScenarioFigures]]:
    with Reordering(sort_by, sort_dir, absent_first) as reordering:
        # As pages come: several at a time, and some of them empty.
        remaining = iter(entries)
        reordering.add([])
        while page := list(itertools.islice(remaining, 3)):
            reordering.add(page)
        return list(reordering.batches(size))


def flat(batches: Iterable[list[ScenarioFigures]]) -> list[ScenarioFigures]:
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
    ("sort_by", "low", "middle", "high"),
    [
        ("executions", 0, 9, 10),
        ("centicredits", 9, 10**20, 10**20 + 1),
        ("errorRate", -0.5, 0, 1e300),
        ("name", "Z", "a", "é"),
        ("name", "", "\uffff", "\U0001f600"),
    ],
)
def test_the_order(
    sort_by: str, low: Any, middle: Any, high: Any, sort_dir: str, absent_first: bool, ids: list[int]
) -> None:
    entries = [
        entry(id=1, **{sort_by: middle}),
        entry(id=2),
        entry(id=3, **{sort_by: low}),
        entry(id=4, **{sort_by: high}),
        entry(id=5, **{sort_by: None}),
        entry(id=6, **{sort_by: middle}),
    ]
    assert [entry["id"] for entry in flat(reorder(entries, sort_by, sort_dir, absent_first))] == ids


@given(st.lists(NUMBERS) | st.lists(TEXTS), st.sampled_from(["asc", "desc"]), st.booleans())
def test_equal_keys_stay_in_the_order_they_came_in(keys: list[Any], sort_dir: str, absent_first: bool) -> None:
    entries = [entry(id=index, key=key) for index, key in enumerate(keys)]
    result = cast(list[dict[str, Any]], flat(reorder(entries, "key", sort_dir, absent_first)))
    assert sorted(found["id"] for found in result) == list(range(len(keys)))
    for one, next_one in itertools.pairwise(result):
        if one["key"] == next_one["key"]:
            assert one["id"] < next_one["id"]
        elif None in (one["key"], next_one["key"]):
            assert (one["key"] is None) == absent_first
        else:
            assert (one["key"] < next_one["key"]) == (sort_dir == "asc")


@given(st.lists(st.dictionaries(st.text(), JSON), max_size=5), st.integers(0, 10**100), st.text())
def test_entries_come_back_exactly(unknown: list[dict[str, Any]], centicredits: int, name: str) -> None:
    entries = [
        entry(**(fields | {"id": index, "centicredits": centicredits, "name": name}))
        for index, fields in enumerate(unknown)
    ]
    # Of 1, 1.0 and True, and of 0.0 and -0.0, each is equal to the others, but written otherwise.
    assert repr(flat(reorder(entries, "id"))) == repr(entries)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (8, 3, [3, 3, 2]), (9, 3, [3, 3, 3]), (4, 1, [1] * 4), (4, 1000, [4])],
)
def test_the_sizes_of_batches(count: int, size: int, sizes: list[int]) -> None:
    batches = reorder((entry(id=number) for number in range(count)), "id", size=size)
    assert [len(batch) for batch in batches] == sizes
    assert [entry["id"] for entry in flat(batches)] == list(range(count))


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def open_files() -> int:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return sum(os.path.islink(link) and os.readlink(link).startswith(str(tmp_path)) for link in links)

    try:
        with Reordering("id", "asc", False) as reordering:
            reordering.add([entry(id=1), entry(id=2)])
            assert open_files() == 1
            next(reordering.batches(1))
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert (open_files(), list(tmp_path.iterdir())) == (0, [])


def test_memory_for_each_entry() -> None:
    count = 100_000

    def entries() -> Iterator[ScenarioFigures]:
        for number in range(count):
            yield entry(id=number, executions=10**6 + number * 7919 % count, name="n" * 1000)

    tracemalloc.start()
    try:
        begun, _ = tracemalloc.get_traced_memory()
        with Reordering("executions", "desc", False) as reordering:
            reordering.add(entries())
            assert sum(len(batch) for batch in reordering.batches(100)) == count
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - begun) / count <= 150

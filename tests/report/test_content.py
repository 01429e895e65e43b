"""Test a report's content against a calculation in plain Python."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from typing import Any

import pyarrow
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.output.formats import ParquetWriter
from airflow_provider_make.output.rows import RowBuilder
from airflow_provider_make.report.content import COLUMNS, MAX_BARS, Content, summarize
from tests.support.entries import entries, entry
from tests.support.pulled_files import EXTRACTED, FROM, TO, expected_content, summary

SUMMARY = summary(executions=1)
# Few different values, so that there are ties, and teams with several scenarios.
_few_values: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", None]),
    "status": st.sampled_from(["active", "invalid", None]),
    "teamId": st.sampled_from([1, 2, None]),
    "teamName": st.sampled_from(["Sales", "IT", None]),
    "executions": st.sampled_from([0, 19, 20, 2**63 - 1, None]),
    "errors": st.sampled_from([0, 1, 2, None]),
    "errorRate": st.sampled_from([0.0, -0.0, 5e-324, 1.0, 100.0, None]),
    "centicredits": st.sampled_from([0, 1, 10**38 - 1, None]),
}
similar = st.builds(
    lambda number, known: entry(number, **known), st.integers(0, 10**6), st.fixed_dictionaries(_few_values)
)
some = st.lists(entries | similar, max_size=40, unique_by=lambda one: one.scenario_id)


def content_of(entries: Sequence[ScenarioMetrics], rows: int = 16, min_executions: int = 20) -> Content:
    """Return the content of a file with these entries, read in batches of a number of rows."""
    file = io.BytesIO()
    writer = ParquetWriter(file, RowBuilder(42, FROM, TO, EXTRACTED))
    writer.write(entries)
    writer.close({})
    return summarize(SUMMARY, pq.ParquetFile(file).iter_batches(rows, columns=list(COLUMNS)), min_executions)


@given(some, st.integers(1, 50), st.sampled_from([1, 20, 2**63 - 1]))
def test_content_equals_plain_python(entries: list[ScenarioMetrics], rows: int, min_executions: int) -> None:
    assert content_of(entries, rows, min_executions) == expected_content(entries, SUMMARY, min_executions)


def test_content_without_rows_is_empty() -> None:
    assert content_of([]) == Content(SUMMARY, None, 20, (), (), (), (), 0, 0)
    assert content_of([]) == summarize(SUMMARY, [], 20)


def test_columns_without_any_value() -> None:
    content = content_of([entry(number) for number in range(3)])
    assert content == Content(SUMMARY, EXTRACTED, 20, ((None, 3),), (), (), (), 0, 0)


def test_min_executions_applies_to_error_rates_only() -> None:
    few = entry(1, executions=19, errors=19, errorRate=100.0)
    enough = entry(2, executions=20, errors=1, errorRate=5.0)
    content = content_of([few, enough])
    assert [one.scenario_id for one in content.by_error_rate] == [2]
    assert [one.scenario_id for one in content.by_errors] == [1, 2]


def test_the_worst_are_selected_over_all_batches() -> None:
    numbers = list(range(1, 1001))
    random.Random(0).shuffle(numbers)
    content = content_of([entry(n, executions=2000, errors=n, errorRate=n / 20) for n in numbers], rows=7)
    assert [one.errors for one in content.by_errors] == list(range(1000, 1000 - MAX_BARS, -1))
    assert content.by_error_rate == content.by_errors


def test_sums_of_credits_may_exceed_the_type_of_the_column() -> None:
    most = 10**38 - 1
    content = content_of([entry(n, teamId=7, teamName="Sales", centicredits=most) for n in range(100)], rows=9)
    (team,) = content.teams
    assert team.centicredits == 100 * most
    assert isinstance(team.centicredits, int)


def test_other_teams_are_added_up() -> None:
    content = content_of([entry(n, teamId=n, teamName=f"Team {n}", centicredits=n) for n in range(1, 13)])
    assert [team.team_id for team in content.teams] == list(range(12, 2, -1))
    assert (content.other_teams, content.other_centicredits) == (2, 3)


def test_batches_are_released() -> None:
    def batches() -> Any:
        for number in range(40):
            names = [f"{number}-{n}" * 20 for n in range(1000)]
            yield pyarrow.record_batch(
                {**{name: pyarrow.nulls(1000, types[name]) for name in COLUMNS}, "name": names}, schema=schema
            )
            allocated.append(pyarrow.total_allocated_bytes() - before)

    from airflow_provider_make.output.formats import parquet_schema

    schema = pyarrow.schema([parquet_schema().field(name) for name in COLUMNS])
    types = dict(zip(schema.names, schema.types, strict=True))
    allocated: list[int] = []
    before = pyarrow.total_allocated_bytes()
    summarize(SUMMARY, batches(), 20)
    # Not exactly: names differ in length, and when Arrow frees a batch is not fixed.
    assert max(allocated[20:]) < 2 * max(allocated[:20])

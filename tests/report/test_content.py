"""What a report says, against plain Python's account of the same rows."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from typing import Any

import pyarrow
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.response import ScenarioFigures
from airflow_provider_make.output.formats import ParquetWriter
from airflow_provider_make.output.rows import RowMaker
from airflow_provider_make.report.content import COLUMNS, MOST, Report, find_figures
from tests.support.entries import entries, entry
from tests.support.pulled_files import EXTRACTED, FROM, TO, said, summary

SUMMARY = summary(executions=1)
# Few different values, so that there are ties, and teams with several scenarios.
_alike: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b", None]),
    "status": st.sampled_from(["active", "invalid", None]),
    "teamId": st.sampled_from([1, 2, None]),
    "teamName": st.sampled_from(["Sales", "IT", None]),
    "executions": st.sampled_from([0, 19, 20, 2**63 - 1, None]),
    "errors": st.sampled_from([0, 1, 2, None]),
    "errorRate": st.sampled_from([0.0, -0.0, 5e-324, 1.0, 100.0, None]),
    "centicredits": st.sampled_from([0, 1, 10**38 - 1, None]),
}
similar = st.builds(lambda number, known: entry(number, **known), st.integers(0, 10**6), st.fixed_dictionaries(_alike))
some = st.lists(entries | similar, max_size=40, unique_by=lambda one: one.scenario_id)


def found(entries: Sequence[ScenarioFigures], rows: int = 16, min_executions: int = 20) -> Report:
    """What is found in a file of these entries, read in batches of some rows."""
    file = io.BytesIO()
    writer = ParquetWriter(file, RowMaker(42, FROM, TO, EXTRACTED))
    writer.write(entries)
    writer.close({})
    return find_figures(SUMMARY, pq.ParquetFile(file).iter_batches(rows, columns=list(COLUMNS)), min_executions)


@given(some, st.integers(1, 50), st.sampled_from([1, 20, 2**63 - 1]))
def test_figures_are_those_of_plain_python(entries: list[ScenarioFigures], rows: int, min_executions: int) -> None:
    assert found(entries, rows, min_executions) == said(entries, SUMMARY, min_executions)


def test_nothing_is_said_about_no_rows() -> None:
    assert found([]) == Report(SUMMARY, None, 20, (), (), (), (), 0, 0)
    assert found([]) == find_figures(SUMMARY, [], 20)


def test_columns_without_any_value() -> None:
    report = found([entry(number) for number in range(3)])
    assert report == Report(SUMMARY, EXTRACTED, 20, ((None, 3),), (), (), (), 0, 0)


def test_few_executions_are_no_news_but_their_errors_are() -> None:
    few = entry(1, executions=19, errors=19, errorRate=100.0)
    enough = entry(2, executions=20, errors=1, errorRate=5.0)
    report = found([few, enough])
    assert [one.scenario_id for one in report.by_error_rate] == [2]
    assert [one.scenario_id for one in report.by_errors] == [1, 2]


def test_the_worst_come_from_every_batch() -> None:
    numbers = list(range(1, 1001))
    random.Random(0).shuffle(numbers)
    report = found([entry(n, executions=2000, errors=n, errorRate=n / 20) for n in numbers], rows=7)
    assert [one.errors for one in report.by_errors] == list(range(1000, 1000 - MOST, -1))
    assert report.by_error_rate == report.by_errors


def test_credits_add_up_beyond_what_a_column_holds() -> None:
    most = 10**38 - 1
    report = found([entry(n, teamId=7, teamName="Sales", centicredits=most) for n in range(100)], rows=9)
    (team,) = report.teams
    assert team.centicredits == 100 * most
    assert isinstance(team.centicredits, int)


def test_teams_beyond_the_largest_are_counted_together() -> None:
    report = found([entry(n, teamId=n, teamName=f"Team {n}", centicredits=n) for n in range(1, 13)])
    assert [team.team_id for team in report.teams] == list(range(12, 2, -1))
    assert (report.further_teams, report.further_centicredits) == (2, 3)


def test_batches_are_let_go() -> None:
    def batches() -> Any:
        for number in range(40):
            names = [f"{number}-{n}" * 20 for n in range(1000)]
            yield pyarrow.record_batch(
                {**{name: pyarrow.nulls(1000, kinds[name]) for name in COLUMNS}, "name": names}, schema=schema
            )
            held.append(pyarrow.total_allocated_bytes() - before)

    from airflow_provider_make.output.formats import parquet_schema

    schema = pyarrow.schema([parquet_schema().field(name) for name in COLUMNS])
    kinds = dict(zip(schema.names, schema.types, strict=True))
    held: list[int] = []
    before = pyarrow.total_allocated_bytes()
    find_figures(SUMMARY, batches(), 20)
    assert max(held[20:]) <= max(held[:20])

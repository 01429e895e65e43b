"""Test that parameters are parsed strictly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import parse_qsl

import pytest

from airflow_provider_make.sandbox.faults import Refusal
from airflow_provider_make.sandbox.options import Misreading, Options
from airflow_provider_make.sandbox.query import SORT_KEYS, Query, parse_query, year_before

NOW = datetime(2026, 5, 20, 13, 37, 11, 250_000, tzinfo=UTC)


def parse(text: str, **options: Any) -> Query:
    return parse_query(parse_qsl(text, keep_blank_values=True), NOW, Options(**options))


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(Refusal) as caught:
        parse(text, **options)
    assert caught.value.status == 400
    return list(caught.value.suberrors)


def test_the_defaults_are_the_documented_ones() -> None:
    assert parse("") == Query(
        date_from=datetime(2025, 5, 20, tzinfo=UTC),
        date_to=datetime(2026, 5, 21, tzinfo=UTC),
        sort_by="operations",
        sort_dir="asc",
        offset=None,
        last=None,
        limit=100,
        return_total_count=False,
    )


def test_every_parameter_is_parsed() -> None:
    query = parse(
        "teamId=1&teamId=2&folderId=-3&status=active&status=invalid&timeframe[dateFrom]=2026-01-01T00:00:00Z"
        "&timeframe[dateTo]=2026-02-01T02:00:00.500%2B02:00&pg[offset]=20&pg[limit]=10&pg[sortBy]=errorRate"
        "&pg[sortDir]=desc&pg[returnTotalCount]=true"
    )
    assert query == Query(
        date_from=datetime(2026, 1, 1, tzinfo=UTC),
        date_to=datetime(2026, 2, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        team_ids=frozenset({1, 2}),
        folder_ids=frozenset({-3}),
        statuses=frozenset({"active", "invalid"}),
        sort_by="errorRate",
        sort_dir="desc",
        offset=20,
        limit=10,
        return_total_count=True,
    )
    assert parse("pg[last]=4711").last == "4711"
    query = parse("pg[last]=1632371803593_scenario.1229&pg[showLast]=true")
    assert (query.last, query.show_last) == ("1632371803593_scenario.1229", True)
    assert parse("pg[showLast]=false").show_last is False
    assert parse("pg[returnTotalCount]=false").return_total_count is False


@pytest.mark.parametrize(
    ("text", "misread_filters", "teams"),
    [
        ("teamId=1", None, {1}),
        ("teamId[]=1", None, {1}),
        ("teamId[]=1&teamId[]=2", None, {1, 2}),
        ("teamId=1&teamId[]=2", None, {1, 2}),
        ("teamId=1&teamId=2", "last", {2}),
        ("teamId=1&teamId=x&teamId=2", "last", {2}),
        ("teamId[]=1&teamId[]=2", "last", {1, 2}),
        ("teamId=1&teamId=2", "ignore", {1, 2}),
        ("teamId[]=1&teamId[]=2", "ignore", set()),
        ("teamId[]=x", "ignore", set()),
        ("teamId=1&teamId[]=2", "ignore", {1}),
    ],
)
def test_filters_with_several_values(text: str, misread_filters: str | None, teams: set[int]) -> None:
    assert parse(text, misread_filters=misread_filters).team_ids == teams
    assert parse(text.replace("team", "folder"), misread_filters=misread_filters).folder_ids == teams


def test_statuses_have_brackets_too() -> None:
    text = "status[]=active&status[]=invalid"
    assert parse(text).statuses == {"active", "invalid"}
    assert parse(text, misread_filters="ignore").statuses == set()
    assert parse(text.replace("[]", ""), misread_filters="last").statuses == {"invalid"}


@pytest.mark.parametrize("misread_filters", [None, *get_args(Misreading)])
def test_other_parameters_are_strict_however_filters_are_misread(misread_filters: str | None) -> None:
    assert len(problems("pg[offset]=1&pg[offset]=1", misread_filters=misread_filters)) == 1
    assert len(problems("name[]=1", misread_filters=misread_filters)) == 1


def test_a_limit_above_the_largest_is_refused_by_name() -> None:
    assert parse("pg[limit]=1000", max_limit=1000).limit == 1000
    (problem,) = problems("pg[limit]=1001", max_limit=1000)
    assert problem == "Invalid value '1001' of parameter 'pg[limit]': expected at most 1000."
    assert parse("", max_limit=1000).limit == 100
    assert parse("", max_limit=50).limit == 50


@pytest.mark.parametrize("key", SORT_KEYS)
def test_there_are_eleven_sort_keys(key: str) -> None:
    assert parse(f"pg[sortBy]={key}").sort_by == key
    assert len(SORT_KEYS) == 11


@pytest.mark.parametrize(
    "text",
    [
        "teamId=1,2",
        "teamId=",
        "teamId=1.0",
        "teamId=%D9%A1",
        "teamId=1&teamId=two",
        "teamId[]=one",
        "teamId[0]=1",
        "teamId[",
        "status[]=Active",
        "pg[limit][]=1",
        "teamid=1",
        "folderId=all",
        "status=Active",
        "status=active,invalid",
        "pg[offset]=-1",
        "pg[offset]=1&pg[offset]=1",
        "pg[limit]=0",
        "pg[limit]=1e3",
        "pg[limit]=99999999999999999999",
        "pg[last]=1&pg[last]=2",
        "pg[showLast]=1",
        "pg[showLast]=True",
        "pg[offset]=0&pg[last]=1",
        "pg[sortBy]=centicredits",
        "pg[sortBy]=error_rate",
        "pg[sortDir]=ASC",
        "pg[returnTotalCount]=True",
        "pg[returnTotalCount]=1",
        "pg[unknown]=1",
        "organizationId=1",
        "team_ids=1",
        "limit=1",
        "=1",
        "timeframe[dateFrom]=2026-05-01",
        "timeframe[dateFrom]=2026-05-01T00:00:00",
        "timeframe[dateFrom]=2026-05-01T00:00Z",
        "timeframe[dateFrom]=2026-05-01 00:00:00Z",
        "timeframe[dateFrom]=2026-05-01T00:00:00+02:00",
        "timeframe[dateFrom]=20260501T000000Z",
        "timeframe[dateFrom]=2026-02-30T00:00:00Z",
        "timeframe[dateFrom]=1767225600",
        "timeframe[dateFrom]=0001-01-01T00:00:00%2B10:00",
        "timeframe[dateFrom]=2026-05-01T00:00:00Z&timeframe[dateTo]=2026-05-01T00:00:00Z",
        "timeframe[dateFrom]=2026-05-02T00:00:00Z&timeframe[dateTo]=2026-05-01T00:00:00Z",
        "timeframe[dateTo]=2024-05-01T00:00:00Z",
        "timeframe[dateTo]=9999-12-31T23:59:59-05:00",
    ],
)
def test_undocumented_parameters_and_values_are_refused(text: str) -> None:
    assert len(problems(text)) == 1


def test_the_refusal_names_every_problem() -> None:
    assert sorted(
        problems(
            "teamId=1&teamId[]=x&status=old&pg[limit]=0&pg[limit]=5&pg[showLast]=yes&pg[offset]=-1&pg[last]=7&nonsense=1"
            "&timeframe[dateFrom]=2026-05-02T00:00:00Z&timeframe[dateTo]=2026-05-02T00:00:00Z"
        )
    ) == [
        "Invalid value '-1' of parameter 'pg[offset]': expected at least 0.",
        "Invalid value '0' of parameter 'pg[limit]': expected at least 1.",
        "Invalid value '2026-05-02T00:00:00Z' of parameter 'timeframe[dateTo]': not later than 'timeframe[dateFrom]'.",
        "Invalid value '7' of parameter 'pg[last]': 'pg[offset]' and 'pg[last]' exclude each other.",
        "Invalid value 'old' of parameter 'status': expected 'active', 'invalid' or 'inactive'.",
        "Invalid value 'x' of parameter 'teamId': expected an integer.",
        "Invalid value 'yes' of parameter 'pg[showLast]': expected 'true' or 'false'.",
        "Parameter 'pg[limit]' is repeated 2 times.",
        "Unknown parameter 'nonsense'.",
    ]


def test_a_missing_time_zone_is_named() -> None:
    assert "time zone is missing" in problems("timeframe[dateFrom]=2026-05-01T00:00:00")[0]


def test_a_frame_may_begin_a_year_ago_and_an_hour_that_a_client_waits() -> None:
    year_ago = year_before(NOW)
    for seconds in (0, 3600, 3659):
        moment = (year_ago - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert parse(f"timeframe[dateFrom]={moment}").date_from < year_ago + timedelta(seconds=1)
    moment = (year_ago - timedelta(seconds=3661)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "older than one year" in problems(f"timeframe[dateFrom]={moment}")[0]


def test_a_year_is_a_calendar_year() -> None:
    assert year_before(datetime(2024, 2, 29, 5, tzinfo=UTC)) == datetime(2023, 2, 28, 5, tzinfo=UTC)
    # 2024 is a leap year: 366 days.
    assert year_before(datetime(2025, 1, 1, tzinfo=UTC)) == datetime(2024, 1, 1, tzinfo=UTC)


def test_the_default_frame_stays_the_same_all_day() -> None:
    assert parse_query([], NOW.replace(hour=0, minute=0), Options()) == parse("")
    assert parse_query([], NOW + timedelta(days=1), Options()) != parse("")

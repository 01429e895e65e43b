from __future__ import annotations

from collections import UserList, deque
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_make.api.query import SORT_KEYS, AnalyticsQuery, PageRequest
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.exceptions import MakeInputError

DEFAULTS: dict[str, Any] = {"organization_id": 42, "sort_by": "name", "sort_dir": "asc"}
BAD_NUMBERS: tuple[Any, ...] = (0, -1, True, False, 4.5, float("nan"), "x", "", "4.0", "-4", "1e3", "٤", {"id": 4})
# By our column name, the values that Make documents for pg[sortBy].
DOCUMENTED_KEYS = {
    "name": "name",
    "team_name": "teamName",
    "status": "status",
    "operations": "operations",
    "executions": "executions",
    "errors": "errors",
    "error_rate": "errorRate",
    "executions_change": "executionsChange",
    "operations_change": "operationsChange",
    "errors_change": "errorsChange",
    "error_rate_change": "errorRateChange",
}


def query(**values: Any) -> AnalyticsQuery:
    return AnalyticsQuery.from_arguments(**{**DEFAULTS, **values})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("organization_id", value) for value in (None, [42], *BAD_NUMBERS)),
        *((name, value) for name in ("team_id", "folder_id") for value in BAD_NUMBERS),
        *((name, [7, value]) for name in ("team_id", "folder_id") for value in (*BAD_NUMBERS, None, [7])),
        *((name, ()) for name in ("team_id", "folder_id", "status")),
        *((name, []) for name in ("team_id", "folder_id", "status")),
        ("team_id", "7,8"),
        ("team_id", "[7, 8"),
        ("team_id", "[7, x]"),
        ("team_id", "[{[]: 1}]"),
        ("team_id", "[]"),
        ("team_id", "[" * 200),
        *(("status", value) for value in ("paused", "Active", "", 1, True, ["active", "paused"], ["active", None])),
        *(("sort_by", value) for value in ("centicredits", "centicreditsChange", "id", "", "Name", "name\n", None, 5)),
        *(("sort_by", value) for value in ("error", "names", "name|status", ["name"])),
        *(("sort_dir", value) for value in ("ASC", "descending", "", None, 1)),
    ],
)
def test_error_names_the_invalid_argument(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        query(**{name: value})
    assert str(caught.value).startswith(f"{name}={value!r} is not valid: expected ")


def test_error_for_an_unknown_sort_key_lists_all_sort_keys() -> None:
    with pytest.raises(MakeInputError) as caught:
        query(sort_by="centicredits")
    assert [key for key in DOCUMENTED_KEYS if key not in str(caught.value)] == []


def test_missing_argument_raises_input_error() -> None:
    with pytest.raises(MakeInputError, match="sort_by=None"):
        AnalyticsQuery.from_arguments(organization_id=42, sort_dir="asc")


@pytest.mark.parametrize("value", [7, "7", " 7 ", "007", [7], ["7"], (7,), {7}, frozenset({"7"})])
def test_ids_may_be_text_and_single_values(value: Any) -> None:
    parsed = query(organization_id="42", team_id=value, folder_id=value)
    assert (parsed.organization_id, parsed.team_id, parsed.folder_id) == (42, (7,), (7,))


@pytest.mark.parametrize("rendered", ["[7, 8]", ' ["7", "8"] ', str([7, "8"])])
def test_filters_may_be_lists_that_a_template_has_rendered(rendered: str) -> None:
    assert query(team_id=rendered, folder_id=rendered).team_id == query(folder_id=rendered).folder_id == (7, 8)
    assert query(status=str(["active", "invalid"])).status == ("active", "invalid")


@pytest.mark.parametrize("ids", [deque([7, "8"]), UserList([7.0, Decimal("8")]), {7: "", 8: ""}.keys(), b"", {7: 8}])
def test_filters_may_be_any_collection_but_text_and_mappings(ids: Any) -> None:
    if isinstance(ids, (bytes, dict)):
        with pytest.raises(MakeInputError, match="team_id="):
            query(team_id=ids)
    else:
        assert query(team_id=ids, folder_id=ids).team_id == query(folder_id=ids).folder_id == (7, 8)
    assert query(status=deque(["active", "invalid"])).status == ("active", "invalid")


def test_filters_may_be_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    parsed = query(organization_id=numpy.int64(1), team_id=numpy.array([100, 101]), folder_id=numpy.array(7))
    assert (parsed.organization_id, parsed.team_id, parsed.folder_id) == (1, (100, 101), (7,))


def test_filters_that_are_not_set_are_not_sent() -> None:
    sent = query(team_id=None, folder_id=None, status=None).parameters(PageRequest())
    assert sent == [("pg[sortBy]", "name"), ("pg[sortDir]", "asc")]


@pytest.mark.parametrize(("column", "key"), DOCUMENTED_KEYS.items())
def test_sort_key_may_be_our_column_name_or_makes_name(column: str, key: str) -> None:
    assert query(sort_by=column) == query(sort_by=key)
    assert ("pg[sortBy]", key) in query(sort_by=column).parameters(PageRequest())


def test_sort_keys_are_the_documented_ones() -> None:
    assert SORT_KEYS == DOCUMENTED_KEYS


def test_all_parameters_are_sent() -> None:
    filtered = query(
        team_id=[1, "2"],
        folder_id=[3, 4],
        status=["active", "invalid", "inactive"],
        time_frame=TimeFrame(datetime(2026, 1, 31, 6, tzinfo=UTC), datetime(2026, 2, 1, 6, 0, 0, 250, tzinfo=UTC)),
        sort_by="error_rate",
        sort_dir="desc",
    )
    assert filtered.path == "analytics/42"
    assert sorted(filtered.parameters(PageRequest(offset=0, limit=100, return_total_count=True))) == [
        ("folderId[]", "3"),
        ("folderId[]", "4"),
        ("pg[limit]", "100"),
        ("pg[offset]", "0"),
        ("pg[returnTotalCount]", "true"),
        ("pg[sortBy]", "errorRate"),
        ("pg[sortDir]", "desc"),
        ("status[]", "active"),
        ("status[]", "inactive"),
        ("status[]", "invalid"),
        ("teamId[]", "1"),
        ("teamId[]", "2"),
        ("timeframe[dateFrom]", "2026-01-31T06:00:00Z"),
        ("timeframe[dateTo]", "2026-02-01T06:00:00.000250Z"),
    ]


def test_a_filter_with_one_value_is_no_array() -> None:
    filtered = query(team_id=1, folder_id=[3], status="active").parameters(PageRequest())
    assert {("teamId", "1"), ("folderId", "3"), ("status", "active")} <= set(filtered)


def test_last_is_sent_without_other_page_parameters() -> None:
    sent = query().parameters(PageRequest(last=17))
    assert ("pg[last]", "17") in sent
    assert not {"pg[offset]", "pg[limit]", "pg[returnTotalCount]"} & {name for name, _ in sent}


def test_query_is_immutable_and_comparable() -> None:
    assert query(team_id=7) == query(team_id=["7"])
    with pytest.raises(ValueError, match="frozen"):
        query().organization_id = 1  # type: ignore[misc]


def page(**values: Any) -> PageRequest:
    return PageRequest.from_arguments(
        **{"offset": None, "last": None, "limit": None, "return_total_count": False, **values}
    )


@pytest.mark.parametrize(
    ("values", "parsed"),
    [
        ({}, PageRequest()),
        ({"offset": 0}, PageRequest(offset=0)),
        ({"offset": "5", "limit": "100"}, PageRequest(offset=5, limit=100)),
        ({"last": 0}, PageRequest(last=0)),
        ({"last": "1632371803593_scenario.1229", "limit": 1}, PageRequest(last="1632371803593_scenario.1229", limit=1)),
        ({"return_total_count": True}, PageRequest(return_total_count=True)),
    ],
)
def test_page_request_is_parsed(values: dict[str, Any], parsed: PageRequest) -> None:
    assert page(**values) == parsed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("offset", value) for value in BAD_NUMBERS if value != 0 or value is False),
        *(("limit", value) for value in BAD_NUMBERS),
        *(("last", value) for value in (-1, 1.5, True, [1], "", " ", "a\0", "a\n", "9" * 301)),
        *((name, "9" * 400) for name in ("offset", "limit")),
        ("return_total_count", "false"),
    ],
)
def test_error_names_the_invalid_page_argument(name: str, value: Any) -> None:
    with pytest.raises(MakeInputError) as caught:
        page(**{name: value})
    assert f"{name}={value!r}" in str(caught.value)


@pytest.mark.parametrize("last", [0, 17])
def test_offset_and_last_exclude_each_other(last: int) -> None:
    with pytest.raises(MakeInputError, match=f"last={last} is not valid.*offset=0"):
        page(offset=0, last=last)

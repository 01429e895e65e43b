"""Pages and bodies, in the shape the API documents."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_make.sandbox import responses as module
from airflow_provider_make.sandbox.data import Figures
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.query import Query, Selection
from airflow_provider_make.sandbox.refusals import Refusal
from airflow_provider_make.sandbox.responses import EncodedAnswers, answer, encode, total

HOUR = Selection(datetime(2025, 6, 3, 8, tzinfo=UTC), datetime(2025, 6, 3, 9, tzinfo=UTC))
COUNTS: dict[str, type | tuple[type, ...]] = {
    "executions": int,
    "operations": int,
    "centicredits": str,
    "errors": int,
}
OPTIONAL: dict[str, type | tuple[type, ...]] = dict.fromkeys(
    (
        "errorRate",
        "executionsChange",
        "operationsChange",
        "centicreditsChange",
        "errorsChange",
        "errorRateChange",
    ),
    (int, float),
)
SCENARIO: dict[str, type | tuple[type, ...]] = {
    "imtId": str,
    "id": int,
    "name": str,
    "status": str,
    "teamId": int,
    "teamName": str,
}


def ask(
    organization: Organization,
    query: Query,
    page_cap: int | None = None,
    shuffle: random.Random | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(answer(organization, query, page_cap=page_cap, shuffle=shuffle)))
    return body


def check(
    found: dict[str, Any],
    required: dict[str, type | tuple[type, ...]],
    optional: dict[str, type | tuple[type, ...]],
) -> None:
    assert required.keys() <= found.keys() <= required.keys() | optional.keys()
    for name, value in found.items():
        assert isinstance(value, {**required, **optional}[name]) and not isinstance(value, bool)


@pytest.fixture(scope="module")
def organization() -> Organization:
    return Organization(1, 120)


def test_bodies_have_the_documented_shape(organization: Organization) -> None:
    body = ask(organization, Query(HOUR, limit=1000))
    assert list(body) == ["total", "analytics", "pg"]
    check(body["total"], COUNTS, OPTIONAL)
    assert len(body["analytics"]) == 120
    for entry in body["analytics"]:
        check(entry, COUNTS | SCENARIO, OPTIONAL)
        assert entry["centicredits"].isdecimal()
        assert entry["status"] in ("active", "invalid", "inactive")
        assert ("errorRate" in entry) == (entry["executions"] > 0)
        if entry["executions"]:
            assert entry["errorRate"] == entry["errors"] / entry["executions"] * 100
    assert any("errorRate" not in entry for entry in body["analytics"])


def test_every_figure_goes_by_its_own_name() -> None:
    assert total(Figures(1, 2, 3, 4, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)) == {
        "executions": 1,
        "operations": 2,
        "centicredits": "3",
        "errors": 4,
        "errorRate": 5.0,
        "executionsChange": 6.0,
        "operationsChange": 7.0,
        "centicreditsChange": 8.0,
        "errorsChange": 9.0,
        "errorRateChange": 10.0,
    }


def test_offset_paging_says_what_it_did(organization: Organization) -> None:
    page = ask(organization, Query(HOUR, offset=20, limit=10))
    assert page["pg"] == {"sortBy": "operations", "sortDir": "asc", "limit": 10, "offset": 20}
    whole = ask(organization, Query(HOUR, limit=1000))
    assert page["analytics"] == whole["analytics"][20:30]
    assert page["total"] == whole["total"]


def test_a_page_past_the_end_is_empty(organization: Organization) -> None:
    assert ask(organization, Query(HOUR, offset=120))["analytics"] == []
    assert len(ask(organization, Query(HOUR, offset=115))["analytics"]) == 5


def test_the_count_comes_only_if_asked_for(organization: Organization) -> None:
    assert "totalCount" not in ask(organization, Query(HOUR))["pg"]
    selection = Selection(HOUR.date_from, HOUR.date_to, statuses=frozenset({"invalid"}))
    counted = ask(organization, Query(selection, limit=2, return_total_count=True))
    assert counted["pg"]["totalCount"] == sum(scenario.status == "invalid" for scenario in organization.scenarios)


def test_a_cap_shortens_pages_and_says_so(organization: Organization) -> None:
    capped = ask(organization, Query(HOUR, limit=50), page_cap=7)
    assert len(capped["analytics"]) == capped["pg"]["limit"] == 7
    assert ask(organization, Query(HOUR, limit=5), page_cap=7)["pg"]["limit"] == 5


def test_paging_by_the_last_id_gives_everything_once(organization: Organization) -> None:
    whole = ask(organization, Query(HOUR, limit=1000))["analytics"]
    found = ask(organization, Query(HOUR, limit=40))["analytics"]
    shown = True
    while shown:
        assert len(found) < 120, "showLast promised entries after the last one"
        last = found[-1]["id"]
        page = ask(organization, Query(HOUR, last=last, limit=40))
        found += page["analytics"]
        assert set(page["pg"]) == {"sortBy", "sortDir", "limit", "last", "showLast"}
        assert page["pg"]["last"] == str(found[-1]["id"])
        shown = page["pg"]["showLast"]
    assert found == whole
    at_the_end = ask(organization, Query(HOUR, last=whole[-1]["id"]))
    assert at_the_end["analytics"] == []
    assert at_the_end["pg"]["last"] == str(whole[-1]["id"])
    assert at_the_end["pg"]["showLast"] is False


def test_a_last_id_that_is_not_there_is_refused(organization: Organization) -> None:
    with pytest.raises(Refusal, match="no entry has this id") as caught:
        answer(organization, Query(HOUR, last=1))
    assert caught.value.status == 400


def test_shuffling_moves_ties_only_and_anew_each_time(organization: Organization) -> None:
    shuffle = random.Random(0)
    plain = ask(organization, Query(HOUR, limit=1000))["analytics"]
    shuffled = [ask(organization, Query(HOUR, limit=1000), shuffle=shuffle)["analytics"] for _ in range(3)]
    for found in shuffled:
        assert [entry["operations"] for entry in found] == [entry["operations"] for entry in plain]
        assert {entry["id"] for entry in found} == {entry["id"] for entry in plain}
    orders = {tuple(entry["id"] for entry in found) for found in [plain, *shuffled]}
    assert len(orders) == 4
    again = random.Random(0)
    assert ask(organization, Query(HOUR, limit=1000), shuffle=again)["analytics"] == shuffled[0]


def test_a_repeated_answer_is_not_made_again(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = EncodedAnswers(page_cap=50)
    queries = [Query(HOUR), Query(HOUR, offset=50), Query(HOUR, limit=10), Query(HOUR, return_total_count=True)]
    first = [answers.give(organization, query) for query in queries]
    assert first == [encode(answer(organization, query, page_cap=50)) for query in queries]
    assert answers.give(Organization(2, 5), queries[0]) != first[0]
    monkeypatch.setattr(module, "answer", None)
    assert [answers.give(organization, query) for query in queries] == first


def test_what_is_remembered_is_the_organization_of_the_moment() -> None:
    organization, answers = Organization(1, 3), EncodedAnswers()

    def ids() -> list[int]:
        return [entry["id"] for entry in json.loads(answers.give(organization, Query(HOUR)))["analytics"]]

    before = ids()
    organization.delete_scenarios(before[:1])
    assert ids() == before[1:]
    new = organization.add_scenarios(1)[0].id
    assert sorted(ids()) == [*sorted(before[1:]), new]


def test_shuffled_answers_are_not_remembered(organization: Organization) -> None:
    answers = EncodedAnswers(shuffle=random.Random(0))
    assert len({answers.give(organization, Query(HOUR)) for _ in range(4)}) == 4


def test_the_answers_longest_unused_are_forgotten(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, one = EncodedAnswers(), Query(HOUR, limit=1)
    body = answers.give(organization, one)
    monkeypatch.setattr(module, "_REMEMBERED_BYTES", 2 * len(body) + 20)
    assert answers.give(organization, Query(HOUR, limit=1, offset=1)) != body
    assert answers.give(organization, one) is body
    assert answers.give(organization, Query(HOUR, limit=1, offset=2)) != body
    assert answers.give(organization, one) is body
    assert answers.give(organization, Query(HOUR)) not in answers._remembered.values()
    assert answers._bytes == 0 == len(answers._remembered)

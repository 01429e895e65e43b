"""
The page in a headless Chromium, in the frame of a stand-in for Airflow; test_page_in_airflow.py has a real one.

``MAKE_SCREENSHOTS=docs/images make test-e2e`` creates the pictures of the page in the docs.
"""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

from tests.e2e.fake_airflow import (
    NOW,
    FakeAirflow,
    Json,
    alert_event,
    asset_event,
    days,
    iso,
    pull_event,
    scenario_row,
)
from tests.e2e.ui import chromium

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOSTILE = [
    "<img src=x onerror=parent.document.title='hacked'>",
    "</script><script>parent.document.title='hacked'</script>",
    "javascript:alert(1)",
    "\u202egnirts desrever\u2066\u0000\r\n",
    "'\"><svg onload=alert(1)>&amp;{{7*7}}${7*7}",
    "W" * 4000,
    "شركة " * 40,
    "\ud83d\udc69\u200d\ud83d\udd27 𝕸𝖆𝖐𝖊",
    "",
    " ",
    "__proto__",
]
ODD: list[Any] = [
    None,
    True,
    -1,
    1e308,
    "",
    "NaN",
    "1e999",
    "9999999999999999999999",
    [],
    {},
    [[]],
    {"a": None},
    *HOSTILE[:2],
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser window without cookies, in Prague."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Prague")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with FakeAirflow() as running:
        yield running


@pytest.fixture
def show(context: BrowserContext, fake: FakeAirflow) -> Iterator[Callable[..., Frame]]:
    """Return a function that opens the page in Airflow's frame; an error in its scripts fails the test."""
    errors: list[str] = []

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Also what the content security policy has stopped.
        page.on("console", lambda message: errors.append(message.text) if is_script_error(message) else None)

    def is_script_error(message: Any) -> bool:
        return message.type == "error" and "Failed to load resource" not in message.text

    context.on("page", listen)

    def open_page(server: FakeAirflow = fake) -> Frame:
        page = context.new_page()
        page.goto(f"{server.url}/plugin/make")
        frame = page.frames[1]
        frame.wait_for_selector("html[data-ready=all]")
        return frame

    yield open_page
    assert errors == []


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Iterator[Callable[..., Any]]:
    """Return a function that calls an exported function of one of the page's scripts."""
    with FakeAirflow() as server:
        page = browser.new_page()
        page.goto(f"{server.url}/make/icon.svg")

        def call(script: str, function: str, *arguments: Any) -> Any:
            code = "async ([url, name, given]) => (await import(url))[name](...given)"
            return page.evaluate(code, [f"{server.url}/make/{script}.js", function, arguments])

        yield call
        page.close()


# Of the page's body.
TAGS = (
    "a b bdi button code details div figcaption figure footer h1 h2 h3 header li main noscript p path pre section span "
    "strong summary svg table tbody td th thead time tr ul"
)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def frames(ends: list[datetime], delay: timedelta = timedelta(minutes=5), length: timedelta = DAY) -> list[Json]:
    """Build time frames as figures.js has them."""
    return [
        {"from": milliseconds(end - length), "to": milliseconds(end), "arrived": milliseconds(end + delay)}
        for end in ends
    ]


def daily(number: int, until: datetime = MIDNIGHT) -> list[datetime]:
    return [until - index * DAY for index in reversed(range(number))]


FRIDAY = datetime.fromisoformat("2026-05-16T00:00:00+00:00")
WORKING_DAYS = [end for end in daily(40, FRIDAY) if (end - HOUR).weekday() < 5]
OUTAGE = [end for end in daily(30) if end not in daily(30)[10:13]]


@pytest.mark.parametrize(
    ("ends", "usual", "late_after"),
    [
        (daily(30), DAY, (timedelta(days=1, hours=5), timedelta(days=1, hours=7))),
        (daily(30)[::7], 7 * DAY, (timedelta(days=7, hours=11), timedelta(days=7, hours=13))),
        ([NOW - index * HOUR for index in range(50)][::-1], HOUR, (timedelta(minutes=75), timedelta(minutes=85))),
        # Not on Sunday evening, but on Tuesday.
        (WORKING_DAYS, DAY, (timedelta(days=3), timedelta(days=3, hours=13))),
        (OUTAGE, DAY, (timedelta(days=1, hours=5), timedelta(days=1, hours=7))),
        # Two pulls are no rhythm.
        (daily(2), None, None),
        (daily(1), None, None),
    ],
    ids=["daily", "weekly", "hourly", "working days", "one outage", "two", "one"],
)
def test_figures_are_late_if_they_come_later_than_in_their_usual_rhythm(
    ends: list[datetime],
    usual: timedelta | None,
    late_after: tuple[timedelta, timedelta] | None,
    scripts: Callable[..., Any],
) -> None:
    rhythm = scripts("figures", "rhythmOf", frames(ends))
    if usual is None or late_after is None:
        assert rhythm is None
        return
    assert rhythm["usual"] == usual / timedelta(milliseconds=1)
    early, late = (milliseconds(ends[-1] + each) for each in late_after)
    assert early < rhythm["due"] < late


@pytest.mark.parametrize(
    ("given", "count", "name"),
    [
        (frames(daily(30)), 4, None),
        (frames(daily(10)), 9, "the usual"),
        (frames([NOW - index * HOUR for index in range(100)][::-1], length=HOUR), 4, "the usual at this time of day"),
        (frames(daily(60)[::7], length=7 * DAY), 8, "the usual"),
        # A month, and a first pull of a whole year.
        (
            frames(daily(1, MIDNIGHT - 60 * DAY), length=365 * DAY) + frames(daily(60)[::30], length=30 * DAY),
            1,
            "the usual",
        ),
        (frames(daily(1)), 0, "the usual"),
    ],
    ids=["weekday", "few days", "time of day", "weeks", "other length", "first"],
)
def test_the_newest_figures_are_compared_with_time_frames_like_theirs(
    given: list[Json], count: int, name: str | None, scripts: Callable[..., Any]
) -> None:
    history = scripts("figures", "historyOf", given)
    weekday = datetime.fromtimestamp(given[-1]["from"] / 1000, MIDNIGHT.tzinfo).strftime("a usual %A")
    assert (len(history["frames"]), history["name"]) == (count, name or weekday)


@pytest.mark.parametrize(
    ("name", "value", "usual", "expected"),
    [
        ("executions", 110, (100, 90, 120), {"change": 10, "unit": "percent", "remark": ""}),
        ("executions", 900, (100, 90, 120), {"change": 800, "unit": "percent", "remark": ""}),
        ("errors", 20, (10, 8, 12), {"change": 100, "unit": "percent", "remark": "worse"}),
        ("errors", 11, (10, 8, 12), {"change": 10, "unit": "percent", "remark": ""}),
        ("errors", 0, (10, 8, 12), {"change": -100, "unit": "percent", "remark": "better"}),
        ("error_rate", 5, (2, 1, 3), {"change": 3, "unit": "points", "remark": "worse"}),
        # Beyond the range, but hardly.
        ("error_rate", 3.05, (3, 2.99, 3.01), {"unit": "points", "remark": ""}),
        ("errors", 3, (0, 0, 0), None),
        ("errors", None, (10, 8, 12), None),
        ("errors", 3, None, None),
    ],
)
def test_changes_are_remarkable_only_for_errors_and_beyond_the_usual_range(
    name: str, value: float | None, usual: tuple[float, ...] | None, expected: Json | None, scripts: Callable[..., Any]
) -> None:
    given = usual and dict(zip(("median", "low", "high"), usual, strict=True))
    found = scripts("figures", "changeOf", name, value, given)
    assert found == expected or (found and expected and found.items() >= expected.items())


def test_a_frame_that_was_pulled_again_has_the_newest_figures(scripts: Callable[..., Any]) -> None:
    events = [*days(5), pull_event(MIDNIGHT - 3 * DAY, executions=777, arrived=3 * DAY)]
    random.Random(1).shuffle(events)
    pull = scripts("figures", "pullOf", {"key": "k", "filters": "", "events": events}, milliseconds(NOW))
    assert [frame["executions"] for frame in pull["frames"]] == [1000, 777, 1000, 1000, 1000]
    assert pull["newest"]["to"] == milliseconds(MIDNIGHT)


def test_pages_are_read_in_turn_until_there_are_enough_events(scripts: Callable[..., Any]) -> None:
    sources = [
        {"parameters": name, "read": 100, "total": total} for name, total in (("a", 5000), ("b", 250), ("c", 90))
    ]
    plan = scripts("events", "planPages", sources, 1000)
    assert [(page["parameters"], page["offset"]) for page in plan[:4]] == [
        ("a", 100),
        ("b", 100),
        ("a", 200),
        ("b", 200),
    ]
    assert sum(min(100, dict(a=5000, b=250)[page["parameters"]] - page["offset"]) for page in plan) >= 700
    assert len(plan) == 8
    assert scripts("events", "planPages", [], 1000) == []


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        ("3", 3),
        ("412389", 412389),
        (" 2.5 ", 2.5),
        ("", None),
        ("x", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_numbers_may_be_text(value: Any, number: float | None, scripts: Callable[..., Any]) -> None:
    assert scripts("format", "asNumber", value) == number


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "data:text/html,x", "//evil", "https://me@evil/", "", None, 3, {}]
)
def test_only_addresses_of_the_web_are_links(value: Any, scripts: Callable[..., Any]) -> None:
    assert scripts("format", "webAddress", value) is None


def card(frame: Frame, title: str) -> Any:
    return frame.get_by_role("region", name=title, exact=True)


def text_of(frame: Frame) -> str:
    return " ".join(frame.locator("body").inner_text().split())


def test_an_organization_shows_freshness_figures_and_changes(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(20), pull_event(MIDNIGHT, executions=2000, errors=120, arrived=timedelta(minutes=9)))
    frame = show()
    text = " ".join(card(frame, "Organization 42").inner_text().split())
    assert f"Figures until {MIDNIGHT:%Y-%m-%d}" in text
    assert "usually every day; changes are against" in text
    assert "Error rate 6 % +5.00 points" in text
    assert "Executions 2,000 +100 %" in text
    assert "Credits 14,000 +100 %" in text
    assert "Errors 120 +1,100 %" in text
    assert "Scenarios 250" in text
    expect(frame.get_by_role("status")).to_have_text("1 organization; no alerts in the last 24 hours.")
    expect(card(frame, "Organization 42").locator("time").first).to_have_attribute(
        "title", f"{MIDNIGHT:%Y-%m-%d %H:%M:%S} UTC"
    )


def test_organizations_and_filters_are_kept_apart_and_late_ones_come_first(
    fake: FakeAirflow, show: Callable[..., Frame]
) -> None:
    fake.add(
        *days(9, organization_id=1),
        *days(9, organization_id=2, until=MIDNIGHT - 4 * DAY),
        # The same number at another zone is another organization.
        *days(9, organization_id=1, zone="us1.make.com", extra={"filters": {"team_id": [7, 8], "status": "active"}}),
        *days(9, organization_id=1, zone="us1.make.com", dag="make_all"),
    )
    frame = show()
    cards = frame.get_by_role("main").locator("> section")
    expect(cards).to_have_count(3)
    expect(cards.first).to_contain_text("Organization 2")
    expect(cards.first).to_contain_text("Late")
    expect(cards.nth(2).locator("h3")).to_have_text(["pull", "Only team 7, 8; status active · pull"])
    expect(frame.get_by_role("status")).to_contain_text("3 organizations, 1 late;")


def test_names_come_from_events_or_from_an_asset_of_one_organization(
    fake: FakeAirflow, show: Callable[..., Frame]
) -> None:
    fake.add(
        *days(2, organization_id=1, extra={"organization_name": "From event"}, asset_id=8),
        *days(2, organization_id=2, asset_id=9),
        *days(2, organization_id=3, asset_id=10),
        *days(2, organization_id=4, asset_id=10),
        # Another asset of an organization, without its name.
        *days(2, organization_id=2, asset_id=11),
    )
    for asset in fake.assets:
        asset["extra"] = {} if asset["id"] == 11 else {"organization_name": "From asset"}
    frame = show()
    assert frame.locator("h2").all_inner_texts() == ["From event", "From asset", "Organization 3", "Organization 4"]


def failures(
    message: str = "The service is unavailable", url: str = "https://eu1.make.com/7/scenarios/9/logs/a"
) -> Any:
    reason = {"count": 33, "name": "ConnectionError", "message": message, "module": "Shopify: Watch orders"}
    return [{"scenario_id": 9, "count": 41, "errors": [reason | {"last_at": iso(NOW - 2 * HOUR), "url": url}]}]


@pytest.mark.parametrize("knows_watchers", [True, False], ids=["3.2 and later", "3.1"])
def test_alerts_show_scenarios_reasons_and_links(
    knows_watchers: bool, fake: FakeAirflow, show: Callable[..., Frame], context: BrowserContext
) -> None:
    fake.knows_watchers = knows_watchers
    runs = [{"dag_id": "notify", "run_id": "asset_triggered__1", "state": "failed"}]
    rows = [scenario_row(9, "Orders"), *(scenario_row(10 + index, f"Other {index}") for index in range(7))]
    fake.add(
        *days(3),
        alert_event(
            NOW - 3 * HOUR,
            scenarios=rows,
            payload={"failures": failures(), "scenario_count": 120},
            created_dagruns=runs,
        ),
        alert_event(NOW - 40 * DAY, payload={"metric": "credits", "value": 500.5, "threshold": 400}),
        alert_event(NOW - 41 * DAY, organization_id=5, zone="eu2.make.com"),
    )
    # More than 100 newer events of others hide the alerts among the newest.
    fake.events += [asset_event({}, NOW, asset_id=99) for _ in range(120)]
    frame = show()
    text = " ".join(card(frame, "Organization 42").inner_text().split())
    assert "Error rate ≥ 20 % in 120 scenarios" in text
    assert "Orders Operations · 30 %, 30 errors in 100 executions" in text
    assert "33 × ConnectionError: The service is unavailable in Shopify: Watch orders · Execution · 2 hours ago" in text
    assert "112 more scenarios crossed the threshold." in text
    assert "Credits 501 (≥ 400), 625 errors in 2,000 executions 40 days ago" in text
    orders = frame.get_by_role("link", name="Orders")
    expect(orders).to_have_attribute("href", "https://eu1.make.com/7/scenarios/9/edit")
    expect(frame.get_by_text("3 further scenarios")).to_be_visible()
    assert "but no pull of it has left an asset event" in card(frame, "Organization 5").inner_text()
    run = frame.get_by_role("link", name="Run of notify (failed)")
    expect(run).to_have_attribute("href", f"{fake.url}/dags/notify/runs/asset_triggered__1")


def test_reasons_of_scenarios_that_the_payload_does_not_list_are_shown(
    fake: FakeAirflow, show: Callable[..., Frame]
) -> None:
    fake.add(alert_event(NOW, payload={"failures": failures()}))
    text = text_of(show())
    assert "Error rate 31.3 % (≥ 20 %), 625 errors in 2,000 executions" in text
    assert "Scenario 9 33 × ConnectionError: The service is unavailable" in text


def test_links_leave_the_frame(fake: FakeAirflow, show: Callable[..., Frame], context: BrowserContext) -> None:
    fake.add(*days(3))
    frame = show()
    context.route("https://eu1.make.com/**", lambda route: route.fulfill(body="Make"))
    with context.expect_page() as opened:
        frame.get_by_role("link", name="Organization 42").click()
    assert opened.value.url == "https://eu1.make.com/organization/42/dashboard"
    assert opened.value.evaluate("window.opener") is None
    page = frame.page
    with context.expect_page() as opened:
        frame.get_by_role("link", name="make_daily").click(modifiers=["Control"])
    path = f"/dags/make_daily/runs/scheduled__{iso(MIDNIGHT)}/tasks/pull".replace(":", "%3A")
    assert opened.value.url == f"{fake.url}{path}"
    frame.get_by_role("link", name="make_daily").click()
    # Airflow's router takes over; nothing is loaded.
    expect(page).to_have_url(f"{fake.url}{path}")
    expect(page).to_have_title(path)


@pytest.mark.parametrize("zone", ["make.example.com:8443", "localhost:8443", "[::1]:8443"])
def test_a_private_instance_is_linked_with_its_port(zone: str, fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(3, organization_id=42, zone=zone))
    link = show().get_by_role("link", name="Organization 42")
    expect(link).to_have_attribute("href", f"https://{zone}/organization/42/dashboard")


def test_hostile_text_is_only_text(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    for index, text in enumerate(HOSTILE):
        run = [{"dag_id": text, "run_id": text, "state": text}]
        rows = [scenario_row(9, text, team_name=text), scenario_row(text, text, team_id=text)]
        hostile = {"message": text, "metric": text, "comparison": text, "failures": failures(text, text)}
        names: Json = {"name": text, "uri": text}
        fake.add(
            pull_event(
                MIDNIGHT,
                organization_id=text,
                zone=text,
                dag=text,
                asset_id=100 + index,
                extra={"filters": {text: text}},
                **names,
            ),
            *days(2, organization_id=500 + index, extra={"organization_name": text}, asset_id=200 + index, **names),
            alert_event(
                NOW,
                organization_id=text,
                scenarios=rows,
                payload=hostile,
                created_dagruns=run,
                asset_id=300 + index,
                **names,
            ),
        )
    frame = show()
    assert frame.page.title() == ""
    assert len(frame.get_by_role("main").locator("> section").all()) > len(HOSTILE)
    frame.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    tags = set(frame.evaluate("[...document.querySelectorAll('body *')].map(each => each.tagName.toLowerCase())"))
    assert tags <= set(TAGS.split())
    hrefs = frame.evaluate("[...document.querySelectorAll('a')].map(each => each.href)")
    assert {href.partition(":")[0] for href in hrefs} <= {"http", "https"}
    assert frame.page.title() == ""
    for width in (1280, 390):
        frame.page.set_viewport_size({"width": width, "height": 900})
        assert frame.evaluate("document.documentElement.scrollWidth") <= width


def with_odd_values(content: Any) -> Iterator[Any]:
    """Yield copies of JSON in which one value is another one."""
    if isinstance(content, dict):
        for key, value in content.items():
            for odd in ODD:
                yield {**content, key: odd}
            yield {name: content[name] for name in content if name != key}
            for changed in with_odd_values(value):
                yield {**content, key: changed}
    if isinstance(content, list):
        for changed in with_odd_values(content[0]) if content else ():
            yield [changed, *content[1:]]


def test_events_of_any_shape_never_make_the_page_blank(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(5))
    pull = pull_event(MIDNIGHT - 9 * DAY, organization_id=43)
    alert = alert_event(NOW, scenarios=[scenario_row(9, "Orders")], payload={"failures": failures()})
    fake.add(pull, alert)
    odd = [*with_odd_values({name: pull[name] for name in ("extra", "source_map_index", "source_run_id")})]
    odd += with_odd_values({name: alert[name] for name in ("extra", "created_dagruns", "name")})
    assert len(odd) > 700
    # As many as the page reads, in two parts, each with sound events.
    for part in range(0, len(odd), 400):
        number = 10_000 + part
        fake.events = [
            *days(5),
            *[
                {**(pull if "source_run_id" in each else alert), "id": (number := number + 1), **each}
                for each in odd[part : part + 400]
            ],
        ]
        frame = show()
        assert "Figures until" in card(frame, "Organization 42").first.inner_text()
        frame.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert "undefined" not in (text := text_of(frame))
        assert "NaN %" not in text
        assert "Infinity" not in text
        frame.page.close()


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"asset_events": None}, {"asset_events": [None, 1, "x", []], "total_entries": "x"}]
)
def test_answers_of_any_shape_never_make_the_page_blank(
    answer: Any, fake: FakeAirflow, show: Callable[..., Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "answer", lambda path, query: (200, answer))
    assert "left an asset event" in text_of(show()) or "Airflow did not answer" in text_of(show())


def test_empty_states_say_what_to_do_next(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.tasks = [{"dag_id": "make_hourly", "task_id": "pull", "state": "success"}]
    frame = show()
    expect(frame.get_by_role("heading", level=2)).to_have_text(
        "No pull and no watcher has left an asset event in the last year"
    )
    expect(frame.get_by_text('outlets=[Asset("make_analytics")]')).to_be_visible()
    expect(frame.get_by_role("link", name="make_hourly · pull")).to_have_attribute(
        "href", f"{fake.url}/dags/make_hourly"
    )
    # As soon as there are events, the figures are there.
    fake.add(*days(3))
    frame.get_by_role("button", name="Refresh").click()
    expect(card(frame, "Organization 42")).to_be_visible()


EVERYTHING = ("assets/events", "assets", "dags/~/dagRuns/~/taskInstances")


def test_who_may_not_see_assets_reads_a_sentence(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(3))
    fake.refusals = dict.fromkeys(EVERYTHING, (403, "Forbidden"))
    frame = show()
    expect(frame.get_by_role("alert")).to_contain_text("You are not allowed to see asset events")
    expect(frame.get_by_role("alert")).to_contain_text("Ask an administrator")
    expect(frame.get_by_role("status")).to_have_text("")


@pytest.mark.parametrize("path", EVERYTHING[1:])
def test_with_some_rights_missing_the_page_shows_the_rest(
    path: str, fake: FakeAirflow, show: Callable[..., Frame]
) -> None:
    fake.add(*days(3), alert_event(NOW))
    fake.refusals = {path: (403, "Forbidden")}
    frame = show()
    expect(card(frame, "Organization 42")).to_contain_text("Error rate 31.3 % (≥ 20 %)")
    expect(frame.locator("footer")).to_contain_text("You are not allowed to see")


@pytest.mark.parametrize("refusal", [(401, "Not authenticated"), (403, "Invalid JWT token")])
def test_an_ended_session_leads_to_the_login(
    refusal: tuple[int, str], fake: FakeAirflow, show: Callable[..., Frame]
) -> None:
    fake.add(*days(3))
    frame = show()
    fake.refusals = dict.fromkeys(EVERYTHING, refusal)
    frame.get_by_role("button", name="Refresh").click()
    expect(frame.get_by_role("alert")).to_contain_text("Your session has ended")
    # The figures remain: they are as old as they say.
    expect(card(frame, "Organization 42")).to_be_visible()
    page = frame.page
    frame.get_by_role("link", name="Log in again").click()
    page.wait_for_url("**/auth/login?next=*")
    assert page.evaluate("new URLSearchParams(location.search).get('next')") == f"{fake.url}/plugin/make"
    # Loaded, not only shown in the address bar.
    expect(page.get_by_text("/auth/login")).to_be_visible()


def test_a_session_of_airflow_3_1_0_is_a_stored_token(
    fake: FakeAirflow, show: Callable[..., Frame], context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add(*days(3))
    fake.token = "a.stored.token"
    assert "Your session has ended" in text_of(show())
    context.add_init_script("try { localStorage.setItem('token', JSON.stringify('a.stored.token')) } catch {}")
    expect(card(show(), "Organization 42")).to_be_visible()


def test_a_failing_airflow_is_asked_again_and_then_named(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(3))
    fake.refusals = {"assets/events": (500, "A run has not started")}
    frame = show()
    expect(frame.get_by_role("alert")).to_contain_text("HTTP 500: A run has not started")
    assert len([url for url in fake.requests if "assets/events" in url]) == 3
    fake.refusals = {}
    frame.get_by_role("button", name="Try again").click()
    expect(card(frame, "Organization 42")).to_be_visible()
    expect(frame.get_by_role("alert")).to_have_count(0)


CONTRASTS = """() => {
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parsed = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = parsed(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] > 0) return luminance(color);
    }
  };
  const texts = [...document.querySelectorAll("body *")].filter(each =>
    [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && each.checkVisibility());
  return texts.map(each => {
    const pair = [luminance(parsed(getComputedStyle(each).color)), ground(each)].sort((a, b) => b - a);
    return [(pair[0] + 0.05) / (pair[1] + 0.05), each.textContent.trim().slice(0, 40)];
  });
}"""


def test_colors_follow_airflow_at_once_and_have_contrast(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    story(fake)
    frame = show()
    grounds = []
    for theme in ("light", "dark"):
        frame.page.evaluate("theme => document.documentElement.className = theme", theme)
        expect(frame.locator("html")).to_have_attribute("data-colors", theme)
        grounds.append(frame.evaluate("getComputedStyle(document.body).backgroundColor"))
        contrasts = frame.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [each for each in contrasts if each[0] < 4.5] == []
    assert len({*grounds}) == 2


def test_times_are_in_airflows_time_zone_and_follow_it(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(3, until=datetime.fromisoformat("2026-01-15T23:30:00+00:00")))
    frame = show()
    first = frame.locator("time").first
    expect(first).to_have_text("2026-01-16 00:30")
    frame.page.evaluate("localStorage.setItem('timezone', JSON.stringify('Asia/Tokyo'))")
    expect(first).to_have_text("2026-01-16 08:30")
    expect(first).to_have_attribute("title", "2026-01-15 23:30:00 UTC")
    expect(frame.locator("footer")).to_contain_text("Times are in Asia/Tokyo.")
    frame.page.evaluate("localStorage.setItem('timezone', 'nonsense')")
    expect(first).to_have_text("2026-01-16 00:30")


def test_charts_are_read_by_keyboard_and_have_a_table(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(9), pull_event(MIDNIGHT - 20 * DAY, executions=7777))
    frame = show()
    chart = frame.get_by_role("slider", name="Executions of Organization 42")
    chart.focus()
    expect(chart).to_have_attribute("aria-valuetext", re.compile(": 1,000$"))
    chart.press("Home")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(": 7,777$"))
    expect(frame.locator("figure").nth(1)).to_contain_text("7,777")
    chart.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(": 1,000$"))
    chart.press("Tab")
    expect(frame.locator("figure").nth(1)).to_contain_text("1,000")
    summary = frame.get_by_text("All 10 time frames as a table")
    summary.focus()
    summary.press("Enter")
    rows = frame.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(11)
    expect(rows.last).to_contain_text("7,777")
    # By pointer as well.
    frame.locator("figure").nth(1).locator("svg").hover(position={"x": 2, "y": 20})
    expect(frame.locator("figure").nth(1)).to_contain_text("7,777")


def test_everything_is_reachable_by_tab(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    story(fake)
    frame = show()
    focusable = "[...document.querySelectorAll('a[href], button, summary, [tabindex]')]"
    wanted = frame.evaluate(f"{focusable}.filter(each => each.checkVisibility()).length")
    frame.get_by_role("button", name="Refresh").focus()
    reached = 0
    for _ in range(wanted + 5):
        reached += 1
        frame.page.keyboard.press("Tab")
        if frame.evaluate("document.activeElement === document.body"):
            break
    assert reached == wanted


def test_new_figures_leave_open_what_was_open(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    fake.add(*days(5))
    frame = show()
    frame.get_by_text("All 5 time frames as a table").press("Enter")
    expect(frame.get_by_role("table").get_by_role("row")).to_have_count(6)
    fake.add(pull_event(MIDNIGHT + HOUR, executions=4444, length=DAY + HOUR))
    frame.evaluate("document.getElementById('refresh').click()")
    expect(frame.get_by_role("table").get_by_role("row")).to_have_count(7)
    expect(frame.get_by_text("All 6 time frames as a table")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(width: int, fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    story(fake)
    frame = show()
    frame.page.set_viewport_size({"width": width, "height": 900})
    frame.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert frame.evaluate("document.documentElement.scrollWidth") <= width
    lefts = {round(box["x"]) for each in frame.locator("figure").all()[:3] if (box := each.bounding_box())}
    assert len(lefts) == (3 if width == 1280 else 1)


def test_a_base_path_changes_nothing(show: Callable[..., Frame]) -> None:
    with FakeAirflow("/air/flow") as fake:
        fake.add(*days(3))
        frame = show(fake)
        expect(card(frame, "Organization 42")).to_be_visible()
        link = frame.get_by_role("link", name="make_daily")
        expect(link).to_have_attribute("href", re.compile(f"^{fake.url}/dags/make_daily/"))


def test_the_page_works_outside_of_the_frame(fake: FakeAirflow, context: BrowserContext) -> None:
    fake.add(*days(3))
    page = context.new_page()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{fake.url}/make/")
    expect(page.locator("html")).to_have_attribute("data-colors", "dark")
    page.get_by_role("link", name="make_daily").click()
    page.wait_for_url("**/dags/make_daily/**")


def test_a_thousand_events_take_few_requests(fake: FakeAirflow, show: Callable[..., Frame]) -> None:
    for index in range(1500):
        fake.add(pull_event(NOW - (1499 - index) * 6 * HOUR, length=6 * HOUR, arrived=timedelta(0)))
    fake.add(
        *(alert_event(NOW - index * DAY, scenarios=[scenario_row(i, "S") for i in range(55)]) for index in range(30))
    )
    frame = show()
    expect(frame.get_by_text("All 1,000 time frames as a table")).to_be_visible()
    api = [url for url in fake.requests if "/api/" in url]
    assert len(api) <= 16
    entries = "performance.getEntriesByType('resource').filter(each => each.name.includes('/api/'))"
    size = frame.evaluate(f"{entries}.reduce((sum, each) => sum + each.decodedBodySize, 0)")
    milliseconds = frame.evaluate("performance.getEntriesByName('complete')[0].startTime")
    print(f"\nThe page: {len(api)} requests to the API, {size / 1000:.0f} KB, {milliseconds / 1000:.2f} s.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_for_the_docs(theme: str, fake: FakeAirflow, show: Callable[..., Frame], tmp_path: Path) -> None:
    fake.theme = theme
    story(fake)
    frame = show()
    frame.page.set_viewport_size({"width": 1200, "height": 868})
    folder = Path(os.environ.get("MAKE_SCREENSHOTS") or tmp_path)
    frame.page.screenshot(path=folder / f"page-{theme}.png")


def story(fake: FakeAirflow) -> None:
    """Fill the stand-in with what a team may see: scenarios that fail, late figures, an hourly pull."""
    chance = random.Random(3)
    name = {"organization_name": "Northwind Trading"}
    for index, end in enumerate(daily(60)):
        if index in (34, 35):
            continue
        executions = int(
            280_000 * (0.45 if (end - HOUR).weekday() >= 5 else 1) * (1 + 0.0015 * index) * chance.uniform(0.95, 1.05)
        )
        rate = chance.uniform(0.021, 0.028) * (2.6 if index > 57 else 1.9 if index in (21, 22) else 1)
        fake.add(pull_event(end, executions=executions, errors=int(executions * rate), extra=name))
    us: Json = {"zone": "us1.make.com", "dag": "make_us", "asset_id": 5, "name": "make_us", "uri": "make_us"}
    for end in daily(30, MIDNIGHT - 4 * DAY):
        executions = int(42_000 * chance.uniform(0.9, 1.1))
        fake.add(
            pull_event(
                end,
                organization_id=1337,
                executions=executions,
                errors=int(executions * chance.uniform(0.003, 0.005)),
                **us,
            )
        )
    hourly: Json = {
        "zone": "eu2.make.com",
        "dag": "make_hourly",
        "asset_id": 6,
        "extra": {"filters": {"team_id": [100, 101]}},
    }
    for index in range(120):
        end = NOW.replace(minute=0, second=0) - (119 - index) * HOUR
        executions = int((620 + 500 * math.sin(end.hour / 24 * 2 * math.pi - 2)) * chance.uniform(0.9, 1.1))
        fake.add(
            pull_event(end, length=HOUR, organization_id=77, executions=executions, errors=executions // 100, **hourly)
        )
    shop, sheets = (
        {
            "count": count,
            "name": kind,
            "message": message,
            "module": module,
            "last_at": iso(NOW - age),
            "url": "https://eu1.make.com/7/scenarios/9001/logs/a",
        }
        for count, kind, message, module, age in (
            (
                33,
                "ConnectionError",
                "The service is temporarily unavailable (503).",
                "Shopify: Watch orders",
                2.2 * HOUR,
            ),
            (8, "DataError", "Missing value of required parameter 'sku'.", "Google Sheets: Add a row", 3 * HOUR),
        )
    )
    rows = [
        scenario_row(9001, "Orders: Shopify to ERP", 41, 118),
        scenario_row(9002, "Invoices to DATEV", 12, 44, team_name="Finance"),
        scenario_row(9003, "Lead routing", 9, 40, team_name="Sales"),
    ]
    run = {"dag_id": "make_alert_slack", "run_id": "asset_triggered__1", "state": "success"}
    fake.add(
        alert_event(
            NOW - 2 * HOUR,
            scenarios=rows,
            payload={"failures": [{"scenario_id": 9001, "count": 41, "errors": [shop, sheets]}]},
            created_dagruns=[run],
        ),
        alert_event(
            NOW - 38 * DAY,
            payload={"value": 4.81, "threshold": 4},
            asset_id=3,
            name="make_organization_failing",
            created_dagruns=[run],
        ),
        *(
            alert_event(NOW - (39 + index) * DAY, scenarios=[scenario_row(8000 + index, "Nightly sync", 20, 90)])
            for index in range(4)
        ),
    )
    fake.tasks.append({"dag_id": "make_reports", "task_id": "pull_week", "state": "success"})

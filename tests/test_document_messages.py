"""The log lines and errors in the documents, compared with those that failing runs write."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_make import pull
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.triggers import analytics
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger, MakeErrorRateTrigger
from airflow_provider_make.triggers.event_payload import (
    error_payload,
    parse_event,
    success_payload,
    timeout_payload,
)
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.documents import PAGES, blocks, first_payload
from tests.support.loopback import http_response, responding
from tests.support.sandbox_requests import get_page
from tests.support.time_frames import CLOCKS_FORWARD, MIDNIGHT

LINES = [
    line for page in PAGES for block in blocks(page) if block.language == "text" for line in block.text.splitlines()
]
# What differs between runs: its pattern in the documents, and its pattern in a run.
DIFFERS = {
    r"\b[0-9a-f]{32}\b": "[0-9a-f]{32}",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"[\dT:.-]+Z",
    r"/data/make/[\w/=.-]*\.parquet": r"/\S+\.parquet",
    r"/data/make": r"/\S+",
    r"http://localhost:\S+(?=, )": r"http://localhost:\S+",
    r"eu1\.make\.com(?!, eu2)": r"(?:127\.0\.0\.1:\d+|eu1\.make\.com)",
    r"\b(?<!HTTP )(?<!SC)\d+(?:,\d{3})*(?:\.\d+)?\b": r"[\d.,]+",
}
_differs = re.compile("|".join(f"({pattern})" for pattern in DIFFERS))


def as_pattern(line: str) -> str:
    """Convert a line of the documents to a regular expression."""
    pattern, end = "", 0
    for found in _differs.finditer(line):
        pattern += re.escape(line[end : found.start()]) + list(DIFFERS.values())[(found.lastindex or 1) - 1]
        end = found.end()
    return pattern + re.escape(line[end:])


class Runs:
    """
    Runs that fail in different ways.

    :param folder: The folder for their files.
    :param patch: Sets connections.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        self.messages: list[str] = []

    @contextmanager
    def sandbox(self, extra: dict[str, Any] | None = None, **options: Any) -> Iterator[Sandbox]:
        with Sandbox(organization_id=42, **options) as running:
            connection = json.loads(running.connection_json)
            self.connect(connection | {"extra": {"organization_id": 42, **(extra or {})}})
            yield running

    def connect(self, connection: dict[str, Any]) -> None:
        self.patch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))

    def record(self, run: Callable[[], object]) -> None:
        """Run a function, and record its result or error."""
        try:
            self.messages.append(str(run()))
        except (AirflowException, AirflowTaskTimeout, RuntimeError) as error:
            self.messages.append(str(error))

    def pull(self, **arguments: Any) -> None:
        """Pull in small pages, without delays."""
        arguments = {
            "lookback": timedelta(days=1),
            "page_size": 100,
            "max_concurrency": 1,
            "api_retry_delay": 0.0,
            **arguments,
        }
        self.record(lambda: MakeAnalyticsOperator(task_id="pull", **arguments).execute({}))

    def run_with(self, dag: Any, begin: datetime, end: datetime, **arguments: Any) -> None:
        """Pull in a run of a Dag, with this data interval."""
        context: Any = {"dag": dag, "data_interval_start": begin, "data_interval_end": end}
        self.record(partial(MakeAnalyticsOperator(task_id="pull", **arguments).execute, context))

    def pulls(self) -> None:
        # Further tries: on a busy machine, other requests may take longer than the timeout, too.
        with self.sandbox({"timeout": 0.5}, scenarios=250) as sandbox:
            sandbox.fail("429:1", "503", "reset", "html", None, "stall:2")
            self.pull(output_path=f"{self.folder}/rows.parquet", api_retry_limit=20)
            for fault in ("401", "403", "redirect"):
                sandbox.fail(fault)
                self.pull()
            for number in (0, 1):

                def change(organization: Organization, added: int = number) -> None:
                    first = min(organization.scenarios, key=lambda scenario: scenario.name)
                    organization.delete_scenarios([first.id])
                    for new in organization.add_scenarios(added):
                        # On the last page.
                        organization.rename_scenario(new.id, "~")

                sandbox.at_request(len(sandbox.requests) + 2, change)
                self.pull()
            now = datetime.now(UTC)
            self.pull(date_from=now - timedelta(days=1), date_to=now - timedelta(days=1))
            self.pull(date_from=now - timedelta(days=500))
            self.pull(lookback="P1M")
            self.pull(max_xcom_bytes=10_000)
            (self.folder / "analytics.csv").mkdir()
            for path in (f"{self.folder}/analytics.xml", "s3:/bucket/analytics.csv", f"{self.folder}/analytics.csv"):
                self.pull(output_path=path)
            self.pull(output_path="s3://bucket/analytics.csv")
            self.record(lambda: MakeHook().test_connection()[1])
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(sys.modules, "pyarrow", None)
                self.pull(output_path=f"{self.folder}/rows.parquet")
            self.runs_and_files(sandbox)

    def runs_and_files(self, sandbox: Sandbox) -> None:
        """Pull without a time frame, into wrong paths, and into a file that exists."""
        now = datetime.now(UTC)
        contexts: tuple[Any, ...] = ({}, {"data_interval_start": now, "data_interval_end": now})
        for context in contexts:
            self.record(partial(MakeAnalyticsOperator(task_id="pull").execute, context))
        with_intervals = CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Prague")
        fixed = CronTriggerTimetable("0 2 * * *", timezone="Europe/Prague", interval=timedelta(days=1))
        self.run_with(DAG("a", schedule=with_intervals), now, now)
        self.run_with(
            DAG("a", schedule=fixed), CLOCKS_FORWARD - timedelta(hours=1), CLOCKS_FORWARD + timedelta(hours=23)
        )
        self.run_with(None, CLOCKS_FORWARD, CLOCKS_FORWARD, lookback="P1D", timezone="Europe/Prague")
        for if_exists in ("replace", "skip"):
            path = f"{self.folder}/not_over.csv"
            self.run_with(None, MIDNIGHT, MIDNIGHT + timedelta(days=2), output_path=path, if_exists=if_exists)
        for name in ("{day}.csv", "{date_from}.csv", "{date_to:%Y-%m-%d}.csv"):
            self.pull(output_path=f"{self.folder}/{name}", lookback=timedelta(minutes=1), date_to=f"{now:%Y-%m-%d}T12")
        path = f"{self.folder}/days.parquet"
        sandbox.organization().add_scenarios(1)
        for _ in range(2):
            self.pull(output_path=path, date_from=f"{now - timedelta(days=1):%Y-%m-%d}", date_to=f"{now:%Y-%m-%d}")
            sandbox.organization().delete_scenarios([sandbox.organization().scenarios[-1].id])
        self.pull(output_path=path, if_exists="fail")
        day: dict[str, Any] = {"date_from": f"{now - timedelta(days=1):%Y-%m-%d}", "date_to": f"{now:%Y-%m-%d}"}
        path = f"{self.folder}/filters.parquet"
        for arguments in ({"status": "active"}, {"if_exists": "skip"}, {}, {"organization_id": 43}):
            self.pull(output_path=path, **day, **arguments)
        xcoms: dict[str, list[Any]] = defaultdict(list)
        ti = SimpleNamespace(
            task_id="pull",
            map_index=0,
            xcom_push=lambda key, value: xcoms[key].append(value),
            xcom_pull=lambda task_ids, key: xcoms[key],
        )
        for organization_id in (43, 42):
            mapped = MakeAnalyticsOperator(
                task_id="pull", organization_id=organization_id, output_path=f"{self.folder}/a.parquet", **day
            )
            self.record(partial(mapped.execute, {"ti": ti}))  # type: ignore[typeddict-item]

    def refusals(self) -> None:
        """Pull with a token that Make refuses, for each reason."""
        scopes = ["analytics:read", "organizations:read", "user:read"]
        for organization_id, options in (
            (42, {"scopes": scopes[1:]}),
            (42, {"scopes": [scopes[0], scopes[2]], "plan": "teams"}),
            (42, {"plan": "teams"}),
            (42, {"role": "admin"}),
            (43, {}),
            (43, {"elsewhere": [43]}),
        ):
            with self.sandbox({"organization_id": organization_id}, **options):
                self.pull()
        with self.sandbox({"organization_id": None}):
            self.record(lambda: MakeHook().test_connection()[1])
        with self.sandbox():
            self.connect(json.loads(os.environ["AIRFLOW_CONN_MAKE_DEFAULT"]) | {"password": "another-token"})
            self.pull()

    def console(self) -> None:
        """Request a page twice, once with a fault."""
        with self.sandbox(scenarios=2) as sandbox:
            sandbox.log_requests(lambda line: self.messages.append(f"09:00:02 {line}"))
            sandbox.fail(None, "503")
            for _ in range(2):
                get_page(sandbox, 42, limit=2)

    def connections(self) -> None:
        with self.sandbox():
            valid = json.loads(os.environ["AIRFLOW_CONN_MAKE_DEFAULT"])
            for invalid in (
                {"host": ""},
                {"password": ""},
                {"host": "http://make.example.com"},
                {"extra": {"retries": 3}},
                {"host": f"https://{valid['password']}"},
                {"password": f"{valid['password']}\n"},
            ):
                self.connect(valid | invalid)
                self.record(lambda: MakeHook().settings)
            for unreadable in (
                json.dumps(valid)[:-1],
                '{"conn_type": "make", "token": ""}',
                "make://:a/b@host",
                "'make://:a@host'",
            ):
                self.patch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", unreadable)
                self.record(lambda: MakeHook().settings)
            self.patch.delenv("AIRFLOW_CONN_MAKE_DEFAULT")
            self.record(lambda: MakeHook().settings)
            self.connect(valid | {"extra": {}})
            self.pull()
            with responding(http_response(status="403 Forbidden", body=b"error code: 1010")) as firewall:
                self.connect(valid | {"host": firewall.url})
                self.pull()
            too_long = http_response(status="414 URI Too Long", body=b"<html>Request-URI Too Large</html>")
            with responding(too_long) as proxy:
                self.connect(valid | {"host": proxy.url})
                self.pull(team_id=list(range(1, 901)))
            by_name = {"total": {}, "analytics": [], "pg": {"totalCount": 0, "sortBy": "name", "sortDir": "asc"}}
            with responding(http_response(body=json.dumps(by_name).encode())) as server:
                self.connect(valid | {"host": server.url})
                self.record(lambda: MakeErrorRateSensor(task_id="s", threshold=20, scope="scenario").poke({}))

    def sensors_and_triggers(self) -> None:
        with self.sandbox(scenarios=20) as sandbox:
            organization = sandbox.organization()
            ids = [scenario.id for scenario in organization.scenarios]
            sensor: dict[str, Any] = {"task_id": "failing", "api_retry_limit": 1, "poke_interval": 60}
            for counts in ((0, 0), (100, 3)):
                organization.set_counts(*counts)
                self.record(lambda: MakeErrorRateSensor(threshold=5.0, **sensor).poke({}))
            organization.set_counts(100, 30, ids[:3])
            self.record(lambda: MakeErrorRateSensor(threshold=20.0, scope="scenario", **sensor).poke({}))
            few: dict[str, Any] = {**sensor, "scope": "scenario", "min_executions": 500}
            self.record(lambda: MakeErrorRateSensor(threshold=20.0, **few).poke({}))
            sandbox.fail("503")
            self.record(lambda: MakeErrorRateSensor(threshold=5.0, **sensor).poke({}))
            # The message of a time frame that ends on the day on which it begins.
            organization.set_counts(100, 3)
            for team, name, counts in (("Finance", "Order sync", (100, 31)), ("Sales", "Lead import", (200, 49))):
                id_ = next(scenario.id for scenario in organization.scenarios if scenario.team_name == team)
                organization.rename_scenario(id_, name)
                organization.set_counts(*counts, [id_])
            day = MakeErrorRateSensor(threshold=20.0, scope="scenario", since="day", **sensor)
            self.record(lambda: day.execute({})["message"])
            self.explained(sandbox, sensor)
            self.failing_sensors(sandbox, sensor)
            expired = MakeErrorRateTrigger(threshold=20.0, deadline=datetime.now(UTC))
            self.record(lambda: parse_event(first_payload(expired)))
            self.record(lambda: parse_event({**success_payload({}), "version": 2}))
            unknown = AirflowNotFoundException("The conn_id `make_default` isn't defined")
            self.record(lambda: parse_event(error_payload(unknown)))
            if HAS_WATCHERS:
                self.watchers(sandbox)

    def explained(self, sandbox: Sandbox, sensor: dict[str, Any]) -> None:
        """Ask why scenarios fail, or have been disabled, also with a token that lacks the scope."""
        organization = sandbox.organization()
        ids = {scenario.name: scenario.id for scenario in organization.scenarios}
        cause = {"causeModule": {"name": "addRow", "appName": "google-sheets"}}
        text = "[429] Quota exceeded for quota metric 'Read requests'."
        quota = {"name": "RateLimitError", "message": text, **cause}
        mail = {"name": "DataError", "message": "Missing value of required parameter 'mail'."}
        expired = {"name": "AccountValidationError", "message": "Invalid refresh token."}
        organization.set_errors(quota, quota, mail, ids=[ids["Order sync"]])
        organization.set_errors(mail, ids=[ids["Lead import"]])
        waiting = {**sensor, "threshold": 20.0, "scope": "scenario", "since": "day", "explain": True}
        self.record(lambda: MakeErrorRateSensor(**waiting).execute({})["message"])
        sandbox.fail(None, "401")
        self.record(lambda: MakeErrorRateSensor(**waiting).execute({})["message"])
        organization.set_errors(expired, ids=ids.values())
        organization.set_status("active", ids.values())
        organization.set_status("invalid", [ids["Order sync"], ids["Lead import"]])
        disabled = {**waiting, "metric": "executions", "threshold": 0, "status": "invalid"}
        self.record(lambda: MakeErrorRateSensor(**disabled).execute({})["message"])
        self.record(lambda: MakeErrorRateSensor(**{**waiting, "metric": "credits"}))

    def failing_sensors(self, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
        """Wait with wrong arguments, with a refused token, and until timeouts."""
        sandbox.organization().set_counts(100, 3)
        sensor: dict[str, Any] = {**arguments, "threshold": 5.0}
        for wrong in ({"threshold": "20%"}, {"metric": "rate"}, {"deferrable": True, "exponential_backoff": True}):
            self.record(partial(MakeErrorRateSensor, **{**sensor, **wrong}))
        for threshold, comparison in ((0.2, "<"), (120, ">")):
            poking_once = {**sensor, "threshold": threshold, "comparison": comparison, "timeout": 0}
            with pytest.raises(AirflowSensorTimeout):
                MakeErrorRateSensor(**poking_once).execute({})
        with pytest.raises(TaskDeferred):
            MakeErrorRateSensor(**sensor, deferrable=True, timeout=6 * 3600).execute({})
        sandbox.fail("401")
        self.record(lambda: MakeErrorRateSensor(**sensor, soft_fail=True).execute({}))
        limited = MakeErrorRateSensor(**sensor, execution_timeout=timedelta(minutes=1))
        self.record(lambda: limited.execute_complete({}, event=timeout_payload("late"), is_execution_timeout=True))

    def watchers(self, sandbox: Sandbox) -> None:
        """Poll figures that cross, stay, and recover; and polls that fail."""
        organization = sandbox.organization()
        ids = [scenario.id for scenario in organization.scenarios]

        async def watch(polls: int | None = 1, **arguments: Any) -> None:
            """Watch until this many polls have sent a request and logged a line, or for a second."""
            trigger = MakeErrorRateEventTrigger(poke_interval=0.05, **arguments)
            last = len(sandbox.requests) + (polls or 0)

            async def drain() -> None:
                async for _ in trigger.run():
                    pass

            watcher = asyncio.create_task(drain())
            if polls is None:
                await asyncio.wait([watcher], timeout=1.0)
            # The request of the next poll follows the line.
            while polls is not None and len(sandbox.requests) <= last and not watcher.done():
                await asyncio.sleep(0.01)
            assert not watcher.done()
            watcher.cancel()

        first = len(sandbox.requests) + 1
        for number, errors in enumerate((3, 12, 13, 9)):

            def set_errors(organization: Organization, errors: int = errors) -> None:
                organization.set_counts(100, errors)

            sandbox.at_request(first + number, set_errors)
        asyncio.run(watch(4, threshold=10.0, hysteresis=2.0))
        asyncio.run(watch(threshold=10.0, hysteresis=10.0))
        organization.set_counts(100, 3)
        organization.set_counts(100, 25, ids[:2])
        sandbox.at_request(len(sandbox.requests) + 2, lambda organization: organization.set_counts(100, 30, ids[2:5]))
        asyncio.run(watch(2, threshold=20.0, scope="scenario"))
        sandbox.fail("503")
        asyncio.run(watch(threshold=10.0))
        self.connect(json.loads(os.environ["AIRFLOW_CONN_MAKE_DEFAULT"]) | {"password": ""})
        asyncio.run(watch(None, threshold=10.0))


def test_every_documented_line_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # A progress line for each page.
    monkeypatch.setattr(pull, "SECONDS_BETWEEN_LOG_LINES", 0.0)
    monkeypatch.setattr(analytics, "SECONDS_BETWEEN_LOG_LINES", 0.0)
    runs = Runs(tmp_path, monkeypatch)
    runs.pulls()
    runs.refusals()
    runs.console()
    runs.connections()
    runs.sensors_and_triggers()
    written = "\n".join([*runs.messages, caplog.text, *capfd.readouterr()])
    lines = [line for line in LINES if HAS_WATCHERS or not re.search("next poll|hysteresis", line)]
    assert len(lines) > 20
    assert "\n".join(line for line in lines if not re.search(as_pattern(line), written)) == ""


def test_other_lines_do_not_match() -> None:
    line = "Try 1 of 5 failed, retrying in 12.0 s: HTTP 503: down"
    assert re.search(as_pattern(line), "WARNING Try 2 of 3 failed, retrying in 0.5 s: HTTP 503: down")
    assert not re.search(as_pattern(line), "Try 2 of 3 failed, retrying in 0.5 s: HTTP 500: down")
    assert not re.search(as_pattern(line), "Attempt 2 of 3 failed, retrying in 0.5 s: HTTP 503: down")

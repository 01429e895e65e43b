"""The log lines and errors in the documents, compared with those that failing runs write."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_make import pull
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Organization, Sandbox
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from airflow_provider_make.thresholds.event_payload import parse_event, success_payload
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger, MakeErrorRateTrigger
from tests.support.airflow_versions import HAS_WATCHERS
from tests.support.documents import PAGES, README, blocks, first_payload
from tests.support.loopback import http_response, responding

LINES = [
    line
    for page in (README, *PAGES)
    for block in blocks(page)
    if block.language == "text"
    for line in block.text.splitlines()
]
# What differs between runs: its pattern in the documents, and its pattern in a run.
DIFFERS = {
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"[\dT:.-]+Z",
    r"/data/make/[\w/=.-]*\.parquet": r"/\S+\.parquet",
    r"/data/make": r"/\S+",
    r"http://localhost:\S+(?=, )": r"http://localhost:\S+",
    r"eu1\.make\.com(?!, eu2)": r"127\.0\.0\.1:\d+",
    r"\b(?<!HTTP )(?<!SC)\d+(?:\.\d+)?\b": r"[\d.]+",
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
        except AirflowException as error:
            self.messages.append(str(error))

    def pull(self, **arguments: Any) -> None:
        """Pull in small pages, without delays."""
        arguments = {"page_size": 100, "max_concurrency": 1, "api_retry_delay": 0.0, **arguments}
        self.record(lambda: MakeAnalyticsOperator(task_id="pull", **arguments).execute({}))

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
                    organization.delete_scenarios([organization.scenarios[0].id])
                    organization.add_scenarios(added)

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

    def connections(self) -> None:
        with self.sandbox():
            valid = json.loads(os.environ["AIRFLOW_CONN_MAKE_DEFAULT"])
            for invalid in (
                {"host": ""},
                {"password": ""},
                {"host": "http://make.example.com"},
                {"extra": {"retries": 3}},
            ):
                self.connect(valid | invalid)
                self.record(lambda: MakeHook().settings)
            self.connect(valid | {"extra": {}})
            self.pull()
            with responding(http_response(status="403 Forbidden", body=b"error code: 1010")) as firewall:
                self.connect(valid | {"host": firewall.url})
                self.pull()

    def sensors_and_triggers(self) -> None:
        with self.sandbox(scenarios=20) as sandbox:
            organization = sandbox.organization()
            sensor: dict[str, Any] = {"task_id": "failing", "api_retry_limit": 1, "poke_interval": 60}
            for counts in ((0, 0), (100, 3)):
                organization.set_counts(*counts)
                self.record(lambda: MakeErrorRateSensor(threshold=5.0, **sensor).poke({}))
            organization.set_counts(100, 30, [scenario.id for scenario in organization.scenarios[:3]])
            self.record(lambda: MakeErrorRateSensor(threshold=20.0, scope="scenario", **sensor).poke({}))
            few: dict[str, Any] = {**sensor, "scope": "scenario", "min_executions": 500}
            self.record(lambda: MakeErrorRateSensor(threshold=20.0, **few).poke({}))
            sandbox.fail("503")
            self.record(lambda: MakeErrorRateSensor(threshold=5.0, **sensor).poke({}))
            expired = MakeErrorRateTrigger(threshold=20.0, deadline=datetime.now(UTC))
            self.record(lambda: parse_event(first_payload(expired)))
            self.record(lambda: parse_event({**success_payload({}), "version": 2}))
            if HAS_WATCHERS:

                async def watch() -> None:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(anext(MakeErrorRateEventTrigger(threshold=10.0).run()), 1)

                asyncio.run(watch())


def test_every_documented_line_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # A progress line for each page.
    monkeypatch.setattr(pull, "SECONDS_BETWEEN_LOG_LINES", 0.0)
    runs = Runs(tmp_path, monkeypatch)
    runs.pulls()
    runs.connections()
    runs.sensors_and_triggers()
    written = "\n".join([*runs.messages, caplog.text, *capfd.readouterr()])
    lines = [line for line in LINES if HAS_WATCHERS or "next poll" not in line]
    assert len(lines) > 20
    assert "\n".join(line for line in lines if not re.search(as_pattern(line), written)) == ""


def test_other_lines_do_not_match() -> None:
    line = "Try 1 of 5 failed, retrying in 12.0 s: HTTP 503: down"
    assert re.search(as_pattern(line), "WARNING Try 2 of 3 failed, retrying in 0.5 s: HTTP 503: down")
    assert not re.search(as_pattern(line), "Try 2 of 3 failed, retrying in 0.5 s: HTTP 500: down")
    assert not re.search(as_pattern(line), "Attempt 2 of 3 failed, retrying in 0.5 s: HTTP 503: down")

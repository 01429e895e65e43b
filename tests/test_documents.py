"""The documents' code blocks, each run or validated: Dags against the sandbox, commands with their programs."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.triggers.base import BaseTrigger
from packaging.requirements import Requirement

from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.triggers.error_rate import MakeErrorRateEventTrigger, MakeErrorRateTrigger
from airflow_provider_make.triggers.event_payload import parse_event
from tests.support.airflow_versions import (
    HAS_PARTITIONS,
    HAS_RETRY_POLICIES,
    HAS_WATCHERS,
    VERSION,
    dag_bag,
    find,
    is_triggered_by_assets,
    run_dag,
)
from tests.support.documents import PAGES, README, ROOT, Block, as_dag_file, blocks, first_payload

# Yesterday's: a sensor that waits for some hours after a day does not wait.
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
TOKEN = "YOUR_API_TOKEN"
# The connections of the documents' Dags, by the organization that each is for; a page exports all but the first.
CONNECTIONS = {"MAKE_DEFAULT": 42, "MAKE_EU": 1, "MAKE_US": 2}
# The versions of the constraints.
AIRFLOW_VERSIONS = {
    re.findall(r"^apache-airflow==(.+)$", path.read_text(), re.MULTILINE)[0]
    for path in (ROOT / "constraints").glob("airflow-*.txt")
}
pytestmark = [pytest.mark.usefixtures("airflow_database"), pytest.mark.timeout(300)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The sandbox for the documents' Dags: its scenarios fail so often that every threshold is crossed."""
    with Sandbox(organization_id=42, organizations={1: 30, 2: 40}) as running:
        for organization_id in CONNECTIONS.values():
            running.organization(organization_id).set_counts(1000, 300)
        yield running


@pytest.fixture
def webhooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Receive what the documents' Dags post to other services: the path and the body of each request."""
    received: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((self.path, {**body, "Authorization": self.headers.get("Authorization")}))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = {"conn_type": "http", "host": f"http://127.0.0.1:{server.server_port}"}
    key = {"Authorization": f"GenieKey {TOKEN}"}
    monkeypatch.setenv("AIRFLOW_CONN_PAGERDUTY", json.dumps({**host, "password": TOKEN}))
    monkeypatch.setenv("AIRFLOW_CONN_OPSGENIE", json.dumps({**host, "extra": key}))
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


class BlockRunner:
    """
    Runs the blocks of one page, in order.

    :param folder: A folder for this page.
    :param sandbox: The sandbox for Dags.
    :param patch: Sets the connections that the blocks export.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.patch = patch
        # Test files that no command has run yet.
        self.pending_tests: set[str] = set()
        self.number = 0
        # The extra of the last pull's asset event.
        self.outlet_extra: dict[str, Any] = {}

    def with_test_paths(self, text: str) -> str:
        """Replace the paths, ports and addresses in a block by those of the test."""
        for documented_path, test_path in {
            "/tmp/make": str(self.folder / "tmp"),
            "/etc/airflow/connections.json": str(self.folder / "connections.json"),
            "http://127.0.0.1:6253": self.sandbox.host,
        }.items():
            text = text.replace(documented_path, test_path)
        return text

    def run(self, block: Block) -> None:
        """Run or validate a block, depending on its language."""
        runners: dict[str, Callable[[str], None]] = {
            "python": self.run_python,
            "bash": self.run_bash,
            "json": self.validate_json,
            "requirements": self.validate_requirements,
            "dockerfile": self.validate_dockerfile,
            # tests/test_repository.py validates it.
            "yaml": lambda text: None,
            # tests/release runs these scripts in an environment of their own.
            "sh": lambda text: None,
            # test_document_messages compares these with what the code writes.
            "text": lambda text: None,
        }
        assert block.language in runners, f"no way to run a block of {block.language!r}"
        self.number += 1
        runners[block.language](self.with_test_paths(block.text))

    def run_python(self, text: str) -> None:
        name = re.match(r"# (\w+/\w+\.py)\n", text)
        path = self.folder / (name[1] if name else f"dags/block_{self.number}.py")
        path.parent.mkdir(exist_ok=True)
        # Dag ids must be unique among all pages.
        path.write_text(as_dag_file(text, f"{self.folder.name}_{self.number}"))
        if path.parent.name == "tests":
            self.pending_tests.add(path.name)
            return
        needed = {
            "from airflow.sdk import": HAS_WATCHERS,
            "partition_key": HAS_PARTITIONS,
            "MakeRetryPolicy": HAS_RETRY_POLICIES,
        }
        if not all(available for mark, available in needed.items() if mark in text):
            return
        requests_before = len(self.sandbox.requests)
        namespace = runpy.run_path(str(path))
        bag = dag_bag(path)
        assert bag.import_errors == {}
        # Dags that emit asset events run before those that they trigger.
        for dag in sorted(bag.dags.values(), key=is_triggered_by_assets):
            self.run_dag(dag, namespace)
        if "table" in namespace:
            assert len(namespace["table"]) > 0
        else:
            assert len(self.sandbox.requests) > requests_before, "the block sends no request"

    def run_dag(self, dag: Any, namespace: dict[str, Any]) -> None:
        if type(dag.timetable).__name__ == "PartitionedAssetTimetable":
            # tests/e2e has the scheduler that it needs.
            return
        if getattr(dag, "deadline", None):
            # Airflow 3.3 can't test such Dags.
            dag.deadline = None
        if is_triggered_by_assets(dag):
            # Its tasks receive the event of a watcher or an outlet, as the scheduler would pass it.
            triggers = [value for value in namespace.values() if isinstance(value, BaseTrigger)]
            extra = {"from_trigger": True, "payload": first_payload(triggers[0])} if triggers else self.outlet_extra
            for task in dag.tasks:
                task.python_callable(triggering_asset_events={"asset": [SimpleNamespace(extra=extra)]})
            return
        run = run_dag(dag, MIDNIGHT)
        assert str(run.state) == "success"
        for instance in run.get_task_instances():
            assert str(instance.state) == "success"
            result = instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index)
            if isinstance(result, dict) and "row_count" in result:
                begin, end = (datetime.fromisoformat(result[name]) for name in ("date_from", "date_to"))
                # The Dag sets a time frame: it is not Make's default of one year.
                assert timedelta(0) < end - begin <= timedelta(days=7)
                assert end <= MIDNIGHT
                assert result["row_count"] > 0
                self.outlet_extra = {**result, "error_rate": result["total"]["error_rate"]}

    def run_bash(self, text: str) -> None:
        airflow = None
        for line in text.splitlines():
            if version := re.fullmatch(r"# Airflow (\d)", line):
                airflow = int(version[1])
            elif airflow in (None, VERSION[0]) and (words := shlex.split(line, comments=True)):
                self.run_command(words)

    def run_command(self, words: list[str]) -> None:
        match words:
            case ["export", assignment]:
                self.validate_variable(*assignment.split("=", 1))
            case ["pip", "install", *requirements, "--constraint", constraints]:
                assert (ROOT / constraints).is_file()
                self.validate_requirements("\n".join(requirements))
            case ["pip", "install", airflow, "-r", "requirements.txt"]:
                # tests/release resolves this file.
                self.validate_requirements(airflow)
            case ["pip", "install", *requirements]:
                self.validate_requirements("\n".join(requirements))
            case ["grep", "-vE", pattern, _, ">", _]:
                # tests/release resolves with the constraints that it changes.
                re.compile(pattern)
            case ["make", target]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            case ["airflow", *arguments]:
                self.validate_airflow_command(arguments)
            case ["python", "-m", "airflow_provider_make.sandbox", "--help"]:
                subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True, timeout=60)
            case ["python", "-m", "airflow_provider_make.sandbox", *_]:
                # A free port instead of the default one.
                self.start_and_stop_sandbox([sys.executable, *words[1:], "--port", "0"])
            case ["python", "-m", "airflow_provider_make.report", _, "-o", page, *_]:
                done = subprocess.run(
                    [sys.executable, *words[1:]], check=True, capture_output=True, text=True, timeout=60
                )
                assert done.stdout.splitlines()[-1].endswith(page)
                assert Path(page).read_text().startswith("<!DOCTYPE html>")
            case ["python", "-m", "pytest", folder]:
                self.run_tests(folder)
            case ["curl", "-d", body, url]:
                assert requests.post(url, data=body, timeout=10).json() == {"queued": len(json.loads(body)["faults"])}
            case _:
                raise AssertionError(f"no way to run {shlex.join(words)}")

    def validate_variable(self, name: str, value: str) -> None:
        if name.startswith("AIRFLOW_CONN_"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(name, value)
                if '"http"' in value:
                    hook = HttpHook(http_conn_id=name.removeprefix("AIRFLOW_CONN_").lower())
                    assert hook.get_conn().auth is None
                    assert hook.base_url.startswith("https://")
                    return
                settings = MakeHook(name.removeprefix("AIRFLOW_CONN_").lower()).settings
            assert settings.token == TOKEN
            assert settings.unknown_extras == ()
            self.connect(name.removeprefix("AIRFLOW_CONN_"))
            return
        from airflow.configuration import retrieve_configuration_description

        prefix, section, option = name.split("__", 2)
        assert prefix == "AIRFLOW"
        known = retrieve_configuration_description(include_providers=True)
        assert option.lower() in known[section.lower()]["options"]
        if option == "BACKEND":
            module, _, class_name = value.rpartition(".")
            self.backend = find(class_name, module)
        if option == "BACKEND_KWARGS":
            found = self.backend(**json.loads(value)).get_connection("make_default")
            assert ConnectionSettings.from_airflow(found).token == TOKEN

    def connect(self, name: str) -> None:
        """Set a connection of the documents' Dags to the sandbox."""
        fields = json.loads(self.sandbox.connection_json) | {"extra": {"organization_id": CONNECTIONS[name]}}
        self.patch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(fields))

    def validate_airflow_command(self, arguments: list[str]) -> None:
        from airflow.cli.cli_parser import get_parser

        # Exits if Airflow's command line does not know a command or option.
        parsed = get_parser().parse_args(arguments)
        if arguments[:2] == ["pools", "set"]:
            parsed.func(parsed)
        if "backfill" in arguments:
            # Each run takes seconds: a reader who pastes a year of them waits for minutes.
            begin, end = ("from_date", "to_date") if VERSION[0] > 2 else ("start_date", "end_date")
            assert getattr(parsed, end) - getattr(parsed, begin) < timedelta(days=10)
        if getattr(parsed, "conn_json", None):
            self.validate_variable(f"AIRFLOW_CONN_{parsed.conn_id.upper()}", parsed.conn_json)

    def validate_requirements(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith("--constraint "):
                continue
            # A clone, too, has extras.
            requirement = Requirement(re.sub(r"^\.(?=\[|$)", "airflow-provider-make", line))
            if requirement.name == "airflow-provider-make":
                assert requirement.extras <= set(metadata(requirement.name).get_all("Provides-Extra", []))
            if requirement.name == "apache-airflow":
                assert str(requirement.specifier).removeprefix("==") in AIRFLOW_VERSIONS

    def validate_dockerfile(self, text: str) -> None:
        # tests/release resolves the requirements that it installs.
        if text.startswith("RUN pip install --no-cache-dir --find-links "):
            self.validate_requirements("\n".join(shlex.split(text.replace("\\\n", ""))[6:]))
            return
        image, copy, install = text.splitlines()
        assert image.removeprefix("FROM apache/airflow:") in AIRFLOW_VERSIONS
        assert copy == "COPY requirements.txt /"
        assert install.startswith("RUN pip install ")
        assert install.endswith(' "apache-airflow==${AIRFLOW_VERSION}" -r /requirements.txt')

    def start_and_stop_sandbox(self, command: list[str]) -> None:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                lines = [process.stdout.readline() for _ in range(3)]
                process.terminate()
                assert process.wait(30) == 0
            finally:
                process.kill()
        assert lines[0].startswith("Make sandbox listening on"), lines
        name, _, value = shlex.split(lines[1])[1].partition("=")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert MakeHook().settings.token == "sandbox-token"

    def run_tests(self, folder: str) -> None:
        excluded = ("AIRFLOW", "PYTEST")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(excluded)}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", folder]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        for path in (self.folder / folder).glob("test_*.py"):
            for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE):
                assert f"{folder}/{path.name}::{name} PASSED" in done.stdout
        self.pending_tests.clear()

    def validate_json(self, text: str) -> None:
        value = json.loads(text)
        if "row_count" in value:
            target = str(self.folder / "rows.parquet") if value["path"] else None
            summary = MakeAnalyticsOperator(task_id="pull", lookback=timedelta(days=1), output_path=target).execute({})
            assert_same_shape(value, summary)
        elif "metric" in value:
            # Of a watcher or of a sensor.
            if "status" not in value:
                trigger = MakeErrorRateTrigger(threshold=5.0, scope=value["scope"], first_poke=datetime.now(UTC))
                assert_same_shape(value, parse_event(first_payload(trigger)))
            elif HAS_WATCHERS:
                watcher = MakeErrorRateEventTrigger(threshold=5.0, scope=value["scope"])
                assert_same_shape(value, first_payload(watcher))
        else:
            (self.folder / "connections.json").write_text(text)
            for fields in value.values():
                self.validate_variable("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(fields))


def assert_same_shape(documented: dict[str, Any], real: dict[str, Any]) -> None:
    """Compare an example with a real value: the same keys in the same order, and values of the same types."""
    assert list(documented) == list(real)
    for key, value in documented.items():
        if isinstance(value, dict):
            assert_same_shape(value, real[key])
        elif value is not None and real[key] is not None:
            assert isinstance(real[key], (int, float) if isinstance(value, (int, float)) else type(value)), key


# tests/warehouse runs the blocks of warehouse.md. Those of testing.md run pytest, on a busy machine for some minutes.
LONG = [pytest.mark.slow, pytest.mark.timeout(590)]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=LONG if page.name == "testing.md" else [], id=page.name)
        for page in (README, *PAGES)
        if page.name != "warehouse.md"
    ],
)
def test_every_code_block_runs(
    page: Path,
    sandbox: Sandbox,
    webhooks: list[tuple[str, dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = {
        # The name that run_dag uses on Airflow 3.0.
        "name": "tests",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(tmp_path / "dags")},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    runner = BlockRunner(tmp_path, sandbox, monkeypatch)
    runner.connect("MAKE_DEFAULT")
    for block in blocks(page):
        try:
            runner.run(block)
        except BaseException as error:
            error.add_note(f"In {page.name}, the block at line {block.line}.")
            raise
    assert runner.pending_tests == set(), "test files that no command runs"
    if page.name == "alerting.md" and HAS_WATCHERS:
        posted = dict(webhooks)
        event, alert = posted["/v2/enqueue"], posted["/v2/alerts"]
        headline = "Make organization 42: error rate 30 % (>= 10 %)"
        assert event["payload"]["summary"].startswith(headline)
        assert alert["message"].startswith(headline)
        assert event["payload"]["custom_details"] == alert["description"]
        assert (event["routing_key"], alert["Authorization"]) == (TOKEN, f"GenieKey {TOKEN}")


def test_unknown_blocks_and_blocks_without_requests_fail(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for language in ("", "toml"):
        with pytest.raises(AssertionError, match="no way to run"):
            BlockRunner(tmp_path, sandbox, monkeypatch).run(Block(language, "x = 1", 1))
    for text in ("x = 1", "def unused():\n    call_make()\n"):
        with pytest.raises(AssertionError, match="sends no request"):
            BlockRunner(tmp_path, sandbox, monkeypatch).run(Block("python", text, 1))
    with pytest.raises(AssertionError, match="no way to run"):
        BlockRunner(tmp_path, sandbox, monkeypatch).run(Block("bash", "rm -rf /", 1))

"""Test the sandbox's command, in a separate process."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_make import __version__
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox.__main__ import main

TOKEN = {"Authorization": "Token it's-secret"}
OPTIONS = ["--port", "0", "--scenarios", "12", "--token", "it's-secret"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    command = [sys.executable, "-m", "airflow_provider_make.sandbox", *OPTIONS, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[0].startswith("Make sandbox listening on http://127.0.0.1:"), process.communicate()
        yield process, lines[0].split()[4], lines
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_a_signal(number: signal.Signals) -> None:
    with running("--organization", "4", "--organization", "5", "--fault", "429:1", "--fault", "503") as (
        process,
        url,
        lines,
    ):
        statuses = [requests.get(f"{url}/analytics/4", headers=TOKEN, timeout=10).status_code for _ in range(3)]
        assert statuses == [429, 503, 200]
        entries = requests.get(f"{url}/analytics/5", headers=TOKEN, timeout=10).json()["analytics"]
        assert len(entries) == 12
        # Users paste both lines into a shell.
        export = shlex.split(lines[1])
        assert export[0] == "export"
        name, _, value = export[1].partition("=")
        assert name == "AIRFLOW_CONN_MAKE_DEFAULT"
        assert json.loads(value)["password"] == "it's-secret"
        assert json.loads(value)["extra"] == {"organization_id": 4}
        curl = shlex.split(lines[2])
        assert curl[:4] == ["curl", "-g", "-H", "Authorization: Token it's-secret"]
        assert len(requests.get(curl[4], headers=TOKEN, timeout=10).json()["analytics"]) == 2
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert errors == ""
        # Neither the token nor a traceback.
        printed = [re.fullmatch(r"\d\d:\d\d:\d\d (GET .*), \d+ ms", line) for line in output.splitlines()]
        assert [line and line[1].removeprefix("GET /api/v2/analytics/") for line in printed] == [
            "4 429, fault 429:1",
            "4 503, fault 503",
            "4 200, 12 entries",
            "5 200, 12 entries",
            "4?pg[limit]=2 200, 2 entries",
        ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_quiet_command_prints_no_requests() -> None:
    with running("--quiet") as (process, url, _):
        assert requests.get(f"{url}/analytics/1", headers=TOKEN, timeout=10).ok
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")


def test_an_unread_console_does_not_stop_the_server() -> None:
    with running() as (_, url, _), requests.Session() as session:
        # More than a pipe holds.
        for _ in range(400):
            assert session.get(f"{url}/analytics/1", params={"x": "x" * 300}, timeout=10).status_code == 401


@pytest.mark.parametrize(("options", "has_story"), [([], True), (["--no-story"], False)])
def test_the_command_has_a_story_by_default(options: list[str], has_story: bool) -> None:
    # The last --scenarios counts. Within 32 days, a scenario is created.
    with running("--scenarios", "250", *options) as (_, url, _):
        ids = []
        for days in (1, 33):
            begin = datetime.now(UTC) - timedelta(days=days)
            frame = {
                "timeframe[dateFrom]": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
                "timeframe[dateTo]": f"{begin + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
            }
            entries = requests.get(
                f"{url}/analytics/1", params={**frame, "pg[limit]": "500"}, headers=TOKEN, timeout=10
            ).json()["analytics"]
            ids.append({entry["id"] for entry in entries})
    assert [len(some) for some in ids] == [250, 250]
    assert (ids[0] != ids[1]) == has_story


def test_the_command_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"airflow-provider-make {__version__}\n"


def test_options_of_the_command_reach_the_server() -> None:
    options = {"requests-per-minute": 3, "rate-limit-hint": "text", "max-limit": 9, "misread-filters": "last"}
    pairs = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    account = ["--scopes", "analytics:read", "user:read", "--role", "admin", "--elsewhere", "9", "--plan", "teams"]
    with running(*account) as (_, url, _):
        user = requests.get(f"{url}/users/me?cols[]=userOrganizationRoles", headers=TOKEN, timeout=10).json()
        assert [role["usersRoleId"] for role in user["authUser"]["userOrganizationRoles"]] == [12, 12]
        paths = ("analytics/1", "organizations")
        assert [requests.get(f"{url}/{path}", headers=TOKEN, timeout=10).status_code for path in paths] == [403, 401]
    with running(*pairs, "--value-types", "text") as (_, url, _):
        too_large, filtered, ids, refused = (
            requests.get(f"{url}/analytics/1?{query}", headers=TOKEN, timeout=10)
            for query in ("pg[limit]=10", "teamId=101&teamId=9", "pg[limit]=9", "pg[limit]=9")
        )
    assert too_large.status_code == 400
    assert filtered.json()["analytics"] == []
    assert all(isinstance(entry["id"], str) for entry in ids.json()["analytics"])
    assert (refused.status_code, refused.text) == (429, "Too many requests.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "402"], "argument --fault: unknown fault '402'"),
        (["--fault-rate", "2"], "fault_rate must be between 0 and 1"),
        (["--page-cap", "0"], "page_cap must be at least 1"),
        (["--scenarios", "many"], "argument --scenarios"),
        (["--rate-limit-hint", "header"], "argument --rate-limit-hint: invalid choice"),
        (["--max-limit", "0"], "max_limit must be at least 1"),
        (["--plan", "free"], "argument --plan: invalid choice"),
        (["--elsewhere", "1"], "organization 1 is in both zones"),
    ],
)
def test_errors_name_the_invalid_option(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_an_error(make_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    port = make_sandbox.host.rpartition(":")[2]
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--port", port]) == 1
    message = "the port is in use. Set another one, or 0 for a free one, with --port."
    assert capsys.readouterr().err == f"The sandbox can't listen on 127.0.0.1, port {port}: {message}\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no /dev/full")
def test_output_that_can_not_be_printed_is_an_error_that_says_so() -> None:
    command = [sys.executable, "-m", "airflow_provider_make.sandbox", *OPTIONS]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert re.fullmatch(r"The sandbox has stopped, because it can't print: .*\n", done.stderr)


def test_help_lists_every_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    names = {name.replace("_", "-") for name in inspect.signature(Sandbox).parameters}
    only_in_python, only_here = (
        {"organization-id", "organizations", "story"},
        {"organization", "no-story", "fault", "quiet", "version"},
    )
    options = re.findall(r"^  --([a-z-]+)", text, re.MULTILINE)
    assert set(options) == names - only_in_python | only_here
    # The version and the faults have none.
    assert text.count("(default:") == len(options) - 2


def test_sandbox_imports_nothing_else_of_the_package() -> None:
    code = (
        "import sys; import airflow_provider_make.sandbox.server; "
        "names = {name for name in sys.modules if name.startswith('airflow_provider_make.')}; "
        "assert all(name.startswith('airflow_provider_make.sandbox') for name in names), names; "
        "assert not {'pytest', 'airflow', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)

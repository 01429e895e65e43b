"""The sandbox's command; where its process matters, in a process of its own."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from airflow_provider_make import __version__
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sandbox import __main__ as module
from airflow_provider_make.sandbox.__main__ import DEFAULT_PORT, main

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


def test_the_command_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"airflow-provider-make {__version__}\n"


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Return the arguments of the sandbox that a command line creates."""

    def run(arguments: str) -> dict[str, Any]:
        received: dict[str, Any] = {}

        def create(**options: Any) -> None:
            received.update(options)
            raise ValueError("stops the command")

        monkeypatch.setattr(module, "Sandbox", create)
        with pytest.raises(SystemExit):
            main(arguments.split())
        return received

    return run


def test_the_defaults_of_the_command_are_those_of_the_sandbox(chosen: Callable[[str], dict[str, Any]]) -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(Sandbox).parameters.items()}
    differing = {"organizations": {}, "story": True, "port": DEFAULT_PORT, "elsewhere": []}
    assert chosen("") == defaults | differing


def test_every_option_of_the_command_reaches_the_sandbox(chosen: Callable[[str], dict[str, Any]]) -> None:
    assert chosen(
        "--organization 4 --organization 5 --scenarios 12 --no-story --huge-credits --seed 3 --token x --latency 0.5 "
        "--page-cap 7 --max-limit 9 --shuffle-ties --absent-first --requests-per-minute 60 --rate-limit-hint text "
        "--misread-filters last --value-types float --no-errors-in-log --no-events-in-log --fault-rate 0.1 "
        "--scopes analytics:read user:read --plan teams --role admin --elsewhere 8 --elsewhere 9 --host 0.0.0.0 "
        "--port 0"
    ) == {
        "organization_id": 4,
        "scenarios": 12,
        "organizations": {5: 12},
        "story": False,
        "huge_credits": True,
        "seed": 3,
        "token": "x",
        "latency": 0.5,
        "page_cap": 7,
        "max_limit": 9,
        "shuffle_ties": True,
        "absent_first": True,
        "requests_per_minute": 60,
        "rate_limit_hint": "text",
        "misread_filters": "last",
        "value_types": "float",
        "errors_in_log": False,
        "events_in_log": False,
        "fault_rate": 0.1,
        "scopes": ["analytics:read", "user:read"],
        "plan": "teams",
        "role": "admin",
        "elsewhere": [8, 9],
        "host": "0.0.0.0",
        "port": 0,
    }


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


@pytest.mark.parametrize("host", ["nowhere.invalid", "8.8.8.8", "[::1]", "a..b", "n" * 64, "a b", "\0"])
def test_an_address_that_is_none_of_this_machine_is_an_error(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", host, "--port", "0", "--scenarios", "1"]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith(f"The sandbox can't listen on {host}")
    assert errors.count("\n") == 1


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

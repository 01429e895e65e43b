"""The commands where a terminal, a locale or a reader can't take what they print: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import IO, Any

import pytest

from airflow_provider_make.examples import find_examples
from tests.support.documents import ROOT
from tests.support.entries import entry
from tests.support.pulled_files import write_day

COMMANDS = ("examples", "report", "sandbox")
pytestmark = pytest.mark.slow


def run(
    command: str, *arguments: str | Path, stdout: int | IO[str] = subprocess.PIPE, **variables: Any
) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors."""
    done = subprocess.run(
        [sys.executable, "-m", f"airflow_provider_make.{command}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


def closed_pipe() -> IO[str]:
    """Return the end for writing of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def test_what_is_not_ascii_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "Übersicht"
    code, out, errors = run("examples", folder, PYTHONIOENCODING="ascii")
    assert (code, errors, out.count(r"\xdcbersicht")) == (0, "", len(find_examples()))
    path = write_day(folder, date(2026, 3, 1), [entry(1, executions=5)])
    code, out, errors = run("report", path, PYTHONIOENCODING="ascii")
    assert (code, errors, out.count(r"\xdcbersicht")) == (0, "", 1)
    # Where Python puts no UTF-8 in the place of the locale.
    ascii_only: dict[str, Any] = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    code, out, errors = run("examples", folder, **ascii_only)
    assert (code, errors, out.count(r"\udcc3\udc9cbersicht")) == (0, "", len(find_examples()))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_that_nobody_reads_is_no_traceback(command: str, unbuffered: str) -> None:
    with closed_pipe() as pipe:
        # Without a buffer, argparse ignores what it can't print.
        assert run(command, "--help", stdout=pipe, PYTHONUNBUFFERED=unbuffered) == (0 if unbuffered else 1, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_does_not_end_the_work(unbuffered: str, tmp_path: Path) -> None:
    with closed_pipe() as pipe:
        assert run("examples", tmp_path, stdout=pipe, PYTHONUNBUFFERED=unbuffered) == (1, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in find_examples()]
    path = write_day(tmp_path, date(2026, 3, 1), [entry(1, executions=5)])
    with closed_pipe() as pipe:
        assert run("report", path, stdout=pipe, PYTHONUNBUFFERED=unbuffered) == (1, "", "")
    assert path.with_suffix(".html").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no /dev/full")
def test_output_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    path = write_day(tmp_path, date(2026, 3, 1), [entry(1, executions=5)])
    for command, argument in (("examples", tmp_path), ("report", path)):
        with open("/dev/full", "w") as full:
            code, _, errors = run(command, argument, stdout=full)
        assert (code, errors) == (1, "The output can't be written: [Errno 28] No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shell that closes a stream")
@pytest.mark.parametrize("arguments", [["missing.parquet"], ["--help"], ["--nonsense"]])
def test_what_is_printed_to_a_closed_stream_is_not_printed_to_the_other(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airflow_provider_make.report", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run_with(closing: str) -> tuple[int, bytes, bytes]:
        shell = ["sh", "-c", f'"$@" {closing}', "sh", *command]
        done = subprocess.run(shell, capture_output=True, cwd=tmp_path, env=environment, timeout=60)
        return done.returncode, done.stdout, done.stderr

    code, out, errors = run_with("")
    assert run_with("2>&-") == (code, out, b"")
    assert run_with(">&-") == (code, b"", errors)

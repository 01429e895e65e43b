"""The command ``python -m airflow_provider_make.sandbox``: run a sandbox in the foreground."""

from __future__ import annotations

import argparse
import errno
import queue
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields

from airflow_provider_make import __version__
from airflow_provider_make.command import discard_output, print_error, run
from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.options import GROUPS, Options
from airflow_provider_make.sandbox.server import Sandbox

# It spells MAKE on a phone's keys. Airflow's own port is 8080.
DEFAULT_PORT = 6253


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 after SIGINT or SIGTERM, 1 if the sandbox can't listen, or can't print."""
    parser = _parser()
    chosen = vars(parser.parse_args(arguments))
    ids, faults, is_quiet = chosen.pop("organization") or [1], chosen.pop("fault"), chosen.pop("quiet")
    try:
        others = dict.fromkeys(ids[1:], chosen["scenarios"])
        sandbox = Sandbox(organization_id=ids[0], organizations=others, **chosen)
    except ValueError as error:
        parser.error(str(error))
    sandbox.fail(*faults)
    # None ends it. The main thread prints, so that a reader that does not read can't block the server.
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    if not is_quiet:
        sandbox.log_requests(lines.put)
    with _signals(lambda: lines.put(None)):
        try:
            sandbox.start()
        except (OSError, ValueError) as error:
            in_use = "the port is in use. Set another one, or 0 for a free one, with --port."
            reason = in_use if getattr(error, "errno", None) == errno.EADDRINUSE else error
            print_error(f"The sandbox can't listen on {chosen['host']}, port {chosen['port']}: {reason}")
            return 1
        try:
            _print_usage(sandbox, ids)
            _print_until_none(lines)
        except OSError as error:
            print_error(f"The sandbox has stopped, because it can't print: {error}")
            discard_output()
            return 1
        finally:
            sandbox.stop()
    return 0


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Handle the signals that end the command."""
    previous = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print_until_none(lines: queue.SimpleQueue[str | None]) -> None:
    while True:
        try:
            # Without a timeout, a signal would not end the wait on Windows.
            line = lines.get(timeout=0.5)
        except queue.Empty:
            continue
        if line is None:
            return
        print(time.strftime("%H:%M:%S"), line, flush=True)


def _print_usage(sandbox: Sandbox, ids: Sequence[int]) -> None:
    count = f"{len(sandbox.organization().scenarios)} scenarios"
    serves = f"organization {ids[0]}, {count}"
    if len(ids) > 1:
        serves = f"organizations {', '.join(map(str, ids))}; {count} each"
    url = f"{sandbox.base_url}/analytics/{ids[0]}?pg[limit]=2"
    print(
        f"Make sandbox listening on {sandbox.base_url} ({serves})\n"
        f"export AIRFLOW_CONN_MAKE_DEFAULT={shlex.quote(sandbox.connection_json)}\n"
        f"curl -g -H {shlex.quote(f'Authorization: Token {sandbox.token}')} {shlex.quote(url)}",
        flush=True,
    )


def _parse_fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_make.sandbox",
        description="Run a local server that imitates Make's analytics endpoint. Ctrl-C stops it.",
    )
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    data, _, faults, _ = groups.values()
    parser.add_argument("--version", action="version", version=f"airflow-provider-make {__version__}")
    parser.add_argument("--quiet", action="store_true", help="print no line for each request (default: print one)")
    # Those of the options that differ from the arguments of Sandbox.
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 picks a free one (default: %(default)s)"
    )
    data.add_argument(
        "--organization",
        type=int,
        action="append",
        metavar="ID",
        help="id of an organization; repeat the option for several (default: 1)",
    )
    data.add_argument(
        "--no-story",
        dest="story",
        action="store_false",
        help="no scenario begins to fail, is disabled, created or deleted (default: each happens every month)",
    )
    for option in fields(Options):
        if keywords := option.metadata.get("keywords"):
            group = groups.get(option.metadata["group"], parser)
            # A repeated option appends to a list.
            default: object = [] if option.default == () else option.default
            group.add_argument(f"--{option.name.replace('_', '-')}", default=default, **keywords)
    faults.add_argument(
        "--fault",
        type=_parse_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help="fault for the first request; repeat the option for the second, and so on: 429, 429:2 (Retry-After), "
        "429-reset:2 (X-RateLimit-Reset), 500 to 599, 503:2, stall:5 (seconds), 400, 401, 403, 404, firewall, reset, "
        "truncate, html, empty, shape, redirect",
    )
    return parser


if __name__ == "__main__":
    run(main)

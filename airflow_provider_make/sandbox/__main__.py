"""The command ``python -m airflow_provider_make.sandbox``: run a sandbox in the foreground."""

from __future__ import annotations

import argparse
import errno
import os
import queue
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from airflow_provider_make import __version__
from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.options import PLANS, ROLES, SCOPES
from airflow_provider_make.sandbox.query import MISREADINGS
from airflow_provider_make.sandbox.rate_limit import RATE_LIMIT_HINTS
from airflow_provider_make.sandbox.server import Sandbox
from airflow_provider_make.sandbox.value_types import VALUE_TYPES

# It spells MAKE on a phone's keys. Airflow's own port is 8080.
DEFAULT_PORT = 6253


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :param arguments: The command-line arguments; ``None`` (default) for those of the process.
    :return: The exit code: 0 after SIGINT or SIGTERM, 1 if the sandbox can't listen, or can't print.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    first, *others = options.organization or [1]
    try:
        sandbox = Sandbox(
            organization_id=first,
            scenarios=options.scenarios,
            organizations=dict.fromkeys(others, options.scenarios),
            story=options.story,
            huge_credits=options.huge_credits,
            seed=options.seed,
            token=options.token,
            latency=options.latency,
            page_cap=options.page_cap,
            max_limit=options.max_limit,
            shuffle_ties=options.shuffle_ties,
            absent_first=options.absent_first,
            requests_per_minute=options.requests_per_minute,
            rate_limit_hint=options.rate_limit_hint,
            misread_filters=options.misread_filters,
            value_types=options.value_types,
            fault_rate=options.fault_rate,
            scopes=options.scopes,
            plan=options.plan,
            role=options.role,
            elsewhere=options.elsewhere,
            host=options.host,
            port=options.port,
        )
    except ValueError as error:
        parser.error(str(error))
    sandbox.fail(*options.fault)
    try:
        _serve(sandbox, [first, *others], is_quiet=options.quiet)
    except _ListenError as error:
        print(f"The sandbox can't listen on {options.host}, port {options.port}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The sandbox has stopped, because it can't print: {error}", file=sys.stderr)
        # What is left in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


class _ListenError(Exception):
    """The address or the port is not available."""


def _serve(sandbox: Sandbox, ids: Sequence[int], *, is_quiet: bool) -> None:
    # None ends it. The main thread prints, so that a reader that does not read can't block the server.
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def stop(number: int, frame: FrameType | None) -> None:
        lines.put(None)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if not is_quiet:
            sandbox.log_requests(lines.put)
        try:
            sandbox.start()
        except OSError as error:
            in_use = "the port is in use. Set another one, or 0 for a free one, with --port."
            raise _ListenError(in_use if error.errno == errno.EADDRINUSE else error) from error
        try:
            _print_usage(sandbox, ids)
            _print_until_none(lines)
        finally:
            sandbox.stop()
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
    organization = sandbox.organization()
    count = f"{len(organization.scenarios)} scenarios"
    serves = f"organization {ids[0]}, {count}"
    if len(ids) > 1:
        serves = f"organizations {', '.join(map(str, ids))}; {count} each"
    url = f"{sandbox.base_url}/analytics/{organization.organization_id}?pg[limit]=2"
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
    data = parser.add_argument_group("organizations and their data")
    rights = parser.add_argument_group("what the token may do")
    faults = parser.add_argument_group("delays, limits and faults")
    variants = parser.add_argument_group("where Make's behaviour is not documented")
    parser.add_argument("--version", action="version", version=f"airflow-provider-make {__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 picks a free one (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each request (default: print one)")
    data.add_argument(
        "--organization",
        type=int,
        action="append",
        metavar="ID",
        help="id of an organization; repeat the option for several (default: 1)",
    )
    data.add_argument(
        "--scenarios", type=int, default=250, help="number of scenarios per organization (default: %(default)s)"
    )
    data.add_argument(
        "--no-story",
        dest="story",
        action="store_false",
        help="no scenario begins to fail, is disabled, created or deleted (default: each happens every month)",
    )
    data.add_argument(
        "--huge-credits",
        action="store_true",
        help="one scenario in a hundred uses more centicredits than fit into 64 bits (default: none does)",
    )
    data.add_argument(
        "--seed", type=int, default=0, help="any integer; the same seed generates the same data (default: %(default)s)"
    )
    parser.add_argument("--token", default="sandbox-token", help="accepted API token (default: %(default)s)")
    faults.add_argument(
        "--latency", type=float, default=0.0, help="seconds before each response (default: %(default)s)"
    )
    variants.add_argument("--page-cap", type=int, help="maximum entries per page (default: no cap)")
    variants.add_argument("--max-limit", type=int, help="largest pg[limit]; a larger one gets a 400 (default: any)")
    variants.add_argument(
        "--shuffle-ties",
        action="store_true",
        help="return entries with equal sort keys in a new order at each request (default: by id)",
    )
    variants.add_argument(
        "--absent-first",
        action="store_true",
        help="return entries without a value for the sort key first (default: last)",
    )
    faults.add_argument(
        "--requests-per-minute",
        type=int,
        help="requests allowed per organization in 60 seconds; any more get a 429 (default: no limit)",
    )
    variants.add_argument(
        "--rate-limit-hint",
        choices=RATE_LIMIT_HINTS,
        help="what a 429 contains: one of these headers, or text instead of JSON (default: JSON without a header)",
    )
    variants.add_argument(
        "--misread-filters",
        choices=MISREADINGS,
        help="last: use only the last of repeated teamId=1; ignore: ignore teamId[]=1 (default: both forms work)",
    )
    variants.add_argument(
        "--value-types",
        choices=VALUE_TYPES,
        default="documented",
        help="text: counts, ids and rates as text; float: counts and ids such as 5.0; number: centicredits as numbers; "
        "null: instead of absent rates (default: %(default)s)",
    )
    faults.add_argument(
        "--fault-rate",
        type=float,
        default=0.0,
        help="share of requests with a random fault that a retry can fix, 0 to 1 (default: %(default)s)",
    )
    rights.add_argument(
        "--scopes", nargs="*", choices=SCOPES, default=SCOPES, help="the token's scopes (default: all of these)"
    )
    rights.add_argument(
        "--plan",
        choices=PLANS,
        default="enterprise",
        help="the organizations' plan; only enterprise has analytics (default: %(default)s)",
    )
    rights.add_argument(
        "--role",
        choices=ROLES,
        default="owner",
        help="the user's role; only an owner may read analytics (default: %(default)s)",
    )
    data.add_argument(
        "--elsewhere",
        type=int,
        action="append",
        default=[],
        metavar="ID",
        help="id of an organization in another zone; repeat the option for several (default: none)",
    )
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
    sys.exit(main())

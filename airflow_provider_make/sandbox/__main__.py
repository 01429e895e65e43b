"""The command ``python -m airflow_provider_make.sandbox``: a sandbox in the foreground."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.server import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :param arguments: Its arguments; ``None`` (default) for those of the process.
    :return: The exit code: 0 after SIGINT or SIGTERM, 1 if it can't listen.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    first, *further = options.organization or [1]
    try:
        sandbox = Sandbox(
            organization_id=first,
            scenarios=options.scenarios,
            organizations=dict.fromkeys(further, options.scenarios),
            seed=options.seed,
            token=options.token,
            latency=options.latency,
            page_cap=options.page_cap,
            shuffle_ties=options.shuffle_ties,
            absent_first=options.absent_first,
            requests_per_minute=options.requests_per_minute,
            fault_rate=options.fault_rate,
            host=options.host,
            port=options.port,
        )
    except ValueError as error:
        parser.error(str(error))
    sandbox.fail(*options.fault)
    try:
        _serve(sandbox)
    except OSError as error:
        print(f"The sandbox can't listen on {options.host}, port {options.port}: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(sandbox: Sandbox) -> None:
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with sandbox:
            _announce(sandbox)
            # Without a timeout a signal would not end the wait on Windows.
            while not stopped.wait(0.5):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(sandbox: Sandbox) -> None:
    organization = sandbox.organization()
    url = f"{sandbox.base_url}/analytics/{organization.organization_id}?pg[limit]=2"
    print(
        f"Make sandbox listening on {sandbox.base_url} "
        f"(organization {organization.organization_id}, {len(organization.scenarios)} scenarios)\n"
        f"export AIRFLOW_CONN_MAKE_DEFAULT={shlex.quote(sandbox.connection_json)}\n"
        f"curl -g -H {shlex.quote(f'Authorization: Token {sandbox.token}')} {shlex.quote(url)}",
        flush=True,
    )


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_make.sandbox",
        description="A stand-in for Make's analytics endpoint. Stops on Ctrl-C.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on, 0 picks a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--organization",
        type=int,
        action="append",
        metavar="ID",
        help="id of an organization; may be given several times (default: 1)",
    )
    parser.add_argument(
        "--scenarios", type=int, default=250, help="scenarios of each organization (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="any integer; the same gives the same data (default: %(default)s)"
    )
    parser.add_argument("--token", default="sandbox-token", help="API token it takes (default: %(default)s)")
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        help="seconds before each answer (default: %(default)s)",
    )
    parser.add_argument("--page-cap", type=int, help="longest page it gives, in entries (default: no cap)")
    parser.add_argument(
        "--shuffle-ties",
        action="store_true",
        help="give entries with equal sort keys in a new order at each request (default: by id)",
    )
    parser.add_argument(
        "--absent-first",
        action="store_true",
        help="give entries without a value for the sort key first (default: last)",
    )
    parser.add_argument(
        "--requests-per-minute",
        type=int,
        help="requests an organization may make in 60 seconds; one more gets a 429 (default: no limit)",
    )
    parser.add_argument(
        "--fault-rate",
        type=float,
        default=0.0,
        help="share of requests with a random fault a client can get over, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help="fault for the first request, given again for the second, and so on: 429, 429:2 (Retry-After), "
        "500 to 599, 503:2, stall:5 (seconds), 401, 403, reset, truncate, html, empty, shape, redirect",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

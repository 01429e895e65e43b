"""The server of the runs: the provider's sandbox in a separate process, which counts requests and connections.

``python -m benchmarks.server OPTIONS`` accepts the sandbox's options as JSON, and prints its URL and token as JSON.
Then it responds to lines on stdin: ``{"begin": SCRIPT}`` just before a run, ``{"end": null}`` after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from typing import Any, Self

from airflow_provider_make.sandbox import Organization, Sandbox
from benchmarks.job import yesterday

ORGANIZATION = 1
# Every process pulls it before its clock starts.
REHEARSAL_ORGANIZATION = 2
REHEARSAL_SCENARIOS = 10


class Server:
    """
    Start and control the server's process. Used in ``with``.

    :param options: Keyword arguments of :class:`airflow_provider_make.sandbox.Sandbox`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        where = self._read()
        self.base_url: str = where["base_url"]
        self.token: str = where["token"]
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def begin(self, script: dict[str, Any]) -> list[int]:
        """
        Start counting, and prepare the events of a run.

        :param script: ``faults``, or the number of scenarios to ``delete`` or ``add``; and ``at``, the number of the
            request at which that happens, 1 by default.
        :return: The ids of the existing scenarios.
        """
        ids: list[int] = self._ask({"begin": script})["ids"]
        return ids

    def end(self) -> dict[str, Any]:
        """
        Stop counting.

        :return: ``requests``, ``connections``, and the ``ids`` of the existing scenarios.
        """
        return self._ask({"end": None})

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(options: str) -> None:
    """
    Serve until stdin ends.

    :param options: The sandbox's options, as JSON.
    """
    organizations = {REHEARSAL_ORGANIZATION: REHEARSAL_SCENARIOS}
    with Sandbox(organization_id=ORGANIZATION, organizations=organizations, **json.loads(options)) as sandbox:
        requests = connections = 0
        _say({"base_url": sandbox.base_url, "token": sandbox.token})
        for line in sys.stdin:
            command = json.loads(line)
            ids = [scenario.id for scenario in sandbox.organization().scenarios]
            if "begin" in command:
                requests, connections = len(sandbox.requests), sandbox.connections
                _prepare(sandbox, **command["begin"])
                _say({"ids": ids})
            else:
                _say(
                    {
                        "requests": len(sandbox.requests) - requests,
                        "connections": sandbox.connections - connections,
                        "ids": ids,
                    }
                )


def _prepare(sandbox: Sandbox, *, at: int = 1, delete: int = 0, add: int = 0, faults: tuple[str, ...] = ()) -> None:
    sandbox.fail(*[None] * (at - 1 if faults else 0), *faults)
    request = len(sandbox.requests) + at
    if delete:
        # From the first third in both sort orders, so that later entries move up, and a reader by offset skips some.
        early = [{entry["id"] for entry in _first_third(sandbox, sort_by)} for sort_by in ("name", "operations")]
        doomed = [int(id_) for id_ in sorted(early[0] & early[1])[:delete]]
        sandbox.at_request(request, lambda organization: organization.delete_scenarios(doomed))
    if add:

        def grow(organization: Organization) -> None:
            organization.add_scenarios(add)

        sandbox.at_request(request, grow)


def _first_third(sandbox: Sandbox, sort_by: str) -> list[dict[str, Any]]:
    date_from, date_to = map(datetime.fromisoformat, yesterday())
    entries = sandbox.truth(sort_by=sort_by, date_from=date_from, date_to=date_to)
    return entries[: len(entries) // 3]


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

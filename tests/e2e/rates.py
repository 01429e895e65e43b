"""Error rates that follow a script: each organization of a sandbox has the next one at each of its requests."""

from __future__ import annotations

import re
import threading
import time

from airflow_provider_make.sandbox import Sandbox

EXECUTIONS = 1000


class Rates:
    """
    Scripts by organization; the last rate of each stays. A context manager.

    A fault in a script is text, such as ``503``; it must be the only script then.
    """

    def __init__(self, sandbox: Sandbox, scripts: dict[int, list[float]]) -> None:
        self._sandbox = sandbox
        self._scripts = scripts
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        for organization_id, script in scripts.items():
            self.set(organization_id, script[0])

    def __enter__(self) -> Rates:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def set(self, organization_id: int, rate: float) -> None:
        """Give all scenarios of an organization an error rate, in percent, from now on."""
        self._sandbox.organization(organization_id).set_counts(EXECUTIONS, round(rate * EXECUTIONS / 100))

    def arrivals(self, organization_id: int) -> list[float]:
        """When the requests for an organization arrived, in seconds."""
        return [
            request.arrived_at
            for request in self._sandbox.requests
            if re.search(r"analytics/(\d+)", request.path)[1] == str(organization_id)  # type: ignore[index]
        ]

    def _follow(self) -> None:
        shown = dict.fromkeys(self._scripts, 0)
        while not self._done.wait(0.05):
            for organization_id, script in self._scripts.items():
                position = min(len(self.arrivals(organization_id)), len(script) - 1)
                if position != shown[organization_id]:
                    shown[organization_id] = position
                    # Behind the answer to the request that was counted.
                    time.sleep(0.05)
                    self.set(organization_id, script[position])

"""Error rates from a script: each request for an organization sets the organization's next error rate."""

from __future__ import annotations

import threading
import time

from airflow_provider_make.sandbox import Sandbox

EXECUTIONS = 1000


class Rates:
    """
    Sets the error rates of a sandbox. Used in ``with``.

    :param sandbox: The sandbox.
    :param scripts: The error rates of each organization, in percent; the last one stays.
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
        """Set the error rate of all scenarios of an organization, in percent."""
        self._sandbox.organization(organization_id).set_counts(EXECUTIONS, round(rate * EXECUTIONS / 100))

    def arrivals(self, organization_id: int) -> list[float]:
        """Return when the requests for an organization arrived, in seconds."""
        return [
            request.arrived_at
            for request in self._sandbox.requests
            # Not those with which a refused client asks about its token.
            if request.path.endswith(f"/analytics/{organization_id}")
        ]

    def _follow(self) -> None:
        positions = dict.fromkeys(self._scripts, 0)
        while not self._done.wait(0.05):
            for organization_id, script in self._scripts.items():
                position = min(len(self.arrivals(organization_id)), len(script) - 1)
                if position != positions[organization_id]:
                    positions[organization_id] = position
                    # After the response to the request that was counted.
                    time.sleep(0.05)
                    self.set(organization_id, script[position])

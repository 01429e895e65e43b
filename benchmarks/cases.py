"""What is run: the settings that are timed, and the servers that put a pull's promises to the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SIZES = (10_000, 100_000)
LATENCIES_MS = (0, 50)
CASE_SIZE = 10_000


@dataclass(frozen=True)
class Case:
    """
    A server that does something a pull has to get over.

    :param name: Short name.
    :param text: What the server does, for the tables.
    :param options: Further options of the sandbox.
    :param script: What happens during the run, for :meth:`benchmarks.server.Server.begin`.
    """

    name: str
    text: str
    options: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("cap", "gives pages of 500 where 1,000 are asked for", options={"page_cap": 500}),
    Case("ties", "puts equal sort keys in another order at each request", options={"shuffle_ties": True}),
    Case("deleted", "5 scenarios are deleted midway", script={"at": 6, "delete": 5}),
    Case("added", "5 scenarios are added midway", script={"at": 6, "add": 5}),
    Case("429", "answers one request with 429, Retry-After 1", script={"at": 4, "faults": ["429:1"]}),
    Case("503", "answers one request with 503", script={"at": 4, "faults": ["503"]}),
    Case("reset", "resets one connection", script={"at": 4, "faults": ["reset"]}),
    Case("html", "answers one request with 200 and HTML", script={"at": 4, "faults": ["html"]}),
)

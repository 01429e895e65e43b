"""The settings of the timed runs, and the cases in which the server misbehaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SIZES = (10_000, 100_000)
LATENCIES_MS = (0, 50)
CASE_SIZE = 10_000


@dataclass(frozen=True)
class Case:
    """
    A server that does something that a pull has to cope with.

    :param name: Short name.
    :param text: Description for tables and picture.
    :param options: More options of the sandbox.
    :param script: Events during the run, for :meth:`benchmarks.server.Server.begin`.
    """

    name: str
    text: str
    options: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("cap", "Pages capped at 500, requested with 1,000", options={"page_cap": 500}),
    Case("ties", "Equal sort keys in another order each time", options={"shuffle_ties": True}),
    Case("deleted", "5 scenarios deleted midway", script={"at": 6, "delete": 5}),
    Case("added", "5 scenarios added midway", script={"at": 6, "add": 5}),
    Case("429", "One response is a 429 with Retry-After 1", script={"at": 4, "faults": ["429:1"]}),
    Case("503", "One response is a 503", script={"at": 4, "faults": ["503"]}),
    Case("reset", "One connection is reset", script={"at": 4, "faults": ["reset"]}),
    Case("html", "One response is a 200 with HTML", script={"at": 4, "faults": ["html"]}),
)
